"""The changes and restarts of the window, as incidents are told with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from queries.report.causes import SHORTLY_BEFORE, Change
from queries.report.model import Window
from queries.report.series import change_name
from queries.report.words import at, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked

CHANGES_MAX: Final = 1_000
# Dynos that a deploy or a scaling restarted are told with that; crashes are findings themselves.
_OWN_REASONS: Final = "('memory', 'restart', 'cycling', 'woken')"


def changes(asked: Asked) -> Iterator[Change]:
    """Deploys, scalings and other changes from shortly before the window on, and restarts that no change made."""
    window = Window(asked.window.since - SHORTLY_BEFORE, asked.window.until, asked.window.app_name)
    for row in asked.records(f"FROM {asked.call_in(window, 'releases')} LIMIT {CHANGES_MAX}"):
        name = change_name(row)
        what = f"{name[:1].upper()}{name[1:]} at {at(row['changed_at'], asked.window)}"
        yield Change(row["app"], row["changed_at"], f"{what}: {named(row['message'], 'no words')}.")
    sql = f"FROM {asked.call('dyno_restarts')} WHERE reason IN {_OWN_REASONS} LIMIT {CHANGES_MAX}"
    for row in asked.records(sql):
        reason = "daily restart" if row["reason"] == "cycling" else row["reason"]
        for moment in sorted({row["first_at"], row["last_at"]}):
            what = f"{named(row['dyno'])} was started anew at {at(moment, asked.window)} ({reason})."
            yield Change(row["app"], moment, what)
