"""Lines of files without frames: each becomes a row of its form's table, or a line with a defect.

The cases in ``imported/*.jsonl`` hold a line and the columns of its row that matter (``extra`` as an object), or null
where the line is none of its form.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import plain
from ingest.defects import DEFECTS
from ingest.parsers import elb_line
from ingest.parsing import Body
from ingest.redaction import redact
from ingest.rewriting import printable
from tests.ingest import ways
from tests.ingest.test_reference import microseconds

CASES = [
    (path.stem, json.loads(line))
    for path in sorted(Path(__file__).with_name("imported").glob("*.jsonl"))
    for line in path.read_text("utf-8").splitlines()
]
ELB_LINES = [case["line"].encode() for form, case in CASES if form == plain.ELB]
RECEIVED_AT_US = 1_795_000_000_000_000


def read(form: str, *bodies: bytes) -> dict[str, list[dict[str, Any]]]:
    """The rows of each table, times in microseconds; every line is a row, and the tally says so too."""
    parsed = ways.parse_as(form, [Body("shop", body) for body in bodies], RECEIVED_AT_US)
    tables = {name: pl.DataFrame(pl.from_arrow(batch)) for name, batch in parsed.tables.items()}
    heights = {name: table.height for name, table in tables.items()}
    assert sum(heights.values()) == parsed.tally.lines.sum()
    assert heights.get("lines", 0) == parsed.tally.defects.sum()
    times = pl.selectors.datetime()
    return {name: table.with_columns(times.dt.epoch("us")).to_dicts() for name, table in tables.items()}


@pytest.mark.parametrize(("form", "case"), [pytest.param(*each, id=f"{each[0]}: {each[1]['name']}") for each in CASES])
def test_a_line_becomes_its_row(form: str, case: dict[str, Any]) -> None:
    """Alone in its file, a line of any year and layout gives the columns that AWS, nginx and Apache document."""
    tables = read(form, case["line"].encode() + b"\n")
    if case["row"] is None:
        [row] = tables.pop("lines")
        assert (row["message"], row["timestamp"]) == (case["line"], RECEIVED_AT_US)
        assert row["defect"] == DEFECTS[plain.FORMS[form].defect]
    else:
        [row] = tables.pop(plain.FORMS[form].table)
        if "extra" in case["row"]:
            assert list(json.loads(row["extra"]).items()) == list(case["row"]["extra"].items())
        wanted = {
            key: microseconds(value) if key in {"timestamp", "logged_at"} else value
            for key, value in case["row"].items()
            if key != "extra"
        }
        assert {key: row[key] for key in wanted} == wanted
    assert not tables


def test_the_microseconds_of_a_request_stand_where_questions_look_for_them() -> None:
    """``served_between`` reads them with a regular expression, so their place and form are fixed."""
    rows = read(plain.ELB, b"\n".join(ELB_LINES))["router"]
    assert all(("duration_us" in row["extra"]) == (row["service_ms"] is not None) for row in rows)
    assert all(row["extra"].startswith(('{"duration_us":"', '{"elb":"')) for row in rows)


def one_by_one(lines: list[bytes]) -> list[dict[str, Any]]:
    """The rows that reading each line alone gives; only a newline makes a carriage return a part of a line's end."""
    ended = [line.removesuffix(b"\r") for line in lines[:-1]]
    rows = (elb_line.parse(redact(printable(line))) for line in [*ended, lines[-1]])
    return [row for row in rows if row is not None]


def assert_reads_as_one_by_one(lines: list[bytes]) -> None:
    """The rows by column are those that the line reader gives."""
    rows = read(plain.ELB, b"\n".join(lines)).get("router", [])
    wanted = one_by_one(lines)
    assert len(rows) == len(wanted)
    for row, want in zip(rows, wanted, strict=True):
        assert row == dict.fromkeys(row) | {"app": "shop"} | want


def test_lines_of_all_layouts_together_are_read_as_one_by_one() -> None:
    """Two kinds and a dozen layouts in one file do not touch each other, in any order."""
    assert_reads_as_one_by_one(ELB_LINES * 3)
    assert_reads_as_one_by_one(ELB_LINES[::-1])


PIECES = [
    b'"', b" ", b"  ", b"-", b'" "', b"\\", b":", b"[", b"/", b"?token=abc", b"\xff", b"\xc3\xa9", b"\r", b"\0", b"@",
    b".", b' "x" - - ', b"1.5", b"-1", b"https://h:443/", b"9" * 20, b"TLSv1", b"\t", b"#",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A line of some layout with bytes flipped, dropped and inserted anywhere."""
    line = bytearray(draw(st.sampled_from(ELB_LINES)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(line)))
        piece = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=2)))
        line[place : place + draw(st.integers(0, 3))] = piece.replace(b"\n", b"")
    return bytes(line) or b"x"


@given(st.lists(mutated(), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_mutated_lines_are_read_as_one_by_one(lines: list[bytes]) -> None:
    """Whatever stands in a line, the columns agree with the reader of single lines."""
    assert_reads_as_one_by_one(lines)


@given(st.lists(st.binary(max_size=80), max_size=4), st.sampled_from(sorted(plain.FORMS.keys() - plain.FRAMED)))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_accounted_for(bodies: list[bytes], form: str) -> None:
    """Nothing raises, and each line of each body is a row (``read`` counts them)."""
    parsed = ways.parse_as(form, [Body("shop", body) for body in bodies], 0)
    lines = [len(body.removesuffix(b"\n").split(b"\n")) if body else 0 for body in bodies]
    assert parsed.tally.lines.tolist() == lines
    assert sum(table.num_rows for table in parsed.tables.values()) == sum(lines)


def test_odd_lines_are_kept_byte_for_byte() -> None:
    r"""A NUL stays, a carriage return belongs to the line's end, what is not UTF-8 is written as ``\xFF``."""
    tables = read(plain.ACCESS, b"a\0b\r\n\xff\xfe\r\rx\n \n?token=abc")
    assert [row["message"] for row in tables["lines"]] == ["a\0b", "\\xFF\\xFE\r\rx", " ", "?token=[REDACTED]"]


def test_a_nul_in_a_line_costs_only_its_own_field() -> None:
    """The fields before the request are the load balancer's, whatever the client sent."""
    [row] = read(plain.ELB, ELB_LINES[0].replace(b"curl", b"c\0rl"))["router"]
    assert (row["user_agent"], row["status"]) == ("c\0rl/7.38.0", 200)


def test_carriage_returns_end_lines() -> None:
    """A file that went through Windows reads the same."""
    unix, windows = (read(plain.ELB, end.join(ELB_LINES) + end) for end in (b"\n", b"\r\n"))
    assert unix == windows


def test_rows_of_several_bodies_keep_to_their_own_part() -> None:
    """Landing tells repeated bodies by the part that each row names."""
    parsed = ways.parse_as(plain.ELB, [Body("shop", ELB_LINES[0]), Body("shop", b"x"), Body("shop", ELB_LINES[0])], 7)
    assert parsed.places["router"].tolist() == [0, 2]
    assert parsed.places["lines"].tolist() == [1]
    assert parsed.tally.last_us.tolist()[1] == 7
