"""What Heroku reports of dynos and of the log system itself: errors, states, memory, restarts, lost lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from ingest.records import rows
from ingest.schema import PLATFORM

if TYPE_CHECKING:
    from ingest.records import Records
    from ingest.text import Mask

_EVENTS: Final = (
    (r"^Error [A-Z]\d\d\b|^L1\d\b", "error"),
    (r"^State changed from \S+ to \S+$", "state"),
    (r"^Starting process with command", "start"),
    (r"^Stopping ", "stop"),
    (r"^Process exited", "exit"),
    (r"^Process running mem=", "memory"),
    (r"^Cycling$", "cycle"),
    (r"^(?:Idling|Unidling)$", "idle"),
)
_CODE: Final = r"^(?:Error )?([A-Z]\d\d)\b"
_DESCRIPTION: Final = r"^(?:Error )?[A-Z]\d\d \(([^)]*)\)"
_DROPPED: Final = r"(?:(?P<before>\d{1,18}) messages? (?:dropped|lost)|dropped (?P<after>\d{1,18}) messages?)"
_STATES: Final = r"^State changed from (?P<from_state>\S+) to (?P<to_state>\S+)$"
_EXIT: Final = r"^Process exited with status (\d{1,5})$"
_MEMORY: Final = r"^Process running mem=(?P<size>\d{1,12}(?:\.\d{1,6})?)(?P<unit>[KMG])B?\((?P<percent>\d{1,9}(?:\.\d{1,6})?)%\)$"
_MB: Final = {"K": 1 / 1024, "M": 1.0, "G": 1024.0}
_EXIT_MAX: Final = 2**15 - 1
LOSS: Final = rf"^(?:Error )?L\d\d\b"


def parse(records: Records, of_log_system: Mask) -> pl.DataFrame:
    """Rows of the platform table, one per record, in order. Lines of the log system belong to no dyno."""
    frame = pl.DataFrame({"message": records.messages()}).with_columns(_event())
    columns = frame.select("message", "event", *_errors(), *_memory(), *_changes())
    dyno = records.processes().set(pl.Series(of_log_system), None)
    return rows(PLATFORM, records, {**columns.to_dict(), "dyno": dyno})


def _event() -> pl.Expr:
    message = pl.col("message")
    event = pl.coalesce(pl.when(message.str.contains(shape)).then(pl.lit(name)) for shape, name in _EVENTS)
    return event.fill_null("other").alias("event")


def _errors() -> list[pl.Expr]:
    error = pl.when(pl.col("event") == "error").then(pl.col("message"))
    code = error.str.extract(_CODE)
    dropped = error.str.extract_groups(_DROPPED)
    lost = pl.coalesce(dropped.struct.field("before"), dropped.struct.field("after"))
    return [
        code.alias("code"),
        error.str.extract(_DESCRIPTION).alias("description"),
        pl.when(code.str.starts_with("L")).then(lost).cast(pl.Int64).alias("lines_dropped"),
    ]


def _memory() -> list[pl.Expr]:
    groups = pl.when(pl.col("event") == "memory").then(pl.col("message")).str.extract_groups(_MEMORY)
    size = groups.struct.field("size").cast(pl.Float64)
    unit = groups.struct.field("unit").replace_strict(_MB, default=None, return_dtype=pl.Float64)
    percent = groups.struct.field("percent").cast(pl.Float64)
    return [(size * unit).alias("memory_mb"), percent.alias("memory_percent")]


def _changes() -> list[pl.Expr]:
    message = pl.col("message")
    states = message.str.extract_groups(_STATES)
    status = message.str.extract(_EXIT).cast(pl.Int32)
    return [
        states.struct.field("from_state"),
        states.struct.field("to_state"),
        pl.when(status <= _EXIT_MAX).then(status).cast(pl.Int16).alias("exit_status"),
    ]
