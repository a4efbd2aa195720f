"""Chooses the fewest, smallest inputs that reach what all of a target's inputs reach together."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.fuzz.corpus import Seed
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import Any

SEEDS_MAX: Final = 60
SEED_MAX_BYTES: Final = 2048
_ROOT: Final = Path(__file__).parents[2]
_TRACED: Final = tuple(
    str(_ROOT / part)
    for part in ("ingest", "transforms", "drainlake", "queries", "tests/ingest/reference", "tests/fuzz/survivors.py")
)

Arc = tuple[str, int, int, int]  # file, lines from and to, and how often: 1, 2 to 3, or more


def smallest(name: str, kept: Iterable[Seed], others: Iterable[bytes]) -> list[Seed]:
    """The seeds to keep: every finding, then inputs that reach steps from line to line that no other one reached."""
    findings = [seed for seed in kept if seed.found]
    candidates = sorted({seed.octets for seed in kept} | set(others), key=lambda octets: (len(octets), octets))
    reached: set[Arc] = set()
    check = TARGETS[name].check
    for seed in findings:
        reached |= arcs(check, seed.octets)
    chosen: list[tuple[bytes, set[Arc]]] = []
    for octets in candidates:
        if len(octets) <= SEED_MAX_BYTES and (new := arcs(check, octets) - reached):
            reached |= new
            chosen.append((octets, new))
    chosen.sort(key=lambda each: -len(each[1]))
    return [*findings, *(Seed(octets) for octets, _ in chosen[:SEEDS_MAX])]


def arcs(check: Callable[[bytes], None], octets: bytes) -> set[Arc]:
    """The steps from line to line that an input makes in our readers and in the reference."""
    found: Counter[tuple[str, int, int]] = Counter()

    def enter(frame: FrameType, _event: str, _arg: Any) -> Callable[..., Any] | None:
        name = frame.f_code.co_filename
        if not name.startswith(_TRACED):
            return None
        last = -frame.f_code.co_firstlineno

        def step(frame: FrameType, event: str, _arg: Any) -> Any:
            nonlocal last
            line = frame.f_lineno if event == "line" else -1
            found[name, last, line] += 1
            last = line
            return step

        return step

    sys.settrace(enter)
    try:
        with contextlib.suppress(Exception):  # an input that fails is for the findings, not for here
            check(octets)
    finally:
        sys.settrace(None)
    return {(*arc, min(count.bit_length(), 3)) for arc, count in found.items()}
