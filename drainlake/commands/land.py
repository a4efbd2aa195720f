"""``drainlake land``: from the event log into the lake."""

from __future__ import annotations

import logging
import sys
import traceback
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from drainlake.dynos import refuse_scratch
from drainlake.options import with_settings
from drainlake.ownlog.setup import keeps_own_log, started
from drainlake.places import lake_errors
from drainlake.route_file import read_pins
from drainlake.stopping import StopRequest
from drainlake.supervisor import stop_with_parent
from ingest.oplog import tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

    from drainlake.figures.land_watch import LandWatch
    from drainlake.settings import Settings
    from ingest.eventlog.contract import EventLog
    from transforms.lake import Lake
    from transforms.lander import Round
    from transforms.landing import Landed
    from transforms.objects import S3Options
    from transforms.route_pins import Pins

_AGAIN: Final = "land again"
TRACE_MAX_CHARACTERS: Final = 4000  # less than a pipe holds: nobody reads before the process has ended


@click.command("land", epilog="Example: drainlake land --once")
@click.option("--once", is_flag=True, help="Land what is there and end.")
@click.pass_context
@with_settings
@keeps_own_log("land")
def command(settings: Settings, ctx: click.Context, once: bool) -> None:
    """Land received lines in the Parquet lake, every DRAINLAKE_LAND_SECONDS until SIGTERM or Ctrl-C.

    Files appear whole; days older than DRAINLAKE_KEEP_DAYS are removed.
    """
    refuse_scratch(settings, log=True, lake=True)
    if once:
        landed = land_backlog(settings, note=lambda sentence: tell("land", "notice", sentence, about=sentence))
        tell("land", "landed", summary(landed), rows=sum(landed.rows.values()), files=landed.files)
        _keep_days(settings)
        return
    supervised = ctx.find_root().obj["supervised"]
    if supervised:
        stop_with_parent()
    _land_on(settings, supervised=supervised)


def _echo(sentence: str) -> None:
    click.echo(sentence, err=True)


def land_backlog(settings: Settings, note: Callable[[str], None] = _echo) -> Landed:
    """Land all that waits, with progress on a terminal; raises :class:`Failure` when the lake refuses.

    ``note`` gets what the user should know.
    """
    from drainlake.log import open_log  # noqa: PLC0415 - polars is slow to import

    pins = read_pins(settings)
    with open_log(settings, make=True) as log, lake_errors(_AGAIN):
        landed = _land_with_progress(settings, log, pins)
    for notice in landed.notices:
        note(f"Note: {notice}")
    if landed.busy:
        note("Note: another process is landing; what it owns is left to it.")
    return landed


def _land_with_progress(settings: Settings, log: EventLog, pins: Pins) -> Landed:
    from drainlake.places import lake_at  # noqa: PLC0415 - polars is slow to import
    from drainlake.privacy import privacy_of  # noqa: PLC0415
    from drainlake.progress import progress  # noqa: PLC0415
    from transforms.landing import land_once  # noqa: PLC0415
    from transforms.route_book import RouteBook  # noqa: PLC0415

    book, privacy, done = RouteBook(pins), privacy_of(settings), 0
    with progress("rows landed", sum(lag.rows or 0 for lag in log.backlog())) as show:

        def count(table: str, rows: int) -> None:  # noqa: ARG001 - landing's signature
            nonlocal done
            done += rows
            show(done)

        lake = lake_at(settings.lake)
        return land_once(log, lake, file_rows=settings.file_rows, on_progress=count, book=book, privacy=privacy)


def _keep_days(settings: Settings) -> None:
    """Remove days that are too old: where a CronJob lands, nobody else would."""
    from drainlake.places import lake_at  # noqa: PLC0415 - polars is slow to import
    from transforms.retention import remove_old  # noqa: PLC0415

    if settings.keep_days is not None:
        with lake_errors(_AGAIN):
            remove_old(lake_at(settings.lake), settings.keep_days, datetime.now(UTC).date())


