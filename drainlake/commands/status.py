"""``drainlake status``: is all well?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drainlake.errors import Failure
from drainlake.options import rows_out, with_settings

if TYPE_CHECKING:
    from drainlake.output import Output
    from drainlake.settings import Settings


@click.command("status", epilog="Example: drainlake status || mail -s 'drainlake needs you' you@example.com")
@rows_out
@with_settings
def command(settings: Settings, output: Output) -> None:
    """Show what is received, landed, behind and lost; the exit code is 1 when not all is well.

    Not well: a home that is not there, rows that wait ten times DRAINLAKE_LAND_SECONDS, in the spool or for landing, a
    log that cannot be used or is nearly full, entries that Kafka removed before they were landed, a lake that is gone,
    an app that is silent unlike the day before, a report or message that does not get out, a process that was killed or
    is stuck, a certificate that expires within two weeks, less than 1 GiB of free disk. docs/operations.md says what to
    do.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    from drainlake.health import examine, rows  # noqa: PLC0415

    parts = examine(settings)
    output.write(pa.table(rows(parts)).to_reader())
    unwell = [part for part in parts if not part.well]
    if unwell:
        told = "; ".join(f"{part.part}: {part.state}" for part in unwell)  # whole: a narrow terminal cuts the table
        raise Failure(
            f"Not all is well: {told}.", "docs/operations.md, which says what each of these means and what to do"
        )
    click.echo("All is well.", err=True)
