"""``python -m tests.soak --minutes 600``: load, faults and midnight as long as you like. Exit code 1: it is off."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tests.drainlake.receivers import free_port
from tests.soak import checking, faults, sending, watching, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.checking import Found


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long.")
@click.option("--seed", default=1, show_default=True, help="Of load and faults.")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), help="Where to work; else a folder that goes afterwards."
)
def main(minutes: float, seed: int, folder: Path | None) -> None:
    """Soak drainlake up: four drains, ten bad clients, a fault every quarter of a minute, a midnight after a third."""
    if lacking := world.missing():
        raise click.ClickException(lacking)
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        place = folder or Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        found = list(soak(place, minutes, seed))
    width = max(len(each.name) for each in found)
    for each in found:
        click.echo(f"{'  ' if each.good else '! '}{each.name:{width}}  {each.value}")
    sys.exit(not all(each.good for each in found))


def soak(folder: Path, minutes: float, seed: int) -> Iterator[Found]:
    """Run it; gives what was found."""
    place = world.World(folder, free_port(), seconds_to_midnight=minutes * 20)
    account, ending, fault_end = sending.Account(), threading.Event(), threading.Event()
    place.start()
    watch = watching.Watch(place, ending)
    trouble = faults.Faults(place, fault_end, seed)
    drains = [sending.Drain(place, app, account, ending, seed * 100 + n) for n, app in enumerate(world.APPS)]
    bad = [faults.BadClient(place, ending, seed * 1000 + n) for n in range(faults.BAD_CLIENTS)]
    threads = [watch, trouble, *drains, *bad]
    for thread in threads:
        thread.start()
    time.sleep(minutes * 60)
    fault_end.set()
    trouble.join(120)
    ending.set()
    for thread in threads:
        thread.join(150)
    exit_code = place.stop()
    place.run("land", "--once")
    yield checking.Found("minutes", minutes)
    yield checking.Found("faults", dict(trouble.made))
    codes = [*trouble.exit_codes, exit_code]
    yield checking.Found("exit codes of orderly stops", codes, good=set(codes) == {0})
    yield checking.Found("replies", account.statuses, good=not {"400", "401", "403", "413"} & account.statuses.keys())
    yield from _replies(account)
    yield from checking.check_ledger(place, account)
    yield from checking.check_files(place)
    yield from _memory(watch)


def _replies(account: sending.Account) -> Iterator[Found]:
    ordered = sorted(account.reply_seconds)
    for share in (0.5, 0.99):
        yield checking.Found(f"reply p{share * 100:.0f}, ms", round(ordered[int(share * (len(ordered) - 1))] * 1000, 1))


def _memory(watch: watching.Watch) -> Iterator[Found]:
    for part in (*world.PARTS, "run"):
        peak = watch.peak_mb(part)
        bounded = peak <= watching.RESIDENT_MAX_MB or part == "run"
        text = (
            f"{peak:.0f} MB, grown by {watch.growth_mb(part):+.0f} MB from half to half, {watch.peak_files(part)} files"
        )
        yield checking.Found(f"{part}: peak", text, good=bounded)
    yield checking.Found("event log on disk, MB", f"{max(watch.log_mb):.0f}, at the end {watch.log_mb[-1]:.0f}")


if __name__ == "__main__":
    main()
