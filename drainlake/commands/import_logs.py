"""``drainlake import``: old logs into the event log and the lake, each file once however often it comes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drainlake.dynos import refuse_scratch
from drainlake.options import APP, with_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from drainlake.settings import Settings


@click.group("import", no_args_is_help=False, epilog="Example: drainlake import heroku saved.log --app shop")
def command() -> None:
    """Take in old logs: load balancers', web servers', saved `heroku logs` output.

    A file is known by its content, packed or not: a file that was taken in before adds nothing, and an import that was
    stopped goes on when it is called again. A file that has grown since is another file; two files that overlap count
    twice. Each line becomes one row: a line that is none of its kind is kept in the table lines, with its defect.
    """


def _takes_files(function: Callable[..., None]) -> Callable[..., Any]:
    """The arguments that all kinds share: FILES, ``--app``, settings."""
    files = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
    app = click.option("--app", required=True, type=APP, help="The app that the lines are of.")
    return files(app(with_settings(function)))


@command.command("elb", epilog="Example: drainlake import elb AWSLogs/ one.log --app shop")
@_takes_files
def elb(settings: Settings, files: tuple[Path, ...], app: str) -> None:
    """Take in access logs of AWS load balancers, Classic and Application, of all years, and land them.

    FILES are files, also .gz, or folders, which are read with all below them, as S3 exports them. The lines become rows
    of the table router with source 'elb' (Classic) or 'alb', stamped with the end of the request: Classic logs its
    arrival, to which the three times are added. service_ms ends when the answer begins, so sending the body is not in
    it; of a request whose target gave an Application one no answer (504) it ends with the request. The exact time in
    microseconds is duration_us in extra, where all fields without a column stand.

    A file is known by its content: taken in again in the same home, it adds nothing. Two files that overlap count
    twice.
    """
    _take_in(settings, files, app, "elb")


@command.command("access", epilog="Example: drainlake import access access.log access.log.1.gz --app shop")
@_takes_files
def access(settings: Settings, files: tuple[Path, ...], app: str) -> None:
    """Take in access logs that nginx or Apache wrote to files, and land them.

    FILES are files, also .gz, or folders, which are read with all below them. Known are the formats common and combined
    and the key=value format of drainlake's documentation. Of fields behind combined's only "X-Forwarded-For" right
    behind it is kept: its last address becomes client_ip. The rows of the table access have the server's time as their
    timestamp, to the second: nginx logs the end of a request, Apache its start.

    A file is known by its content: taken in again in the same home, it adds nothing. Two files that overlap count
    twice. For a page on such files alone, without a lake: drainlake report FILE --out page.html.
    """
    _take_in(settings, files, app, "access")


@command.command("heroku", epilog="Example: drainlake import heroku saved.log older.log.gz --app shop")
@_takes_files
def heroku(settings: Settings, files: tuple[Path, ...], app: str) -> None:
    """Take in saved `heroku logs` output, and land it.

    FILES are files, also .gz, or folders, which are read with all below them. What stands between two lines of Heroku,
    such as a notice of its command line, is one row of the table lines and counts as one line, however many it has.

    A file is known by its content: taken in again in the same home, it adds nothing. Two files that overlap count
    twice.
    """
    _take_in(settings, files, app, "heroku")


def _take_in(settings: Settings, files: tuple[Path, ...], app: str, kind: str) -> None:
    from drainlake.importing import take_in  # noqa: PLC0415 - pyarrow is slow to import

    refuse_scratch(settings, log=True, lake=True)
    take_in(settings, files, app, kind)
