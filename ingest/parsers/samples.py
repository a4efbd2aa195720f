"""Measured values: ``source=web.1 sample#memory_total=99.74MB …``, one row per value, converted to one unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ingest.records import rows
from ingest.schema import SAMPLES
from ingest.text import Spans, split_words

if TYPE_CHECKING:
    from ingest.records import Records
    from ingest.text import Mask, Positions

_PREFIXES: Final = (b"sample#", b"measure#", b"count#")
_VALUE: Final = r"^(-?\d{1,18}(?:\.\d{1,18})?)([A-Za-z%]*)$"
# suffix: (unit, factor)
_UNITS: Final = {
    "bytes": ("bytes", 1.0), "B": ("bytes", 1.0), "kB": ("bytes", 1024.0), "KB": ("bytes", 1024.0),
    "MB": ("bytes", 1024.0**2), "GB": ("bytes", 1024.0**3), "TB": ("bytes", 1024.0**4),
    "ms": ("ms", 1.0), "s": ("ms", 1000.0), "us": ("ms", 0.001), "pages": ("pages", 1.0), "%": ("percent", 1.0),
}  # fmt: skip
# Measures without a suffix whose unit is known from the documentation: pattern of the name, unit, factor.
_BARE: Final = (
    (r"^load_avg", "load", 1.0),
    (r"(?:hit_rate|percentage_used)$", "percent", 100.0),
    (r"^(?:tmp_disk_|db_size$|db_max_size$)", "bytes", 1.0),
)
_PGBOUNCER: Final = (
    (r"^avg_query$", "ms", 0.001),
    (r"^max_wait$", "ms", 1000.0),
    (r"^avg_(?:recv|sent)$", "bytes", 1.0),
)


def kinds(processes: pl.Series) -> pl.Series:
    """What an add-on's PROCID measures: postgres, redis, pgbouncer or kafka; NULL for any other."""
    names = processes.to_frame("p")
    name = pl.col("p")
    return names.select(
        pl.when(name == "heroku-postgres").then(pl.lit("postgres"))
        .when(name == "heroku-pgbouncer").then(pl.lit("pgbouncer"))
        .when((name == "heroku-redis") | name.str.starts_with("redis")).then(pl.lit("redis"))
        .when((name == "heroku-kafka") | name.str.starts_with("kafka")).then(pl.lit("kafka"))
    ).to_series()  # fmt: skip


def parse(records: Records, kind: pl.Series) -> tuple[pl.DataFrame, Mask]:
    """One row per valid value, in order, and which records had any. ``kind`` is per record."""
    row, name, value = _tokens(records)
    measured = pl.DataFrame({"row": row, "metric": name, "raw": value, "kind": kind.gather(pl.Series(row))})
    values = measured.select(
        "row",
        "kind",
        metric=pl.col("metric").str.to_lowercase().str.replace_many(["-", "."], ["_", "_"]),
        value=pl.col("raw").str.extract(_VALUE, 1).cast(pl.Float64),
        suffix=pl.col("raw").str.extract(_VALUE, 2),
    ).filter(pl.col("value").is_not_null() & (pl.col("metric") != ""))
    converted = values.with_columns(_unit()).with_columns(pl.col("value") * pl.col("factor"))
    found = converted["row"].to_numpy()
    columns = {name: converted[name] for name in ("kind", "metric", "value", "unit")}
    columns["source"] = _sources(records).gather(converted["row"])
    answered = np.zeros(len(records), dtype=np.bool_)
    answered[found] = True
    return rows(SAMPLES, records.take(found), columns), answered


def _tokens(records: Records) -> tuple[Positions, pl.Series, pl.Series]:
    """Row, name and raw value of each word ``sample#name=value``."""
    text = records.text
    words = split_words(text, records.message)
    name_start = np.zeros(len(words.start), dtype=np.int64)
    for prefix in _PREFIXES:
        name_start = np.where(text.starts_with(words.start, prefix), words.start + len(prefix), name_start)
    equals = text.next(b"=", name_start)
    found = (name_start > 0) & (equals < words.end) & (name_start <= words.end)
    name = Spans(name_start[found], equals[found])
    return words.row[found], text.strings(name), text.strings(Spans(equals[found] + 1, words.end[found]))


def _sources(records: Records) -> pl.Series:
    """The ``source=`` word of each record, else its PROCID."""
    text = records.text
    words = split_words(text, records.message)
    found = np.flatnonzero(
        text.starts_with(words.start, b"source=") & (words.end - words.start > len(b"source="))
    )
    start, end = records.process.start.copy(), records.process.end.copy()
    row = words.row[found][::-1]  # the first such word of a line is written last and stays
    start[row], end[row] = words.start[found][::-1] + len(b"source="), words.end[found][::-1]
    return text.strings(Spans(start, end))


def _unit() -> list[pl.Expr]:
    """The unit of each value and the factor that converts into it."""
    metric, suffix = pl.col("metric"), pl.col("suffix")
    bare = suffix == ""
    pgbouncer = bare & (pl.col("kind") == "pgbouncer")
    choices = [(pgbouncer & metric.str.contains(shape), unit, factor) for shape, unit, factor in _PGBOUNCER]
    choices += [(bare & metric.str.contains(shape), unit, factor) for shape, unit, factor in _BARE]
    unit = pl.coalesce(pl.when(condition).then(pl.lit(name)) for condition, name, _ in choices)
    factor = pl.coalesce(pl.when(condition).then(pl.lit(number)) for condition, _, number in choices)
    named = suffix.replace_strict(
        {s: u for s, (u, _) in _UNITS.items()}, default=None, return_dtype=pl.String
    )
    scale = suffix.replace_strict(
        {s: f for s, (_, f) in _UNITS.items()}, default=1.0, return_dtype=pl.Float64
    )
    other = pl.when(bare).then(pl.lit("count")).otherwise(suffix.str.to_lowercase())
    return [pl.coalesce(unit, named, other).alias("unit"), pl.coalesce(factor, scale).alias("factor")]
