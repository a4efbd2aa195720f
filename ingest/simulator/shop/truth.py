"""The exact figures of a made-up day: what must be found in the lake once all of it has been delivered.

They are counted from what was delivered, not from what was planned: lines lost in the gap are not in them,
and a delivery that came twice counts once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest.simulator.shop import script
from ingest.simulator.shop.routes import CACHED, EXPORT, PRICE_LIST, ROUTES
from ingest.simulator.shop.script import WEB
from ingest.simulator.shop.text_lines import TABLES, Stream, TextLines
from ingest.simulator.shop.words import ASSETS
from ingest.simulator.shop.workers import H12

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ingest.simulator.shop.catalogue import Catalogue
    from ingest.simulator.shop.dynos import Run
    from ingest.simulator.shop.request_lines import AccessLines
    from ingest.simulator.shop.stamps import Stamps
    from ingest.simulator.shop.text_lines import Pen
    from ingest.simulator.shop.traffic import Requests
    from ingest.simulator.shop.visitors import Visitors
    from ingest.simulator.shop.workers import Served


@dataclass(frozen=True, slots=True)
class Peak:
    """The most requests at once and the first instant of it; a request lasts from its router line's time less
    service and connect until that time, its end not included."""

    requests: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The H12 burst. ``by_route`` counts the culprit's route and its victims'."""

    culprit: str
    count: int
    by_route: Mapping[str, int]
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """The R14 climb of one dyno, with the highest memory Heroku reported of it."""

    dyno: str
    errors: int
    first_at: datetime
    last_at: datetime
    peak_memory_mb: float
    peak_percent: float


@dataclass(frozen=True, slots=True)
class Asset:
    """A script or style that goes out as it lies on the disk: replies with status 200 at the router, their
    bytes, and how many extended access lines prove it (the client could have unpacked, nothing was packed).
    A script whose name carries a fingerprint has one entry per version of it."""

    path: str
    requests: int
    bytes_each: int
    bytes_sent: int
    proofs: int


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """PHP's memory limit hit on one route, by PHP's own lines. The reply is a 500, unless the client or the
    router had gone before it."""

    route: str
    errors: int
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class PileUp:
    """The database connections reaching the plan's limit, and the connections refused by it."""

    max_connections: int
    reached_at: datetime
    waiting_peak: int
    refused: int


@dataclass(frozen=True, slots=True)
class ColdCache:
    """The route whose pages each dyno caches for itself, and how many dyno lives began with an empty cache."""

    route: str
    lives: int


@dataclass(frozen=True, slots=True)
class Truth:
    """All planted and counted figures of one day.

    ``lines`` are the different log lines delivered, with L10 notices; ``lines_by_table`` is their split,
    ``rows_by_table`` the rows they become (a metrics line holds several values, a trace joins its head).
    ``deliveries`` counts the repeat; ``dropped_lines`` is what the notices announce.
    """

    lines: int
    lines_by_table: Mapping[str, int]
    rows_by_table: Mapping[str, int]
    deliveries: int
    repeated_deliveries: int
    repeated_lines: int
    dropped_lines: int
    l10_notices: int
    timeouts: Timeouts
    memory: Memory
    assets: tuple[Asset, ...]
    memory_limit: MemoryLimit
    pile_up: PileUp
    cold_cache: ColdCache
    peak: Peak
    peak_by_dyno: Mapping[str, Peak]
    statuses: Mapping[int, int]
    scaled_at: datetime
    deployed_at: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """The parts of a generated day."""

    stamps: Stamps
    catalogue: Catalogue
    visitors: Visitors
    requests: Requests
    served: Served
    lives: list[Run]
    streams: tuple[Stream, AccessLines, TextLines]
    pen: Pen


@dataclass(frozen=True, slots=True)
class Delivered:
    """What of the day went out: one mask per stream, and the counts of deliveries."""

    masks: tuple[np.ndarray, np.ndarray, np.ndarray]
    deliveries: int
    repeated_lines: int
    dropped_lines: int
    l10_notices: int


def measure(made: Made, delivered: Delivered) -> Truth:
    """Counts everything. Takes well under a second for a full day."""
    served, router = made.served, np.flatnonzero(delivered.masks[0])
    lines, rows = _by_table(made, delivered)
    status, counts = np.unique(served.router_status[router], return_counts=True)
    return Truth(
        lines=sum(lines.values()),
        lines_by_table=lines,
        rows_by_table=rows,
        deliveries=delivered.deliveries,
        repeated_deliveries=1,
        repeated_lines=delivered.repeated_lines,
        dropped_lines=delivered.dropped_lines,
        l10_notices=delivered.l10_notices,
        timeouts=_timeouts(made, router),
        memory=_memory(made, delivered.masks[2]),
        assets=_assets(made, router, delivered.masks[1]),
        memory_limit=MemoryLimit(
            PRICE_LIST, len(_noted(made, delivered.masks[2], "limit", exactly=True)), script.MEMORY_LIMIT
        ),
        pile_up=_pile_up(made, delivered.masks[2]),
        cold_cache=_cold_cache(made, router),
        peak=_peak(made, router),
        peak_by_dyno={dyno: _peak(made, router[served.dyno[router] == number]) for number, dyno in enumerate(WEB)},
        statuses=dict(zip(status.tolist(), counts.tolist(), strict=True)),
        scaled_at=made.stamps.moment(script.SCALED),
        deployed_at=(made.stamps.moment(script.DEPLOY),),
    )


