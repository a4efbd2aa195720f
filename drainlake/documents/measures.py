"""A measure of a benchmark over several runs, as ``tests/benchmarks/recorded.json`` keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# These need no baseline: they do not depend on who else uses the machine.
WITHOUT_BASELINE: Final = ("MB", "bytes/row", "bytes/line")


@dataclass(frozen=True)
class Measure:
    """One measure over several runs; ``baselines`` has one value for each of ``values``, or is empty."""

    name: str
    unit: str
    values: tuple[float, ...]
    baselines: tuple[float, ...] = ()
    reach: float | None = None
    reach_ratio: float | None = None

    @property
    def is_more_better(self) -> bool:
        """Whether it is a speed; else it is a time or a size."""
        return self.unit.endswith(("/s", "/CPU-s"))

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Value to baseline, run by run."""
        return tuple(value / base for value, base in zip(self.values, self.baselines, strict=False))

    @property
    def ratio(self) -> float | None:
        """The median ratio."""
        return median(self.ratios) if self.baselines else None

    @property
    def compared(self) -> tuple[float, ...]:
        """What later runs are compared with; nothing where there is neither baseline nor a lasting unit."""
        return self.ratios or (self.values if self.unit in WITHOUT_BASELINE else ())

    @property
    def spread(self) -> float | None:
        """How far the run that is farthest from the median is from it, as a share of the median."""
        if not self.compared or not (middle := median(self.compared)):
            return None
        return max(abs(each / middle - 1) for each in self.compared)

    @property
    def is_reached(self) -> bool | None:
        """Whether all that is to be reached is; None where there is no such thing."""
        wanted = [(self.value, self.reach), (self.ratio, self.reach_ratio)]
        there = [(found, reach) for found, reach in wanted if found is not None and reach is not None]
        return (
            all(found >= reach if self.is_more_better else found <= reach for found, reach in there) if there else None
        )

    def as_json(self) -> dict[str, Any]:
        """What :meth:`of_json` reads; figures with the four digits that mean anything."""
        given: dict[str, Any] = {"name": self.name, "unit": self.unit, "values": _rounded(self.values)}
        given |= {"baselines": _rounded(self.baselines)} if self.baselines else {}
        given |= {"reach": self.reach} if self.reach is not None else {}
        return given | ({"reach_ratio": self.reach_ratio} if self.reach_ratio is not None else {})

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> Measure:
        """A measure as it is kept in ``recorded.json``."""
        series = {name: tuple(given.get(name, ())) for name in ("values", "baselines")}
        return cls(
            given["name"], given["unit"], **series, reach=given.get("reach"), reach_ratio=given.get("reach_ratio")
        )


def _rounded(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def number(value: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def goal(measure: Measure) -> str:
    """What is to be reached, as text: a value, a ratio, or both."""
    sign = "≥" if measure.is_more_better else "≤"
    value = [f"{sign} {number(measure.reach)}"] if measure.reach is not None else []
    ratio = [f"{sign} {measure.reach_ratio:g} x the baseline"] if measure.reach_ratio is not None else []
    return ", ".join(value + ratio)
