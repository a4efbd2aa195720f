"""The cases of the questions: data files ``cases/<question>/<behaviour>.json``.

A case holds the rows of the lake by table (``each`` gives values shared by all rows of a table, ``repeat``
in a row says how often it stands there), the call, and either the expected rows in order or the ``error``.
``columns`` picks expressions of the answer where not all columns are looked at. Times are ISO texts in UTC.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"

_DATE = re.compile(r"\b\d{4}-\d\d-\d\d(?=\b|T)")

FILES = sorted(CASES.glob("*/*.json"))

_LINES = (Path(__file__).parent / "data/instants.tsv").read_text("utf-8").splitlines()
INSTANTS = [tuple(line.split("\t")) for line in _LINES if not line.startswith("#")]
"""What a question is given as a time, in SQL, and which instant that is in UTC."""


def case_id(file: Path) -> str:
    """How a case is named in the test's output."""
    return f"{file.parent.name}-{file.stem}"


def load(file: Path) -> dict[str, Any]:
    """The case, its rows completed."""
    case: dict[str, Any] = json.loads(file.read_text("utf-8"))
    shared = case.get("each", {})
    case["tables"] = {
        table: [full for row in rows for full in _repeated({**shared.get(table, {}), **row})]
        for table, rows in case["tables"].items()
    }
    return case


def earlier(value: Any) -> Any:
    """A case, or a part of it, with all dates moved back before 1970 by whole weeks."""
    if isinstance(value, str):
        return _DATE.sub(lambda found: str(date.fromisoformat(found[0]) - timedelta(weeks=2990)), value)
    if isinstance(value, list):
        return [earlier(each) for each in value]
    if isinstance(value, dict):
        return {name: earlier(each) for name, each in value.items()}
    return value


def _repeated(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row] * row.pop("repeat", 1)


def statement(case: dict[str, Any]) -> str:
    """The SELECT that asks the case's question."""
    return f"SELECT {', '.join(case.get('columns', ['*']))} FROM {case['call']}"


def comparable(value: object) -> object:
    """A value of an answer as the data file writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, list):
        return [comparable(entry) for entry in value]
    if isinstance(value, dict):
        return {name: comparable(entry) for name, entry in value.items()}
    return round(value, 12) if isinstance(value, float) else value
