"""Minutes of a simulated day against the questions on the rows themselves, and the series made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from drainlake.derived import keep_minutes
from drainlake.documents import example_lake
from ingest.schema import LATENCY_BASE, MADE_KEY, STEP_MINUTES, STEP_REQUESTS_MIN, STEPS
from queries import database
from queries.added_up import are_added_up
from queries.anomalies import reading
from queries.anomalies.model import Scale
from queries.anomalies.reading import read
from queries.budgets import reading as budgets
from tests.transforms.minute_rows import NOON, add, keep, request
from transforms.locallake import LocalLake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from queries.anomalies.model import Series, SeriesSet

DAY = datetime(2026, 11, 23, tzinfo=UTC)
END = DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A connection to a simulated day with its minutes, made six hours after its end."""
    settings = example_lake.make(tmp_path_factory.mktemp("shop"))
    assert keep_minutes(settings, END + timedelta(hours=6)) is None
    with database.connect(str(settings.lake), settings.catalog) as connection:
        yield connection


@pytest.mark.parametrize("per", ["app", "route", "dyno"])
def test_peaks_are_those_of_the_question(shop: Any, per: str) -> None:
    """Minute by minute the same peak as concurrency_over_time, for every app, route and dyno."""
    asked = f"""
        SELECT key, begins_at, peak FROM concurrency_over_time('{DAY}', per := '{per}')
        WHERE peak > 0 ORDER BY ALL"""
    kept = f"""
        SELECT if('{per}' = 'app', app, key), timestamp, peak_in_flight FROM minutes
        WHERE per = '{per}' AND peak_in_flight > 0 ORDER BY ALL"""
    rows = shop.execute(asked).fetchall()
    assert len(rows) > 500
    assert shop.execute(kept).fetchall() == rows


def test_counts_are_those_of_the_rows(shop: Any) -> None:
    """Each line is counted once; requests, failures, bytes and losses are those of the lake."""
    lines, lost, requests, failed, octets = shop.execute(
        "SELECT sum(lines), sum(lines_lost), sum(requests), sum(failed), sum(bytes) FROM minutes WHERE per = 'app'"
    ).fetchone()
    received, dropped = shop.execute(f"SELECT sum(parsed + plain), sum(dropped) FROM coverage('{DAY}')").fetchone()
    assert (lines, lost) == (received, dropped)
    assert (requests, octets, failed) == shop.execute(
        """SELECT count(*), sum(bytes), count(*) FILTER ((status >= 500 OR code IS NOT NULL)
           AND coalesce(code NOT IN ('H27', 'H28'), true)) FROM router WHERE source = 'heroku'"""
    ).fetchone()


def test_percentiles_are_those_of_the_rows_to_one_percent(shop: Any) -> None:
    """Over the day and by route, those of the question latency."""
    exact = shop.execute(f"SELECT route, p50_ms, p95_ms, p99_ms FROM latency('{DAY}') WHERE requests >= 100").fetchall()
    merged = {key: rest for key, *rest in shop.execute(
        f"SELECT key, p50_ms, p95_ms, p99_ms FROM series('{DAY}', '{END}', per := 'route', step_minutes := 1440)"
    ).fetchall()}  # fmt: skip
    assert len(exact) > 10
    for route, *values in exact:
        assert merged[route] == pytest.approx(values, rel=0.01)


@pytest.mark.parametrize("per", ["app", "route", "dyno"])
def test_percentiles_of_steps_are_those_of_their_minutes(shop: Any, per: str) -> None:
    """What stands in the rows for the alarms is what merging their histograms gives, where that is of 20 requests."""
    of_minutes = f"""
        SELECT app, key, epoch_us(timestamp) // {STEP_MINUTES * 60_000_000} AS step, max(step_p95_ms) AS p95_ms,
            count(DISTINCT step_p95_ms) AS different, sum(list_sum(latency_counts)) AS timed
        FROM minutes WHERE per = '{per}' GROUP BY ALL"""
    steps = f"FROM latency_steps('{per}', NULL, NULL, NULL, {STEP_MINUTES * 60_000_000}::BIGINT)"
    right, told, wrong = shop.execute(f"""
        SELECT count(*) FILTER (abs(kept.p95_ms - merged.p95_ms) < 1e-6),
            count(kept.p95_ms),
            count(*) FILTER (different > 1 OR (kept.timed >= {STEP_REQUESTS_MIN}) <> (kept.p95_ms IS NOT NULL))
        FROM ({of_minutes}) AS kept LEFT JOIN ({steps}) AS merged
            ON kept.app = merged.app AND kept.key IS NOT DISTINCT FROM merged.key AND kept.step = merged.step
        """).fetchone()
    assert right == told > 100
    assert wrong == 0