def summary(landed: Landed) -> str:
    """One sentence about a landing."""
    return f"{sum(landed.rows.values()):,} rows landed, {landed.files} files written."


def _make_catalog(settings: Settings, lake: Lake) -> None:
    """Make ``lake.duckdb`` in a process of its own: DuckDB would stay in our memory."""
    from multiprocessing import get_context  # noqa: PLC0415

    from drainlake.places import S3Place  # noqa: PLC0415
    from transforms.lake import LakeError  # noqa: PLC0415

    try:
        lake.prepare()
    except (LakeError, OSError) as error:
        # Landing tries again and again, and so does every question.
        tell("land", "lake_unavailable", f"land: {error}", level=logging.WARNING)
        return
    options = settings.lake.store().options if isinstance(settings.lake, S3Place) else None
    spawn = get_context("spawn")
    told, telling = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_catalog, args=(str(settings.lake), settings.catalog, options, telling))
    process.start()
    telling.close()
    process.join()
    if process.exitcode:  # landing does without, and so does every question
        said = f"land: {settings.catalog.name} could not be made."
        trace = ""
        with suppress(EOFError):  # one that was killed, by the kernel for want of memory say, has told nothing
            trace = told.recv()
        tell("land", "catalog_failed", said, level=logging.WARNING, code=process.exitcode, traceback=trace)
    told.close()


def _catalog(lake: str, database: Path, options: S3Options | None, telling: Connection) -> None:
    """What that process runs; it has no log of its own."""
    from drainlake.lake import make_catalog  # noqa: PLC0415 - DuckDB is loaded here, not by the parent

    try:
        make_catalog(lake, database, options)
    except Exception:  # noqa: BLE001 - the parent tells it
        telling.send(traceback.format_exc()[-TRACE_MAX_CHARACTERS:])
        sys.exit(1)


def _land_on(settings: Settings, *, supervised: bool) -> None:
    """Land again and again. A signal ends it between two files; nothing is lost by a kill either."""
    from drainlake.figures.land_watch import LandWatch  # noqa: PLC0415 - polars is slow to import
    from drainlake.figures.showing import showing  # noqa: PLC0415
    from drainlake.log import open_log  # noqa: PLC0415
    from drainlake.places import lake_at  # noqa: PLC0415

    stop, pins = StopRequest().listen(), read_pins(settings)
    started(settings, "land")
    with open_log(settings, make=True) as log:
        watch = LandWatch(settings, log)
        with showing(settings, "land", watch.patience_seconds, watch.families, supervised=supervised) as watch.vitals:
            lake = lake_at(settings.lake)
            _make_catalog(settings, lake)
            done = _land_until(stop, settings, log, lake, pins, watch)
    sentence = f"land: stopped ({stop.why}); {done['rows']:,} rows landed in {done['rounds']:,} rounds."
    tell("land", "stopped", sentence, why=stop.why, rows=done["rows"], rounds=done["rounds"], files=done["files"])


def _land_until(
    stop: StopRequest, settings: Settings, log: EventLog, lake: Lake, pins: Pins, watch: LandWatch
) -> Counter[str]:
    """Land until asked to stop; good rounds, rows and files of all of them."""
    from drainlake.privacy import privacy_of  # noqa: PLC0415 - polars is slow to import
    from transforms.lander import run  # noqa: PLC0415

    done = Counter[str]()

    def ended(this: Round) -> None:
        watch.ended(this)
        if this.landed:
            done.update(rounds=1, rows=sum(this.landed.rows.values()), files=this.landed.files)

    run(
        log,
        lake,
        every_seconds=settings.land_seconds,
        file_rows=settings.file_rows,
        keep_days=settings.keep_days,
        pins=pins,
        privacy=privacy_of(settings),
        stop_event=stop.event,
        on_progress=watch.progressed,
        on_round=ended,
    )
    return done
