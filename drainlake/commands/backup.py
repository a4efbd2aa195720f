"""``drainlake backup``: a copy of log and lake to start again from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from drainlake.options import with_settings

if TYPE_CHECKING:
    from drainlake.settings import Settings


@click.command("backup", epilog="Example: drainlake backup /mnt/backup/drainlake")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@with_settings
def command(settings: Settings, folder: Path) -> None:
    """Copy event log, lake, reports and pins to FOLDER, while everything runs.

    Only what changed is copied; what retention or `erase` removed goes from FOLDER, too. It is a home of its own: to
    restore, copy it to where the home was, or start with --home FOLDER. Settings and TLS files are not in it.
    """
    from drainlake.backup import back_up  # noqa: PLC0415 - polars is slow to import

    copied = back_up(settings, folder.expanduser().absolute())
    click.echo(
        f"{copied.files:,} files copied ({copied.octets / 2**20:,.1f} MiB), {copied.kept:,} were there,"
        f" {copied.removed:,} removed.",
        err=True,
    )
