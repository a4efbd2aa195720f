"""Which parser a record is for: by who wrote it (APPNAME and PROCID), never by its PRI.

Only Heroku's own frames are believed: a dyno can print anything, so its lines are access lines, PHP errors or
plain lines, whatever they look like. One line of Heroku comes as a dyno's own: that nobody could be attached to a
``run.N``. It is believed word for word, of these dynos alone: only who may start one could forge it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ingest.columns import integers, matches
from ingest.parsers.platform import ATTACH_ERROR, LOSS

if TYPE_CHECKING:
    from ingest.records import Records
    from ingest.text import Mask, Spans, Text

_ROUTER_WORD: Final = r"(?:^| )(?:at|code|method)="
_ATTACH_ERROR: Final = ATTACH_ERROR.encode()
_DYNO: Final = r"^[A-Za-z0-9_-]+\.[0-9]+$"


class Senders(NamedTuple):
    """Which records come from where; at most one mask is true for a record, none for a plain line."""

    router: Mask
    log_system: Mask
    api: Mask
    dyno_manager: Mask  # Heroku about one dyno: events and runtime metrics
    dyno: Mask  # the dyno's own output
    addon: Mask  # measures of an add-on


def senders(records: Records, source: Spans) -> Senders:
    """Tell the senders apart. ``source`` is APPNAME."""
    text, process = records.text, records.process
    heroku, app = text.equals(source, b"heroku"), text.equals(source, b"app")
    router = heroku & text.equals(process, b"router")
    shuttle = text.equals(process, b"log-shuttle")
    log_system = heroku & (text.equals(process, b"logplex") | shuttle)
    log_shuttle = app & shuttle
    api = (heroku | app) & text.equals(process, b"api")
    is_dyno = app & _is_dyno(text, process)
    attach_error = _is_attach_error(records, is_dyno)
    dyno = is_dyno & ~attach_error
    manager = (heroku & ~router & ~log_system & ~api) | attach_error
    addon = app & ~is_dyno & ~api & ~log_shuttle & (text.count(b"#", records.message) > 0)
    return Senders(
        router & _has_router_word(records, router),
        log_system | (log_shuttle & _tells_of_loss(records, log_shuttle)),
        api,
        manager,
        dyno,
        addon,
    )


def _is_attach_error(records: Records, dyno: Mask) -> Mask:
    one_off = dyno & records.text.starts_with(records.process.start, b"run.")
    return one_off & records.text.equals(records.message, _ATTACH_ERROR) if one_off.any() else one_off


def _is_dyno(text: Text, process: Spans) -> Mask:
    """``name.N``: what every dyno is called. The names of a batch are few, each is looked at once."""
    names = text.strings(process).dictionary_encode()
    if not len(names.dictionary):
        return np.zeros(0, dtype=np.bool_)
    dyno: Mask = matches(names.dictionary, _DYNO)[integers(names.indices)]
    return dyno


def _has_router_word(records: Records, router: Mask) -> Mask:
    # Behind a message can stand another one that was rewritten, so a short one must not be read past its end.
    usual = records.text.starts_with(records.message.start, b"at=") & (records.message.length >= len(b"at="))
    return usual | _contains(records, router & ~usual, _ROUTER_WORD)


def _tells_of_loss(records: Records, log_shuttle: Mask) -> Mask:
    return _contains(records, log_shuttle, LOSS)


def _contains(records: Records, among: Mask, expression: str) -> Mask:
    """Which of some messages match an expression."""
    found = np.zeros(len(records), dtype=np.bool_)
    rows = np.flatnonzero(among)
    if len(rows):
        found[rows] = matches(records.take(rows).messages(), expression)
    return found
