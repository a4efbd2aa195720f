"""``drainlake report``: what was wrong in a window, told on the terminal, as a page, Markdown, JSON or for Slack."""

from __future__ import annotations

import importlib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from drainlake.errors import Failure, WrongUse
from drainlake.options import APP, MOMENT, present, with_settings

if TYPE_CHECKING:
    from datetime import datetime
    from types import ModuleType

    from drainlake.settings import Settings
    from queries.report.model import Report

FORMATS: Final = ("text", "html", "markdown", "json", "slack")
WRONG: Final = 3
_SUFFIXES: Final = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json", ".txt": "text"}
_DEFAULT_SPAN: Final = timedelta(hours=24)
_LONGEST: Final = timedelta(days=36_525)  # each hour of it is looked at


@click.command("report", epilog="Example: drainlake report --since 24h --out report.html")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--since", type=MOMENT, help="First instant of the window: 30m, 24h (the default), 7d, or ISO 8601 (UTC)."
)
@click.option("--until", type=MOMENT, help="First instant after the window, in the same forms; now by default.")
@click.option("--app", "app_name", type=APP, help="Only this app.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file, whole or not at all; .html, .md, .json or .txt say the format.",
)
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help="How it is written; else by the name of --out, else as text."
)
@click.option("--send", is_flag=True, help="Send it where DRAINLAKE_NOTIFY says, and print nothing unless asked to.")
@with_settings
def command(  # noqa: PLR0913 - its options
    settings: Settings,
    files: tuple[Path, ...],
    since: datetime | None,
    until: datetime | None,
    app_name: str | None,
    out: Path | None,
    kind: str | None,
    *,
    send: bool,
) -> None:
    """Report what was wrong in a window of time, worst first, each finding with its evidence.

    With FILES, access logs of nginx or Apache (also .gz, or folders of them), the report is on these alone: it tells
    what such a log shows, for all of their time unless --since or --until are given, and stores nothing.

    Without --out it goes to stdout. Exit code 3 when something is wrong (a warning or worse), 0 when nothing is,
    1 when the report cannot be made or sent, 2 for wrong use.
    """
    now = present()
    chosen = _format(kind, out)
    _check(out)
    if send and not settings.notify:
        raise WrongUse("DRAINLAKE_NOTIFY names no place to send to.", "DRAINLAKE_NOTIFY='mailto://…' or a folder")
    if files:
        _on_files(settings, files, (since, until), app_name, (chosen, out), send=send)
        return
    first, end = _window(since, until, now)
    from drainlake.reporting import make_report  # noqa: PLC0415 - duckdb is slow, not for --help
    from queries.report.model import Window  # noqa: PLC0415

    report = make_report(settings, Window(first, end, app_name), now, lambda: _renderer(chosen))
    if kind is not None or out is not None or not send:
        write(report, chosen, out)
    if send:
        _send(settings, report)
    if report.is_wrong:
        raise click.exceptions.Exit(WRONG)


def _on_files(
    settings: Settings,
    files: tuple[Path, ...],
    ends: tuple[datetime | None, datetime | None],
    app_name: str | None,
    how: tuple[str, Path | None],
    *,
    send: bool,
) -> None:
    """Report on access logs alone."""
    if send:
        raise WrongUse("--send sends reports on the lake, not on files.", "--out report.html")
    if ends[0] and ends[1] and ends[0] >= ends[1]:
        raise WrongUse("--since must lie before --until.", "--since 24h alone")
    from drainlake.access_files import report_on  # noqa: PLC0415 - pyarrow and duckdb are slow, not for --help

    report, refused = report_on(files, settings.home, app_name, ends, present())
    write(report, *how)
    if refused is not None:
        raise refused
    if report.is_wrong:
        raise click.exceptions.Exit(WRONG)


def _format(kind: str | None, out: Path | None) -> str:
    """The format: the one given, else the file name's, else text."""
    if kind is not None or out is None:
        return kind or "text"
    if out.suffix not in _SUFFIXES:
        raise WrongUse(f"The name {out.name} says no format.", "--format html, or a name that ends in .html")
    return _SUFFIXES[out.suffix]


def _check(out: Path | None) -> None:
    """Refuse before the lake is read what could not be written after."""
    if out is not None and not out.absolute().parent.is_dir():
        raise WrongUse(f"There is no folder {out.absolute().parent}.", "make it first")


def _window(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    end = until or now
    first = since or end - _DEFAULT_SPAN
    if first >= end:
        raise WrongUse("--since must lie before --until.", "--since 24h alone")
    if end - first > _LONGEST:
        raise WrongUse("--since lies more than 100 years before --until.", "--since 365d")
    return first, end


def _renderer(kind: str) -> ModuleType:
    # One module for each format, loaded when it is asked for: only the page needs its templates.
    return importlib.import_module(f"queries.report.as_{kind}")


def write(report: Report, kind: str, out: Path | None) -> None:
    """Write a report in a format of :data:`FORMATS` to a file, whole or not at all, or to stdout."""
    text: str = _renderer(kind).render(report)
    if out is None:
        click.echo(text, nl=False)
        return
    from drainlake.hostile import clean_line  # noqa: PLC0415
    from drainlake.writing import write_file  # noqa: PLC0415

    write_file(out, lambda sink: sink.write(text.encode()))
    click.echo(f"{clean_line(report.verdict)} Written to {out}.", err=True)


def _send(settings: Settings, report: Report) -> None:
    """Send it; a place that does not take it is tried again by the schedule."""
    from drainlake.delivery import reporting, send_report  # noqa: PLC0415

    tries = {each.destination: each.reason for each in send_report(settings, report, reporting())}
    for name, reason in tries.items():
        click.echo(f"{name}: {reason or 'sent'}", err=True)
    if failed := [name for name, reason in tries.items() if reason]:
        kept = settings.home / "reports"
        raise Failure(
            f"The report did not go to {', '.join(failed)}; it is kept in {kept}.", "drainlake schedule --once"
        )
