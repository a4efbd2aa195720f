"""What a load test consists of, checked: whatever a :class:`Plan` holds may be written into a script.

The addresses come from log paths, which attackers write. The question percent-encodes them; here each is held to the
same alphabet and to the one host the user named, so that no writer has to trust what it is given. Each writer quotes
what it writes all the same.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# How many times today's peak each step sends.
STEPS: Final = (1.0, 1.5, 2.0)
ERROR_SHARE_MAX: Final = 0.01
TARGETS_MAX: Final = 200
TIMEOUT_SECONDS: Final = 30  # Heroku's router gives up then
_NAME: Final = re.compile(r"[a-z0-9]+")
_APP: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_BASE: Final = re.compile(r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::([0-9]{1,5}))?")
_PATH: Final = re.compile(r"/[A-Za-z0-9/?&=%+,:@~_.-]*")


class PlanError(ValueError):
    """The plan cannot be written; the message is a sentence."""


def base(text: str) -> str:
    """The host a test may go to, as ``https://host[:port]``; raises ValueError with half a sentence for all else."""
    match = _BASE.fullmatch(text)
    if match is None or not 1 <= int(match[1] or 1) <= 65535:
        raise ValueError("must be a scheme and a host and nothing more, such as https://staging.example.com")
    return text


@dataclass(frozen=True)
class Workload:
    """A group of addresses that are tested together, with today's figures of it.

    ``addresses`` are pairs of an address and the requests it stands for, at least one. ``per_second`` is the rate of
    the busiest minute, ``concurrency`` and ``requests`` what ab is told; times are milliseconds, the share 0 to 1.
    """

    name: str
    addresses: tuple[tuple[str, int], ...]
    per_second: float
    concurrency: int
    requests: int
    p95_ms: int
    stop_p95_ms: int
    error_share: float

    def per_minute(self, step: float) -> int:
        """Whole requests a minute at a step; tools that take no fractions a second still send the right rate."""
        return max(1, math.ceil(self.per_second * 60 * step))

    def connections(self, step: float) -> int:
        """Requests that may be open at once while the app stays within the stop rule."""
        waiting = self.per_minute(step) / 60 * self.stop_p95_ms / 1000
        return max(math.ceil(self.concurrency * step), math.ceil(waiting), 1)

    def targets(self) -> list[str]:
        """Addresses in turn, each as often as it is asked for, spread evenly; at most :data:`TARGETS_MAX`."""
        room = max(TARGETS_MAX - len(self.addresses), 0)
        total = sum(requests for _, requests in self.addresses)
        turns = {url: 1 + room * requests // total for url, requests in self.addresses}
        common = math.gcd(*turns.values())
        turns = {url: times // common for url, times in turns.items()}
        places = [((turn + 0.5) / turns[url], url) for url in turns for turn in range(turns[url])]
        return [url for _, url in sorted(places)]


@dataclass(frozen=True)
class Plan:
    """The tests of one app against one host; raises :class:`PlanError` for what must not be written into a script."""

    app: str
    host: str
    seconds: int
    workloads: tuple[Workload, ...]
    by_hand: tuple[tuple[str, str], ...]  # name and reason

    def __post_init__(self) -> None:
        if not _APP.fullmatch(self.app):
            raise PlanError(f"The app's name {self.app!r} cannot stand in a script.")
        if not _BASE.fullmatch(self.host):
            raise PlanError(f"{self.host!r} is no scheme and host.")
        for name in [*(item.name for item in self.workloads), *(name for name, _ in self.by_hand)]:
            if not _NAME.fullmatch(name):
                raise PlanError(f"{name!r} is no name of a workload.")
        for url in (url for item in self.workloads for url, _ in item.addresses):
            if not url.startswith(f"{self.host}/") or not _PATH.fullmatch(url.removeprefix(self.host)):
                raise PlanError(f"{url!r} is no address on {self.host}.")


def of_rows(rows: Iterable[Mapping[str, Any]], addresses: Iterable[tuple[str, str, int]], host: str) -> Plan:
    """The plan in the rows of ``load_test_plan`` for that host.

    ``addresses`` are a workload, an address of it and the requests that this stands for. What fails today already comes
    last, since a test stops there. Raises :class:`PlanError` when the rows are of no app, of several, or hold nothing
    that a generator may send.
    """
    rows = sorted(rows, key=lambda row: row["error_share"] > ERROR_SHARE_MAX)
    apps = sorted({row["app"] for row in rows})
    if len(apps) != 1:
        raise PlanError(f"A plan is of one app, these rows are of {len(apps)}.")
    by_workload: dict[str, list[tuple[str, int]]] = {}
    for workload, url, requests in addresses:
        by_workload.setdefault(workload, []).append((url, requests))
    workloads = tuple(_workload(row, by_workload[row["workload"]]) for row in rows if row["command"] is not None)
    if not workloads:
        raise PlanError("No request of this window can be sent again by a generator.")
    by_hand = tuple((row["workload"], row["note"]) for row in rows if row["command"] is None)
    return Plan(apps[0], host, rows[0]["duration_seconds"], workloads, by_hand)


def _workload(row: Mapping[str, Any], addresses: Sequence[tuple[str, int]]) -> Workload:
    return Workload(
        name=row["workload"],
        addresses=tuple(addresses),
        per_second=row["arrivals_per_second"],
        concurrency=row["concurrency"],
        requests=row["test_requests"],
        p95_ms=row["p95_ms"],
        stop_p95_ms=row["stop_p95_ms"],
        error_share=row["error_share"],
    )


def step_name(step: float) -> str:
    """``1x``, ``1.5x``, ``2x``."""
    return f"{step:g}x"
