"""The event log as commands open it: one that must be there already, errors as one sentence."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from drainlake.errors import Failure
from ingest.eventlog.contract import LogFull, LogUnavailable
from ingest.eventlog.embedded import EmbeddedLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drainlake.settings import Settings
    from ingest.eventlog.contract import EventLog
    from ingest.eventlog.kafka.connection import KafkaConnection
    from ingest.eventlog.kafka.log import KafkaLog

FORWARDED_POLL_SECONDS: Final = 0.2  # another process of this host empties the spool meanwhile


@contextmanager
def open_log(settings: Settings, *, make: bool = False) -> Iterator[EventLog]:
    """The event log, closed at the end; raises :class:`Failure` when it is not there or cannot be used.

    With ``make`` a missing file is made.
    """
    if settings.kafka is None:
        with open_local_log(settings, make=make) as local:
            yield local
        return
    with log_errors(settings), closing(_kafka_log(settings)) as log:
        yield log


@contextmanager
def open_local_log(settings: Settings, *, make: bool = False) -> Iterator[EmbeddedLog]:
    """The embedded log, or the spool before Kafka."""
    if not make and not settings.log.is_file():
        raise Failure(f"There is no event log at {settings.log}.", "drainlake up, or --home DIR for the right folder")
    with (
        log_errors(settings),
        closing(EmbeddedLog(settings.log, size_max_bytes=settings.spool_max_bytes)) as log,
    ):
        yield log


def forward_spool(settings: Settings, spool: EmbeddedLog) -> None:
    """Move what is in the spool to Kafka, if Kafka is the log; raises :class:`Failure`, nothing is lost then."""
    if settings.kafka is None:
        return
    from ingest.eventlog.forwarding import forward, sole_forwarder  # noqa: PLC0415 - slow to import

    with log_errors(settings), closing(_kafka_log(settings)) as shared:
        while not spool.is_landed():
            with sole_forwarder(settings.log) as is_ours:
                if is_ours:
                    forward(spool, shared)
            if not is_ours:
                time.sleep(FORWARDED_POLL_SECONDS)


def kafka_connection(settings: Settings) -> KafkaConnection | None:
    """How to speak to Kafka; None where the log is embedded."""
    if settings.kafka is None:
        return None
    from ingest.eventlog.kafka.connection import KafkaConnection, Sasl, Tls  # noqa: PLC0415 - slow to import

    url, key = settings.kafka, settings.kafka_key
    tls = Tls(
        settings.kafka_ca,
        settings.kafka_cert,
        key.reveal() if key else None,
        check_host=not settings.kafka_is_heroku,  # Heroku's certificates name no host
    )
    sasl = Sasl(url.user, url.password.reveal(), url.mechanism) if url.user and url.password else None
    return KafkaConnection(url.servers, settings.kafka_prefix, tls if url.is_tls else None, sasl)


def _kafka_log(settings: Settings) -> KafkaLog:
    from ingest.eventlog.kafka.log import KafkaLog  # noqa: PLC0415 - slow to import

    connection = kafka_connection(settings)
    assert connection is not None
    return KafkaLog(connection)


@contextmanager
def log_errors(settings: Settings) -> Iterator[None]:
    """Turn what SQLite, Kafka and the log refuse into :class:`Failure`."""
    try:
        yield
    except (sqlite3.Error, LogFull) as error:
        raise Failure(f"The event log {settings.log} cannot be used: {error}.", _remedy(error)) from None
    except LogUnavailable as error:
        sentence, _, remedy = str(error).partition("; ")
        raise Failure(f"{sentence}.", remedy or "drainlake status") from None


def _remedy(error: Exception) -> str:
    """Who may not write the log must not be told to move it away: it holds credentials, and lines that wait."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return "the same command as the user who runs drainlake, or give that user the folder"
    return "free disk space, or move a damaged log away; a new one is made"
