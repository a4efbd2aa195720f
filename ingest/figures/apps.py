"""What came in by app, so that an app whose drain fell silent can be told. Pure: the time is an argument.

Only apps whose credentials were good get here, and of these so many as ``APPS_MAX``; what comes after is counted under
``other``, so that the number of series has a limit.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from ingest.figures.exposition import family

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client import Metric

APPS_MAX: Final = 200
OTHER: Final = "other"


class AppFigures:
    """Lines by app and the time of its last delivery (seconds since 1970). Safe to use from several threads."""

    def __init__(self, apps_max: int = APPS_MAX) -> None:
        self._apps_max = apps_max
        self._lock = threading.Lock()
        self._lines: dict[str, int] = {}
        self._last_at: dict[str, float] = {}

    def know(self, apps: Iterable[str]) -> None:
        """Begin these apps at nought: a counter that appears with its first lines hides them from ``increase``."""
        with self._lock:
            for app in apps:
                self._lines.setdefault(self._name(app), 0)

    def stored(self, lines_by_app: Mapping[str, int], now: float) -> None:
        """Deliveries of these apps became durable."""
        with self._lock:
            for app, lines in lines_by_app.items():
                name = self._name(app)
                self._lines[name] = self._lines.get(name, 0) + lines
                self._last_at[name] = now

    def families(self) -> Iterator[Metric]:
        """Both figures."""
        with self._lock:
            lines, last_at = dict(self._lines), dict(self._last_at)
        yield family(
            "counter", "drainlake_app_lines", "Lines of stored deliveries, by app.",
            (({"app": app}, count) for app, count in lines.items()),
        )  # fmt: skip
        yield family(
            "gauge", "drainlake_app_last_delivery_timestamp_seconds", "When a delivery of the app was last stored.",
            (({"app": app}, at) for app, at in last_at.items()),
        )  # fmt: skip

    def _name(self, app: str) -> str:
        return app if app in self._lines or len(self._lines) < self._apps_max else OTHER
