"""From the bodies of deliveries to tables: the pure core of the receiver.

``parse`` takes a batch of deliveries and gives the rows of every table. Lines in = rows out: each frame and each
run of junk becomes one row of one table, but for measures, where a line becomes a row per value, and one more that
keeps the line where not all of it could be read. No input makes it raise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from ingest import classify, frames, headers, rewriting, scanner
from ingest.columns import constant, indices, integers
from ingest.defects import DEFECTS, VALUE_UNREADABLE
from ingest.frames import Frames, Junk
from ingest.parsers import access, php, platform, releases, router, samples
from ingest.records import FRAME, Records, rows
from ingest.redaction import COMMAND
from ingest.schema import LINES
from ingest.text import Spans, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ingest.headers import Headers
    from ingest.text import Mask, Positions


PART_BYTES: Final = 128 << 10  # Heroku's deliveries are smaller, so they are one part


class Body(NamedTuple):
    """Bytes that were delivered together, and the app they are for."""

    app: str
    octets: bytes


class Parts(NamedTuple):
    """Bodies in parts of about ``PART_BYTES``: which body each part is of, and its number within it.

    A part depends on the body's bytes alone, so that it is the same whenever the body comes again, whatever is parsed
    beside it. A line belongs to the part that it begins in.
    """

    body: Positions
    number: Positions


@dataclass(frozen=True)
class Tally:
    """Lines per part: found, recognised by a parser, and no frame at all; the time of the last line."""

    lines: Positions
    parsed: Positions
    defects: Positions
    last_us: Positions
    last_frame: Positions  # the number of the frame that `last_us` is of, -1 for none

    @classmethod
    def of(cls, parts: int, received_at_us: int) -> Tally:
        """Nothing counted yet."""
        lines, parsed, defects = (np.zeros(parts, dtype=np.int64) for _ in range(3))
        return cls(lines, parsed, defects, np.full(parts, received_at_us, dtype=np.int64), np.full(parts, -1))

    @classmethod
    def of_scan(cls, scan: scanner.Scan, received_at_us: int) -> Tally:
        """What the scanner read; what it left is still to be added."""
        _, _, lines, parsed, last_us, last_frame = scan.parts
        return cls(lines, parsed, np.zeros_like(lines), np.where(last_frame < 0, received_at_us, last_us), last_frame)

    @classmethod
    def together(cls, tallies: Sequence[Tally]) -> Tally:
        """What was counted in several batches, one behind the other."""
        if len(tallies) == 1:  # as almost always
            return tallies[0]
        return cls(*(np.concatenate(counts) for counts in zip(*(vars(each).values() for each in tallies), strict=True)))

    def add(self, part: Positions, frame: Positions, header: Headers, unparsed: Mask) -> None:
        """Count some frames of these parts, in order."""
        readable = header.readable
        self.add_records(part[readable], frame[readable], header.timestamp_us[readable], unparsed)
        self.add_junk(part[~readable])

    def add_records(self, part: Positions, frame: Positions, timestamp_us: Positions, unparsed: Mask) -> None:
        """Count some records of these parts, in order."""
        parts = len(self.lines)
        self.lines[:] += np.bincount(part, minlength=parts)
        self.parsed[:] += np.bincount(part[~unparsed], minlength=parts)
        later = frame > self.last_frame[part]
        self.last_us[part[later]] = timestamp_us[later]  # the last record of each is written last
        self.last_frame[part[later]] = frame[later]

    def add_junk(self, part: Positions) -> None:
        """Count what is no record: runs of bytes that are no frame, frames without a readable header."""
        count = np.bincount(part, minlength=len(self.lines))
        self.lines[:] += count
        self.defects[:] += count


class Parsed(NamedTuple):
    """Rows by table (only tables that have any; ``php`` with its ``continues`` column), and the tally.

    ``places`` says by table which part each row comes from.
    """

    tables: dict[str, pa.RecordBatch]
    places: dict[str, Positions]
    parts: Parts
    tally: Tally


def parse(bodies: Sequence[Body], received_at_us: int, cut_junk: Callable[[Text, Junk], Junk] | None = None) -> Parsed:
    """Parse a batch. ``received_at_us`` stamps bytes that carry no time of their own (UTC microseconds).

    ``cut_junk`` may cut runs of bytes between frames, each of which becomes one row.
    """
    text = Text(b"".join([body.octets for body in bodies]))
    body_end = np.cumsum([len(body.octets) for body in bodies], dtype=np.int64)
    scan = scanner.scan(text, body_end, [body.app for body in bodies])
    if scan is None:
        return _general(text, body_end, bodies, received_at_us, cut_junk)
    return _scanned(text, scan, bodies, received_at_us)


def _scanned(text: Text, scan: scanner.Scan, bodies: Sequence[Body], received_at_us: int) -> Parsed:
    """The rows that the scanner read, and those of the frames that it left."""
    body, number = scan.parts[:2]
    apps = [bodies[each].app for each in body.tolist()]
    tally = Tally.of_scan(scan, received_at_us)
    batches = {name: [table] for name, table in scan.tables.items()}
    part_of_frame, left = scan.part_of_frame, scan.left
    if scan.general:
        unreadable = _parse_generally(text, left.frames, left.number, apps, tally, batches)
        part_of_frame = _add_junk(text, apps, unreadable, part_of_frame, received_at_us, batches)
    elif len(left.number):
        records = Records(text, apps, left.frames.body, left.number, left.time_us, left.process, left.message)
        tables, unparsed = _route(records, classify.Senders(*(left.sender == code for code in scanner.SENDERS)))
        tally.add_records(records.part, records.frame, records.timestamp_us, unparsed)
        _extend(batches, tables)
    return gathered(batches, Parts(body, number), part_of_frame, tally)


def _general(
    text: Text,
    body_end: Positions,
    bodies: Sequence[Body],
    received_at_us: int,
    cut_junk: Callable[[Text, Junk], Junk] | None,
) -> Parsed:
    """The rows of any bytes, read by column."""
    spans = Spans(np.append(0, body_end[:-1])[: len(body_end)], body_end)
    found, junk = frames.split(text, spans)
    if cut_junk is not None and len(junk.start):
        junk = cut_junk(text, junk)
    parts, found, junk = _in_parts(spans, found, junk)
    apps = [bodies[body].app for body in parts.body.tolist()]
    tally = Tally.of(len(apps), received_at_us)
    tally.add_junk(junk.body)
    batches: dict[str, list[pa.RecordBatch]] = {}
    unreadable = _parse_generally(text, found, np.arange(len(found.body)), apps, tally, batches)
    part_of_frame = _add_junk(text, apps, _together(junk, unreadable), found.body, received_at_us, batches)
    return gathered(batches, parts, part_of_frame, tally)


def _add_junk(
    text: Text,
    apps: Sequence[str],
    junk: Junk,
    part_of_frame: Positions,
    received_at_us: int,
    batches: dict[str, list[pa.RecordBatch]],
) -> Positions:
    """Add the rows of junk, which is numbered behind all frames; the parts of both."""
    if not len(junk.start):
        return part_of_frame
    _extend(batches, {"lines": [defects(text, apps, junk, len(part_of_frame), received_at_us)]})
    return np.append(part_of_frame, junk.body)


def _together(*junk: Junk) -> Junk:
    """Junk in the order of the text."""
    start, end, body, defect = (np.concatenate(column) for column in zip(*junk, strict=True))
    order = np.argsort(start, kind="stable")
    return Junk(start[order], end[order], body[order], defect[order])


def _extend(batches: dict[str, list[pa.RecordBatch]], tables: Mapping[str, Sequence[pa.RecordBatch]]) -> None:
    for name, some in tables.items():
        batches.setdefault(name, []).extend(some)


def gathered(
    batches: Mapping[str, Sequence[pa.RecordBatch]], parts: Parts, part_of_frame: Positions, tally: Tally
) -> Parsed:
    """The batches of each table as one, in the order of the frames; they say in ``FRAME`` which one each row is of."""
    merged = {name: _in_order([each for each in some if each.num_rows]) for name, some in batches.items()}
    filled = {name: table for name, table in merged.items() if table is not None}
    return Parsed(
        {name: table.drop_columns([FRAME]) for name, table in filled.items()},
        {name: part_of_frame[integers(table.column(FRAME))] for name, table in filled.items()},
        parts,
        tally,
    )


def _in_order(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
    if len(batches) <= 1:
        return batches[0] if batches else None
    together = pa.concat_batches(batches)
    frame = integers(together.column(FRAME))
    if (frame[1:] >= frame[:-1]).all():
        return together
    return together.take(indices(np.argsort(frame, kind="stable")))


def _in_parts(spans: Spans, found: Frames, junk: Junk) -> tuple[Parts, Frames, Junk]:
    """The parts of the bodies, and frames and junk with the number of their part in place of their body's."""
    bodies = np.arange(len(spans.start))
    if not (spans.length > PART_BYTES).any():  # as almost always
        return Parts(bodies, np.zeros_like(bodies)), found, junk
    body = np.concatenate([bodies, found.body, junk.body])
    start = np.concatenate([spans.start, found.start, junk.start])
    (body, number), place = np.unique([body, (start - spans.start[body]) // PART_BYTES], axis=1, return_inverse=True)
    of_frames, of_junk = np.split(place.ravel()[len(bodies) :], [len(found.body)])
    return Parts(body, number), found._replace(body=of_frames), junk._replace(body=of_junk)


def _parse_generally(
    text: Text,
    found: Frames,
    number: Positions,
    apps: Sequence[str],
    tally: Tally,
    batches: dict[str, list[pa.RecordBatch]],
) -> Junk:
    """Add the rows of some frames, which have these numbers in the batch; gives what has no readable header."""
    header = headers.read(text, found)
    tables, unparsed = _route(*_records(text, apps, found, number, header))
    tally.add(found.body, number, header, unparsed)
    _extend(batches, tables)
    others = ~header.readable
    return Junk(found.start[others], found.end[others], found.body[others], header.defect[others])


def _records(
    text: Text, apps: Sequence[str], found: Frames, number: Positions, header: Headers
) -> tuple[Records, classify.Senders]:
    """The frames with a readable header, fit to be stored, and who sent them."""
    readable = header.readable
    text, process = _processes(text, header.process.take(readable))
    part, time_us = found.body[readable], header.timestamp_us[readable]
    text, message = rewriting.repaired(text, header.message.take(readable))  # telling senders apart reads messages
    records = Records(text, apps, part, number[readable], time_us, process, message)
    source = header.source.take(readable)
    sender = classify.senders(records, source)
    commands = (text.equals(source, b"heroku") | sender.api) & text.starts_with(records.message.start, COMMAND.encode())
    text, message = rewriting.redacted(text, records.message, commands)
    return replace(records, text=text, message=message), sender


def _processes(text: Text, process: Spans) -> tuple[Text, Spans]:
    """PROCID fit to be stored. Where a header lacks a field a word of the message stands there, even a URL."""
    text, process = rewriting.repaired(text, process)
    if not (text.count(b"@", process) + text.count(b"=", process)).any():  # as almost always
        return text, process
    return rewriting.storable(text, process, np.zeros(len(process.start), dtype=np.bool_))


def _route(records: Records, sender: classify.Senders) -> tuple[dict[str, list[pa.RecordBatch]], Mask]:
    """The rows of every table, and which records no parser recognised."""
    measured, in_part, measures = _measures(records, sender)
    tables = {"samples": measures}
    event = sender.log_system | (sender.dyno_manager & ~measured)
    recognised = sender.router | event | measured | sender.api
    for name, mask in (("router", sender.router), ("platform", event), ("releases", sender.api)):
        tables[name] = [_parse(name, records.take(mask), sender.log_system[mask])] if mask.any() else []
    tables |= _dyno_output(records, sender.dyno, recognised)
    tables["lines"] = [_plain(records.take(~recognised))] if not recognised.all() else []
    if in_part.any():
        tables["lines"].append(_plain(records.take(in_part), VALUE_UNREADABLE))
    return tables, ~recognised


def _parse(name: str, records: Records, of_log_system: Mask) -> pa.RecordBatch:
    if name == "router":
        return router.parse(records)
    return releases.parse(records) if name == "releases" else platform.parse(records, of_log_system)


def _measures(records: Records, sender: classify.Senders) -> tuple[Mask, Mask, list[pa.RecordBatch]]:
    """Which records had values of runtime metrics and add-ons, which of them were read in part, and the values."""
    measured = np.zeros(len(records), dtype=np.bool_)
    candidates = sender.addon | (sender.dyno_manager & (records.text.count(b"#", records.message) > 0))
    at = np.flatnonzero(candidates)
    if not len(at):
        return measured, measured, []
    kinds = [
        "dyno" if of_dyno else samples.kind_of(process)
        for of_dyno, process in zip(sender.dyno_manager[at], records.take(at).process_texts(), strict=True)
    ]
    known = np.array([kind is not None for kind in kinds], dtype=np.bool_)
    at = at[known]
    table, answered, partly = samples.parse(records.take(at), [kind for kind in kinds if kind is not None])
    in_part = np.zeros_like(measured)
    measured[at[answered]] = True
    in_part[at[partly]] = True
    return measured, in_part, [table]


def _dyno_output(records: Records, dyno: Mask, recognised: Mask) -> dict[str, list[pa.RecordBatch]]:
    """Access lines and PHP errors among what the dynos printed; ``recognised`` learns of them."""
    at = np.flatnonzero(dyno)
    if not len(at):
        return {}
    table, is_access = access.parse(records.take(at))
    errors_at = at[~is_access]
    is_error, continues = php.recognise(records.take(errors_at))
    errors_at, continues = errors_at[is_error], continues[is_error]
    recognised[at[is_access]] = True
    recognised[errors_at] = True
    return {
        "access": [table],
        "php": [php.parse(records.take(errors_at), continues)] if len(errors_at) else [],
    }


def _plain(records: Records, defect: int | None = None) -> pa.RecordBatch:
    columns = {"process": records.processes(), "message": records.messages()}
    return rows(
        LINES, records, columns if defect is None else columns | {"defect": constant(DEFECTS[defect], len(records))}
    )


def defects(text: Text, apps: Sequence[str], junk: Junk, first_frame: int, received_at_us: int) -> pa.RecordBatch:
    """Lines for what is no frame and for frames without a header: their exact bytes, secrets redacted.

    They are numbered from ``first_frame`` on.
    """
    height = len(junk.start)
    text, exact = rewriting.storable(text, Spans(junk.start, junk.end), np.zeros(height, dtype=np.bool_))
    number, timestamp_us = first_frame + np.arange(height), np.full(height, received_at_us, dtype=np.int64)
    nowhere = Spans(np.zeros(height, dtype=np.int64), np.zeros(height, dtype=np.int64))
    records = Records(text, apps, junk.body, number, timestamp_us, nowhere, exact)
    defect = pa.array(DEFECTS, pa.string()).take(indices(junk.defect))
    return rows(LINES, records, {"message": records.messages(), "defect": defect})
