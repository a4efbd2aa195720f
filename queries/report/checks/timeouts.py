"""Requests that ran into Heroku's 30-second limit (H12): who held the workers, and who only waited."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.report import series
from queries.report.finding import made
from queries.report.model import Severity
from queries.report.quoting import between, sql_text, sql_time
from queries.report.words import counted, during, listed, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.report.asked import Asked, Record
    from queries.report.model import Finding, Window

# A single slow request is no burst: from here on visitors notice that the site hangs.
BURST_LEAST: Final = 5
# So many visitors saw an error page one after the other.
CRITICAL_LEAST: Final = 20
# An app with more bursts than this has one problem that the worst of them show.
BURSTS_MAX: Final = 10
# A burst is over when none came for so long; one that goes on at the window's beginning is looked at from before it.
APART: Final = timedelta(seconds=60)
CONTEXT: Final = timedelta(minutes=30)
BURST_LONGEST: Final = timedelta(hours=6)
# Each is named in the finding's SQL.
TRICKLE_MAX: Final = 500

_EXAMPLES: Final = """SELECT app, request_id FROM {rows}
WHERE source = 'heroku' AND code = 'H12' AND request_id IS NOT NULL AND app = {app}
  AND timestamp BETWEEN {first} AND {last}
ORDER BY timestamp LIMIT 3"""

_TRICKLE: Final = """SELECT app, sum(timeouts)::BIGINT AS timeouts, min(first_at) AS first_at, max(last_at) AS last_at
FROM {question} WHERE app = {app} AND first_at IN ({bursts}) GROUP BY app"""


def check(asked: Asked) -> Iterator[Finding]:
    """A finding for each burst, and one for the timeouts outside of bursts."""
    found = bursts(asked)
    for app in sorted({row["app"] for row in found}):
        mine = sorted((row for row in found if row["app"] == app), key=lambda row: -row["timeouts"])
        large = [row for row in mine if row["timeouts"] >= BURST_LEAST][:BURSTS_MAX]
        yield from (_burst(asked, row) for row in large)
        yield from _trickle(asked, app, mine[len(large) :])


def bursts(asked: Asked) -> tuple[Record, ...]:
    """The bursts of the window; one that began before it is told whole, since its second half blames its victims."""
    rows = asked.question("h12_autopsy")
    if not any(row["first_at"] < asked.window.since + APART for row in rows):
        return rows
    earlier = asked.records(f"FROM {asked.call_in(_earlier(asked), 'h12_autopsy')}")
    whole = {
        (row["app"], row["last_at"]): row
        for row in earlier
        if row["first_at"] < asked.window.since and row["timeouts"] >= BURST_LEAST
    }
    return tuple(whole.get((row["app"], row["last_at"]), row) for row in rows)


def _earlier(asked: Asked) -> Window:
    """The window from before its beginning; of a long one just the hours in which such a burst ends."""
    until = min(asked.window.until, asked.window.since + BURST_LONGEST) if asked.is_long else asked.window.until
    return replace(asked.window, since=asked.window.since - CONTEXT, until=until)


def _burst(asked: Asked, row: Record) -> Finding:
    began_earlier = row["first_at"] < asked.window.since
    window = _earlier(asked) if began_earlier else asked.window_at("h12_autopsy", row["first_at"])
    sql = (
        f"FROM {asked.call_in(window, 'h12_autopsy')} WHERE app = {sql_text(row['app'])}"
        f" AND first_at = {sql_time(row['first_at'])}"
    )
    return made(
        asked,
        "h12_autopsy",
        row,
        kind="timeouts",
        subject=row["culprit"],
        severity=Severity.CRITICAL if row["timeouts"] >= CRITICAL_LEAST else Severity.WARNING,
        sentence=_sentence(asked, row),
        sql=sql,
        times=(row["first_at"], row["last_at"]),
        advice=_advice(row),
        request_ids=_examples(asked, row, window),
        window=window,
        chart=series.in_flight(asked, row["app"]),
    )


def _sentence(asked: Asked, row: Record) -> str:
    when = during(row["first_at"], row["last_at"], asked.window)
    said = f"{counted(row['timeouts'], 'request')} timed out (H12) {when} on {counted(row['dynos'], 'dyno')}"
    if row["culprit"] is None:
        return f"{said}; no route is known to have held the workers."
    own = next((one["timeouts"] for one in row["culprits"] if one["route"] == row["culprit"]), 0)
    held = f"{named(row['culprit'])} held the workers ({own:,} of the timeouts are its own)"
    if not row["victim_timeouts"]:
        return f"{said}; {held}."
    return f"{said}; {held}, {row['victim_timeouts']:,} only waited for one."


def _advice(row: Record) -> str:
    if row["culprit"] is None:
        return "See which routes were slow then; more workers help only if none of them is to blame."
    return (
        f"Make {named(row['culprit'])} answer within a few seconds, or move its work to a background job and answer"
        " with 202. More dynos only put the next pile-up off."
    )


def _examples(asked: Asked, row: Record, window: Window) -> tuple[str | None, ...]:
    sql = _EXAMPLES.format(
        rows=between("router", window),
        first=sql_time(row["first_at"]),
        last=sql_time(row["last_at"]),
        app=sql_text(row["app"]),
    )
    found = asked.request_ids(sql)
    return (row["culprit_request_id"], *(one for one in found if one != row["culprit_request_id"]))


def _trickle(asked: Asked, app: str, rows: list[Record]) -> Iterator[Finding]:
    """What is left: H12s that came alone or in small groups."""
    if not rows:
        return
    rows = rows[:TRICKLE_MAX]
    total = sum(row["timeouts"] for row in rows)
    first = min(row["first_at"] for row in rows)
    last = max(row["last_at"] for row in rows)
    since = ", ".join(sql_time(row["first_at"]) for row in rows)
    sql = _TRICKLE.format(question=asked.call("h12_autopsy"), app=sql_text(app), bursts=since)
    culprits = sorted({named(row["culprit"]) for row in rows if row["culprit"] is not None})
    blamed = f", with {listed(culprits[:3], len(culprits[3:]))} at work" if culprits else ""
    yield made(
        asked,
        "h12_timeouts",
        rows[0],
        kind="timeouts-apart",
        severity=Severity.WARNING if total >= BURST_LEAST else Severity.NOTICE,
        sentence=f"{counted(total, 'request')} timed out (H12){' one by one' if total > 1 else ''}"
        f" {during(first, last, asked.window)}{blamed}.",
        sql=sql,
        times=(first, last),
        advice="See h12_timeouts for the routes: what takes 30 s at times belongs into a background job.",
        request_ids=tuple(row["culprit_request_id"] for row in rows),
    )
