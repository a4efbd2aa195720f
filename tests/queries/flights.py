"""Random requests, and the plainest way to say which of them were in flight when.

All arithmetic is on whole microseconds since the epoch, so that answers can be compared exactly.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

from ingest.schema import TABLES
from transforms.minutes import counting, served, sides
from transforms.minutes.flights import HOUR_US
from transforms.parquet import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tests.queries.lakes import Row

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
KEYS = st.sampled_from(["app", "dyno", "route"])
NO_LINES = pl.DataFrame(schema=SCHEMAS["lines"])
ROUTER = pa.schema([pa.field("date", pa.date32()), *TABLES["router"].arrow])

Key = tuple[str, str | None]


def requests(seconds: Sequence[int] = (0,), longest_ms: Sequence[int] = (12,)) -> st.SearchStrategy[Row]:
    """Rows of the router that end within 30 ms of one of these seconds after midnight, so that some begin on the day
    before; few milliseconds and few microseconds, so that ties and equal peaks are the rule."""
    lengths = st.sampled_from(longest_ms).flatmap(lambda longest: st.integers(max(0, longest - 12), longest))
    return st.fixed_dictionaries(
        {
            "timestamp": st.builds(
                lambda s, ms, us: MIDNIGHT + timedelta(seconds=s, milliseconds=ms, microseconds=us),
                st.sampled_from(seconds),
                st.one_of(st.just(0), st.integers(0, 30)),
                st.integers(0, 2),
            ),
            "app": st.sampled_from(["shop", "blog"]),
            "source": st.just("heroku"),
            "dyno": st.sampled_from(["web.1", "web.2", None]),
            "route": st.sampled_from(["/a", None]),
            "service_ms": st.one_of(st.none(), lengths),
            "connect_ms": st.one_of(st.none(), st.integers(0, 3)),
            "status": st.sampled_from([200, 200, 200, 101, None]),
            "code": st.sampled_from([None, None, None, "H12"]),
        }
    )


def instants(seconds: Sequence[int] = (0,)) -> st.SearchStrategy[datetime | None]:
    """Bounds of a window, on full milliseconds near these seconds after midnight, or open."""
    near = st.builds(
        lambda s, ms: MIDNIGHT + timedelta(seconds=s, milliseconds=ms), st.sampled_from(seconds), st.integers(-5, 35)
    )
    return st.one_of(st.none(), near)


def fill(connection: duckdb.DuckDBPyConnection, rows: list[Row], kept: list[Row] | None = None) -> None:
    """Put these requests in the place of the ones before, and the minutes of ``kept`` in the place of those before."""
    dated = [{"date": row["timestamp"].date(), **row} for row in rows]
    replacement = pa.Table.from_pylist(dated, schema=ROUTER)
    connection.execute("TRUNCATE rows")
    connection.execute("INSERT INTO rows BY NAME SELECT * FROM replacement")
    connection.execute("TRUNCATE made")
    if kept:
        replacement = minutes(kept).to_arrow()
        connection.execute("INSERT INTO made BY NAME SELECT * FROM replacement")
    del replacement


def minutes(rows: list[Row]) -> pl.DataFrame:
    """The minutes of these requests."""
    requests = pl.DataFrame(rows, schema=SCHEMAS["router"])
    [(first, last)] = requests.select(
        pl.min_horizontal((served.START_US // HOUR_US).min(), served.HOUR.min()), last=served.HOUR.max()
    ).iter_rows()
    hours = range(first, last + 1)
    narrow = counting.narrowed(requests, pl.lit(value=True))
    made = pl.concat(counting.of_hours(narrow, sides.of_side("lines", NO_LINES), hours))
    at = pl.from_epoch(pl.col("minute") * 60).dt.replace_time_zone("UTC")
    return made.with_columns(timestamp=at, date=at.dt.date()).drop("minute")


class Span(NamedTuple):
    """A request in flight in [start, end); ``arrived`` when it began there and was not cut by the window."""

    start: int
    end: int
    arrived: bool
    timed_out: bool


def micros(moment: datetime) -> int:
    """Microseconds since the epoch."""
    return (moment - FIRST) // timedelta(microseconds=1)


def flights(rows: list[Row], since: datetime | None, until: datetime | None, per: str) -> dict[Key, list[Span]]:
    """What was in flight within the window, by app and key, row by row."""
    groups: dict[Key, list[Span]] = defaultdict(list)
    low = None if since is None else micros(since)
    high = None if until is None else micros(until)
    for row in rows:
        logged = micros(row["timestamp"])
        if row["dyno"] is None or row["service_ms"] is None or row["status"] == 101:
            continue
        begun = logged - 1000 * (row["service_ms"] + (row["connect_ms"] or 0))
        end = max(logged, begun + 1)
        start = begun if low is None else max(begun, low)
        if start < end and (high is None or start < high) and (low is None or logged >= low):
            groups[row["app"], row[per]].append(Span(start, end, start == begun, row["code"] == "H12"))
    return groups


def left_out(rows: list[Row], since: datetime | None, until: datetime | None, per: str) -> dict[Key, list[Any]]:
    """What ended within the window and is in no flight: (when, whether a WebSocket) by app and key."""
    groups: dict[Key, list[Any]] = defaultdict(list)
    for row in rows:
        is_within = (since is None or row["timestamp"] >= since) and (until is None or row["timestamp"] < until)
        if is_within and (row["status"] == 101 or row["dyno"] is None or row["service_ms"] is None):
            groups[row["app"], row[per]].append((micros(row["timestamp"]), row["status"] == 101))
    return groups
