"""Is all well? What is received, landed, behind and lost, each with a verdict.

The figures come from the event log, the lake's files and the question ``coverage``; ``judge`` is pure.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drainlake.errors import Failure
from drainlake.host import Disk, HostState, judge_host
from drainlake.parts import Part, span
from drainlake.silence import SILENT_HOURS, Heard, judge_silence
from queries.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from drainlake.settings import Settings
    from ingest.eventlog.contract import Lag
    from queries.trust import Trust
    from transforms.lake import Totals

LATE_LANDINGS: Final = 10
FULL_SHARE: Final = 0.8
RECENT: Final = timedelta(hours=24)
STUCK_AFTER: Final = "drainlake_stuck_after_timestamp_seconds"
# By when it came, not by what its lines are dated; and what was imported came from no drain.
_HEARD: Final = """
WITH heard AS (
  SELECT app, epoch($now::TIMESTAMPTZ - received_at) / 3600 AS hours_ago
  FROM deliveries
  WHERE date >= utc_day($now::TIMESTAMPTZ - INTERVAL 9 DAY) AND NOT starts_with(coalesce(frame_id, ''), 'import:')
)
SELECT
  app,
  count(*) FILTER (hours_ago <= $hours),
  count(*) FILTER (hours_ago BETWEEN 24 AND 24 + $hours),
  count(*) FILTER (hours_ago BETWEEN 168 AND 168 + $hours),
  count(*) FILTER (hours_ago BETWEEN 168 + $hours AND 192 + $hours)
