"""``drainlake import heroku``: saved ``heroku logs`` output."""

from __future__ import annotations

import hashlib
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from drainlake.errors import Failure
from drainlake.options import APP, with_settings
from drainlake.route_file import read_pins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drainlake.settings import Settings
    from ingest.eventlog.contract import EventLog

BODIES_PER_APPEND: Final = 16


@dataclass
class Imported:
    """Lines of a file: those read, and of these the ones that an earlier import had brought."""

    lines: int = 0
    held: int = 0


@click.command("heroku", epilog="Example: drainlake import heroku saved.log older.log.gz --app shop")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--app", required=True, type=APP, help="The app that the lines are of.")
@with_settings
def command(settings: Settings, files: tuple[Path, ...], app: str) -> None:
    """Take in FILES with saved `heroku logs` output (also .gz), and land them.

    A file is known by its content: taken in again in the same home, it adds nothing. Two files that overlap count
    twice.
    """
    from drainlake.commands.land import land_backlog, summary  # noqa: PLC0415 - polars is slow to import
    from drainlake.log import forward_spool, open_local_log  # noqa: PLC0415

    read_pins(settings)  # refused before anything is taken in
    with open_local_log(settings, make=True) as log:
        for path in files:
            found = import_file(log, path, app)
            new = found.lines - found.held
            click.echo(f"{path.name}: {found.lines} lines read, {new} new, {found.held} held already.")
        # With Kafka the file's marks are kept here, and its rows go the way of a spool.
        forward_spool(settings, log)
    click.echo(summary(land_backlog(settings)), err=True)


def import_file(log: EventLog, path: Path, app: str) -> Imported:
    """Append a file's lines to the log; raises :class:`Failure` for damaged gzip data."""
    from drainlake.progress import progress  # noqa: PLC0415
    from ingest.batch import store  # noqa: PLC0415
    from ingest.deliveries import Delivery  # noqa: PLC0415
    from ingest.saved_logs import SavedLogError  # noqa: PLC0415

    found = Imported()
    received_at_us = time.time_ns() // 1000
    try:
        ids = _frame_ids(app, path)
        with progress(f"lines of {path.name}") as show:
            for some in _groups(path):
                named = zip(some, ids, strict=False)
                counts = store(log, [Delivery(app, body, received_at_us, frame_id=name) for body, name in named])
                found.lines += counts.lines
                found.held += counts.repeated
                show(found.lines)
    except SavedLogError as error:
        sentence, _, remedy = str(error).partition("; ")
        raise Failure(f"{sentence}.", remedy) from None
    return found


def _groups(path: Path) -> Iterator[list[bytes]]:
    from ingest.saved_logs import bodies  # noqa: PLC0415

    found = (body.body for body in bodies(path) if body.body)
    while some := list(itertools.islice(found, BODIES_PER_APPEND)):
        yield some


def _frame_ids(app: str, path: Path) -> Iterator[str]:
    """Names for the file's bodies that depend on the app and the whole content, compressed or not."""
    whole = hashlib.sha256(app.encode() + b"\0")
    for some in _groups(path):
        for body in some:
            whole.update(body)
    return (f"import:{whole.hexdigest()}:{number}" for number in itertools.count())
