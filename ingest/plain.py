"""From the lines of imported files to tables, as ``parsing`` does it for deliveries.

Saved output of ``heroku logs`` is frames again, but for lines without a head. The other files carry no frames. A
line ends at a newline, with or without a carriage return. Each line becomes one row: of its form's table, or, when it
is none of its form, of ``lines`` with that as its defect and the time of the import, since it has no time of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ingest import rewriting, scanner
from ingest.columns import integers
from ingest.defects import LINE_CUT, NO_ACCESS_LINE, NO_ELB_LINE, NO_SAVED_LINE
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
SAVED: Final = "saved"
FRAMED: Final = frozenset({None, SAVED})  # bodies that are frames, and what stands between them


class Form(NamedTuple):
    """How the lines of a kind of file are read: its table, its parser, and what is wrong with all other lines."""

    table: str
    parse: Callable[[Records], tuple[pa.RecordBatch, Mask]] | None
    defect: int


FORMS: Final = {
    ELB: Form("router", elb.parse, NO_ELB_LINE),
    ACCESS: Form("access", access_file.parse, NO_ACCESS_LINE),
    CUT: Form("lines", None, LINE_CUT),
    SAVED: Form("lines", None, NO_SAVED_LINE),
}


def parse_as(form: str | None, bodies: Sequence[Body], received_at_us: int) -> Parsed:
    """Parse a batch whose bodies are all of one form, or of frames. Bodies of plain lines are one part each.

    ``received_at_us`` stamps what carries no time of its own (UTC microseconds).
    """
    if form is None or form == SAVED:
        return parse(bodies, received_at_us, _headless if form == SAVED else None)
    text = Text(b"".join([body.octets for body in bodies]))
    body_end = np.cumsum([len(body.octets) for body in bodies], dtype=np.int64)
    apps = [body.app for body in bodies]
    lines, part_of, tally, batches = _scanned(form, text, body_end, apps, received_at_us)
    found = np.zeros(len(lines.number), dtype=np.bool_)
    read = FORMS[form].parse
    if read is not None and len(found):
        table, found = read(_records(text, apps, lines, received_at_us))
        batches.setdefault(FORMS[form].table, []).append(table)
        time_us = integers(table["timestamp"].view("int64"))
        tally.add_records(lines.part[found], lines.number[found], time_us, np.zeros(len(time_us), dtype=np.bool_))
    tally.add_junk(lines.part[~found])
    others = np.flatnonzero(~found)
    if len(others):
        span, defect = lines.span.take(others), np.full(len(others), FORMS[form].defect)
        junk = Junk(span.start, span.end, lines.part[others], defect)
        batches["lines"] = [defects(text, apps, junk, len(part_of), received_at_us)]
        part_of = np.append(part_of, junk.body)
    return gathered(batches, Parts(np.arange(len(apps)), np.zeros(len(apps), dtype=np.int64)), part_of, tally)


class _Lines(NamedTuple):
    """Lines without their ends, the body of each, and its number in the batch."""

    span: Spans
    part: Positions
    number: Positions


def _scanned(
    form: str, text: Text, body_end: Positions, apps: Sequence[str], received_at_us: int
) -> tuple[_Lines, Positions, Tally, dict[str, list[pa.RecordBatch]]]:
    """The lines that are still to be read, the body of every line, and what the scanner has read already."""
    scan = scanner.scan_access_lines(text, body_end, apps) if form == ACCESS else None
    if scan is None:
        span, part = _lines(text, body_end)
        return _Lines(span, part, np.arange(len(part))), part, Tally.of(len(apps), received_at_us), {}
    left = _Lines(Spans(scan.left.frames.start, scan.left.frames.end), scan.left.frames.body, scan.left.number)
    batches = {name: [table] for name, table in scan.tables.items()}
    return left, scan.part_of_frame, Tally.of_scan(scan, received_at_us), batches


def _records(text: Text, apps: Sequence[str], lines: _Lines, received_at_us: int) -> Records:
    height = len(lines.number)
    nowhere = Spans(np.zeros(height, dtype=np.int64), np.zeros(height, dtype=np.int64))
    storable, message = rewriting.storable(text, lines.span, np.zeros(height, dtype=np.bool_))
    return Records(storable, apps, lines.part, lines.number, np.full(height, received_at_us), nowhere, message)


def _headless(text: Text, junk: Junk) -> Junk:
    """Junk between frames of saved logs, line by line: there every line without a head is one by itself."""
    newline = text.positions(b"\n") + 1
    of_newline = np.searchsorted(junk.end, newline)
    inside = newline > np.append(junk.start, text.size)[of_newline]
    stop = np.unique(np.concatenate([newline[inside], junk.end]))
    run = np.searchsorted(junk.end, stop)
    line = _without_ends(text, np.maximum(junk.start[run], np.append(0, stop[:-1])), stop)
    filled = line.length > 0
    return Junk(*line.take(filled), junk.body[run][filled], np.full(filled.sum(), NO_SAVED_LINE))


def _lines(text: Text, body_end: Positions) -> tuple[Spans, Positions]:
    """The lines without their ends, and the body of each."""
    stop = np.unique(np.concatenate([text.positions(b"\n") + 1, body_end[body_end > 0]]))
    start = np.append(0, stop[:-1])[: len(stop)]
    return _without_ends(text, start, stop), np.searchsorted(body_end, start, side="right")


def _without_ends(text: Text, start: Positions, stop: Positions) -> Spans:
    newline = text.octets[stop - 1] == ord("\n")
    end = stop - newline
    carriage_return = newline & (end > start) & (text.octets[np.maximum(end, 1) - 1] == ord("\r"))
    return Spans(start, end - carriage_return)
