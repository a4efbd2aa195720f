"""What drainlake says of refused credentials: at most one line a minute, and never what a stranger wrote.

Heroku takes a 401 as final: each one is a delivery lost for good. An operator who mistyped a secret must find it
here, under the attackers' noise. So apps that exist are named, and nothing else is. Pure: time is an argument.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

TELL_EVERY_SECONDS: Final = 60.0
APPS_NAMED_MAX: Final = 5


class Notice(NamedTuple):
    """A line, and its figures for machines."""

    sentence: str
    fields: dict[str, object]


class Unauthorized:
    """Counts refusals until it is time to say so."""

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()
        self._apps: Counter[str] = Counter()
        self._told_at = float("-inf")

    def note(self, reason: str, known_app: str | None) -> None:
        """Credentials were refused; ``known_app`` only if drainlake has such an app."""
        self._reasons[reason] += 1
        if known_app is not None:
            self._apps[known_app] += 1

    def due(self, now: float) -> Notice | None:
        """What is to be said now, if anything."""
        if not self._reasons or now - self._told_at < TELL_EVERY_SECONDS:
            return None
        count = self._reasons.total()
        named = [app for app, _ in self._apps.most_common(APPS_NAMED_MAX)]
        requests = "1 request" if count == 1 else f"{count} requests"
        whose = f", among them for {', '.join(named)}: check the secret in the drain's URL" if named else ""
        fields: dict[str, object] = {"count": count, "apps": named, **self._reasons}
        self._reasons.clear()
        self._apps.clear()
        self._told_at = now
        return Notice(f"Refused {requests} with wrong or no credentials{whose}.", fields)
