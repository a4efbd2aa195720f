"""How often the own log may say the same: an attacker must not fill a disk with its lines. Pure; time is an argument.

Of equal events the first is shown at once. Those that follow within a while are counted, and the last of them is shown
when the while is over, with the count: so the log always ends with what is true.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

WINDOW_SECONDS: Final = 10.0
KEYS_MAX: Final = 256  # of the key that was shown longest ago the last event is shown early
LINES_MAX: Final = 200  # in a window, of all keys together


class Shown(NamedTuple):
    """An event to show now, and how many like it were not shown."""

    event: Any
    left_out: int


@dataclass
class _Kept:
    shown_at: float
    seconds: float
    left_out: int = 0
    last: Any = None


class Limiter:
    """Decides what is shown. Not safe to use from several threads at once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], _Kept] = OrderedDict()
        self._window_at = float("-inf")
        self._lines = 0
        self._dropped = 0

    def admit(self, key: tuple[str, ...], event: object, now: float, seconds: float = WINDOW_SECONDS) -> list[Shown]:
        """What to show when ``event`` happens: it, or nothing; and what waited long enough.

        Equal events have equal keys; one is shown in ``seconds``.
        """
        shown = self.due(now)
        kept = self._kept.get(key)
        if kept is not None and now - kept.shown_at < kept.seconds:
            kept.left_out, kept.last = kept.left_out + 1, event
            return shown
        self._kept[key] = _Kept(now, seconds)
        self._kept.move_to_end(key)
        shown.append(Shown(event, 0))
        while len(self._kept) > KEYS_MAX:
            _, oldest = self._kept.popitem(last=False)
            shown += _last_of(oldest)
        return self._within_lines(shown, now)

    def due(self, now: float, *, at_end: bool = False) -> list[Shown]:
        """The last of the events that were left out, where the while is over, or all ``at_end``."""
        shown = []
        for key, kept in list(self._kept.items()):
            if kept.left_out and (at_end or now - kept.shown_at >= kept.seconds):
                shown += _last_of(kept)
                self._kept[key] = _Kept(now, kept.seconds)
                self._kept.move_to_end(key)
        return self._within_lines(shown, now)

    def wait_seconds(self, now: float) -> float | None:
        """When something will be due; None if nothing is left out."""
        waits = [kept.shown_at + kept.seconds - now for kept in self._kept.values() if kept.left_out]
        return max(0.0, min(waits)) if waits else None

    def take_dropped(self) -> int:
        """How many lines were dropped since the last call, as there were too many in all."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    def _within_lines(self, shown: list[Shown], now: float) -> list[Shown]:
        if now - self._window_at >= WINDOW_SECONDS:
            self._window_at, self._lines = now, 0
        room = max(0, LINES_MAX - self._lines)
        self._lines += len(shown[:room])
        self._dropped += sum(1 + each.left_out for each in shown[room:])
        return shown[:room]


def _last_of(kept: _Kept) -> list[Shown]:
    return [Shown(kept.last, kept.left_out - 1)] if kept.left_out else []
