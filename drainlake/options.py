"""Options that commands share: settings, moments, names of apps, formats of rows."""

from __future__ import annotations

import functools
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from drainlake import settings, values
from drainlake.errors import WrongUse
from ingest.oplog import LOGGER, PARTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from drainlake.settings import Settings

FORMATS: Final = ("table", "json", "jsonl", "csv", "markdown", "parquet")


class Parsed(click.ParamType):  # type: ignore[type-arg] # generic in newer releases only
    """A parameter read by a function of :mod:`drainlake.values`; its ValueError becomes wrong use."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The parsed value; a value that is no text was parsed before."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


def present() -> datetime:
    """The present of this call, a whole second. One for all of its options: else 24h is some milliseconds more."""
    now = datetime.now(UTC).replace(microsecond=0)
    ctx = click.get_current_context(silent=True)
    found: datetime = now if ctx is None else ctx.meta.setdefault("drainlake.present", now)
    return found


APP: Final = Parsed("app", values.app_name)
# A simulated day: below, its incidents have no room; above, it takes more memory than most machines have.
DAY_LINES: Final = click.IntRange(20_000, 20_000_000)
SEED: Final = click.IntRange(0, 2**63 - 1)
MOMENT: Final = Parsed("time", lambda text: values.moment(text, present()))
SIZE: Final = Parsed("size", values.size_bytes)


def load_settings(ctx: click.Context) -> Settings:
    """The settings of this call: ``--home`` wins over the environment, the environment over ``.env``."""
    given: dict[str, Any] = ctx.find_root().obj or {}
    LOGGER.setLevel(logging.WARNING)  # the long-running commands have a log of events; others tell what is wrong
    texts = settings.read_texts()
    hints = [] if given.get("supervised") else settings.hints(texts)
    if given.get("home"):
        texts["DRAINLAKE_HOME"] = given["home"]
    try:
        parsed = settings.parse(texts)
    except WrongUse:
        _note(hints)
        raise
    if parsed.log_format == "json" and ctx.info_name in PARTS:
        ctx.meta["drainlake.hints"] = hints
    else:
        _note(hints)
    return parsed


def _note(hints: list[str]) -> None:
    for hint in hints:
        click.echo(f"Note: {hint}", err=True)


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the settings as its first argument."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(load_settings(click.get_current_context()), *args, **kwargs)

    return wrapper


def rows_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--format`` and ``--out`` for a command that prints rows; it gets an ``Output`` as ``output``."""

    @click.option(
        "--format",
        "kind",
        type=click.Choice(FORMATS),
        help="How rows are written; else by the name of --out, else a table.",
    )
    @click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write to this file, whole or not at all.",
    )
    @functools.wraps(function)
    def wrapper(*args: Any, kind: str | None, out: Path | None, **kwargs: Any) -> Any:
        from drainlake.output import Output  # noqa: PLC0415 - pyarrow is slow to import

        output = Output(kind, out)
        output.check()
        return function(*args, output=output, **kwargs)

    return wrapper
