"""Is all well? What is received, landed, behind and lost, each with a verdict.

The figures come from the event log, the lake's files and the question ``coverage``; ``judge`` is pure.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from drainlake.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drainlake.settings import Settings
    from queries.trust import Trust
    from transforms.lake import Totals

LATE_LANDINGS: Final = 10
FULL_SHARE: Final = 0.8
RECENT: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Part:
    """One line of the answer: what it is about, how it stands, and whether that is well."""

    part: str
    state: str
    well: bool = True


@dataclass(frozen=True)
class LogState:
    """What the event log says. Times in seconds since 1970, None for never."""

    size_bytes: int
    budget_bytes: int
    waiting_rows: int
    waiting_bytes: int
    oldest_at: float | None
    landed_at: float | None


def judge(
    log: LogState | None, lake: Totals | None, seen: Trust | None, *, now: float, land_seconds: float
) -> list[Part]:
    """The parts in the order of the way of a line. None stands for what is not there."""
    if log is None:
        parts = [Part("log", "nothing yet")]
    else:
        parts = [_log(log), _waiting(log, now, land_seconds), _landed(log, now)]
    parts.append(_lake(lake, was_landed=log is not None and log.landed_at is not None))
    return parts + (_seen_parts(seen) if seen is not None else [])


def _log(log: LogState) -> Part:
    # The file never shrinks and its free pages are used again, so what waits is what fills the budget.
    share = log.waiting_bytes / log.budget_bytes
    state = f"{log.size_bytes / 2**20:,.1f} MiB on disk, {share:.1%} of its budget waits to be landed"
    return Part("log", state, well=share < FULL_SHARE)


def _waiting(log: LogState, now: float, land_seconds: float) -> Part:
    if not log.waiting_rows or log.oldest_at is None:
        return Part("behind", "nothing waits to be landed")
    age = max(0.0, now - log.oldest_at)
    well = age <= LATE_LANDINGS * land_seconds
    return Part("behind", f"{log.waiting_rows:,} rows wait to be landed, the oldest for {_span(age)}", well)


def _landed(log: LogState, now: float) -> Part:
    if log.landed_at is None:
        return Part("landed", "nothing yet")
    return Part("landed", f"last {_span(max(0.0, now - log.landed_at))} ago")


def _lake(lake: Totals | None, *, was_landed: bool) -> Part:
    if lake is None:
        state = "missing, although rows were landed into it" if was_landed else "nothing yet"
        return Part("lake", state, well=not was_landed)
    size = f"{lake.size_bytes / 2**20:,.1f} MiB"
    return Part("lake", f"{lake.files:,} files, {size}, {lake.days:,} days")


def _seen_parts(seen: Trust) -> list[Part]:
    received = f"{seen['received'] - seen['repeated']:,} lines of the last 24 hours landed"
    odd = f", {seen['defective']:,} of them no frames" if seen["defective"] else ""
    lost = f"{seen['dropped']:,} lines of the last 24 hours, before they came to drainlake"
    return [Part("received", received + odd), Part("lost", lost)]


def _span(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3 h, 2 days."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def examine(settings: Settings) -> list[Part]:
    """Look at log and lake as they are now."""
    from transforms.locallake import LocalLake  # noqa: PLC0415 - polars is slow to import

    problem: Part | None = None
    log = None
    try:
        log = _log_state(settings)
    except Failure as failure:
        problem = Part("log", failure.sentence, well=False)
    lake = LocalLake(settings.lake).totals()
    seen = _seen(settings) if lake is not None else None
    parts = judge(log, lake, seen, now=time.time(), land_seconds=settings.land_seconds)
    return [problem, *parts[1:]] if problem is not None else parts


def _log_state(settings: Settings) -> LogState | None:
    from drainlake.log import open_log  # noqa: PLC0415 - polars is slow to import

    if not settings.log.is_file():
        return None
    with open_log(settings) as log:
        lags = log.backlog()
        landed_at = log.last_landed_at()
    size = sum(path.stat().st_size for path in settings.log.parent.glob(f"{settings.log.name}*"))
    return LogState(
        size,
        settings.spool_max_bytes,
        sum(lag.rows or 0 for lag in lags),
        sum(lag.payload_bytes or 0 for lag in lags),
        min((lag.oldest_appended_at for lag in lags if lag.oldest_appended_at is not None), default=None),
        landed_at,
    )


def _seen(settings: Settings) -> Trust:
    from drainlake.lake import interruptible, open_lake  # noqa: PLC0415 - duckdb is slow to import
    from queries.trust import trust  # noqa: PLC0415

    with open_lake(settings) as connection:
        return interruptible(connection, lambda: trust(connection, since=datetime.now(UTC) - RECENT))


def rows(parts: list[Part]) -> Mapping[str, list[str | bool]]:
    """The parts as columns."""
    return {name: [getattr(part, name) for part in parts] for name in ("part", "state", "well")}
