"""What the app itself writes: the queue worker, its own JSON lines, the scheduled jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ingest.simulator.shop.script import SCALED, SECOND, WEB, Day
from ingest.simulator.shop.text_lines import Pen, app, heroku
from ingest.simulator.shop.traffic import arrivals

if TYPE_CHECKING:
    import numpy as np

    from ingest.simulator.shop.stamps import Stamps

_JOBS: Final = ("SendOrderMail", "SyncStock", "ResizeImage", "PushAnalytics", "RefreshFeed")
_EVENTS: Final = (
    "cart.added",
    "order.placed",
    "stock.reserved",
    "mail.queued",
    "login.ok",
    "login.failed",
    "coupon.used",
)


def write(day: Day, pen: Pen, stamps: Stamps) -> None:
    """All lines of worker, app and scheduler."""
    random = day.random("processes")
    _worker(day, pen, stamps, random)
    _events(day, pen, random)
    for number, at in enumerate(day.every(600, 4).tolist()):
        _job(pen, random, at, number)


def _worker(day: Day, pen: Pen, stamps: Stamps, random: np.random.Generator) -> None:
    source = app("worker.1")
    times = arrivals(random, int(58_000 * day.scale))
    took = (40_000 + random.standard_exponential(len(times)) * 350_000).astype(int)
    for number, (at, length) in enumerate(zip(times.tolist(), took.tolist(), strict=True)):
        job = f"App\\Jobs\\{_JOBS[number * 7 % 5]}"
        date, tag = stamps.frame(at)[:19].replace("T", " "), f"{number * 2_654_435_761 % 2**32:08x}"
        pen.write("lines", source, at, f"  {date} {job} {tag} RUNNING\n")
        pen.write("lines", source, at + length, f"  {date} {job} {tag} {length / 1000:.2f}ms DONE\n")


def _events(day: Day, pen: Pen, random: np.random.Generator) -> None:
    times = arrivals(random, int(30_000 * day.scale))
    draws = random.integers(0, 10**6, len(times)).tolist()
    for at, draw in zip(times.tolist(), draws, strict=True):
        dyno = WEB[draw % (4 if at > SCALED + 10 * SECOND else 2)]
        event, customer = _EVENTS[draw % len(_EVENTS)], draw % 9901
        text = f'{{"level":"info","event":"{event}","customer":{customer},"ms":{draw % 190},"cart":{draw % 12}}}'
        pen.write("lines", app(dyno), at, text + "\n")


def _job(pen: Pen, random: np.random.Generator, at: int, number: int) -> None:
    """One run of the scheduler, whose command line carries a secret, as Heroku prints it."""
    name = f"scheduler.{int(random.integers(1000, 9999))}"
    manager, process = heroku(name), app(name)
    command = f"CRON_SECRET=s3cr3t-{number:04} php artisan schedule:run --token=tk_{number * 7919:08x}"
    pen.write(
        "releases",
        app("api", 133),
        at,
        f"Starting process with command `{command}` by user scheduler@addons.heroku.com",
    )
    pen.write("platform", manager, at + 2_100_000, f"Starting process with command `{command}`")
    pen.write("platform", manager, at + 2_600_000, "State changed from starting to up")
    pen.write("lines", process, at + 3_300_000, "Running [feed:refresh] ................ 1,204ms DONE\n")
    orders = 3 + number % 41
    pen.write("lines", process, at + 4_900_000, f"Running [orders:archive] ............. {orders} orders DONE\n")
    pen.write("platform", manager, at + 5_400_000, "Process exited with status 0")
    pen.write("platform", manager, at + 5_500_000, "State changed from up to complete")
