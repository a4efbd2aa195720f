"""What the receiver counts, in Prometheus' form, and with it what its surroundings show.

A scrape reads files and SQLite, so it runs in a thread; counting is done on the event loop and reads nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ingest.figures.apps import AppFigures
from ingest.figures.exposition import merge, render
from ingest.figures.process import process_figures
from ingest.figures.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client import Metric

    from ingest.batch import Counts
    from ingest.eventlog.spooled import SpoolState
    from ingest.figures.colleagues import Colleagues
    from ingest.figures.surroundings import Place

FATES: Final = ("received", "parsed", "defective", "repeated")
STATUSES: Final = ("204", "400", "401", "403", "413", "415", "503")
UNAUTHORIZED: Final = ("no_credentials", "wrong_secret", "unknown_app", "metrics")
CLOSED: Final = (
    "full", "crowded", "descriptors", "handshake", "header_time", "header_size", "request_time", "idle", "answered",
    "close_time", "malformed", "pipelined", "upgrade", "version", "method", "target", "header", "transfer_encoding",
    "body", "unauthorized", "transport",
)  # fmt: skip
# Names of exceptions, or words of the receiver's own.
REASONS: Final = (
    "TimeoutError", "LogFull", "Overloaded", "BodiesFull", "ClientDisconnect", "TooLarge", "UnknownEncoding",
    "MalformedBody", "stopping", "loop",
)  # fmt: skip
SPOOL_KEEP_SECONDS: Final = 15.0  # workers publish every second, and to count a long spool takes as long
_REPLY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


class Metrics:
    """The counters of one process of the receiver; with a ``place`` also what is around it.

    With ``colleagues`` it is one of several workers, and what it shows are the figures of them all.
    """

    def __init__(self, place: Place | None = None, *, version: str = "", colleagues: Colleagues | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series of each, which nobody reads
        self._apps = AppFigures()
        self._surroundings = Surroundings(place, self._apps) if place is not None else None
        self._version = version
        self._colleagues = colleagues
        self._registry = CollectorRegistry()
        self._lines = self._counter("lines", "Lines of stored deliveries, by fate.", "fate", FATES)
        self._replies = self._counter(
            "deliveries", "Deliveries, by the status they were answered with.", "status", STATUSES
        )
        self._refusals = self._counter("refusals", "Deliveries that were not stored, by reason.", "reason", REASONS)
        full = "Times that nobody could connect any more, since the event log had been full for a while."
        self._doors_shut = self._counter("door_shut", full)
        self._acknowledged = self._counter("acknowledged", "Deliveries that were answered 204: they are durable.")
        self._stored_bytes = self._counter("stored_bytes", "Bytes of stored deliveries, decompressed.")
        other = "Stored deliveries with another number of lines than was announced (Logplex-Msg-Count)."
        self._miscounted = self._counter("miscounted_deliveries", other)
        wrong = "Requests with wrong or no credentials, by reason."
        self._unauthorized = self._counter("unauthorized", wrong, "reason", UNAUTHORIZED)
        closed = "Connections that drainlake closed, by reason."
        self._closed = self._counter("connections_closed", closed, "reason", CLOSED)
        timed = "Time from the request's header to the answer."
        self._reply_seconds = Histogram(
            "drainlake_reply_seconds", timed, buckets=_REPLY_SECONDS, registry=self._registry
        )

    def _counter(self, name: str, meaning: str, label: str = "", values: Sequence[str] = ()) -> Counter:
        """A counter whose series begin at nought: `increase` does not see what a series begins with."""
        labels = [label] if label else []
        counter = Counter(f"drainlake_{name}", meaning, labels, registry=self._registry)
        for value in values:
            counter.labels(value)
        return counter

    def _watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        Gauge(f"drainlake_{name}", meaning, registry=self._registry).set_function(value)

    def watch_connections(self, known: Callable[[], int], strangers: Callable[[], int]) -> None:
        """Ask these functions for the connections held, with and without good credentials, at each reading."""
        held = Gauge("drainlake_connections", "Connections held, by whether they have shown good credentials.",
                     ["credentials"], registry=self._registry)  # fmt: skip
        held.labels("good").set_function(known)
        held.labels("none").set_function(strangers)

    def watch_bodies(self, held_bytes: Callable[[], int]) -> None:
        """Ask this function for the bytes of bodies that are arriving whenever the metrics are read."""
        self._watch("arriving_bytes", "Bytes of bodies that are arriving or being inflated.", held_bytes)

    def watch_certificate(self, expires_at: Callable[[], float]) -> None:
        """Ask this function when the certificate in use ends whenever the metrics are read."""
        meaning = "When the TLS certificate in use expires, in seconds since 1970."
        self._watch("certificate_expiry_timestamp_seconds", meaning, expires_at)

    def unauthorized(self, reason: str) -> None:
        """Credentials were refused."""
        self._unauthorized.labels(reason).inc()

    def closed(self, reason: str) -> None:
        """A connection was closed from this side."""
        self._closed.labels(reason).inc()

    def watch_waiting(self, waiting_bytes: Callable[[], int]) -> None:
        """Ask this function for the bytes that wait whenever the metrics are read."""
        self._watch("waiting_bytes", "Bytes of deliveries that are not stored yet.", waiting_bytes)

    def watch_spool(self, state: Callable[[], SpoolState]) -> None:
        """Ask this function how the spool before Kafka is whenever the metrics are read."""
        self._registry.register(_SpoolCollector(state, SPOOL_KEEP_SECONDS if self._colleagues is not None else 0.0))

    def stored(self, counts: Counts) -> None:
        """A batch became durable."""
        self._lines.labels("received").inc(counts.lines)
        self._lines.labels("parsed").inc(counts.parsed)
        self._lines.labels("defective").inc(counts.defects)
        self._lines.labels("repeated").inc(counts.repeated)
        self._stored_bytes.inc(counts.octets)
        self._miscounted.inc(counts.miscounted)
        self._apps.stored(counts.by_app, time.time())

    def answered(self, status: int, seconds: float | None) -> None:
        """A delivery was answered; without its time if it was made to wait."""
        self._replies.labels(str(status)).inc()
        if seconds is not None:
            self._reply_seconds.observe(seconds)
        if status == 204:
            self._acknowledged.inc()

    def refused(self, reason: str) -> None:
        """A delivery was not stored, for another reason than its credentials."""
        self._refusals.labels(reason).inc()

    def door_shut(self) -> None:
        """Connections are refused from now on, for want of room in the log."""
        self._doors_shut.inc()

    def exposition(self) -> tuple[bytes, str]:
        """The metrics as text, and its content type. Reads files: not to be called on an event loop."""
        around = self._surroundings.families() if self._surroundings is not None else []
        if self._colleagues is not None:
            counted = self._colleagues.whole(self._own)
        else:
            counted = [*self._own(), *process_figures("serve", self._version)]
        families, left_out = merge([*counted, *around])
        if left_out and self._surroundings is not None:
            self._surroundings.count_error("series_twice", left_out)
        return render(families), CONTENT_TYPE_LATEST

    def publish(self) -> None:
        """Let the other workers see what this one counted. Not to be called on an event loop: it takes milliseconds."""
        if self._colleagues is not None:
            self._colleagues.publish(self._own)

    def _own(self) -> Iterator[Metric]:
        yield from self._registry.collect()
        yield from self._apps.families()
        if self._surroundings is not None:
            yield self._surroundings.errors()


class _SpoolCollector(Collector):
    """The spool's figures, all of one moment, which was at most so many seconds ago."""

    def __init__(self, state: Callable[[], SpoolState], keep_seconds: float) -> None:
        self._state = state
        self._keep_seconds = keep_seconds
        self._kept: SpoolState | None = None
        self._kept_until = float("-inf")

    def collect(self) -> Iterator[Metric]:
        """One sample of each figure."""
        if self._kept is None or time.monotonic() >= self._kept_until:
            self._kept, self._kept_until = self._state(), time.monotonic() + self._keep_seconds
        state = self._kept
        age_seconds = max(0.0, time.time() - state.oldest_at) if state.oldest_at is not None else 0.0
        gauges = (
            ("drainlake_spool_direct", "1 while deliveries go to Kafka directly, 0 while they go to the spool.",
             float(state.is_direct)),
            ("drainlake_spool_entries", "Entries that wait in the spool before Kafka.", state.entries),
            ("drainlake_spool_bytes", "Bytes of these entries.", state.payload_bytes),
            ("drainlake_spool_age_seconds", "How long the oldest of them waits.", age_seconds),
        )  # fmt: skip
        for name, meaning, value in gauges:
            yield GaugeMetricFamily(name, meaning, value)
        forwarded = "Entries that were forwarded from the spool to Kafka."
        yield CounterMetricFamily("drainlake_spool_forwarded", forwarded, state.forwarded)
        forgotten = "Marks of deliveries to Kafka that were forgotten within five minutes, to make room for others."
        yield CounterMetricFamily("drainlake_marks_forgotten", forgotten, state.forgotten_marks)