FROM heard
WHERE hours_ago <= 24 + $hours OR hours_ago BETWEEN 168 AND 192 + $hours
GROUP BY app
"""


@dataclass(frozen=True)
class FileState:
    """A file on this host that holds entries: the embedded log, or the spool before Kafka."""

    size_bytes: int
    budget_bytes: int
    lags: Sequence[Lag]


@dataclass(frozen=True)
class LogState:
    """What the log says. ``file`` is None where there is none yet, ``kafka`` names Kafka's servers if it is the log.

    ``landed_at`` in seconds since 1970, None for never. ``trouble`` says why Kafka does not tell; its ``file`` does.
    """

    file: FileState | None
    lags: Sequence[Lag] = ()
    landed_at: float | None = None
    kafka: str | None = None
    trouble: str | None = None


def judge(log: LogState, lake: Totals | None, seen: Trust | None, *, now: float, land_seconds: float) -> list[Part]:
    """The parts in the order of the way of a line. None stands for what is not there."""
    patience_seconds = LATE_LANDINGS * land_seconds
    if log.kafka is not None:
        said = log.trouble or f"Kafka at {log.kafka}"
        parts = [Part("log", said, well=log.trouble is None), *_spool(log.file, now, patience_seconds)]
    elif log.file is not None:
        parts = [_file(log.file)]
    else:
        return [Part("log", "nothing yet"), _lake(lake, was_landed=False)]
    if log.trouble is None:
        parts += [*_behind(log.lags, now, patience_seconds), _landed(log, now, patience_seconds)]
    parts.append(_lake(lake, was_landed=log.landed_at is not None))
    return parts + (_seen_parts(seen) if seen is not None else [])


def _file(file: FileState) -> Part:
    # The file never shrinks and its free pages are used again, so what waits is what fills the budget.
    share = sum(lag.payload_bytes or 0 for lag in file.lags) / file.budget_bytes
    state = f"{file.size_bytes / 2**20:,.1f} MiB on disk, {share:.1%} of its budget waits to be landed"
    return Part("log", state, well=share < FULL_SHARE)


def _spool(file: FileState | None, now: float, patience_seconds: float) -> list[Part]:
    if file is None:
        return []
    if not file.lags:
        return [Part("spool", "nothing waits for Kafka on this host")]
    entries, octets = (
        sum(counts) for counts in zip(*((x.entries, x.payload_bytes or 0) for x in file.lags), strict=True)
    )
    age = _age(file.lags, now)
    state = f"{entries:,} entries of {octets / 2**20:,.1f} MiB wait for Kafka on this host, the oldest for {span(age)}"
    return [Part("spool", state, well=age <= patience_seconds and octets < FULL_SHARE * file.budget_bytes)]


def _behind(lags: Sequence[Lag], now: float, patience_seconds: float) -> list[Part]:
    if not lags:
        return [Part("behind", "nothing waits to be landed")]
    age = _age(lags, now)
    if all(lag.rows is not None for lag in lags):
        what = f"{sum(lag.rows or 0 for lag in lags):,} rows wait"
    else:
        what = f"{sum(lag.entries for lag in lags):,} entries in {len(lags)} partitions wait"
    parts = [Part("behind", f"{what} to be landed, the oldest for {span(age)}", well=age <= patience_seconds)]
    if len(lags) > 1 and any(lag.rows is None for lag in lags):
        parts += [_lag(lag, now, patience_seconds) for lag in lags]
    if lost := sum(lag.lost for lag in lags):
        gone = f"{lost:,} entries, removed from the log before they were landed: land more often, or keep them longer"
        parts.append(Part("gone", gone, well=False))
    return parts


def _lag(lag: Lag, now: float, patience_seconds: float) -> Part:
    age = _age([lag], now)
    state = f"{lag.entries:,} entries wait, the oldest for {span(age)}"
    return Part(f"{lag.table} {lag.partition}", state, well=age <= patience_seconds)


def _age(lags: Sequence[Lag], now: float) -> float:
    """How long the oldest entry waits, in seconds."""
    return max((now - lag.oldest_appended_at for lag in lags if lag.oldest_appended_at is not None), default=0.0)


def _landed(log: LogState, now: float, patience_seconds: float) -> Part:
    """Not well where landing stands still: rows wait too long, and none were landed for as long."""
    is_late = _age(log.lags, now) > patience_seconds
    if log.landed_at is None:
        return Part("landed", "nothing yet", well=not is_late)
    age = max(0.0, now - log.landed_at)
    return Part("landed", f"last {span(age)} ago", well=not (is_late and age > patience_seconds))


def _lake(lake: Totals | None, *, was_landed: bool) -> Part:
    if lake is None:
        state = "missing, although rows were landed into it" if was_landed else "nothing yet"
        return Part("lake", state, well=not was_landed)
    size = f"{lake.size_bytes / 2**20:,.1f} MiB"
    return Part("lake", f"{counted(lake.files, 'file')}, {size}, {counted(lake.days, 'day')}")


def _seen_parts(seen: Trust) -> list[Part]:
    received = f"{seen['received'] - seen['repeated']:,} lines of the last 24 hours landed"
    odd = f", {seen['defective']:,} of them no frames" if seen["defective"] else ""
    lost = f"{seen['dropped']:,} lines of the last 24 hours, before they came to drainlake"
    return [Part("received", received + odd), Part("lost", lost)]


def examine(settings: Settings) -> list[Part]:
    """Look at log and lake as they are now."""
    from drainlake.places import lake_at  # noqa: PLC0415 - polars is slow to import
    from transforms.lake import LakeError  # noqa: PLC0415

    problem: Part | None = None
    log, lake, unreached = LogState(None), None, None
    try:
        log = _log_state(settings)
    except Failure as failure:
        problem = Part("log", failure.sentence.rstrip("."), well=False)
    try:
        lake = lake_at(settings.lake).totals()
    except LakeError as error:
        unreached = Part("lake", str(error).rstrip("."), well=False)
    seen, heard, damaged = _seen(settings) if lake is not None else (None, [], [])
    parts = judge(log, lake, seen, now=time.time(), land_seconds=settings.land_seconds) + damaged
    parts = [problem, *parts[1:]] if problem is not None else parts
    # On a dyno the home is that dyno's alone, and Kafka needs none.
    if settings.kafka is None and settings.dyno is None and lake is None and not settings.home.is_dir():
        parts[:1] = [Part("home", f"there is no folder {settings.home}", well=False)]
    if unreached is not None:  # the last part, where nothing is known of the lake
        return [*parts[:-1], unreached, *judge_host(_host(settings), datetime.now(UTC))]
    if all(part.well for part in parts):  # else the lake does not say what came in of late
        parts += judge_silence(heard)
    return [*parts, *_schedule(settings), *judge_host(_host(settings), datetime.now(UTC))]


def _schedule(settings: Settings) -> list[Part]:
    """What is due, sent and kept; nothing where no schedule has ever run."""
    from drainlake.delivery import plan_of  # noqa: PLC0415 - polars is slow to import
    from drainlake.notes import lake_notes  # noqa: PLC0415
    from queries.delivery.ledger import load  # noqa: PLC0415
    from queries.delivery.standing import stand  # noqa: PLC0415

    try:
        with lake_notes(settings) as notes:
            standing = stand(load(notes), plan_of(settings), datetime.now(UTC))
    except Failure as failure:
        return [Part("schedule", failure.sentence.rstrip("."), well=False)]
    return [Part(each.part, each.state, each.well) for each in standing]


def _log_state(settings: Settings) -> LogState:
    from drainlake.log import open_local_log, open_log  # noqa: PLC0415 - polars is slow to import

    file = None
    landed_at = None
    if settings.log.is_file():
        with open_local_log(settings) as local:
            size = sum(path.stat().st_size for path in settings.log.parent.glob(f"{settings.log.name}*"))
            file = FileState(size, settings.spool_max_bytes, local.backlog())
            landed_at = local.last_landed_at()
    if settings.kafka is None:
        return LogState(file, file.lags if file else (), landed_at)
    servers = ", ".join(settings.kafka.servers)
    try:
        with open_log(settings) as log:
            return LogState(file, log.backlog(), log.last_landed_at(), servers)
    except Failure as failure:
        return LogState(file, kafka=servers, trouble=failure.sentence.rstrip("."))


def _seen(settings: Settings) -> tuple[Trust | None, list[Heard], list[Part]]:
    """What came in of late; where the lake cannot be read a part says why, and nothing is known."""
    from drainlake.lake import interruptible, open_lake  # noqa: PLC0415 - duckdb is slow to import
    from queries.trust import trust  # noqa: PLC0415

    now = datetime.now(UTC)
    try:
        with open_lake(settings) as connection:
            return interruptible(
                connection, lambda: (trust(connection, since=now - RECENT), _heard(connection, now), [])
            )
    except Failure as failure:
        return None, [], [Part("lake", failure.sentence.rstrip("."), well=False)]


def _heard(connection: duckdb.DuckDBPyConnection, now: datetime) -> list[Heard]:
    return [Heard(*row) for row in connection.execute(_HEARD, {"now": now, "hours": SILENT_HOURS}).fetchall()]


def _host(settings: Settings) -> HostState:
    from ingest.figures.files import read_folder  # noqa: PLC0415 - not for --help

    found = read_folder(settings.metrics_folder)
    stuck_at = {
        stem: next((s.value for each in families if each.name == STUCK_AFTER for s in each.samples), None)
        for stem, families in found.families.items()
    }
    broken = sum(found.left_out.values())
    return HostState(_disks(settings), _certificate(settings), stuck_at, broken)


def _disks(settings: Settings) -> list[Disk]:
    places = {"the event log": settings.log.parent, "the home": settings.home}
    if isinstance(settings.lake, Path):
        places["the lake"] = settings.lake
    found: dict[int, Disk] = {}
    for use, place in places.items():
        with suppress(OSError):  # what is not there yet lies nowhere
            device, usage = place.stat().st_dev, shutil.disk_usage(place)
            known = found.get(device)
            found[device] = Disk(f"{known.use}, {use}" if known else use, usage.free, usage.total)
    return list(found.values())


def _certificate(settings: Settings) -> datetime | str | None:
    from ingest.http.expiry import valid_until  # noqa: PLC0415 - not for --help

    if settings.tls_cert is None:
        return None
    try:
        return valid_until(settings.tls_cert.read_text("utf-8"))
    except (OSError, ValueError) as error:
        return f"DRAINLAKE_TLS_CERT cannot be used: {error}"


def rows(parts: list[Part]) -> Mapping[str, list[str | bool]]:
    """The parts as columns."""
    return {name: [getattr(part, name) for part in parts] for name in ("part", "state", "well")}
