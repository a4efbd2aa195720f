"""``drainlake erase``: a person's rows out of the lake."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from drainlake.errors import Failure, WrongUse
from drainlake.options import APP, MOMENT, with_settings

if TYPE_CHECKING:
    from datetime import datetime

    from drainlake.settings import Settings


@click.command("erase", epilog="Example: drainlake erase --address 203.0.113.7 --dry-run")
@click.option("--address", "addresses", multiple=True, metavar="IP", help="Rows with this client address, or its hash.")
@click.option("--request-id", "request_ids", multiple=True, metavar="ID", help="Rows with this id of a request.")
@click.option("--text", "texts", multiple=True, metavar="TEXT", help="Rows with this text in any column, in any case.")
@click.option("--app", type=APP, help="Only rows of this app.")
@click.option("--since", type=MOMENT, help="Only rows from this time on (24h, 7d, ISO 8601).")
@click.option("--until", type=MOMENT, help="Only rows before this time.")
@click.option("--dry-run", is_flag=True, help="Count the rows and end.")
@click.option("--yes", is_flag=True, help="Erase without asking.")
@click.option("--purge-log", is_flag=True, help="Take landed entries out of the embedded event log, too.")
@with_settings
def command(  # noqa: PLR0913, PLR0917 - one for each option
    settings: Settings,
    addresses: tuple[str, ...],
    request_ids: tuple[str, ...],
    texts: tuple[str, ...],
    app: str | None,
    since: datetime | None,
    until: datetime | None,
    dry_run: bool,
    yes: bool,
    purge_log: bool,
) -> None:
    """Take rows that hold an address, a request id or a text out of the lake, for good.

    It counts them first and asks. Hashes of the address under DRAINLAKE_ADDRESS_KEY are looked for as well. What it
    does not reach (reports, backups, Kafka …) it prints at the end. Stopped or killed, it goes on when called again.
    """
    from drainlake import erasing  # noqa: PLC0415 - polars is slow to import

    target = erasing.target_of(settings, addresses, (*request_ids, *texts), app, since, until)
    if purge_log and settings.kafka is not None:
        raise WrongUse(
            "--purge-log is for the embedded log; Kafka keeps what landed for its retention time.", "leave it out"
        )
    erasing.require_landed(settings, is_trial=dry_run)
    found = erasing.count(settings, target)
    if dry_run:
        return
    if found and not yes:
        _ask(sum(each.rows for each in found))
    erasing.erase(settings, found, target)
    if purge_log:
        erasing.purge_log(settings)
    click.echo(erasing.not_reached(settings, is_purged=purge_log), err=True)


def _ask(rows: int) -> None:
    if not sys.stdin.isatty():
        raise Failure("Nothing was erased: erasing cannot be undone.", "the same command with --yes")
    if not click.confirm(f"Erase these {rows:,} rows for good?", err=True):
        raise Failure("Nothing was erased.", "--dry-run, to see only the counts")