def _by_table(made: Made, delivered: Delivered) -> tuple[dict[str, int], dict[str, int]]:
    lines, rows = np.zeros(len(TABLES), np.int64), np.zeros(len(TABLES), np.int64)
    streams: tuple[Stream, ...] = made.streams
    for stream, mask in zip(streams, delivered.masks, strict=True):
        lines += np.bincount(stream.table[mask], minlength=len(TABLES))
        rows += np.bincount(stream.table[mask], stream.rows[mask], len(TABLES)).astype(np.int64)
    for count in (lines, rows):
        count[TABLES.index("platform")] += delivered.l10_notices
    return dict(zip(TABLES, lines.tolist(), strict=True)), dict(zip(TABLES, rows.tolist(), strict=True))


def _timeouts(made: Made, router: np.ndarray) -> Timeouts:
    late = router[made.served.code[router] == H12]
    routes = made.catalogue.route[made.requests.path[late]].tolist()
    at = made.served.router_at[late]
    by_route = Counter(ROUTES[route].template for route in routes)
    moment = made.stamps.moment
    return Timeouts(EXPORT, len(late), dict(by_route.most_common()), moment(int(at.min())), moment(int(at.max())))


def _noted(made: Made, mask: np.ndarray, note: str, *, exactly: bool = False) -> list[tuple[int, list[str]]]:
    """(time, words after the note) of the delivered lines that carry a note."""
    times = made.streams[2].at
    found = ((index, text.split()) for index, text in made.pen.notes.items() if mask[index])
    return sorted(
        (int(times[index]), words[1:]) for index, words in found if words[0] == note and exactly == (len(words) == 1)
    )


def _memory(made: Made, mask: np.ndarray) -> Memory:
    errors = [at for at, _ in _noted(made, mask, "r14", exactly=True)]
    reports = [(float(mb), float(percent)) for _, (mb, percent) in _noted(made, mask, "memory")]
    moment = made.stamps.moment
    return Memory(
        script.LEAKING,
        len(errors),
        moment(errors[0]),
        moment(errors[-1]),
        max(mb for mb, _ in reports),
        max(p for _, p in reports),
    )


def _pile_up(made: Made, mask: np.ndarray) -> PileUp:
    reports = [(at, int(active), int(waiting)) for at, (active, waiting) in _noted(made, mask, "connections")]
    highest = max(active for _, active, _ in reports)
    reached = min(at for at, active, _ in reports if active == highest)
    refused = len(_noted(made, mask, "refused", exactly=True))
    return PileUp(highest, made.stamps.moment(reached), max(waiting for _, _, waiting in reports), refused)


def _assets(made: Made, router: np.ndarray, access: np.ndarray) -> tuple[Asset, ...]:
    served, requests = made.served, made.requests
    whole = router[served.router_status[router] == 200]
    asked = np.bincount(requests.path[whole], minlength=len(made.catalogue.raw))
    provable = (
        access & made.streams[1].extended & (served.nginx_status == 200) & made.visitors.accepts_gzip[requests.visitor]
    )
    proofs = np.bincount(requests.path[provable], minlength=len(made.catalogue.raw))
    index = {path: number for number, path in enumerate(made.catalogue.raw)}
    found = []
    for asset in ASSETS:
        for path, size in zip(asset.paths, asset.sizes, strict=True):
            count = int(asked[index[path]])
            found.append(Asset(path.partition("?")[0], count, size, count * size, int(proofs[index[path]])))
    return tuple(found)


def _cold_cache(made: Made, router: np.ndarray) -> ColdCache:
    cold = router[made.served.cold[router]]
    lives = [run for run in made.lives if run.dyno in WEB]
    begun = sum(
        bool(((made.served.dyno[cold] == WEB.index(run.dyno)) & run.holds(made.served.dispatched[cold])).any())
        for run in lives
    )
    return ColdCache(CACHED, begun)


def _peak(made: Made, router: np.ndarray) -> Peak:
    ends = made.served.router_at[router]
    begins = ends - (made.served.service_ms[router] + made.served.connect_ms[router]) * 1000
    requests, at = peak(begins, ends)
    return Peak(requests, made.stamps.moment(at))


def peak(begins: np.ndarray, ends: np.ndarray) -> tuple[int, int]:
    """The most of the half-open intervals [begin, end) that hold one instant, and such an instant.

    Of several, the one whose interval ends first. Needs one interval at least, and none of length zero.
    """
    at = np.concatenate((ends, begins))
    step = np.repeat((-1, 1), len(ends))
    order = np.lexsort((step, at))  # at a tie the one that ends goes first
    level = np.cumsum(step[order])
    instants = at[order][level == level.max()]
    arrivals = np.flatnonzero(np.isin(begins, instants))
    first = arrivals[np.lexsort((begins[arrivals], ends[arrivals]))[0]]
    return int(level.max()), int(begins[first])
