"""Erasing as commands do it: what to look for, the log looked at first, counts shown, what is not reached told."""

from __future__ import annotations

import re
import sqlite3
import time
from datetime import UTC, datetime
from datetime import date as Date  # noqa: N812 - beside variables named `date`
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from drainlake.derived import keep_asset_sizes, keep_minutes
from drainlake.errors import Failure, WrongUse
from drainlake.log import open_log
from drainlake.places import lake_at, lake_errors
from ingest.eventlog.purging import PurgeRefused, purge_landed
from ingest.schema import ASSET_SIZES, MINUTES
from transforms import erasing
from transforms.addresses import NOBODY, PREFIX, Hasher
from transforms.erasure import Target, address_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from drainlake.settings import Settings
    from ingest.eventlog.contract import EventLog

TEXT_MIN_CHARACTERS: Final = 4
LANDING_MAX_SECONDS: Final = 120.0
POLL_SECONDS: Final = 0.5
_HASH: Final = re.compile(rf"{PREFIX}[0-9a-f]{{32}}")
_AGAIN: Final = "the same command again; it goes on where it was stopped"


def target_of(
    settings: Settings,
    addresses: Iterable[str],
    texts: Iterable[str],
    app: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Target:
    """What is to be erased; refuses what would be too much or nothing."""
    plain, wanted = set(), set(texts)
    for text in addresses:
        address = address_of(text)
        if address is not None:
            plain.add(address)
            if settings.address_key and address not in NOBODY:  # these stay as they are, and as texts lie in others
                wanted.add(Hasher(settings.address_key.reveal().encode()).token(address))
        elif _HASH.fullmatch(text):
            wanted.add(text)
        else:
            raise WrongUse(
                f"--address {text!r} is no address.", "an IPv4 or IPv6 address, or a hash that begins with ip-"
            )
    short = next((text for text in wanted if len(text.strip()) < TEXT_MIN_CHARACTERS), None)
    if short is not None:
        raise WrongUse(f"{short!r} is too short to erase by.", f"at least {TEXT_MIN_CHARACTERS} characters")
    if not plain and not wanted:
        raise WrongUse("Erase what?", "--address, --request-id or --text")
    return Target(frozenset(plain), frozenset(wanted), app, since, until)


def require_landed(settings: Settings, *, is_trial: bool) -> None:
    """Wait for a lander to land what is in the log by now: rows that land later would be missed."""
    if settings.kafka is None and not settings.log.is_file():
        if isinstance(settings.lake, Path) and not settings.lake.is_dir():
            raise Failure(f"There is neither a log nor a lake in {settings.home}.", "--home DIR for the right folder")
        return  # a lake without its log
    started_at, seconds = time.time(), 0.0 if is_trial else min(LANDING_MAX_SECONDS, 2 * settings.land_seconds + 5)
    with open_log(settings) as log:
        while (waiting := _waiting(log, started_at)) and time.time() < started_at + seconds:
            time.sleep(POLL_SECONDS)
    if waiting and is_trial:
        click.echo(f"Note: {waiting} entries of the event log have not landed yet and are not counted.", err=True)
    elif waiting:
        raise Failure(
            f"{waiting} entries of the event log have not landed; what is in them would be missed.",
            "drainlake land --once, then erase again",
        )


def _waiting(log: EventLog, before: float) -> int:
    """Entries that are not in the lake, of partitions in which some of them were appended before a time."""
    return sum(lag.entries for lag in log.backlog() if (lag.oldest_appended_at or 0.0) < before)


def count(settings: Settings, target: Target) -> list[erasing.Found]:
    """The files that hold such rows; the counts by table go to stdout."""
    with lake_errors(_AGAIN):
        found = list(erasing.find(lake_at(settings.lake), target))
    counts = erasing.by_table(found)
    for table in erasing.ERASABLE:
        click.echo(f"{table:<9} {counts.get(table, 0):>9,}")
    return found


def erase(settings: Settings, found: Sequence[erasing.Found], target: Target) -> None:
    """Rewrite the files, make anew what was made of them, and wait until nothing of the rows is left in the lake."""
    lake = lake_at(settings.lake)
    with lake_errors(_AGAIN):
        erased = erasing.erase(lake, [each.file for each in found], target)
        unforgotten = list(erasing.erased_before(lake))
        # A run that was killed behind the rows has left the derived tables to this one, which finds no rows any more.
        dates = {each.file.date for each in found} | {file.date for file in unforgotten}
        if dates:
            _make_anew(settings, dates)
        unforgotten += [file for file in lake.listing(MINUTES.name) if file.date in _with_neighbours(dates)]
        unforgotten += [file for file in lake.listing(ASSET_SIZES.name) if file.date in dates]
        if unforgotten:
            click.echo("Waiting until nobody can still be reading the old files …", err=True)
        left = erasing.forget(lake, unforgotten)
    click.echo(f"{sum(erased.values()):,} rows erased.", err=True)
    if left:
        raise Failure(f"{len(left)} files are written all the time and still hold old bytes.", _AGAIN)


def _make_anew(settings: Settings, dates: Collection[str]) -> None:
    now = datetime.now(UTC)
    for sentence in (keep_minutes(settings, now), keep_asset_sizes(settings, now, again=dates)):
        if sentence:
            click.echo(f"Note: {sentence} They still count the erased rows.", err=True)


def _with_neighbours(dates: Iterable[str]) -> set[str]:
    """With the days before and after: minutes hang on these as well."""
    days = [Date.fromisoformat(date).toordinal() for date in dates]
    return {Date.fromordinal(day + step).isoformat() for day in days for step in (-1, 0, 1)}


def purge_log(settings: Settings) -> None:
    """Take what landed out of the embedded log, too."""
    try:
        gone = purge_landed(settings.log) if settings.log.is_file() else 0
    except PurgeRefused as error:
        raise Failure.told(error, _AGAIN) from None
    except sqlite3.Error as error:
        raise Failure(f"The event log {settings.log} could not be purged: {error}.", _AGAIN) from None
    click.echo(f"{gone:,} landed entries taken out of the event log.", err=True)


def not_reached(settings: Settings, *, is_purged: bool) -> str:
    """Where such data can lie still, and what to do about it."""
    log = (
        "Kafka: entries stay for the topics' retention time, and in the spool of each receiver's host for an hour"
        if settings.kafka
        else f"{settings.log}: landed entries stay for an hour, bytes until written over; --purge-log"
    )
    lines = [
        "Not reached:",
        *([] if is_purged else [f"  {log}"]),
        f"  {settings.home / 'reports'}, and reports and alarms that were sent: delete them where they are",
        "  notes beside the lake's tables (_*.json): names of routes, and messages that wait to be sent",
        "  backups, snapshots, older versions that a versioned bucket keeps, files exported by --out",
        "  Heroku's own log and other drains of the app",
    ]
    return "\n".join(lines)
