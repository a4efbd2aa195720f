"""Which fault happens when: computed from a seed before the run, so that a run can be told and tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal[
    "kill receiver",
    "kill lander",
    "exchange lander",
    "kill leader",
    "pause broker",
    "pause leader",
    "pause all brokers",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
PAUSE_MAX_SECONDS = 30.0


@dataclass(frozen=True)
class Fault:
    """What happens at which second of the run and for how long; ``target`` numbers a process or a partition."""

    at_seconds: float
    kind: Kind
    target: int
    lasts_seconds: float

    def __str__(self) -> str:
        return f"{self.at_seconds:7.1f} s  {self.kind} {self.target} for {self.lasts_seconds:.1f} s"


class Track(NamedTuple):
    """Kinds of faults of which one at a time happens: more at once could not heal."""

    name: str
    kinds: tuple[Kind, ...]
    targets: int
    pause_share: float  # of the usual time between two faults


TRACKS = (
    Track("receivers", ("kill receiver",), 2, 0.8),
    Track("landers", ("kill lander", "exchange lander", "kill lander"), 2, 1.2),
    Track("brokers", ("kill leader", "pause broker", "pause all brokers", "pause leader"), 3, 1.0),
)


def track_of(kind: Kind) -> str:
    """The name of the track that a kind of fault belongs to."""
    return next(track.name for track in TRACKS if kind in track.kinds)


def plan(seed: int, seconds: float) -> Sequence[Fault]:
    """All faults of a run in order of time; the same seed and length give the same ones."""
    faults = [fault for track in TRACKS for fault in _of_track(track, seed, seconds)]
    return sorted(faults, key=lambda fault: fault.at_seconds)


def _of_track(track: Track, seed: int, seconds: float) -> Iterator[Fault]:
    pick = random.Random(f"{seed} {track.name}")
    usual_seconds = min(12.0, max(2.5, seconds / 12)) * track.pause_share
    at_seconds = pick.uniform(0.5, 1.0) * usual_seconds
    while True:
        # Each kind once before one comes again, so that a short run has them all.
        for kind in pick.sample(track.kinds, len(track.kinds)):
            fault = Fault(round(at_seconds, 1), kind, pick.randrange(track.targets), _length(kind, pick, seconds))
            if fault.at_seconds + fault.lasts_seconds > seconds:
                return
            yield fault
            at_seconds += fault.lasts_seconds + pick.uniform(0.5, 1.5) * usual_seconds


def _length(kind: Kind, pick: random.Random, seconds: float) -> float:
    """How long a fault lasts; pauses are often short and sometimes as long as the run allows."""
    if kind in {"kill receiver", "kill lander"}:
        return round(pick.uniform(0.5, 2.0), 1)
    if kind in {"kill leader", "exchange lander"}:
        return round(pick.uniform(1.0, max(2.0, min(8.0, seconds / 20))), 1)
    longest = max(3.0, min(PAUSE_MAX_SECONDS, seconds / 8))
    return round(pick.choice((pick.uniform(1.0, 3.0), pick.uniform(2.0, longest), longest)), 1)
