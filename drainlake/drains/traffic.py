"""Which drain delivered when: from the lake, and from the event log what has not landed yet.

The log is read without a part in landing: as a member of Kafka's group this process would take partitions from a
lander. Both looks are bounded: the lake to ``LOOK_BACK``, the log to ``ENTRIES_MAX`` entries a partition, beyond which
it goes on with the newest.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import pyarrow as pa
import pyarrow.compute as pc

from drainlake.lake import interruptible, open_lake
from drainlake.log import log_errors, open_log
from ingest.deliveries import LASTING_PREFIX
from ingest.eventlog.entry import decode_batch
from ingest.schema import DELIVERIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drainlake.settings import Settings
    from ingest.eventlog.contract import EventLog

LOOK_BACK: Final = timedelta(days=30)
RECENT_SECONDS: Final = (900.0, 60.0)
ENTRIES_MAX: Final = 20_000
TOKEN: Final = "drain_token"  # noqa: S105 - a column
ROWS_MAX: Final = 10_000
BYTES_MAX: Final = 1 << 22
_LANDED: Final = (
    "SELECT app, drain_token, max(received_at) FROM deliveries"
    " WHERE date >= ?::TIMESTAMPTZ::DATE AND coalesce(frame_id, '') NOT LIKE 'import:%' GROUP BY ALL"
)


class Traffic:
    """The last delivery of each (app, drain token). The token is None in rows of before 0.5."""

    def __init__(self, settings: Settings, log: EventLog | None) -> None:
        self._settings = settings
        self._log = log
        self._last: dict[tuple[str, str | None], datetime] = {}
        self._after: dict[str, int] = {}
        if log is not None:
            with log_errors(settings):
                self._begin(log)
        self._read_lake()
        self.refresh()

    def refresh(self) -> None:
        """Read what has come into the log since; raises :class:`Failure`."""
        if self._log is None:
            return
        with log_errors(self._settings):
            for partition in self._after:
                self._catch_up(self._log, partition)

    def last_of(self, token: str) -> datetime | None:
        """The last delivery over a drain, whatever app its user name says."""
        return max((at for (_, each), at in self._last.items() if each == token), default=None)

    def last_untold(self, app: str) -> datetime | None:
        """The last delivery for an app of which the drain is not known."""
        return self._last.get((app, None))

    def tokens_since(self, app: str, since: datetime) -> set[str]:
        """The drains that delivered for an app at or after that time."""
        return {token for (each, token), at in self._last.items() if each == app and token and at >= since}

    def _begin(self, log: EventLog) -> None:
        """Read on from the oldest entry that has not landed; the lake has all before it."""
        oldest = {lag.partition: lag.oldest_appended_at for lag in log.backlog() if lag.table == DELIVERIES.name}
        for partition in log.all_partitions(DELIVERIES.name):
            since = oldest.get(partition)
            # What landed in the last minutes may be younger than what the lake showed: read twice is not wrong here.
            since = min(since or time.time(), time.time() - RECENT_SECONDS[0])
            self._after[partition] = log.before(DELIVERIES.name, partition, since)

    def _catch_up(self, log: EventLog, partition: str) -> None:
        """Read to the end, or where that is too far, what came last."""
        for seconds in RECENT_SECONDS:
            if self._read(log, partition):
                return
            click.echo(f"Note: much waits to be landed; of it the last {seconds:.0f} s are looked at.", err=True)
            newer = log.before(DELIVERIES.name, partition, time.time() - seconds)
            self._after[partition] = max(self._after[partition], newer)
        self._read(log, partition)

    def _read(self, log: EventLog, partition: str) -> bool:
        """Read to the end; False when the limit was hit before."""
        left = ENTRIES_MAX
        while left > 0:
            entries = log.read(
                DELIVERIES.name, partition, self._after[partition], rows_max=ROWS_MAX, bytes_max=BYTES_MAX
            )
            if not entries:
                return True
            for entry in entries:
                for token, at in _newest_by_token(decode_batch(entry.payload)):
                    self._note(entry.app, token, at)
            self._after[partition] = entries[-1].offset
            left -= len(entries)
        return False

    def _read_lake(self) -> None:
        if isinstance(self._settings.lake, Path) and not self._settings.lake.is_dir():
            return
        since = datetime.now(UTC) - LOOK_BACK
        with open_lake(self._settings) as lake:
            for app, token, at in interruptible(lake, lambda: lake.execute(_LANDED, [since]).fetchall()):
                self._note(app, token, at)

    def _note(self, app: str, token: str | None, at: datetime) -> None:
        known = self._last.get((app, token))
        if known is None or at > known:
            self._last[app, token] = at


def _newest_by_token(rows: pa.RecordBatch) -> list[tuple[str | None, datetime]]:
    """The last delivery of each drain token in an entry; imports are no deliveries of a drain."""
    imported = pc.fill_null(pc.starts_with(rows["frame_id"], LASTING_PREFIX), False)
    tokens = rows["drain_token"] if TOKEN in rows.schema.names else pa.nulls(rows.num_rows, pa.string())
    table = pa.table({TOKEN: tokens, "at": rows["received_at"]}).filter(pc.invert(imported))
    newest = table.group_by(TOKEN).aggregate([("at", "max")])
    return list(zip(newest[TOKEN].to_pylist(), newest["at_max"].to_pylist(), strict=True))


@contextmanager
def open_traffic(settings: Settings) -> Iterator[Traffic | None]:
    """What is known here of deliveries; None where there is neither a log nor a lake."""
    has_log = settings.kafka is not None or settings.log.is_file()
    if not has_log and isinstance(settings.lake, Path) and not settings.lake.is_dir():
        yield None
    elif has_log:
        with open_log(settings) as log:
            yield Traffic(settings, log)
    else:
        yield Traffic(settings, None)
