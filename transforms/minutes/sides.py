"""What the tables beside the router's tell of minutes: lines, losses, memory, connections. Pure.

Lines are counted as rows, since a delivery tells only the time of its last line. Two tables have not one row per line:
the values of a line of samples share its instant and source, and a PHP event holds its further lines in ``trace``.
Imports are left out where they can be told: load balancers, access logs without a dyno. So is what is no frame: its
time is that of its coming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from transforms.minutes import counting
from transforms.minutes.counting import ABSURD, GROUP, MAXIMA, MINUTE, SUMS

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDE_COLUMNS: Final = {
    "access": ("timestamp", "app", "dyno"),
    "php": ("timestamp", "app", "trace"),
    "platform": ("timestamp", "app", "dyno", "event", "memory_mb", "memory_percent", "lines_dropped"),
    "samples": ("timestamp", "app", "source", "kind", "metric", "value"),
    "releases": ("timestamp", "app"),
    "lines": ("timestamp", "app", "defect"),
}
_MB: Final = 1 << 20


def of_side(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """What the rows of another table than the router's tell of minutes: lines, losses, memory, connections."""
    rows = rows.with_columns(MINUTE)
    return pl.concat([counting.empty().select(*GROUP, *SUMS, *MAXIMA), *_told(table, rows)], how="diagonal")


def _told(table: str, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    if table == "samples":
        yield _of_app(rows.unique(("app", "timestamp", "source"), keep="any"), pl.len())
        yield from _memory(_sampled_memory(rows))
        in_use = rows.filter((pl.col("kind") == "postgres") & (pl.col("metric") == "active_connections"))
        yield _of_app(in_use, pl.lit(0), connections=pl.col("value").max())
    elif table == "platform":
        lost = pl.col("lines_dropped").clip(0, ABSURD).sum()
        yield _of_app(rows, pl.len(), lines_lost=lost)
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


def _sampled_memory(rows: pl.DataFrame) -> pl.DataFrame:
    def value(metric: str) -> pl.Expr:
        return pl.col("value").filter(pl.col("metric") == metric).max()

    # The values of one line have one instant: so total and quota belong together.
    lines = rows.filter((pl.col("kind") == "dyno") & pl.col("metric").is_in(("memory_total", "memory_quota")))
    lines = lines.group_by("app", "minute", "timestamp", pl.col("source").alias("dyno")).agg(
        total=value("memory_total"), quota=value("memory_quota")
    )
    percent = pl.when(pl.col("quota") > 0).then(pl.col("total") / pl.col("quota") * 100)
    return lines.with_columns(memory_mb=pl.col("total") / _MB, memory_percent=percent)


def _memory(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Highest memory of each dyno, and of any dyno of the app."""
    most = [pl.col("memory_mb", "memory_percent").max()]
    yield rows.group_by("app", "minute", pl.col("dyno").alias("key")).agg(most).with_columns(per=pl.lit("dyno"))
    yield _of_app(rows, pl.lit(0), memory_mb=pl.col("memory_mb").max(), memory_percent=pl.col("memory_percent").max())
