"""The reference parser against cases whose expected rows were written from the documents.

Each line of ``cases/*.jsonl`` holds a name (the behaviour in words), its source, the input, and for each
table the rows that must come out with the columns that matter. Tables that are not named must stay empty.
The input is one ``frame``, several ``frames``, or a whole ``body`` (``body_b64`` for bytes that are no
text). Times are ISO 8601.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest import schema
from tests.ingest.reference import framing, header, parse

CASES = Path(__file__).parent / "cases"
RECEIVED_AT = "2026-12-01T00:00:00Z"
TIMES = ("timestamp", "logged_at")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def load() -> list[Any]:
    """All cases, each under the name of its file and its own."""
    return [
        pytest.param(case, id=f"{path.stem}: {case['name']}")
        for path in sorted(CASES.glob("*.jsonl"))
        for case in map(json.loads, path.read_text("utf-8").splitlines())
    ]


def body_of(case: dict[str, Any]) -> bytes:
    """The bytes of the case's delivery."""
    if "body_b64" in case:
        return base64.b64decode(case["body_b64"])
    if "body" in case:
        return str(case["body"]).encode()
    return b"".join(framed(**frame) for frame in case.get("frames") or [case["frame"]])


def framed(
    message: str,
    app: str,
    proc: str,
    host: str = "host",
    timestamp: str = "2026-11-23T13:15:33.512345+00:00",
) -> bytes:
    """One frame as Heroku sends it."""
    counted = f"<190>1 {timestamp} {host} {app} {proc} - {message}".encode()
    return b"%d %s" % (len(counted), counted)


def microseconds(iso: str) -> int:
    """An ISO time as microseconds since the epoch."""
    return (datetime.fromisoformat(iso) - EPOCH) // timedelta(microseconds=1)


def expected(row: dict[str, Any]) -> dict[str, Any]:
    """The expected columns, times as the parser gives them, floats with a tolerance."""
    return {key: _expected(key, value) for key, value in row.items()}


def _expected(key: str, value: Any) -> Any:
    if key in TIMES and value is not None:
        return microseconds(value)
    return pytest.approx(value, rel=1e-12) if isinstance(value, float) else value


@pytest.mark.parametrize("case", load())
def test_a_case_gives_its_rows(case: dict[str, Any]) -> None:
    """The body of a case becomes the rows that the documents promise, and no others."""
    rows = parse([("shop", body_of(case))], microseconds(RECEIVED_AT))
    assert {table: len(found) for table, found in rows.items() if found} == {
        table: len(wanted) for table, wanted in case["expect"].items()
    }
    for table, wanted in case["expect"].items():
        chosen = [{key: row[key] for key in want} for row, want in zip(rows[table], wanted, strict=True)]
        assert chosen == [expected(want) for want in wanted], table


@pytest.mark.parametrize("case", load())
def test_the_pieces_of_a_body_are_the_body(case: dict[str, Any]) -> None:
    """No byte is lost or doubled when a body is cut, and every row holds every column of its table."""
    body = body_of(case)
    assert b"".join(piece.raw for piece in framing.split(body)) == body
    for table, rows in parse([("shop", body)], 0).items():
        names = [column.name for column in schema.TABLES[table].columns]
        assert all([*row] == names + ["continues"] * (table == "php") for row in rows)


def test_every_cut_of_a_body_is_accounted_for() -> None:
    """A body cut at any byte gives its whole frames and one row with the rest."""
    frames = [framed(f"line {number}\n", "app", "web.1") for number in range(3)]
    body, ends = b"".join(frames), [len(b"".join(frames[:count])) for count in range(4)]
    for cut in range(len(body) + 1):
        whole = sum(end <= cut for end in ends) - 1
        rows = parse([("shop", body[:cut])], 0)["lines"]
        rest = header.text(body[ends[whole] : cut])
        assert [row["message"] for row in rows if not row["defect"]] == [f"line {n}" for n in range(whole)]
        assert [row["message"] for row in rows if row["defect"]] == [rest] * bool(rest)


def test_continuations_are_found_per_app_and_dyno_across_deliveries() -> None:
    """The rest of a message joins the head of the same app and dyno only, also from a later delivery."""
    head = framed("[23-Nov-2026 13:15:33 UTC] PHP Warning:  multi", "app", "web.1")
    other = framed("line warning in /app/warn.php on line 1", "app", "web.2")
    rest = framed("line warning in /app/warn.php on line 1", "app", "web.1")
    rows = parse([("shop", head), ("blog", rest), ("shop", other), ("shop", rest)], 0)
    assert [(row["app"], row["dyno"], row["continues"]) for row in rows["php"]] == [
        ("shop", "web.1", False),
        ("shop", "web.1", True),
    ]
    assert [(row["app"], row["process"]) for row in rows["lines"]] == [("blog", "web.1"), ("shop", "web.2")]
