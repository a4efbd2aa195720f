"""``drainlake sql --read-only-safe``: the lake for a wider audience, read only and within limits."""

from __future__ import annotations

import functools
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from drainlake import values
from drainlake.errors import WrongUse
from drainlake.options import SIZE, Parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

    from drainlake.settings import Settings
    from queries.guarding import Limits

_SECONDS: Final = Parsed("seconds", values.seconds)
_ROWS: Final = Parsed("rows", values.whole(1, 100_000_000))
_DEFAULTS: Final = {"seconds": 30.0, "rows": 100_000, "memory_bytes": 1 << 30, "spill_bytes": 2 << 30}
# What Python, Arrow and the stacks of threads take beside what a query may have.
_BESIDE_BYTES: Final = 1 << 30


def limits_given(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--read-only-safe`` and its limits for a command, which gets ``limits`` (None without the flag)."""

    @click.option(
        "--read-only-safe", "is_safe", is_flag=True, help="Run what only reads the lake, within the limits below."
    )
    @click.option("--max-seconds", "seconds", type=_SECONDS, help="Time for one statement; 30.")
    @click.option("--max-rows", "rows", type=_ROWS, help="Rows of one answer; 100,000.")
    @click.option("--max-memory", "memory_bytes", type=SIZE, help="Memory for a statement; 1GiB, twice that on disk.")
    @functools.wraps(function)
    def wrapper(
        *args: Any, is_safe: bool, seconds: float | None, rows: int | None, memory_bytes: int | None, **kwargs: Any
    ) -> Any:
        given = {"seconds": seconds, "rows": rows, "memory_bytes": memory_bytes}
        return function(
            *args, limits=_limits({name: v for name, v in given.items() if v is not None}, is_safe), **kwargs
        )

    return wrapper


def _limits(given: dict[str, Any], is_safe: bool) -> Limits | None:
    from queries.guarding import Limits  # noqa: PLC0415 - duckdb is slow to import

    if is_safe:
        spill = {"spill_bytes": 2 * given["memory_bytes"]} if "memory_bytes" in given else {}
        return Limits(**(_DEFAULTS | given | spill))
    if given:
        raise WrongUse("Limits are for --read-only-safe.", "drainlake sql --read-only-safe with them")
    return None


def make_safe(connection: DuckDBPyConnection, settings: Settings, limits: Limits) -> None:
    """Lock the connection on reading the lake, and the process on the memory that this may take."""
    from queries.database import spill_folder  # noqa: PLC0415
    from queries.guarding import guard  # noqa: PLC0415

    guard(connection, str(settings.lake), spill_folder(), limits)
    _limit_memory(limits.memory_bytes)


def _limit_memory(more_bytes: int) -> None:
    """Let the process grow by so much: DuckDB does not count long values, one of which could fill the machine."""
    pages = Path("/proc/self/statm")
    if not pages.exists():  # without Linux' /proc: DuckDB's own limit remains
        return
    now_bytes = int(pages.read_text("ascii").split()[0]) * resource.getpagesize()
    limit = now_bytes + more_bytes + _BESIDE_BYTES
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
