"""Which findings the report before had, as the note ``_reported.json`` in the lake: only then is one new.

Reports on all apps and on one app are told apart. Of a window that is asked about again and again the report before
is the same: one that ended at least half a window earlier. A note that is damaged is begun anew, since it costs no more
than that nothing is called new once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from queries.delivery.notes import NoteError, damaged, read, time_of, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from queries.report.model import Report, Window

NAME: Final = "_reported.json"
VERSION: Final = 1
KEPT_MAX: Final = 60
IDS_MAX: Final = 300


@dataclass(frozen=True)
class Reported:
    """One report: its app (None: all), the end of its window, and the ids of its findings, muted ones too."""

    app_name: str | None
    until: datetime
    ids: tuple[str, ...]


def before(data: bytes | None, window: Window) -> Reported | None:
    """The report that "new" compares with; None where there is none. Raises :class:`NoteError` for a newer version."""
    latest = window.until - (window.until - window.since) / 2
    earlier = [each for each in _decode(data) if each.app_name == window.app_name and each.until <= latest]
    return max(earlier, key=lambda each: each.until, default=None)


def after(data: bytes | None, report: Report) -> bytes:
    """The note with this report in it; one with the same app and end is replaced, the oldest beyond 60 go."""
    window = report.window
    found = [*report.findings, *(muted.finding for muted in report.muted)]
    made = Reported(window.app_name, window.until, tuple(finding.id for finding in found)[:IDS_MAX])
    others = (each for each in _decode(data) if (each.app_name, each.until) != (made.app_name, made.until))
    kept = sorted([*others, made], key=lambda each: each.until)[-KEPT_MAX:]
    return _encode(kept)


def _decode(data: bytes | None) -> list[Reported]:
    try:
        found = read(NAME, data, VERSION)
        return [_reported(each) for each in found["reports"]] if found is not None else []
    except NoteError as error:
        if str(error) == str(damaged(NAME)):
            return []
        raise
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def _reported(found: dict[str, Any]) -> Reported:
    app = found["app"]
    return Reported(None if app is None else str(app), time_of(found["until"]), tuple(map(str, found["ids"])))


def _encode(reports: Iterable[Reported]) -> bytes:
    rows = [{"app": each.app_name, "until": time_text(each.until), "ids": each.ids} for each in reports]
    return json.dumps({"version": VERSION, "reports": rows}).encode()
