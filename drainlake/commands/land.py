"""``drainlake land``: from the event log into the lake."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from drainlake.errors import Failure
from drainlake.options import with_settings
from drainlake.route_file import read_pins
from drainlake.supervisor import stop_with_parent

if TYPE_CHECKING:
    from drainlake.settings import Settings
    from transforms.lake import Lake
    from transforms.landing import Landed


@click.command("land", epilog="Example: drainlake land --once")
@click.option("--once", is_flag=True, help="Land what is there and end.")
@click.pass_context
@with_settings
def command(settings: Settings, ctx: click.Context, once: bool) -> None:
    """Land received lines in the Parquet lake, every DRAINLAKE_LAND_SECONDS until SIGTERM or Ctrl-C.

    Files appear whole; days older than DRAINLAKE_KEEP_DAYS are removed.
    """
    if once:
        click.echo(summary(land_backlog(settings)), err=True)
        return
    if ctx.find_root().obj["supervised"]:
        stop_with_parent()
    _land_on(settings)


def land_backlog(settings: Settings) -> Landed:
    """Land all that waits, with progress on a terminal; raises :class:`Failure` when the lake refuses."""
    from drainlake.log import open_log  # noqa: PLC0415 - polars is slow to import
    from drainlake.places import lake_at  # noqa: PLC0415
    from drainlake.privacy import privacy_of  # noqa: PLC0415
    from drainlake.progress import progress  # noqa: PLC0415
    from transforms.lake import LakeError  # noqa: PLC0415
    from transforms.landing import land_once  # noqa: PLC0415
    from transforms.route_book import RouteBook  # noqa: PLC0415

    book, done = RouteBook(read_pins(settings)), 0
    with (
        open_log(settings, make=True) as log,
        progress("rows landed", sum(lag.rows or 0 for lag in log.backlog())) as show,
    ):

        def count(table: str, rows: int) -> None:  # noqa: ARG001 - landing's signature
            nonlocal done
            done += rows
            show(done)

        try:
            lake = lake_at(settings.lake)
            landed = land_once(
                log,
                lake,
                file_rows=settings.file_rows,
                on_progress=count,
                book=book,
                privacy=privacy_of(settings),
            )
        except LakeError as error:
            raise Failure.told(error, "land again") from None
    for notice in landed.notices:
        click.echo(f"Note: {notice}", err=True)
    if landed.busy:
        click.echo("Note: another process is landing; what it owns is left to it.", err=True)
    return landed


def summary(landed: Landed) -> str:
    """One sentence about a landing."""
    return f"{sum(landed.rows.values()):,} rows landed, {landed.files} files written."


def _make_catalog(settings: Settings, lake: Lake) -> None:
    """Make ``lake.duckdb`` in a process of its own: DuckDB would stay in our memory."""
    from multiprocessing import get_context  # noqa: PLC0415

    from drainlake.lake import make_catalog  # noqa: PLC0415
    from drainlake.places import S3Place  # noqa: PLC0415
    from transforms.lake import LakeError  # noqa: PLC0415

    try:
        lake.prepare()
    except LakeError as error:
        click.echo(f"land: {error}", err=True)  # landing tries again and again, and so does every question
        return
    options = settings.lake.store().options if isinstance(settings.lake, S3Place) else None
    process = get_context("spawn").Process(target=make_catalog, args=(str(settings.lake), settings.catalog, options))
    process.start()
    process.join()


def _land_on(settings: Settings) -> None:
    """Land again and again. A signal ends it between two files; nothing is lost by a kill either."""
    from drainlake.log import open_log  # noqa: PLC0415 - polars is slow to import
    from drainlake.places import lake_at  # noqa: PLC0415
    from drainlake.privacy import privacy_of  # noqa: PLC0415
    from transforms.lander import run  # noqa: PLC0415

    stop, pins = threading.Event(), read_pins(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with open_log(settings, make=True) as log:
        lake = lake_at(settings.lake)
        _make_catalog(settings, lake)
        run(
            log,
            lake,
            every_seconds=settings.land_seconds,
            file_rows=settings.file_rows,
            keep_days=settings.keep_days,
            pins=pins,
            privacy=privacy_of(settings),
            stop_event=stop,
            report=lambda sentence: click.echo(f"land: {sentence}", err=True),
        )
