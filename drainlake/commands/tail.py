"""``drainlake tail``: what arrives in the event log, as JSON lines."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from drainlake.options import APP, with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drainlake.settings import Settings
    from ingest.eventlog.contract import Entry, EventLog

# By hand, since ingest.schema imports pyarrow; a test holds them equal.
TABLES: Final = ("router", "access", "php", "platform", "samples", "releases", "lines", "deliveries")
POLL_SECONDS: Final = 0.5
ROWS_MAX: Final = 10_000
BYTES_MAX: Final = 1 << 22
BEFORE_FIRST: Final = -1


@click.command("tail", epilog="Example: drainlake tail --app shop --table router | jq .service_ms")
@click.option("--app", type=APP, help="Only this app.")
@click.option("--table", "tables", type=click.Choice(TABLES), multiple=True, help="Only this table; may be repeated.")
@click.option("--from-start", is_flag=True, help="Begin with all that the log still holds.")
@with_settings
def command(settings: Settings, app: str | None, tables: tuple[str, ...], from_start: bool) -> None:
    """Follow the event log as JSON lines, until Ctrl-C.

    Rows come table by table as they were received; `table` says which, `route` is filled at landing only.
    """
    from drainlake.log import open_log  # noqa: PLC0415 - polars is slow to import

    with open_log(settings) as log:
        places = [(table, partition) for table in tables or TABLES for partition in log.all_partitions(table)]
        after = {place: BEFORE_FIRST if from_start else log.end(*place) for place in places}
        while True:
            count = 0
            for entry in _next_entries(log, after):
                if app is None or entry.app == app:
                    _print(entry)
                count += 1
            sys.stdout.flush()
            if not count:
                time.sleep(POLL_SECONDS)


def _next_entries(log: EventLog, after: dict[tuple[str, str], int]) -> Iterator[Entry]:
    """A bounded number of entries of each table and partition; ``after`` moves along."""
    for place, offset in list(after.items()):
        for entry in log.read(*place, offset, rows_max=ROWS_MAX, bytes_max=BYTES_MAX):
            yield entry
            after[place] = entry.offset


def _print(entry: Entry) -> None:
    from drainlake.output import Rows, json_lines  # noqa: PLC0415
    from ingest.eventlog.entry import decode  # noqa: PLC0415
    from ingest.schema import PIECE, PIECES  # noqa: PLC0415

    head = f'{{"table": {json.dumps(entry.table)}, '
    rows = decode(entry.payload).drop(PIECE, PIECES, strict=False)
    for line in json_lines(Rows.of(rows.to_arrow().to_reader())):
        sys.stdout.buffer.write((head + line[1:]).encode())
