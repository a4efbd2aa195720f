"""The kept inputs of each target: ``corpus/NAME.jsonl``, one object a line, the bytes in base64.

An input with ``found`` was a finding; it says what was wrong, and is never dropped.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER: Final = Path(__file__).with_name("corpus")


class Seed(NamedTuple):
    """An input, and what it found."""

    octets: bytes
    found: str | None = None


def load(name: str) -> list[Seed]:
    """The seeds of a target; none if it has no file yet."""
    path = FOLDER / f"{name}.jsonl"
    if not path.exists():
        return []
    kept = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [Seed(base64.b64decode(seed["input"]), seed.get("found")) for seed in kept]


def save(name: str, seeds: Iterable[Seed]) -> None:
    """Write the seeds of a target: findings first, then by size."""
    ordered = sorted(set(seeds), key=lambda seed: (seed.found is None, len(seed.octets), seed.octets))
    lines = [
        json.dumps(
            {"input": base64.b64encode(octets).decode()} | ({"found": found} if found else {}), ensure_ascii=False
        )
        for octets, found in ordered
    ]
    (FOLDER / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
