"""``drainlake demo``: a simulated day through the real pipeline, and what was found of it."""

from __future__ import annotations

import http.client
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from drainlake import settings as settings_module
from drainlake.errors import Failure, WrongUse
from drainlake.options import DAY_LINES, SEED
from ingest.sole import sole

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from datetime import date

    from drainlake.incidents import Incident
    from drainlake.settings import Settings
    from ingest.simulator.ledger import Ledger
    from ingest.simulator.shop import ShopDay, Truth
    from ingest.simulator.shop.before import BeforeTruth, DayBefore

MARKER: Final = ".drainlake-demo"
PAGE: Final = "report.html"
APP: Final = "shop"
LAND_SECONDS: Final = "10"
READY_SECONDS: Final = 30.0
BEFORE_DAYS: Final = 7


@dataclass(frozen=True)
class Told:
    """How the demo went: lines sent, and seconds from the first delivery to the last row in the lake."""

    lines: int
    seconds: float


@click.command("demo", epilog="Example: drainlake demo --lines 200000")
@click.option(
    "--dir",
    "folder",
    default="./drainlake-demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for the demo's log and lake; only an earlier demo's is replaced.",
)
@click.option("--no-open", is_flag=True, help="Do not open the report in a browser.")
@click.option("--lines", type=DAY_LINES, default=1_000_000, show_default=True, help="Lines of the day.")
@click.option("--seed", type=SEED, default=1, show_default=True, help="Another seed is another day.")
def command(folder: Path, no_open: bool, lines: int, seed: int) -> int:
    """See it work: a simulated day of a PHP shop with known incidents.

    The day goes over HTTP through the real receiver, the event log, the landing and the questions, and the log of
    the shop's load balancer before its move to Heroku is imported. What was found stands beside what was planted, and
    at the end a report of the day is written, which a desktop opens. The exit code is 1 when something was not found.
    """
    from ingest.simulator.shop import ShopDay  # noqa: PLC0415
    from ingest.simulator.shop.before import DayBefore  # noqa: PLC0415

    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    day, before = ShopDay(seed, yesterday, lines), DayBefore(seed, yesterday - timedelta(days=BEFORE_DAYS), lines)
    with claimed(folder):
        incidents = _through(folder, yesterday, lines, day, before)
    if not no_open and sys.stdout.isatty() and settings_module.has_desktop():
        click.launch(str(folder / PAGE))
    return 0 if all(incident.is_found for incident in incidents) else 1


def _through(folder: Path, date: date, lines: int, day: ShopDay, before: DayBefore) -> list[Incident]:
    """Both days through the pipeline into the folder, and what was found of them, told as it is known."""
    from drainlake.listening import free_port  # noqa: PLC0415
    from drainlake.log import open_log  # noqa: PLC0415 - polars is slow to import

    started = time.monotonic()
    settings = settings_module.parse({"DRAINLAKE_HOME": str(folder), "PORT": str(free_port())})
    with open_log(settings, make=True):
        pass
    told = _run(settings, day, lines)
    _import(settings, before)
    incidents = _investigate(settings, date, day.truth, before.truth)
    for incident in incidents:
        click.echo(describe(incident))
    page = _report(settings, date)
    click.echo(_outlook(folder, incidents, told, time.monotonic() - started))
    click.echo(f"\nThe report of the day is {page}")
    return incidents


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder, empty and ours alone as long as the block runs.

    Raises :class:`WrongUse` if it holds anything but an earlier demo, and :class:`Failure` if one is running there:
    each would empty the other's folder, and find the lines of both.
    """
    _refuse(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with sole(folder / MARKER) as is_ours:
        if not is_ours:
            raise Failure(f"Another demo runs in {folder}.", "wait for its end, or --dir with another folder")
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != MARKER:
                entry.unlink()
        (folder / MARKER).write_text("Made by `drainlake demo`, which replaces this folder.\n", "utf-8")
        yield


def _refuse(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"{folder} is no folder.", "--dir with another one")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise WrongUse(f"{folder} holds something that is no demo.", "--dir with an empty or new folder")


def _run(settings: Settings, day: ShopDay, lines: int) -> Told:
    """The whole way of the lines; ends when all are in the lake."""
    from drainlake.commands.land import land_backlog  # noqa: PLC0415
    from drainlake.supervisor import stop_children  # noqa: PLC0415

    with _children(settings) as (receiver, lander):
        _await_ready(receiver, settings)
        started = time.monotonic()
        ledger = _send(settings, day, lines)
        stop_children([receiver, lander])
    land_backlog(settings)
    return Told(ledger.messages_acknowledged, time.monotonic() - started)


@contextmanager
def _children(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """Receiver and lander, in an environment without the user's settings; their messages go to a file."""
    from drainlake.supervisor import start_child, stop_children  # noqa: PLC0415

    environment = settings_module.isolated_environment(PORT=str(settings.port), DRAINLAKE_LAND_SECONDS=LAND_SECONDS)
    home = ["--home", str(settings.home)]
    with (settings.home / "demo.log").open("wb") as messages:
        receiver = start_child([*home, "serve"], environment=environment, stderr=messages)
        lander = start_child([*home, "land"], environment=environment, stderr=messages)
        try:
            yield receiver, lander
        finally:
            stop_children([receiver, lander])


