"""Is all of it in the lake, once? Are the files bounded?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import duckdb

from tests.soak.world import KEEP_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.sending import Account
    from tests.soak.world import World

ENOUGH_LINES: Final = 20_000  # below it there may be no repeat among them


@dataclass(frozen=True)
class Found:
    """One figure and whether it is as it must be."""

    name: str
    value: object
    good: bool = True


def check_ledger(world: World, account: Account) -> Iterator[Found]:
    """Every acknowledged number is in the lake, none twice; but for days that were removed."""
    oldest = f"{world.now() - timedelta(days=KEEP_DAYS):%Y-%m-%d}"
    with duckdb.connect() as connection:
        lake = world.home / "lake"
        rows = connection.execute(
            "SELECT number::BIGINT, count(*) FROM ("
            f" SELECT request_id[6:] AS number FROM read_parquet('{lake}/router/**/*.parquet')"
            " WHERE request_id LIKE 'soak-%'"
            " UNION ALL SELECT unnest(regexp_extract_all(message, 'soak-([0-9]{12})', 1))"
            f" FROM read_parquet('{lake}/lines/**/*.parquet')) GROUP BY ALL"
        ).fetchall()
        lines, repeated = connection.execute(
            f"SELECT sum(lines), sum(repeated) FROM read_parquet('{lake}/deliveries/**/*.parquet')"
        ).fetchone() or (0, 0)
    landed = dict(rows)
    kept = {number for number in account.acknowledged if account.dates[number] > oldest}
    missing = kept - landed.keys()
    twice = [number for number, times in landed.items() if times > 1]
    strangers = landed.keys() - account.dates.keys()
    yield Found("lines sent", len(account.dates))
    yield Found("lines acknowledged", len(account.acknowledged), good=len(account.acknowledged) > 0)
    yield Found("of these on days that are kept", len(kept))
    yield Found("acknowledged and not in the lake", len(missing), good=not missing)
    yield Found("in the lake twice", len(twice), good=not twice)
    yield Found("in the lake and never sent", len(strangers), good=not strangers)
    yield Found(
        "lines in the ledger, of these repeated", f"{lines}, {repeated}", good=repeated > 0 or lines < ENOUGH_LINES
    )


def check_files(world: World) -> Iterator[Found]:
    """Few files a day, no temporary left, days removed, what is sent and logged bounded."""
    lake = world.home / "lake"
    days = sorted({path.name[5:] for path in lake.glob("*/date=*")} - {"1970-01-01"})
    today = world.now()
    expected = {f"{today - timedelta(days=back):%Y-%m-%d}" for back in range(-1, KEEP_DAYS + 1)}
    files = len(list(lake.glob("*/date=*/*.parquet")))
    temporary = len(list(lake.glob(".tmp/**/*.tmp")))
    yield Found("days in the lake", ", ".join(days), good=set(days) <= expected and len(days) >= 2)
    yield Found("files in the lake", files, good=files < 60 * len(days))
    yield Found("temporaries left", temporary, good=temporary <= 2)
    yield Found("reports kept", len(list((world.home / "reports").glob("*"))))
    yield Found("messages sent", len(list((world.folder / "sent").glob("*"))))
    yield Found("lines of drainlake's own log", len(world.log.read_text("utf-8").splitlines()))
    tracebacks = world.log.read_text("utf-8").count("Traceback")
    yield Found("tracebacks in it", tracebacks, good=tracebacks == 0)
