"""Target that looks for quadratic work: long lines of one repeated piece, which every reader must take in its stride.

It asserts nothing; the fuzzer's own time limit per input is the oracle. A reader that is linear takes milliseconds, one
that is quadratic takes minutes, so the limit needs no exact clock.
"""

from __future__ import annotations

from typing import Final

from drainlake import objectives, values
from ingest import plain
from ingest.parsing import Body, parse
from ingest.saved_logs import reframed
from tests.fuzz.deliveries import RECEIVED_AT_US, SENDERS
from tests.fuzz.inputs import framed, head, parts

LINE_BYTES: Final = 128 << 10
_ALL_SENDERS: Final = sorted({sender for senders in SENDERS.values() for sender in senders})


def long_lines(data: bytes) -> None:
    """Parts are a beginning, what repeats, and an end; the line goes through every reader."""
    beginning, repeated, ending, *_ = [*parts(data), b"", b"", b""]
    line = beginning + repeated * (LINE_BYTES // max(len(repeated), 1)) + ending
    body = b"".join(framed(head(*sender) + line) for sender in _ALL_SENDERS)
    parse([Body("shop", body)], RECEIVED_AT_US)
    parse([Body("shop", line)], RECEIVED_AT_US)
    for form in plain.FORMS:
        plain.parse_as(form, [Body("shop", line)], RECEIVED_AT_US)
    parse([Body("shop", reframed(line))], RECEIVED_AT_US)
    for read in (objectives.parse, values.http_url, values.app_name):
        try:
            read(line[:4096].decode("utf-8", "replace"))
        except ValueError:
            continue


def many_lines(data: bytes) -> None:
    """The parts come again and again as lines of every sender, and as frames with a wrong count between them."""
    some = parts(data)
    frames = [framed(head(*_ALL_SENDERS[number % len(_ALL_SENDERS)]) + part) for number, part in enumerate(some)]
    frames += [framed(head("app", "web.1") + part) for part in some]
    unit = b"".join(frames)
    times = (LINE_BYTES * 4) // len(unit)
    parse([Body("shop", unit * times)], RECEIVED_AT_US)
    parse([Body("shop", b"".join(some) * (LINE_BYTES // max(len(b"".join(some)), 1)))], RECEIVED_AT_US)
