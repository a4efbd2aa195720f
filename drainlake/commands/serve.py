"""``drainlake serve``: the receiver alone, as one process or several."""

from __future__ import annotations

import errno
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from drainlake import __version__, listening, values, workers
from drainlake.dynos import refuse_scratch
from drainlake.options import Parsed, with_settings
from drainlake.ownlog.setup import keeps_own_log, started
from drainlake.settings import with_workers
from drainlake.supervisor import stop_with_parent
from ingest.oplog import tell

if TYPE_CHECKING:
    from drainlake.settings import Settings
    from ingest.server import ReceiverOptions
    from ingest.workers import Worker

WORKERS: Final = Parsed("number", values.whole(1, 64))


@click.command("serve", epilog="Example: PORT=8080 drainlake serve")
@click.option(
    "--workers",
    "count",
    type=WORKERS,
    help="Processes that receive at the one address; it overrides DRAINLAKE_WORKERS (1). More than one pays where"
    " several drains keep one processor busy.",
)
@click.option("--worker", type=Parsed("place", workers.worker_at), hidden=True, help="Started by `serve --workers`.")
@click.pass_context
@with_settings
@keeps_own_log("serve")
def command(settings: Settings, ctx: click.Context, count: int | None, worker: Worker | None) -> int:
    """Receive log drains over HTTP until SIGTERM or Ctrl-C.

    Answers POST /logs with 204 once the lines are durable; /healthz, /readyz and /metrics tell how it is.
    """
    if ctx.find_root().obj["supervised"]:
        stop_with_parent()
    if worker is not None:
        return _receive(settings, worker)
    settings = with_workers(settings, count)
    _refuse_and_note(settings)
    started(settings, "serve")
    return _receive(settings) if settings.workers == 1 else workers.run(settings, settings.workers)


def _refuse_and_note(settings: Settings) -> None:
    """What cannot work is refused here, in a sentence; what is probably not meant is said."""
    from drainlake.log import open_local_log  # noqa: PLC0415 - slow to import

    refuse_scratch(settings, log=True)
    listening.check(settings)
    with open_local_log(settings, make=True):
        pass
    if settings.dyno is not None and not settings.drains:
        said = "Nobody can deliver: on a dyno credentials come from DRAINLAKE_DRAINS alone, and it is not set."
        tell("serve", "no_credentials", said, level=logging.WARNING)
    if settings.tls_cert is None and settings.dyno is None:  # Heroku's router is the TLS front of a dyno
        note = "This is plain HTTP: put a TLS front before it, or set DRAINLAKE_TLS_CERT and DRAINLAKE_TLS_KEY."
        tell("serve", "plain_http", note)


def _receive(settings: Settings, worker: Worker | None = None) -> int:
    from ingest import scanner  # noqa: PLC0415 - slow to import
    from ingest.server import serve  # noqa: PLC0415

    if scanner.load() is None and (worker is None or worker.number == 1):
        said = "Lines are parsed several times slower than they could be: the scanner is not compiled."
        tell("serve", "no_scanner", f"{said} Try: install gcc, then install drainlake again.", level=logging.WARNING)
    try:
        return serve(replace(receiver_options(settings), worker=worker))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        if worker is not None:  # its parent says so, once for all of them
            return workers.ADDRESS_TAKEN
        raise listening.taken(settings.host, settings.port, error) from None


def receiver_options(settings: Settings) -> ReceiverOptions:
    """The settings as the receiver takes them."""
    from drainlake.log import kafka_connection  # noqa: PLC0415 - slow to import
    from ingest.server import ReceiverOptions  # noqa: PLC0415

    return ReceiverOptions(
        log_path=settings.log,
        host=settings.host,
        port=settings.port,
        tls_cert=settings.tls_cert,
        tls_key=settings.tls_key,
        drains={app: tuple(s.reveal() for s in secrets) for app, secrets in settings.drains.items()},
        body_max_bytes=settings.body_max_bytes,
        spool_max_bytes=settings.spool_max_bytes,
        kafka=kafka_connection(settings),
        figures_folder=settings.metrics_folder,
        version=__version__,
        connections_max=settings.connections_max,
        metrics_token=settings.metrics_token.reveal() if settings.metrics_token is not None else None,
    )
