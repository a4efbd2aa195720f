"""The columnar parser against the reference parser: on every case, on mutated lines, on any bytes."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import parsing
from tests.ingest import reference, ways
from tests.ingest.test_reference import body_of, framed, load

RECEIVED_AT_US = 1_795_000_000_000_000
CASES = load()
BODIES = [body_of(param.values[0]) for param in CASES]


def columnar(deliveries: list[tuple[str, bytes]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table, in the form the reference parser gives them."""
    parsed = ways.parse([parsing.Body(app, body) for app, body in deliveries], RECEIVED_AT_US)
    return {name: _rows(pl.DataFrame(pl.from_arrow(batch))) for name, batch in parsed.tables.items()}


def _rows(table: pl.DataFrame) -> list[dict[str, Any]]:
    times = [name for name, dtype in table.schema.items() if isinstance(dtype, pl.Datetime)]
    return table.with_columns(pl.col(times).dt.epoch("us")).to_dicts()


def assert_agrees(deliveries: list[tuple[str, bytes]]) -> None:
    """Both parsers give the same rows; the wording of a defect is not compared, that there is one is."""
    found = columnar(deliveries)
    for table, expected in reference.parse(deliveries, RECEIVED_AT_US).items():
        rows, wanted = found.get(table, []), expected
        if table == "lines":  # frames in order, then in order what is none
            wanted = sorted(expected, key=lambda row: row["defect"] is not None and row["process"] is None)
        assert [_comparable(row) for row in rows] == [_comparable(row) for row in wanted], table


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    row = {name: _number(value) for name, value in row.items()}
    return row | {"defect": row["defect"] is not None} if "defect" in row else row


def _number(value: Any) -> Any:
    return float(f"{value:.12g}") if isinstance(value, float) and math.isfinite(value) else value


@pytest.mark.parametrize("case", CASES)
def test_a_case_gives_the_rows_of_the_reference(case: dict[str, Any]) -> None:
    """Alone in a batch, each case becomes the rows that the plain parser gives."""
    assert_agrees([("shop", body_of(case))])


def test_all_cases_in_one_batch_give_the_rows_of_the_reference() -> None:
    """Deliveries of several apps in one batch do not touch each other."""
    assert_agrees([(f"app-{number % 3}", body) for number, body in enumerate(BODIES)])


def test_all_frames_in_one_delivery_give_the_rows_of_the_reference() -> None:
    """A delivery of many kinds of lines, run together, is cut and sorted rightly."""
    assert_agrees([("shop", b"".join(BODIES))])


@given(st.lists(st.sampled_from(BODIES), max_size=6), st.data())
@settings(max_examples=150, deadline=None)
def test_mutated_bodies_give_the_rows_of_the_reference(bodies: list[bytes], data: st.DataObject) -> None:
    """Bytes flipped, dropped, doubled and inserted anywhere never make the parsers disagree."""
    deliveries = [("shop", _mutated(body, data)) for body in bodies]
    assert_agrees(deliveries)


def _mutated(body: bytes, data: st.DataObject) -> bytes:
    octets = bytearray(body)
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(octets)))
        piece = data.draw(st.one_of(st.binary(max_size=3), st.sampled_from(ways.PIECES)))
        octets[place : place + data.draw(st.integers(0, 3))] = piece
    return bytes(octets)


MESSAGES = [
    (param.values[0]["frame"]["app"], param.values[0]["frame"]["proc"], param.values[0]["frame"]["message"])
    for param in CASES
    if "frame" in param.values[0]
]


@given(st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=8), st.data())
@settings(max_examples=250, deadline=None)
def test_mutated_messages_give_the_rows_of_the_reference(
    messages: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    """In whole frames, whatever stands in the message is read alike by both parsers."""
    frames = []
    for app, process, message in messages:
        octets = _mutated(message.encode(), data)
        header = f"<190>1 2026-11-23T13:15:33.512345+00:00 host {app} {process} - ".encode()
        frames.append(b"%d %b%b" % (len(header) + len(octets), header, octets))
    assert_agrees([("shop", b"".join(frames))])


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_accounted_for(body: bytes) -> None:
    """Whatever comes, nothing raises, and the tally says what became of it."""
    parsed = ways.parse([parsing.Body("shop", body)], RECEIVED_AT_US)
    lines = sum(batch.num_rows for batch in parsed.tables.values())
    assert parsed.tally.lines.tolist() == [lines]
    assert lines > 0 or not body


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
@settings(max_examples=200, deadline=None)
def test_a_plain_line_comes_back_as_it_was_sent(message: str) -> None:
    """Encoding a line into a frame and parsing it is the identity, but for one final newline."""
    rows = columnar([("shop", framed(message, "app", "clock.1"))])
    if list(rows) == ["lines"] and "[REDACTED]" not in rows["lines"][0]["message"]:
        expected = message.removesuffix("\n").removesuffix("\r") if message.endswith("\n") else message
        assert rows["lines"][0]["message"] == expected
        assert rows["lines"][0]["defect"] is None


def test_a_backslash_before_a_quote_is_read_alike() -> None:
    """A value that ends in an escaped quote is not taken for a closed one."""
    for message in ('at=error code=H12 desc="a thing happene\\"', 'at=info method=GET path="/a\\" host=x request_id=r'):
        assert_agrees([("shop", framed(message, "heroku", "router"))])


def test_every_byte_of_a_cut_body_is_stored() -> None:
    """A body cut at any place keeps its whole frames as lines and the rest as one defect."""
    frames = [framed(f"line {number}", "app", "web.1") for number in range(3)]
    body = b"".join(frames)
    for cut in range(len(body)):
        rows = columnar([("shop", body[:cut])]).get("lines", [])
        whole = cut // len(frames[0])
        assert [row["message"] for row in rows if row["defect"] is None] == [f"line {n}" for n in range(whole)]
        assert "".join(row["message"] for row in rows if row["defect"]) == body[whole * len(frames[0]) : cut].decode()
