"""Measured values: ``source=web.1 sample#memory_total=99.74MB …``, one row per value, converted to one unit.

What is to be a value and is none costs the line's others nothing; its line is kept and says so.
A dyno gives two such lines every 20 s, so they are read one by one; what a name and a suffix stand for is looked up
once and remembered.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from ingest.records import rows
from ingest.schema import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.records import Records
    from ingest.text import Mask

_WORD: Final = re.compile(
    r"(?:(?<= )|^)(?:sample|measure|count)#([A-Za-z0-9_.-]+)=(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)([A-Za-z]*|%)"
    r"(?= |\Z)"
)
_MEASURE: Final = re.compile(r"(?:(?<= )|^)(?:sample|measure|count)#")
_SOURCE: Final = re.compile(r"(?:^| )source=([^ ]+)")
_SOURCE_MAX_LETTERS: Final = 256  # it stands in each row: a long one would take the square of the line's bytes
_MEANINGS_MAX: Final = 4096  # names are the platform's and few; an endless variety must not fill the memory
# By suffix: the unit and the factor that converts into it.
_UNITS: Final = {
    "bytes": ("bytes", 1.0), "kB": ("bytes", 1024.0), "KB": ("bytes", 1024.0), "MB": ("bytes", 1024.0**2),
    "GB": ("bytes", 1024.0**3), "TB": ("bytes", 1024.0**4), "B": ("bytes", 1.0), "KiB": ("bytes", 1024.0),
    "MiB": ("bytes", 1024.0**2), "GiB": ("bytes", 1024.0**3), "TiB": ("bytes", 1024.0**4),
    "ms": ("ms", 1.0), "s": ("ms", 1000.0), "us": ("ms", 0.001),
    "pages": ("pages", 1.0), "%": ("percent", 1.0),
}  # fmt: skip
# Measures without a suffix whose unit is known from the documentation: pattern of the name, unit, factor.
_BARE: Final = (
    (re.compile(r"load_avg"), "load", 1.0),
    (re.compile(r".*(?:hit_rate|percentage_used)\Z"), "percent", 100.0),
    (re.compile(r"tmp_disk_|db_size\Z"), "bytes", 1.0),
)
_PGBOUNCER: Final = (
    (re.compile(r"avg_query\Z"), "ms", 0.001),
    (re.compile(r"max_wait\Z"), "ms", 1000.0),
    (re.compile(r"avg_(?:recv|sent)\Z"), "bytes", 1.0),
)


class _Meaning(NamedTuple):
    """What a name and a suffix stand for."""

    metric: str
    unit: str
    factor: float


def kind_of(process: str) -> str | None:
    """What an add-on's PROCID measures; None for an add-on that is not known."""
    if process in {"heroku-postgres", "heroku-pgbouncer"}:
        return process.removeprefix("heroku-")
    name = process.removeprefix("heroku-")
    return next((kind for kind in ("redis", "kafka") if name == kind or process.startswith(kind)), None)


def parse(records: Records, kinds: Sequence[str]) -> tuple[pa.RecordBatch, Mask, Mask]:
    """One row per valid value, in order; which records had any, and which of these also had what is none.

    ``kinds`` is per record.
    """
    found: list[tuple[int, str, str, str, float, str]] = []
    messages, processes = records.message_texts(), records.process_texts()
    for row, (message, process, kind) in enumerate(zip(messages, processes, kinds, strict=True)):
        source = _SOURCE.search(message)
        named = source[1] if source else process
        if len(named) > _SOURCE_MAX_LETTERS:
            continue
        for name, digits, suffix in _WORD.findall(message):
            metric, unit, factor = _meaning(kind, name, suffix)
            value = float(digits) * factor + 0.0  # no -0.0, as in the scanner
            if math.isfinite(value):
                found.append((row, named, kind, metric, value, unit))
    at = np.array([each[0] for each in found], dtype=np.int64)
    arrays = {
        name: pa.array([each[place] for each in found], SAMPLES.arrow.field(name).type)
        for place, name in enumerate(("source", "kind", "metric", "value", "unit"), start=1)
    }
    valid = np.bincount(at, minlength=len(records))
    partly = [
        0 < count < message.count("#") and count < len(_MEASURE.findall(message))
        for message, count in zip(messages, valid.tolist(), strict=True)
    ]
    return rows(SAMPLES, records.take(at), arrays), valid > 0, np.array(partly, dtype=np.bool_)


@lru_cache(maxsize=_MEANINGS_MAX)
def _meaning(kind: str, name: str, suffix: str) -> _Meaning:
    metric = name.lower().replace("-", "_").replace(".", "_")
    if suffix:
        return _Meaning(metric, *_UNITS.get(suffix, ("count", 1.0)))
    for shape, unit, factor in (*_PGBOUNCER, *_BARE) if kind == "pgbouncer" else _BARE:
        if shape.match(metric):
            return _Meaning(metric, unit, factor)
    return _Meaning(metric, "count", 1.0)
