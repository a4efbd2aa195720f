"""From the lines of imported files that carry no frames to tables, as ``parsing`` does it for deliveries.

A line ends at a newline, with or without a carriage return. Each line becomes one row: of its form's table, or, when it
is none of its form, of ``lines`` with that as its defect and the time of the import, since it has no time of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ingest import rewriting
from ingest.frames import Junk
from ingest.parsers import access_file, elb
from ingest.parsing import Parsed, Parts, Tally, defects, gathered, parse
from ingest.records import Records
from ingest.text import Spans, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from ingest.parsing import Body
    from ingest.text import Mask, Positions

ELB: Final = "elb"
ACCESS: Final = "access"
CUT: Final = "cut"


class Form(NamedTuple):
    """How the lines of a kind of file are read: its table, its parser, and what is wrong with all other lines."""

    table: str
    parse: Callable[[Records], tuple[pa.RecordBatch, Mask]] | None
    defect: str


FORMS: Final = {
    ELB: Form("router", elb.parse, "no line of a load balancer's access log"),
    ACCESS: Form("access", access_file.parse, "no line of a web server's access log"),
    CUT: Form("lines", None, "a part of a line of more than 1 MiB"),
}


def parse_as(form: str | None, bodies: Sequence[Body], received_at_us: int) -> Parsed:
    """Parse a batch whose bodies are all of one form, or of frames. Bodies of plain lines are one part each.

    ``received_at_us`` stamps what carries no time of its own (UTC microseconds).
    """
    if form is None:
        return parse(bodies, received_at_us)
    size = np.array([len(body.octets) for body in bodies], dtype=np.int64)
    text, body_end = Text(b"".join(body.octets for body in bodies)), np.cumsum(size)
    lines, part = _lines(text, body_end)
    apps = [body.app for body in bodies]
    tally = Tally.of(len(apps), received_at_us)
    tally.lines[:] = np.bincount(part, minlength=len(apps))
    found, batches = np.zeros(len(part), dtype=np.bool_), {}
    read = FORMS[form].parse
    if read is not None and len(part):
        nowhere = Spans(np.zeros_like(part), np.zeros_like(part))
        storable, message = rewriting.storable(text, lines, found)
        number, time_us = np.arange(len(part)), np.full(len(part), received_at_us)
        table, found = read(Records(storable, apps, part, number, time_us, nowhere, message))
        batches[FORMS[form].table] = [table]
        _count(tally, table, part[found])
    tally.defects[:] = tally.lines - tally.parsed
    junk = _junk(lines, part, ~found, FORMS[form].defect)
    if junk:
        batches["lines"] = [defects(text, apps, junk, len(part), received_at_us)]
    part_of = np.append(part, part[~found])
    return gathered(batches, Parts(np.arange(len(apps)), np.zeros_like(size)), part_of, tally)


def _lines(text: Text, body_end: Positions) -> tuple[Spans, Positions]:
    """The lines without their ends, and the body of each."""
    stop = np.unique(np.concatenate([text.positions(b"\n") + 1, body_end[body_end > 0]]))
    start = np.append(0, stop[:-1])[: len(stop)]
    newline = text.octets[stop - 1] == ord("\n")
    end = stop - newline
    carriage_return = newline & (end > start) & (text.octets[np.maximum(end, 1) - 1] == ord("\r"))
    return Spans(start, end - carriage_return), np.searchsorted(body_end, start, side="right")


def _count(tally: Tally, table: pa.RecordBatch, part: Positions) -> None:
    tally.parsed[:] = np.bincount(part, minlength=len(tally.lines))
    tally.last_us[part] = table["timestamp"].cast("int64").to_numpy()  # the last line of each is written last


def _junk(lines: Spans, part: Positions, where: Mask, defect: str) -> list[Junk]:
    at = np.flatnonzero(where)
    places = zip(lines.start[at].tolist(), lines.end[at].tolist(), part[at].tolist(), strict=True)
    return [Junk(start, end, body, defect) for start, end, body in places]
