"""Families of figures in Prometheus' text form: made, brought together from several sources, written. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.samples import Sample

Kind = Literal["gauge", "counter"]


def family(kind: Kind, name: str, meaning: str, samples: Iterable[tuple[Mapping[str, str], float | None]]) -> Metric:
    """A family with its samples, (labels, value) each; a value of None is left out. A counter's name has no _total."""
    found = Metric(name, meaning, kind)
    for labels, value in samples:
        if value is not None:
            found.add_sample(f"{name}_total" if kind == "counter" else name, dict(labels), value)
    return found


def single(kind: Kind, name: str, meaning: str, value: float | None, **labels: str) -> Metric:
    """A family of one sample."""
    return family(kind, name, meaning, [(labels, value)])


def labelled(families: Iterable[Metric], **labels: str) -> Iterable[Metric]:
    """The families with more labels on each sample."""
    for each in families:
        found = Metric(each.name, each.documentation, each.type, each.unit)
        found.samples = [sample._replace(labels={**sample.labels, **labels}) for sample in each.samples]
        yield found


def merge(families: Iterable[Metric]) -> tuple[list[Metric], int]:
    """One family of each name, and how many samples were left out.

    Prometheus refuses a whole scrape for one series that comes twice: the first one stays. A family that comes again
    as another kind is left out too.
    """
    merged: dict[str, Metric] = {}
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    left_out = 0
    for each in families:
        into = merged.setdefault(each.name, Metric(each.name, each.documentation, each.type, each.unit))
        for sample in each.samples:
            key = _key(sample)
            if key in seen or into.type != each.type:
                left_out += 1
                continue
            seen.add(key)
            into.samples.append(sample)
    return [each for each in merged.values() if each.samples], left_out


def render(families: Iterable[Metric]) -> bytes:
    """The families as text, which ``prometheus_client.parser`` reads again."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(list(families)))
    return generate_latest(registry)


class _Given(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """The families as they were given."""
        return self._families

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are not checked against other collectors."""
        return ()


def _key(sample: Sample) -> tuple[str, frozenset[tuple[str, str]]]:
    return sample.name, frozenset(sample.labels.items())
