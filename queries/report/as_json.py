"""A report as JSON, exact and without limits, for programs.

``version`` is 1 and changes when a name or a meaning does; further keys may come without that. Times are ISO 8601 in
UTC with microseconds, severities are ``critical``, ``warning`` and ``notice``, what is unknown is null. The shape::

    {"version": 1, "is_wrong": true, "window": {"since": …, "until": …, "app": null or a name}, "made_at": …,
     "apps": […], "verdict": …, "previous_until": null or a time, "findings": [a finding, …],
     "sections": [{"name", "title", "sentence", "charts": [a chart, …],
                   "answers": [{"question", "columns", "rows", "row_count", "sql"}]}],
     "muted": [{"finding": a finding, "until": …}], "notes": […], "settings": {name: text},
     "trust": {"received", "parsed", "defective", "repeated", "dropped", "share_seen"}}

A finding is ``{"id", "kind", "app", "subject", "severity", "sentence", "since", "until", "sql", "command", "advice",
"request_ids": […], "chart": null or a chart, "also": […], "is_new"}``; a chart is ``{"title", "unit", "times": […],
"lines": [{"label", "values": […]}], "keys": [{"label", "value", "at"}], "thresholds": [{"label", "value"}], "markers":
[{"label", "at"}]}``.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from queries.report.escaping import escape_json
from queries.report.formatting import iso
from queries.report.model import Finding, Report, Severity, Window
from queries.report.wording import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1


def render(report: Report) -> str:
    """The report as one JSON object with a final newline."""
    held = {"version": VERSION, "is_wrong": report.is_wrong, **_plain(report)}
    return escape_json(json.dumps(held, ensure_ascii=False, allow_nan=False, indent=1)) + "\n"


def _plain(value: Any) -> Any:
    """The value as JSON holds it."""
    if isinstance(value, Severity):
        return SEVERITIES[value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime | date | timedelta):
        return _time(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _object(value)
    if hasattr(value, "items"):
        return _mapping(value)
    return [_plain(item) for item in value] if hasattr(value, "__iter__") else str(value)


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _plain(item) for key, item in value.items()}


def _time(value: date | timedelta) -> str | float:
    if isinstance(value, datetime):
        return iso(value)
    return value / timedelta(seconds=1) if isinstance(value, timedelta) else value.isoformat()


def _object(value: Any) -> dict[str, Any]:
    """A part of the model by the names of its fields; a window's app is ``app`` as everywhere outside."""
    found = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Window):
        found["app"] = found.pop("app_name")
    return {"id": value.id, **found} if isinstance(value, Finding) else found