def _await_ready(receiver: subprocess.Popen[bytes], settings: Settings) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and receiver.poll() is None:
        connection = http.client.HTTPConnection(settings.host, settings.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise Failure("The demo's receiver does not answer.", f"read {settings.home / 'demo.log'}")


def _send(settings: Settings, day: ShopDay, lines: int) -> Ledger:
    from drainlake.commands.simulate import refuse_losses, send  # noqa: PLC0415
    from ingest.credentials import CredentialStore  # noqa: PLC0415
    from ingest.simulator.logplex import Drain  # noqa: PLC0415
    from ingest.simulator.targets import HttpTarget  # noqa: PLC0415

    secret = CredentialStore(settings.log).add(APP)
    drain = Drain(HttpTarget(f"http://{APP}:{secret}@{settings.host}:{settings.port}/logs"))
    ledger = send(drain, day.deliveries(), lines)
    refuse_losses(ledger)
    return ledger


def _import(settings: Settings, before: DayBefore) -> None:
    """Write the load balancer's log beside the lake, and take it in as a user would."""
    from drainlake.importing import take_in  # noqa: PLC0415

    path = settings.home / "load-balancer.log"
    with path.open("wb") as file:
        file.writelines(before.lines())
    take_in(settings, [path], APP, "elb")


def _investigate(settings: Settings, day: date, truth: Truth, before: BeforeTruth) -> list[Incident]:
    from drainlake.incidents import investigate  # noqa: PLC0415 - duckdb is slow to import
    from drainlake.lake import interruptible, open_lake  # noqa: PLC0415

    with open_lake(settings) as connection:
        return interruptible(connection, lambda: list(investigate(connection, day, truth, before)))


def _report(settings: Settings, day: date) -> Path:
    """Write the report of the simulated day as a page; gives its place."""
    from drainlake.commands.report import write  # noqa: PLC0415
    from drainlake.reporting import make_report  # noqa: PLC0415 - duckdb is slow to import
    from queries.report.model import Window  # noqa: PLC0415

    since = datetime.combine(day, datetime.min.time(), UTC)
    page = settings.home / PAGE
    write(make_report(settings, Window(since, since + timedelta(days=1)), datetime.now(UTC)), "html", page)
    return page


def describe(incident: Incident) -> str:
    """An incident as a small table: each figure as planted and as found, with a tick or a cross."""
    from drainlake.table import draw  # noqa: PLC0415 - rich

    rows = [
        [_tick(label in incident.found and incident.found[label] == planted), label, _text(planted),
         _text(incident.found.get(label))]
        for label, planted in incident.planted.items()
    ]  # fmt: skip
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    drawn = draw(["", "figure", "planted", "found"], rows, right=[False, False, True, True], width=width)
    return f"{_tick(incident.is_found)} {incident.title}\n\n{drawn}"


def _tick(good: bool) -> str:
    return "✓" if good else "✗"


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%H:%M:%S.%f")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _outlook(folder: Path, incidents: list[Incident], told: Told, seconds: float) -> str:
    found = sum(incident.is_found for incident in incidents)
    call = f"drainlake --home {folder}"
    if any(settings_module.read_texts().get(name) for name in ("DRAINLAKE_LOG", "DRAINLAKE_LAKE")):
        call = f"DRAINLAKE_LOG= DRAINLAKE_LAKE= {call}"
    tries = ("query", "query h12_autopsy --format json", "query migration_diff", 'sql "FROM latency() LIMIT 5"', "sql")
    return (
        f"{found} of {len(incidents)} incidents found exactly as planted; {seconds:.0f} s in all.\n"
        f"{told.lines:,} lines went over HTTP, into the log and the lake in {told.seconds:.0f} s:"
        f" {told.lines / told.seconds:,.0f} lines/s.\n\n"
        "Go on with the same day:\n" + "\n".join(f"  {call} {rest}" for rest in tries)
    )
