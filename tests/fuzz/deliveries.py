"""Targets on the way of a delivery: framing, headers, and each parser against the slow reference parsers."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pyarrow as pa

from ingest import frames, headers, parsing
from ingest.text import Spans, Text
from ingest.times import LAST_US
from tests.fuzz.inputs import framed, head, parts
from tests.fuzz.survivors import survivors
from tests.ingest import reference, ways
from tests.ingest.reference import framing
from tests.ingest.reference import header as reference_header

RECEIVED_AT_US: Final = 1_795_000_000_000_000
FIRST_US: Final = -62_135_596_800_000_000
SENDERS: Final = {
    "router": (("heroku", "router"),),
    "access": (("app", "web.1"),),
    "php": (("app", "web.1"),),
    "platform": (("heroku", "web.1"), ("heroku", "logplex"), ("app", "log-shuttle")),
    "samples": (("heroku", "web.1"), ("app", "heroku-postgres"), ("app", "heroku-pgbouncer"), ("app", "heroku-redis")),
    "releases": (("app", "api"), ("heroku", "api")),
}


def body(data: bytes) -> None:
    """Deliveries of any bytes: parsed as the reference parses them, every line accounted for."""
    agree([(f"app-{number % 2}", octets) for number, octets in enumerate(parts(data))])


def messages(kind: str, data: bytes) -> None:
    """Messages in whole frames of one kind's senders."""
    senders = SENDERS[kind]
    octets = [framed(head(*senders[number % len(senders)]) + message) for number, message in enumerate(parts(data))]
    agree([("shop", b"".join(octets))])


def agree(deliveries: list[tuple[str, bytes]]) -> None:
    """The rows of all tables are the reference's; they are sound columns, in the tally, and free of secrets."""
    parsed = ways.parse([parsing.Body(app, octets) for app, octets in deliveries], RECEIVED_AT_US)
    wanted = reference.parse(deliveries, RECEIVED_AT_US)
    for name, table in parsed.tables.items():
        sound(table)
        assert len(parsed.places[name]) == table.num_rows
    for name, expected in wanted.items():
        found = rows(parsed.tables[name]) if name in parsed.tables else []
        # Lines: frames in order, then in order what is none.
        ordered = sorted(expected, key=_is_no_frame)
        assert len(found) == len(ordered), name
        for row, want in zip(map(_comparable, found), map(_comparable, ordered), strict=True):
            assert row == want, f"{name}: {[(key, row[key], want[key]) for key in row if row[key] != want[key]]}"
    lines = sum(len(framing.split(octets)) for _, octets in deliveries)
    assert int(parsed.tally.lines.sum()) == lines
    assert int(parsed.tally.defects.sum()) == sum(map(_is_no_frame, wanted["lines"]))
    assert sum(len(some) for name, some in wanted.items() if name != "samples") <= lines
    assert len(wanted["samples"]) * len(" count#a=1") <= sum(len(octets) for _, octets in deliveries)


def _is_no_frame(row: dict[str, Any]) -> bool:
    return row.get("defect") is not None and row["process"] is None


def rows(table: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows with their times in microseconds."""
    columns = [
        (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
        for column in table.columns
    ]
    return [dict(zip(table.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def sound(table: pa.RecordBatch) -> None:
    """Columns are valid Arrow and UTF-8, times lie in the years 1 to 9999, numbers are finite, no secret is there."""
    table.validate(full=True)
    for row in rows(table):
        for name, value in row.items():
            if isinstance(value, str):
                assert not survivors(value), (name, value)
            elif isinstance(value, float):
                assert math.isfinite(value), name
            elif name in {"timestamp", "logged_at"} and value is not None:
                assert FIRST_US <= value <= LAST_US, (name, value)


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    row = {name: float(f"{value:.12g}") if isinstance(value, float) else value for name, value in row.items()}
    return row | {"defect": row["defect"] is not None} if "defect" in row else row


def split(data: bytes) -> None:
    """Frames and junk are the reference's pieces; together they are the bodies, byte for byte."""
    bodies = parts(data)
    text = Text(b"".join(bodies))
    end = np.cumsum([len(octets) for octets in bodies], dtype=np.int64)
    spans = Spans(end - np.array([len(octets) for octets in bodies], dtype=np.int64), end)
    found, junk = frames.split(text, spans)
    cut = zip(found.start.tolist(), found.end.tolist(), found.body.tolist(), found.head.tolist(), strict=True)
    pieces = sorted(
        [*cut, *((*run, -1) for run in zip(junk.start.tolist(), junk.end.tolist(), junk.body.tolist(), strict=True))]
    )
    wanted = []
    for number, octets in enumerate(bodies):
        place = int(spans.start[number])
        for piece in framing.split(octets):
            at = -1 if piece.defect else place + len(piece.raw) - len(piece.counted)
            wanted.append((place, place + len(piece.raw), number, at))
            place += len(piece.raw)
    assert pieces == wanted
    assert b"".join(text.slice(start, end) for start, end, _, _ in pieces) == text.slice(0, text.size)


def header(data: bytes) -> None:
    """The fields of headers, or that there are none, as the reference reads them one by one."""
    counted = [b"<190>1 " + part for part in parts(data)]
    octets = [framed(each) for each in counted]
    end = np.cumsum([len(each) for each in octets], dtype=np.int64)
    start = end - np.array([len(each) for each in octets], dtype=np.int64)
    at = end - np.array([len(each) for each in counted], dtype=np.int64)
    text = Text(b"".join(octets))
    found = headers.read(text, frames.Frames(start, at, end, np.zeros_like(start)))
    for row, each in enumerate(counted):
        wanted = reference_header.read(each)
        if isinstance(wanted, str):
            assert not found.readable[row]
            continue
        assert found.readable[row]
        fields = [found.source, found.process, found.message]
        read = [reference_header.text(text.slice(int(span.start[row]), int(span.end[row]))) for span in fields]
        assert (int(found.timestamp_us[row]), *read) == tuple(wanted)
