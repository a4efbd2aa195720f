"""From the bodies of deliveries to tables: the pure core of the receiver.

``parse`` takes a batch of deliveries and gives the rows of every table. Lines in = rows out: each frame and each
run of junk becomes one row of one table, but for measures, where a line becomes a row per value. No input makes
it raise.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from ingest import classify, frames, headers, rewriting
from ingest.columns import integers
from ingest.frames import Frames, Junk
from ingest.parsers import access, php, platform, releases, router, samples
from ingest.records import PART, Records, rows
from ingest.redaction import COMMAND
from ingest.schema import LINES
from ingest.text import Spans, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ingest.headers import Headers
    from ingest.text import Mask, Positions


PART_BYTES: Final = 128 << 10  # Heroku's deliveries are smaller, so they are one part
PIECE_MAX_BYTES: Final = 2 << 20  # parsing takes up to 30 times its bytes of hostile text; deliveries have 0.1 MB


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

    @classmethod
    def of(cls, parts: int, received_at_us: int) -> Tally:
        """Nothing counted yet."""
        lines, parsed, defects = (np.zeros(parts, dtype=np.int64) for _ in range(3))
        return cls(lines, parsed, defects, np.full(parts, received_at_us, dtype=np.int64))

    def add(self, part: Positions, header: Headers, unparsed: Mask) -> None:
        """Count some frames of these parts."""
        readable = header.readable
        records = part[readable]
        parts = len(self.lines)
        self.lines[:] += np.bincount(part, minlength=parts)
        self.parsed[:] += np.bincount(records[~unparsed], minlength=parts)
        self.defects[:] += np.bincount(part[~readable], minlength=parts)
        self.last_us[records] = header.timestamp_us[readable]  # the last record of each is written last

    def add_junk(self, part: Positions) -> None:
        """Count runs of bytes that are no frame."""
        runs = np.bincount(part, minlength=len(self.lines))
        self.lines[:] += runs
        self.defects[:] += runs


class Parsed(NamedTuple):
    """Rows by table (only tables that have any; ``php`` with its ``continues`` column), and the tally.

    ``places`` says by table which part each row comes from.
    """

    tables: dict[str, pa.RecordBatch]
    places: dict[str, Positions]
    parts: Parts
    tally: Tally


def parse(bodies: Sequence[Body], received_at_us: int) -> Parsed:
    """Parse a batch. ``received_at_us`` stamps bytes that carry no time of their own (UTC microseconds)."""
    text = Text(b"".join(body.octets for body in bodies))
    end = np.cumsum([len(body.octets) for body in bodies], dtype=np.int64)
    spans = Spans(end - np.array([len(body.octets) for body in bodies], dtype=np.int64), end)
    found, junk = frames.split(text, spans)
    parts, found, junk = _in_parts(spans, found, junk)
    apps = [bodies[body].app for body in parts.body.tolist()]
    tally = Tally.of(len(apps), received_at_us)
    tally.add_junk(np.array([run.body for run in junk], dtype=np.int64))
    batches: dict[str, list[pa.RecordBatch]] = {}
    for piece, some, offset in _pieces(text, found):
        tables, unreadable = _parse_frames(piece, some, apps, tally)
        for name, rows_of_piece in tables.items():
            batches.setdefault(name, []).extend(rows_of_piece)
        junk += [run._replace(start=run.start + offset, end=run.end + offset) for run in unreadable]
    if junk:
        batches.setdefault("lines", []).append(defects(text, apps, sorted(junk), received_at_us))
    return gathered(batches, parts, tally)


def gathered(batches: Mapping[str, Sequence[pa.RecordBatch]], parts: Parts, tally: Tally) -> Parsed:
    """The batches of each table as one; they say in ``PART`` which part their rows come from."""
    merged = {name: pa.concat_batches(some) for name, some in batches.items() if some}
    filled = {name: table for name, table in merged.items() if table.num_rows}
    return Parsed(
        {name: table.drop_columns([PART]) for name, table in filled.items()},
        {name: integers(table.column(PART)) for name, table in filled.items()},
        parts,
        tally,
    )


def _in_parts(spans: Spans, found: Frames, junk: list[Junk]) -> tuple[Parts, Frames, list[Junk]]:
    """The parts of the bodies, and frames and junk with the number of their part in place of their body's."""
    bodies = np.arange(len(spans.start))
    if not (spans.length > PART_BYTES).any():  # as almost always
        return Parts(bodies, np.zeros_like(bodies)), found, junk
    body = np.concatenate([bodies, found.body, np.array([run.body for run in junk], dtype=np.int64)])
    start = np.concatenate([spans.start, found.start, np.array([run.start for run in junk], dtype=np.int64)])
    (body, number), place = np.unique([body, (start - spans.start[body]) // PART_BYTES], axis=1, return_inverse=True)
    of_frames, of_junk = np.split(place.ravel()[len(bodies) :], [len(found.body)])
    moved = [run._replace(body=part) for run, part in zip(junk, of_junk.tolist(), strict=True)]
    return Parts(body, number), found._replace(body=of_frames), moved


def _pieces(text: Text, found: Frames) -> Iterator[tuple[Text, Frames, int]]:
    """The frames in portions, each with the bytes it lies in and where these begin.

    What parsing takes in memory is bounded by a portion. Almost every batch is a single one; only a delivery far
    larger than Heroku's is cut.
    """
    if text.size <= PIECE_MAX_BYTES:
        yield text, found, 0
        return
    portion = found.end // PIECE_MAX_BYTES
    bounds = np.append(np.flatnonzero(np.append(True, portion[1:] != portion[:-1])), len(portion))
    for first, last in itertools.pairwise(bounds.tolist() if len(portion) else [0, 0]):
        if first < last:
            start, end = int(found.start[first]), int(found.end[last - 1])
            rows = slice(first, last)
            shifted = (found.start[rows] - start, found.head[rows] - start, found.end[rows] - start)
            yield Text(text.slice(start, end)), Frames(*shifted, found.body[rows]), start


def _parse_frames(
    text: Text, found: Frames, apps: Sequence[str], tally: Tally
) -> tuple[dict[str, list[pa.RecordBatch]], list[Junk]]:
    """The rows of some frames, and the frames without a readable header."""
    header = headers.read(text, found)
    tables, unparsed = _route(*_records(text, apps, found, header))
    tally.add(found.body, header, unparsed)
    unreadable = [
        Junk(int(found.start[row]), int(found.end[row]), int(found.body[row]), headers.DEFECTS[header.defect[row]])
        for row in np.flatnonzero(~header.readable)
    ]
    return tables, unreadable


def _records(text: Text, apps: Sequence[str], found: Frames, header: Headers) -> tuple[Records, classify.Senders]:
    """The frames with a readable header, fit to be stored, and who sent them."""
    readable = header.readable
    text, process = _processes(text, header.process.take(readable))
    part, time_us = found.body[readable], header.timestamp_us[readable]
    text, message = rewriting.repaired(text, header.message.take(readable))  # telling senders apart reads messages
    records = Records(text, apps, part, time_us, process, message)
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
    measured, measures = _measures(records, sender)
    tables = {"samples": measures}
    event = sender.log_system | (sender.dyno_manager & ~measured)
    recognised = sender.router | event | measured | sender.api
    for name, mask in (("router", sender.router), ("platform", event), ("releases", sender.api)):
        tables[name] = [_parse(name, records.take(mask), sender.log_system[mask])] if mask.any() else []
    tables |= _dyno_output(records, sender.dyno, recognised)
    tables["lines"] = [_plain(records.take(~recognised))] if not recognised.all() else []
    return tables, ~recognised


def _parse(name: str, records: Records, of_log_system: Mask) -> pa.RecordBatch:
    if name == "router":
        return router.parse(records)
    return releases.parse(records) if name == "releases" else platform.parse(records, of_log_system)


def _measures(records: Records, sender: classify.Senders) -> tuple[Mask, list[pa.RecordBatch]]:
    """Values of runtime metrics and add-ons, and which records had any."""
    measured = np.zeros(len(records), dtype=np.bool_)
    candidates = sender.addon | (sender.dyno_manager & (records.text.count(b"#", records.message) > 0))
    at = np.flatnonzero(candidates)
    if not len(at):
        return measured, []
    kinds = [
        "dyno" if of_dyno else samples.kind_of(process)
        for of_dyno, process in zip(sender.dyno_manager[at], records.take(at).processes().to_pylist(), strict=True)
    ]
    known = np.array([kind is not None for kind in kinds], dtype=np.bool_)
    at = at[known]
    table, answered = samples.parse(records.take(at), [kind for kind in kinds if kind is not None])
    measured[at[answered]] = True
    return measured, [table]


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


def _plain(records: Records) -> pa.RecordBatch:
    return rows(LINES, records, {"process": records.processes(), "message": records.messages()})


def defects(text: Text, apps: Sequence[str], runs: Sequence[Junk], received_at_us: int) -> pa.RecordBatch:
    """Lines for what is no frame and for frames without a header: their exact bytes, secrets redacted."""
    start, end, part = np.array([run[:3] for run in runs], dtype=np.int64).T
    text, exact = rewriting.storable(text, Spans(start, end), np.zeros(len(start), dtype=np.bool_))
    timestamp_us = np.full(len(start), received_at_us, dtype=np.int64)
    nowhere = Spans(np.zeros_like(start), np.zeros_like(start))
    records = Records(text, apps, part, timestamp_us, nowhere, exact)
    columns = {"message": records.messages(), "defect": pa.array([run.defect for run in runs], pa.string())}
    return rows(LINES, records, columns)
