"""What a process of drainlake takes, and which version it runs. Every series carries the label ``process``."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Final

from prometheus_client import ProcessCollector

from ingest.figures.exposition import labelled, single

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

_COLLECTOR: Final = ProcessCollector(registry=None)


def process_figures(process: str, version: str) -> Iterator[Metric]:
    """Memory, CPU time and open files of this process; where there is no /proc, only the version."""
    yield single(
        "gauge", "drainlake_build_info", "1; the labels say which version runs.", 1.0,
        process=process, version=version, python=platform.python_version(),
    )  # fmt: skip
    try:
        found = list(_COLLECTOR.collect())
    except ValueError:  # a limit on open files that is no number
        found = []
    yield from labelled(found, process=process)
