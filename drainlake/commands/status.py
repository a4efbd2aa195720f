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

    Not well: rows that wait ten times DRAINLAKE_LAND_SECONDS, in the spool or for landing, a log that cannot be used or
    is nearly full, entries that Kafka removed before they were landed, a lake that is gone.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    from drainlake.health import examine, rows  # noqa: PLC0415

    parts = examine(settings)
    output.write(pa.table(rows(parts)).to_reader())
    unwell = [part for part in parts if not part.well]
    if unwell:
        names = ", ".join(part.part for part in unwell)
        raise Failure(f"Not all is well: {names}.", "drainlake up (or land), and free disk space")
    click.echo("All is well.", err=True)
