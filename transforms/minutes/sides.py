"""What the tables beside the router's tell of minutes: lines, losses, memory, connections. Pure.

Lines are counted as rows, since a delivery tells only the time of its last line. Two tables have not one row per line:
the values of a line of samples share its instant and source, and a PHP event holds its further lines in ``trace``.
Imports are left out where they can be told: load balancers, access logs without a dyno. So is what is no frame: its
time is that of its coming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from transforms.minutes import counting, requests
from transforms.minutes.counting import ABSURD, GROUP, MAXIMA, MINUTE, SUMS

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDE_COLUMNS: Final = {
    "access": ("timestamp", "app", "dyno"),
    "php": ("timestamp", "app", "trace"),
    "platform": (
        *("timestamp", "app", "dyno", "event", "code", "memory_mb", "memory_percent", "lines_dropped", "message"),
    ),
    "samples": ("timestamp", "app", "source", "kind", "metric", "value"),
    "releases": ("timestamp", "app"),
    "lines": ("timestamp", "app", "defect"),
}
_MB: Final = 1 << 20
# As in the question `coverage`.
_LOSS: Final = pl.concat_str("code", pl.col("message").str.extract(r" since (\S+?)\.?$"), separator=" ")
_NOTICE: Final = "notice"


def of_side(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """What the rows of another table than the router's tell of minutes: lines, losses, memory, connections.

    Notices of losses are for :func:`with_losses`, once those of all files are together.
    """
    rows = rows.with_columns(MINUTE)
    return pl.concat([counting.EMPTY.select(*GROUP, *SUMS, *MAXIMA), *_told(table, rows)], how="diagonal")


def with_losses(told: pl.DataFrame) -> pl.DataFrame:
    """The rows of :func:`of_side`, of the notices of one loss the largest of each hour.

    Logplex tells a loss anew with each try of a delivery, and the count may have grown. By the hour, since minutes are
    made hour by hour.
    """
    is_notice = pl.col("per") == _NOTICE
    hour = pl.col("minute") // requests.MINUTES
    notices = told.filter(is_notice).sort("lines_lost", "minute", descending=[True, False]).with_columns(hour=hour)
    largest = notices.unique(["app", "key", "hour"], keep="first").drop("hour")
    of_app = largest.with_columns(per=pl.lit("app"), key=pl.lit(None, pl.String))
    return pl.concat([told.filter(~is_notice), of_app])


def _told(table: str, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    if table == "samples":
        lines = _lines_of_samples(rows)
        yield _of_app(lines, pl.len(), connections=pl.col("connections").max())
        yield from _memory(lines.filter("has_memory"))
    elif table == "platform":
        yield _of_app(rows, pl.len())
        yield from _lost(rows.filter(pl.col("lines_dropped") > 0))
        yield from _memory(rows.filter((pl.col("event") == "memory") & pl.col("dyno").is_not_null()))
    elif table == "php":
        yield _of_app(rows, pl.len() + (pl.col("trace").str.count_matches("\n", literal=True) + 1).sum())
    elif table == "access":
        yield _of_app(rows.filter(pl.col("dyno").is_not_null()), pl.len())
    elif table == "lines":
        yield _of_app(rows.filter(pl.col("defect").is_null()), pl.len())
    else:
        yield _of_app(rows, pl.len())


def _of_app(rows: pl.DataFrame, lines: pl.Expr, **more: pl.Expr) -> pl.DataFrame:
    found = rows.group_by("app", "minute").agg(lines=lines.cast(pl.Int64), **more)
    return found.with_columns(per=pl.lit("app"), key=pl.lit(None, pl.String))


def _lost(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """What is lost beyond doubt, and the notices that others may repeat."""
    rows = rows.with_columns(loss=_LOSS, lines_lost=pl.col("lines_dropped").clip(upper_bound=ABSURD))
    yield _of_app(rows.filter(pl.col("loss").is_null()), pl.lit(0), lines_lost=pl.col("lines_lost").sum())
    notices = rows.filter(pl.col("loss").is_not_null())
    yield notices.select("app", "minute", "lines_lost", per=pl.lit(_NOTICE), key="loss")


def _lines_of_samples(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per line; its values have one instant and source, and so total and quota belong together."""

    def is_value(kind: str, metric: str) -> pl.Expr:
        return (pl.col("kind") == kind) & (pl.col("metric") == metric)

    is_total, is_quota = is_value("dyno", "memory_total"), is_value("dyno", "memory_quota")
    values = {"total": is_total, "quota": is_quota, "connections": is_value("postgres", "active_connections")}
    told = {name: pl.when(is_it).then("value") for name, is_it in values.items()}
    found = rows.select("app", "minute", "timestamp", dyno="source", has_memory=is_total | is_quota, **told)
    lines = found.group_by("app", "timestamp", "dyno").agg(
        pl.col("minute").first(), pl.col("has_memory").any(), pl.col(*values).max()
    )
    percent = pl.when(pl.col("quota") > 0).then(pl.col("total") / pl.col("quota") * 100)
    return lines.with_columns(memory_mb=pl.col("total") / _MB, memory_percent=percent)


def _memory(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Highest memory of each dyno, and of any dyno of the app."""
    most = [pl.col("memory_mb", "memory_percent").max()]
    yield rows.group_by("app", "minute", pl.col("dyno").alias("key")).agg(most).with_columns(per=pl.lit("dyno"))
    yield _of_app(rows, pl.lit(0), memory_mb=pl.col("memory_mb").max(), memory_percent=pl.col("memory_percent").max())
