"""The figures of several workers as those of one receiver. Pure.

Counters and histograms are added up. Of gauges it depends on what they say: bytes and connections are added up, too;
what all workers read at the same place is taken once. Series with the label ``process`` meet nobody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.samples import Sample

_COUNTED: Final = ("counter", "histogram")
_GREATEST: Final = (
    "drainlake_app_last_delivery_timestamp_seconds",
    "drainlake_spool_entries",
    "drainlake_spool_bytes",
    "drainlake_spool_age_seconds",
)
_LEAST: Final = ("drainlake_spool_direct", "drainlake_certificate_expiry_timestamp_seconds")
_HOW: Final[dict[str, Callable[[float, float], float]]] = {
    **dict.fromkeys(_GREATEST, max),
    **dict.fromkeys(_LEAST, min),
}


def add_up(figures: Iterable[Iterable[Metric]]) -> list[Metric]:
    """One family of each name, one sample of each series."""
    found: dict[str, Metric] = {}
    series: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], Sample]] = {}
    for each in (family for families in figures for family in families):
        found.setdefault(each.name, Metric(each.name, each.documentation, each.type, each.unit))
        kept = series.setdefault(each.name, {})
        for sample in each.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            other = kept.get(key)
            kept[key] = sample if other is None else sample._replace(value=_together(each, sample, other))
    for name, family in found.items():
        family.samples = list(series[name].values())
    return list(found.values())


def counted(families: Iterable[Metric]) -> list[Metric]:
    """What stays true of a worker that is gone: all it counted, and no gauge but when an app was last heard of."""
    return [
        each
        for each in families
        if (each.type in _COUNTED and not each.name.startswith("process_")) or each.name == _GREATEST[0]
    ]


def _together(family: Metric, one: Sample, other: Sample) -> float:
    how = _HOW.get(family.name)
    return one.value + other.value if how is None else how(one.value, other.value)
