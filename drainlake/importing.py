"""What ``drainlake import`` does with files of every kind: find them, take them in, say what came of each."""

from __future__ import annotations

import os
import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import click

from drainlake.errors import Failure
from drainlake.hostile import clean_line
from drainlake.log import forward_spool, open_local_log
from drainlake.progress import progress
from drainlake.route_file import read_pins
from ingest.importing import Imported, LogFile, WrongFormError, looks_like
from ingest.saved_logs import SavedLogError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drainlake.settings import Settings
    from ingest.eventlog.contract import EventLog

MEGABYTE: Final = 1_000_000


class Kind(NamedTuple):
    """A kind of file: its form as ``ingest`` knows it, and what one of its lines is called."""

    form: str | None
    line: str


# By the name of the command; a line is looked for in this order.
KINDS: Final = {
    "heroku": Kind(None, "line of saved `heroku logs` output"),
    "elb": Kind("elb", "line of a load balancer's access log"),
    "access": Kind("access", "line of a web server's access log"),
}
_ERROR_LOGS: Final = re.compile(
    rb"(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d|\[\w{3} \w{3} \d\d [\d:.]+ \d{4}|\[\d\d-\w{3}-\d{4} [\d:]+[^\]]*)\]? ",
    re.ASCII,
)


class Named(NamedTuple):
    """A file, and what it is called before the user."""

    name: str
    path: Path


def take_in(settings: Settings, places: Sequence[Path], app: str, kind: str) -> None:
    """Append the files of these places to the log, say what came of each, and land them.

    Raises :class:`Failure` in the end if files could not be taken in; all others are in then.
    """
    from drainlake.commands.land import land_backlog, summary  # noqa: PLC0415 - polars is slow to import

    read_pins(settings)  # refused before anything is taken in
    if settings.keep_days is not None:
        days = f"DRAINLAKE_KEEP_DAYS={settings.keep_days}"
        click.echo(f"Note: {days} removes older days from the lake, imported ones too.", err=True)
    found = files(places, settings.home)
    refused: list[Failure] = []
    with open_local_log(settings, make=True) as log:
        for number, file in enumerate(found, 1):
            try:
                _tell(file, _import(log, file, app, kind, f"{number} of {len(found)}: MB of {file.name}"), kind)
            except Failure as failure:
                if len(found) > 1:
                    click.echo(f"Left out: {clean_line(failure.sentence)}", err=True)
                refused.append(failure)
        # With Kafka the files' marks are kept here, and their rows go the way of a spool.
        forward_spool(settings, log)
    click.echo(summary(land_backlog(settings)), err=True)
    if refused:
        raise refused[0] if len(found) == 1 else _together(refused, len(found))


def files(places: Sequence[Path], home: Path) -> list[Named]:
    """The files given, and those below the folders given in the order of their paths, but for hidden ones and the home.

    Raises OSError for a folder that cannot be read.
    """
    found: dict[Path, str] = {}
    for place in places:
        if not place.is_dir():
            found.setdefault(place, place.name)
            continue
        for path in sorted(_below(place, home.resolve())):
            name = path.relative_to(place)
            if not any(part.startswith(".") for part in name.parts):
                found.setdefault(path, str(name))
    if not found:
        raise Failure("What was given holds no file.", "a file, or a folder with files in it")
    return [Named(clean_line(name), path) for path, name in found.items()]


def _below(folder: Path, home: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if Path(parent, name).resolve() != home]
        yield from (path for name in names if (path := Path(parent, name)).is_file())


def _refuse(error: OSError) -> NoReturn:
    raise error


def _import(log: EventLog, file: Named, app: str, kind: str, doing: str) -> Imported:
    """Append a file to the log; raises :class:`Failure` when it is damaged or of another kind."""
    if not file.path.is_file():
        raise Failure(f"{file.name} is no file.", "save what it gives to a file, since each is read twice")
    source = LogFile(file.path, app, KINDS[kind].form)
    size = file.path.stat().st_size
    received_at_us = time.time_ns() // 1000
    try:
        with progress(doing, max(1, 2 * size // MEGABYTE)) as show:  # every file is read twice
            content = source.content(lambda read: show(read // MEGABYTE))
            return source.append_to(log, content, received_at_us, lambda read: show((size + read) // MEGABYTE))
    except WrongFormError as error:
        raise wrong_kind(file, app, kind, error.sample) from None
    except SavedLogError as error:
        sentence, _, remedy = str(error).partition("; ")
        raise Failure(f"{sentence}.", remedy) from None


def wrong_kind(file: Named, app: str, kind: str, sample: bytes) -> Failure:
    """What a file without a line of its kind seems to be instead; ``sample`` is how it begins."""
    none = f"{file.name} holds no {KINDS[kind].line}"
    for name, other in KINDS.items():
        if name != kind and looks_like(other.form, sample):
            return Failure(f"{none}.", f"drainlake import {name} {shlex.quote(str(file.path))} --app {app}")
    if b"\0" in sample:
        return Failure(f"{none}, it is no text.", "a log file as text, or packed with gzip")
    if _ERROR_LOGS.match(sample):
        remedy = "the access log of the same days; error logs come in through the drain only"
        return Failure(f"{none}, it is an error log.", remedy)
    return Failure(f"{none}.", f"another file; drainlake import {kind} --help says which formats are known")


def _tell(file: Named, found: Imported, kind: str) -> None:
    click.echo(
        f"{file.name}: {found.lines:,} lines read, {found.lines - found.held:,} new, {found.held:,} held already."
    )
    if found.defects:
        kept = "kept in the table lines, with their defect"
        click.echo(f"Note: {found.defects} of these are no {KINDS[kind].line}; they are {kept}.", err=True)


def _together(refused: Sequence[Failure], count: int) -> Failure:
    return Failure(f"{len(refused)} of {count} files were left out, as told above.", refused[0].remedy)
