"""How ``land`` and ``schedule`` show their figures: the file in the home, and the port if one is set."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from drainlake.figures.own_file import Vitals, own_file
from drainlake.figures.server import Shown, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    from drainlake.settings import Settings


@contextmanager
def showing(
    settings: Settings,
    process: str,
    patience_seconds: float,
    make: Callable[[str], Iterable[Metric]],
    *,
    supervised: bool,
) -> Iterator[Vitals]:
    """The vitals of this process, in a file and on DRAINLAKE_METRICS_PORT, until the block ends.

    A child of ``up`` has no port: three processes would want the same one, and the receiver shows them all.
    Raises :class:`Failure` when the port is taken.
    """
    with ExitStack() as stack:
        path = stack.enter_context(own_file(settings.metrics_folder, process))
        vitals = Vitals(path, process, patience_seconds, make)
        if settings.metrics_port is not None and not supervised:
            shown = Shown(vitals.exposition, vitals.trouble, settings.metrics_token)
            server = stack.enter_context(serving(settings.host, settings.metrics_port, shown))
            vitals.refused_connections = lambda: server.refused
        yield vitals
