"""Takes log files into the event log, each once however often it comes.

A file is read twice: first to know it by its whole content (decompressed), and to see that it is undamaged and of the
right kind; then to append it in bodies of about 100 KB. The marks of these bodies last, so an import that was killed
goes on where it stood, and a file that comes again adds nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest.batch import store
from ingest.deliveries import LASTING_PREFIX, Delivery
from ingest.parsing import Body
from ingest.plain import CUT, SAVED, parse_as
from ingest.saved_logs import SavedLogError, bodies, reframed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ingest.eventlog.contract import Appender
    from ingest.saved_logs import SavedBody

APPEND_BYTES: Final = 1_638_400  # an append syncs once; parsing takes a multiple of it in memory
LOOK_APPENDS: Final = 8  # so far into a file (13 MB) the first line of its form must come


class WrongFormError(SavedLogError):
    """The file has lines, but none of the form it was given as; ``sample`` is how it begins."""

    def __init__(self, sample: bytes) -> None:
        self.sample = sample
        super().__init__("no line is of this form")


@dataclass
class Imported:
    """Lines of a file: those read; of these the ones held already, and new ones that are none of its form."""

    lines: int = 0
    held: int = 0
    defects: int = 0


@dataclass(frozen=True)
class LogFile:
    """A file whose lines belong to an app. ``form`` is one of ``ingest.plain``; None for saved ``heroku logs``."""

    path: Path
    app: str
    form: str | None

    def content(self, on_read: Callable[[int], None]) -> str:
        """What the file is known by: form, app and whole content. Raises SavedLogError, also WrongFormError.

        ``on_read`` is told how many bytes of the file were read.
        """
        # Names of apps have no colon.
        whole = hashlib.sha256(f"{self.app}\0".encode() if self.form is None else f"{self.form}:{self.app}\0".encode())
        recognised = False
        sample: bytes | None = None
        for number, some in enumerate(self._appends()):
            for body in some:
                whole.update(body.body)
            sample = sample or some[0].body
            recognised = recognised or any(not body.cut and _holds(self.form, body.body) for body in some)
            if not recognised and number + 1 == LOOK_APPENDS:
                break
            on_read(some[-1].position)
        if sample is not None and not recognised:
            raise WrongFormError(sample)
        return whole.hexdigest()

    def append_to(self, log: Appender, content: str, received_at_us: int, on_read: Callable[[int], None]) -> Imported:
        """Append what the log does not hold yet. Raises what the log does, and SavedLogError."""
        found = Imported()
        number = 0
        for some in self._appends():
            deliveries = [
                Delivery(
                    self.app, body.body, received_at_us, f"{LASTING_PREFIX}{content}:{place}", form=self._form(body)
                )
                for place, body in enumerate(some, number)
            ]
            counts = store(log, deliveries)
            number += len(some)
            found.lines += counts.lines
            found.held += counts.repeated
            found.defects += counts.defects
            on_read(some[-1].position)
        return found

    def _form(self, body: SavedBody) -> str | None:
        return CUT if body.cut else self.form or SAVED

    def _appends(self) -> Iterator[list[SavedBody]]:
        """The bodies that are appended together: all of one form."""
        some: list[SavedBody] = []
        for body in bodies(self.path, framed=self.form is None):
            if not body.body:
                continue
            if some and (
                sum(len(each.body) for each in some) + len(body.body) > APPEND_BYTES or body.cut != some[0].cut
            ):
                yield some
                some = []
            some.append(body)
        if some:
            yield some


def looks_like(form: str | None, octets: bytes) -> bool:
    """Whether the beginning of a file holds a line of this form."""
    return _holds(form, reframed(octets) if form is None else octets)


def _holds(form: str | None, octets: bytes) -> bool:
    tally = parse_as(form, [Body("", octets)], 0).tally
    return bool((tally.lines > tally.defects).any())
