"""Arrow columns as plain values: what JSON holds, and from there what every text format prints.

Times become ISO 8601 in UTC with microseconds (``2017-10-16T19:26:28.605373Z``), whole decimals become
integers, NaN and infinities (of times too) NULL, bytes and intervals text. Instants and dates of any year that
DuckDB holds are printed, except inside lists and structs, where Python's years 1 to 9999 are the limit.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

if TYPE_CHECKING:
    from collections.abc import Sequence


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text that a log line could have chosen."""
    if kinds.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind) or _is_bytes(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type is aligned to the right."""
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind))


def plain(column: pa.Array) -> list[Any]:
    """The column's values as None, bool, int, float, str, list or dict."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if kinds.is_dictionary(column.type):
        column = column.dictionary_decode()
    if kinds.is_timestamp(column.type) or kinds.is_date(column.type):
        return _instants(column)
    if kinds.is_integer(column.type) or kinds.is_boolean(column.type):
        return list(column.to_pylist())
    return [_plain_value(value) for value in column.to_pylist()]


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, a repeated one with a number behind it: a JSON object would keep only the last."""
    given: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in given:
            candidate, number = f"{name}_{number}", number + 1
        given.append(candidate)
    return given


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind))


def _instants(column: pa.Array) -> list[str | None]:
    # numpy, since Python's datetime ends at the year 9999 and DuckDB's does not.
    unit: Literal["D", "us", "ns"] = "D"
    zone = ""
    if kinds.is_timestamp(column.type):
        unit, zone = ("ns" if column.type.unit == "ns" else "us"), ("Z" if column.type.tz else "")
    instants = column.to_numpy(zero_copy_only=False)
    # DuckDB's infinities: the largest number, and the same below zero.
    end = np.iinfo(np.int32 if kinds.is_date32(column.type) else np.int64).max
    instants = np.where(np.abs(instants.view(np.int64)) == end, np.datetime64("NaT"), instants)
    texts = np.datetime_as_string(instants, unit=unit)
    return [None if text == "NaT" else f"{text}{zone}" for text in texts.tolist()]


def _plain_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, pa.MonthDayNano):
        return [_plain_value(item) for item in value]
    return _plain_object(value)


def _plain_object(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            return value.isoformat(timespec="microseconds")
        return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else _exact_float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, pa.MonthDayNano):
        return _duration(value.months, value.days, value.nanoseconds)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _exact_float(value: Decimal) -> float | str:
    """A float where it says the same number, otherwise the digits as text."""
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def _duration(months: int, days: int, nanoseconds: int) -> str:
    """An ISO 8601 duration such as ``P1M2DT3.5S``."""
    seconds = Decimal(nanoseconds) / 1_000_000_000
    parts = [f"{months}M" if months else "", f"{days}D" if days else ""]
    time = f"T{seconds.normalize():f}S" if nanoseconds or not any(parts) else ""
    return "P" + "".join(parts) + time