@pytest.mark.parametrize("per", STEPS)
def test_steps_of_keys_are_the_sums_of_their_minutes(shop: Any, per: str) -> None:
    """One row for each step in which a request ended or memory was measured, with what its minutes have of it."""
    of_minutes = f"""
        SELECT app, key, time_bucket(INTERVAL {STEP_MINUTES} MINUTE, timestamp) AS begins_at, sum(requests)::BIGINT,
            sum(failed)::BIGINT, max(step_p95_ms), max(memory_mb), max(memory_percent)
        FROM minutes WHERE per = '{per}' GROUP BY ALL HAVING sum(requests) > 0 OR count(memory_mb) > 0 ORDER BY ALL"""
    steps = f"""
        SELECT app, key, timestamp, requests, failed, step_p95_ms, memory_mb, memory_percent
        FROM minutes WHERE per = '{STEPS[per]}' ORDER BY ALL"""
    rows = shop.execute(steps).fetchall()
    assert len(rows) > 30
    assert rows == shop.execute(of_minutes).fetchall()


def test_histograms_of_hours_are_the_sums_of_their_minutes(shop: Any) -> None:
    """One row for each hour in which a request of an app was timed, with its buckets in order."""
    of_minutes = """
        SELECT app, begins_at, list(bucket ORDER BY bucket), list(held ORDER BY bucket)
        FROM (
            SELECT app, date_trunc('hour', timestamp) AS begins_at, bucket, sum(held)::INTEGER AS held
            FROM (SELECT *, unnest(latency_buckets) AS bucket, unnest(latency_counts) AS held FROM minutes
                WHERE per = 'app')
            GROUP BY ALL)
        GROUP BY ALL ORDER BY ALL"""
    hours = "SELECT app, timestamp, latency_buckets, latency_counts FROM minutes WHERE per = 'sum_app' ORDER BY ALL"
    rows = shop.execute(hours).fetchall()
    assert len(rows) == 24
    assert rows == shop.execute(of_minutes).fetchall()


def test_the_base_of_the_histograms_is_one(shop: Any) -> None:
    """What SQL makes of a bucket is what it was counted by."""
    assert shop.execute("SELECT latency_base()").fetchone() == (LATENCY_BASE,)


@pytest.fixture(scope="module")
def series(shop: Any) -> SeriesSet:
    """The series of the day and of the silence after it."""
    return read(shop, DAY, END + timedelta(hours=4))


@pytest.mark.parametrize("wanted", ["as it is", "of older rules", "not told"])
def test_footers_alone_tell_that_minutes_are_added_up(shop: Any, tmp_path: Path, opened: Any, wanted: str) -> None:
    """A month of them takes a tenth of the time of its rows, which are asked where a footer does not tell it."""
    (file,) = (name for (name,) in shop.execute(
        f"SELECT file FROM drainlake_files WHERE table_name = 'minutes' AND date = '{DAY.date()}'"
    ).fetchall())  # fmt: skip
    table = pq.read_table(file)
    told = {**table.schema.metadata}
    if wanted == "of older rules":
        told[MADE_KEY.encode()] = told[MADE_KEY.encode()].replace(b'{"version":[2,', b'{"version":[1,')
    elif wanted == "not told":
        del told[MADE_KEY.encode()]
    folder = tmp_path / "lake" / "minutes" / f"date={DAY.date()}"
    folder.mkdir(parents=True)
    pq.write_table(table.replace_schema_metadata(told), folder / "all-000001.parquet")
    connection = opened(tmp_path / "lake")
    assert are_added_up(connection, DAY, END)
    connection.execute("CREATE TEMP VIEW minutes AS SELECT 'nothing of it' AS whole")
    if wanted == "as it is":
        assert are_added_up(connection, DAY, END)
    else:
        with pytest.raises(duckdb.BinderException):
            are_added_up(connection, DAY, END)


def test_minutes_that_nobody_added_up_give_the_same_series(
    shop: Any, series: SeriesSet, tmp_path: Path, opened: Any
) -> None:
    """Minutes made by an older version, which stay so in a lake that can only be read."""
    folder = tmp_path / "lake" / "minutes" / f"date={DAY.date()}"
    folder.mkdir(parents=True)
    shop.execute(f"COPY (SELECT * EXCLUDE (date) FROM minutes WHERE per NOT LIKE 'sum%') TO '{folder}/a.parquet'")
    old = read(opened(tmp_path / "lake"), DAY, END + timedelta(hours=4))
    assert [(one.app, one.per, one.key, one.measure) for one in old.series] == [
        (one.app, one.per, one.key, one.measure) for one in series.series
    ]
    for one, other in zip(old.series, series.series, strict=True):
        assert np.array_equal(one.values, other.values, equal_nan=True)


def of(found: SeriesSet, per: str, measure: str, key: str | None = None) -> Series:
    """The one series of that kind."""
    (one,) = [each for each in found.series if (each.per, each.measure, each.key) == (per, measure, key)]
    return one


