"""``drainlake up``: receiver, landing and schedule as three child processes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from drainlake import listening, posting
from drainlake.commands.serve import WORKERS
from drainlake.dynos import refuse_scratch
from drainlake.options import with_settings
from drainlake.ownlog.setup import keeps_own_log, started
from drainlake.route_file import read_pins
from drainlake.settings import with_workers
from drainlake.supervisor import Supervisor, stop_with_parent
from ingest.oplog import tell

if TYPE_CHECKING:
    from drainlake.settings import Settings


@click.command("up", epilog="Example: drainlake up")
@click.option("--workers", "count", type=WORKERS, help="As for `drainlake serve`.")
@click.pass_context
@with_settings
@keeps_own_log("up")
def command(settings: Settings, ctx: click.Context, count: int | None) -> int:
    """Receive, land and report in one command, until SIGTERM or Ctrl-C.

    It runs `drainlake serve`, `land` and `schedule` as child processes and starts one that dies again.
    """
    settings = with_workers(settings, count)
    refuse_scratch(settings, log=True, lake=True)
    listening.check(settings)
    # Refused here, and not by a child that is started again and again, or ends all when it has begun to receive.
    read_pins(settings)
    if settings.notify:
        posting.check(settings.notify)
    if ctx.find_root().obj["supervised"]:
        stop_with_parent()
    settings.home.mkdir(parents=True, exist_ok=True)
    started(settings, "up")
    for line in greeting(settings):
        tell("up", "greeting", line, about=line)
    supervisor = Supervisor(partial(tell, "up"))
    for part, *more in (["serve", "--workers", str(settings.workers)], ["land"], ["schedule"]):
        supervisor.add(part, ["--home", str(settings.home), part, *more])
    return supervisor.run()


def greeting(settings: Settings) -> list[str]:
    """What is said at the start: address, home, how to attach an app."""
    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return [
        f"drainlake listens at {scheme}://{host}:{settings.port} and keeps everything in {settings.home}.",
        "Attach an app: drainlake attach APP --url https://YOUR-HOST",
        *_metrics_note(settings),
    ]


def _metrics_note(settings: Settings) -> list[str]:
    """Its parts would all want the one port, and the receiver shows the figures of all of them."""
    if settings.metrics_port is None:
        return []
    return [
        f"DRAINLAKE_METRICS_PORT={settings.metrics_port} is not used here: /metrics of port {settings.port} shows all."
    ]
