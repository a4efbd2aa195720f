"""Measured values: ``source=web.1 sample#memory_total=99.74MB …``, one row per value, converted to one unit.

Names and suffixes repeat endlessly: each distinct (kind, name, suffix) of a batch is looked at once.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.columns import booleans, indices, integers, numbers
from ingest.records import rows
from ingest.schema import SAMPLES
from ingest.text import Spans, split_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ingest.records import Records
    from ingest.text import Mask, Positions, Text, Tokens

_PREFIXES: Final = (b"sample#", b"measure#", b"count#")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_VALUE: Final = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)([A-Za-z]*|%)")
_VALUE_MAX_BYTES: Final = 40  # by column; longer ones are read one by one
# By suffix: the unit and the factor that converts into it.
_UNITS: Final = {
    "bytes": ("bytes", 1.0), "kB": ("bytes", 1024.0), "KB": ("bytes", 1024.0),
    "MB": ("bytes", 1024.0**2), "GB": ("bytes", 1024.0**3),
    "ms": ("ms", 1.0), "s": ("ms", 1000.0), "us": ("ms", 0.001), "pages": ("pages", 1.0), "%": ("percent", 1.0),
}  # fmt: skip
# Measures without a suffix whose unit is known from the documentation: pattern of the name, unit, factor.
_BARE: Final = (
    (re.compile(r"load_avg"), "load", 1.0),
    (re.compile(r".*(?:hit_rate|percentage_used)$"), "percent", 100.0),
    (re.compile(r"tmp_disk_|db_size$"), "bytes", 1.0),
)
_PGBOUNCER: Final = (
    (re.compile(r"avg_query$"), "ms", 0.001),
    (re.compile(r"max_wait$"), "ms", 1000.0),
    (re.compile(r"avg_(?:recv|sent)$"), "bytes", 1.0),
)


class _Meaning(NamedTuple):
    """What a name and a suffix stand for; an empty metric where the name is none."""

    metric: str
    unit: str
    factor: float


def kind_of(process: str) -> str | None:
    """What an add-on's PROCID measures; None for an add-on that is not known."""
    if process in {"heroku-postgres", "heroku-pgbouncer"}:
        return process.removeprefix("heroku-")
    name = process.removeprefix("heroku-")
    return next((kind for kind in ("redis", "kafka") if name == kind or process.startswith(kind)), None)


def parse(records: Records, kinds: Sequence[str]) -> tuple[pa.RecordBatch, Mask]:
    """One row per valid value, in order, and which records had any. ``kinds`` is per record."""
    text = records.text
    words = split_words(text, records.message)
    name, raw, row = _measures(text, words)
    value, suffix, valid = _values(text, raw)
    name, suffix, value, row = name.take(valid), suffix.take(valid), value[valid], row[valid]
    kind = pa.array([kinds[each] for each in row], pa.string())
    key = pc.binary_join_element_wise(kind, text.strings(name), text.strings(suffix), "\0").dictionary_encode()
    meanings = [_meaning(*each.split("\0")) for each in key.dictionary.to_pylist()]
    index = integers(key.indices)
    named = np.array([meaning.metric != "" for meaning in meanings], dtype=np.bool_)[index]
    index, row, value = index[named], row[named], value[named]
    factor = np.array([meaning.factor for meaning in meanings], dtype=np.float64)
    columns = {
        "source": _sources(records, words).take(indices(row)),
        "kind": kind.filter(booleans(named)),
        "metric": pa.array([meaning.metric for meaning in meanings], pa.string()).take(indices(index)),
        "value": numbers(value * factor[index], "DOUBLE"),
        "unit": pa.array([meaning.unit for meaning in meanings], pa.string()).take(indices(index)),
    }
    answered = np.zeros(len(records), dtype=np.bool_)
    answered[row] = True
    return rows(SAMPLES, records.take(row), columns), answered


def _measures(text: Text, words: Tokens) -> tuple[Spans, Spans, Positions]:
    """Name, raw value and row of each word ``sample#name=value``."""
    name_start = np.zeros(len(words.start), dtype=np.int64)
    for prefix in _PREFIXES:
        name_start = np.where(text.starts_with(words.start, prefix), words.start + len(prefix), name_start)
    found = np.flatnonzero(name_start)
    start, end = name_start[found], words.end[found]
    equals = text.next(b"=", start)
    named = (equals < end) & (equals > start)
    return Spans(start[named], equals[named]), Spans(equals[named] + 1, end[named]), words.row[found[named]]


def _values(text: Text, raw: Spans) -> tuple[NDArray[np.float64], Spans, Mask]:
    """The number each raw value begins with, and the letters behind it."""
    window = text.windows(raw.start, _VALUE_MAX_BYTES)
    inside = np.arange(_VALUE_MAX_BYTES) < raw.length[:, None]
    digits = ((window >= ord("0")) & (window <= ord("9"))) | (window == ord(".")) | (window == ord("-"))
    length = (digits & inside).cumprod(axis=1).sum(axis=1)
    suffix = Spans(raw.start + length, raw.end.copy())
    value, valid = text.decimals(Spans(raw.start, suffix.start))
    after = inside & (np.arange(_VALUE_MAX_BYTES) >= length[:, None])
    letters = ((window | 32) >= ord("a")) & ((window | 32) <= ord("z"))
    percent = (window == ord("%")) & (raw.length - length == 1)[:, None]
    valid &= (letters | percent | ~after).all(axis=1) & (raw.length <= _VALUE_MAX_BYTES)
    valid &= ~((suffix.length > 1) & _begins_with_e(window, length))
    for row in np.flatnonzero(~valid):
        match = _VALUE.fullmatch(text.slice(raw.start[row], raw.end[row]).decode())
        if match is not None and math.isfinite(float(match[1])):
            value[row], valid[row] = float(match[1]), True
            suffix.start[row] = raw.start[row] + len(match[1])
    return value, suffix, valid


def _begins_with_e(window: NDArray[np.uint8], length: Positions) -> Mask:
    """An exponent may follow: such values are read one by one."""
    place = np.minimum(length, _VALUE_MAX_BYTES - 1)
    begins: Mask = (window[np.arange(len(place)), place] | 32) == ord("e")
    return begins


def _sources(records: Records, words: Tokens) -> pa.StringArray:
    """The ``source=`` word of each record, else its PROCID."""
    text = records.text
    found = np.flatnonzero(text.starts_with(words.start, b"source=") & (words.end - words.start > len(b"source=")))
    start, end = records.process.start.copy(), records.process.end.copy()
    row = words.row[found][::-1]  # the first such word of a line is written last and stays
    start[row], end[row] = words.start[found][::-1] + len(b"source="), words.end[found][::-1]
    return text.strings(Spans(start, end))


def _meaning(kind: str, name: str, suffix: str) -> _Meaning:
    if _NAME.fullmatch(name) is None:
        return _Meaning("", "", 1.0)
    metric = name.lower().replace("-", "_").replace(".", "_")
    if suffix in _UNITS:
        return _Meaning(metric, *_UNITS[suffix])
    if suffix:
        return _Meaning(metric, "count", 1.0)
    known = (*_PGBOUNCER, *_BARE) if kind == "pgbouncer" else _BARE
    for shape, unit, factor in known:
        if shape.match(metric):
            return _Meaning(metric, unit, factor)
    return _Meaning(metric, "count", 1.0)