@pytest.mark.parametrize("measure", ["requests", "bytes", "p95_ms", "peak_in_flight", "connections"])
def test_series_are_those_of_the_question(shop: Any, series: SeriesSet, measure: str) -> None:
    """Step by step as the question series has it, where all of the step was covered."""
    rows = shop.execute(
        f"SELECT covered_share, {measure}, requests FROM series('{DAY}', '{END}', step_minutes := {STEP_MINUTES})"
    ).fetchall()
    found = of(series, "app", measure).values[: len(rows)]
    assert len(found) == 1440 // STEP_MINUTES
    for value, (share, expected, requests) in zip(found, rows, strict=True):
        if measure == "p95_ms" and requests < STEP_REQUESTS_MIN:
            assert np.isnan(value)
        elif share == 1:
            assert value == pytest.approx(expected)


def test_silence_is_no_zero_but_of_lines(series: SeriesSet) -> None:
    """After the last line nothing is known of requests and failures, and the lines are none."""
    after = slice(-24, None)
    assert np.isnan(of(series, "app", "requests").values[after]).all()
    failed = of(series, "app", "failed")
    assert failed.of is not None
    assert np.isnan(failed.values[after]).all()
    assert np.isnan(failed.of[after]).all()
    assert (of(series, "app", "lines").values[after] == 0).all()
    assert np.isnan(of(series, "code", "requests", "H12").values[after]).all()


def test_a_code_that_did_not_come_is_zero(shop: Any, series: SeriesSet) -> None:
    """Where the log was there; all that came are counted."""
    codes = of(series, "code", "requests", "H12")
    covered = ~np.isnan(of(series, "app", "requests").values)
    assert (codes.values[covered] == 0).any()
    (timeouts,) = shop.execute("SELECT count(*) FROM router WHERE code = 'H12'").fetchone()
    assert 0 < np.nansum(codes.values) <= timeouts


def test_routes_are_the_busy_ones(series: SeriesSet) -> None:
    """With a request a step on average; each has counts, failures and latency."""
    routes = [each for each in series.series if each.per == "route"]
    assert {each.measure for each in routes} == {"requests", "failed", "p95_ms"}
    counts = [each for each in routes if each.measure == "requests"]
    assert len(counts) * 3 == len(routes) > 3
    assert all(each.scale is Scale.COUNT and np.nanmean(each.values) >= 1 for each in counts)


def test_of_each_app_only_so_many_keys_are_looked_at(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The busiest of them, so that a lake of a thousand apps and their routes stays affordable."""
    monkeypatch.setattr(reading, "KEYS_MAX", 2)
    sql = f"SELECT key FROM series('{DAY}', '{END}', per := 'route') GROUP BY key ORDER BY sum(requests) DESC LIMIT 2"
    busiest = [key for (key,) in shop.execute(sql).fetchall()]
    found = read(shop, DAY, END).series
    assert [one.key for one in found if one.per == "route" and one.measure == "failed"] == busiest
    assert len({one.key for one in found if one.per == "dyno"}) == 2


def test_memory_is_in_percent_where_the_quota_is_known(series: SeriesSet) -> None:
    """One series for each dyno that was measured."""
    memory = [each for each in series.series if each.per == "dyno"]
    assert {"web.1", "web.2", "worker.1"} <= {each.key for each in memory}
    assert {each.measure for each in memory} == {"memory_percent"}
    assert all(0 < np.nanmax(each.values) < 200 for each in memory)


@pytest.mark.parametrize(("since", "until", "steps"), [(DAY, DAY, 0), (DAY, DAY + timedelta(minutes=14), 2)])
def test_only_whole_steps_are_read(shop: Any, since: datetime, until: datetime, steps: int) -> None:
    """A step that is cut by the window would look like a dip."""
    found = read(shop, since + timedelta(seconds=1) if steps else since, until)
    assert {len(each.values) for each in found.series} == ({steps - 1} if steps else set())


def test_an_empty_lake_has_no_series(shop: Any) -> None:
    """Nor has an app that is not there."""
    assert read(shop, DAY, END, app_name="other").series == ()


def test_an_outage_that_floods_the_log_is_seen(tmp_path: Path) -> None:
    """Where lines were lost counts are not known; the failed share and the latency of what was seen are."""
    lake = LocalLake(tmp_path / "lake")
    lake.prepare()
    add(lake, "router", (request(2 * i, status=503 if 7200 <= 2 * i < 10800 else 200) for i in range(7200)))
    lost = {"app": "shop", "event": "error", "code": "L10", "lines_dropped": 500}
    add(lake, "platform", ({**lost, "timestamp": NOON + timedelta(seconds=i)} for i in range(7200, 10800, 20)))
    keep(lake, NOON + timedelta(hours=5))
    with database.connect(str(lake.path), tmp_path / "lake.duckdb") as connection:
        found = read(connection, NOON, NOON + timedelta(hours=4))
        counts = budgets.windows(connection, budgets.Asked(NOON + timedelta(hours=3), "shop"))["shop"]
    flood = slice(2 * 12, 3 * 12)
    failed = of(found, "app", "failed")
    assert failed.of is not None
    assert np.isnan(of(found, "app", "requests").values[flood]).all()
    assert (failed.values[flood] == failed.of[flood]).all()
    assert (of(found, "app", "p95_ms").values[flood] > 0).all()
    assert counts[60] == budgets.Count(1800, 1800, 60)
