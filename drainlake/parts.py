"""What ``drainlake status`` answers with: one line for each part. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One line of the answer: what it is about, how it stands, and whether that is well."""

    part: str
    state: str
    well: bool = True


def span(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3 h, 2 days."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
