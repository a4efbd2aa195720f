"""Changing a drain's secret without losing a line, and taking an app off: the steps, one after the other.

``kill -9`` between or in any two steps: the next call derives from the API and the store where it was (see
``rotation_plan``), and goes on. Each wait is bounded; when it is over nothing was broken, and the same call goes on.

While both drains are there Heroku sends each line twice, with ids that do not tell so: these lines are in the lake
twice. So the old drain goes as soon as the new one has delivered.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from drainlake.drains.platform_api import AppUnknown
from drainlake.drains.rotation_plan import Plan, Secrets, name_of, plan
from drainlake.errors import Failure
from drainlake.hostile import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drainlake.drains.keeping import Keeping
    from drainlake.drains.states import Attached
    from drainlake.drains.traffic import Traffic

POLL_SECONDS: Final = 1.0
# Lines of before the new drain may wait in Heroku for the old one: a request there lasts 5 s at most.
SETTLE_SECONDS: Final = 5.0
# Three tries of a request, 3 s to connect and 5 s each, and up to 5 s before a try: 39 s (heroku-logs 1.5).
QUIET_SECONDS: Final = 60.0
FRESH_SECONDS: Final = 600.0


class Rotation:
    """The change of one app's secret, or its end. ``wait_seconds`` bounds each wait for deliveries."""

    def __init__(self, keeping: Keeping, traffic: Traffic, app: str, wait_seconds: float) -> None:
        self._keeping = keeping
        self._traffic = traffic
        self._app = app
        self._wait_seconds = wait_seconds

    def rotate(self) -> None:
        """All steps that are left; raises :class:`Failure` where it cannot go on yet."""
        todo = self._plan()
        if todo.begins:
            drain = self._keeping.add_drain(self._app, todo.name, todo.kept.drain.url)
            _say(f"Added drain {drain.token} to {self._app}, with a new secret.")
            todo = self._plan()
        else:
            _say(f"An earlier rotation of {self._app} goes on.")
        if todo.old:
            self._await_delivery(todo.kept)
            time.sleep(SETTLE_SECONDS)
            self._remove(todo.old)
        self._await_quiet(todo.name, {todo.kept.drain.token})
        self._retire(todo)

    def detach(self) -> None:
        """Remove all drains of the app that point here, then forget its credentials."""
        ours = self._ours_if_any()
        names = sorted({each.target.user for each in ours if each.is_known} | {self._app})
        stored = {name: digests for name in names if (digests := list(self._keeping.stored(name)))}
        if not ours and not stored:
            raise Failure(f"No drain of {self._app} points here, and it has no credentials.", "drainlake drains")
        self._remove(ours)
        for name, digests in stored.items():
            self._await_quiet(name, set())
            _say(f"Credentials of {name} forgotten: {self._keeping.forget(name, digests)}.")
        for name in names:
            if self._keeping.configured(name):
                _say(f"Take {name} out of DRAINLAKE_DRAINS too.")

    def _ours_if_any(self) -> list[Attached]:
        """Of an app that is gone the credentials may go; if it is only hidden from the token, its deliveries tell."""
        try:
            return [each for each in self._keeping.look(self._app) if each.is_ours]
        except AppUnknown as unknown:
            _say(f"Note: {unknown.sentence}")
            return []

    def _plan(self) -> Plan:
        attached = self._keeping.look(self._app)
        name = name_of(self._app, attached)
        return plan(self._app, attached, Secrets(self._keeping.configured(name), self._keeping.stored(name)))

    def _await_delivery(self, kept: Attached) -> None:
        _say(f"Waiting for a delivery over {kept.drain.token} …")
        fresh = timedelta(seconds=FRESH_SECONDS)
        if not self._until(lambda: (self._traffic.last_of(kept.drain.token) or _EVER) > datetime.now(UTC) - fresh):
            token, waited = kept.drain.token, f"{self._wait_seconds:.0f} s"
            raise Failure(
                f"No delivery came over {token} within {waited}; the old drain and its secret are still in use.",
                f"a request to the app, which logs a line, then drainlake drains rotate {self._app} again",
            )

    def _remove(self, drains: Sequence[Attached]) -> None:
        for each in drains:
            if each.drain.is_addon:
                raise Failure(f"An add-on made the drain {each.drain.token}.", f"heroku addons --app {self._app}")
            self._keeping.api.remove_drain(self._app, each.drain.id)
            _say(f"Removed drain {each.drain.token} from {self._app}.")

    def _await_quiet(self, name: str, kept: set[str]) -> None:
        """Wait until no other drain has delivered for the name for as long as Heroku may still try.

        When the old drain was removed is not known after a kill, so the time begins anew. A drain of another app that
        goes by the same name and secret is heard here too, and keeps the secret.
        """
        _say(f"Waiting {QUIET_SECONDS:.0f} s for what Heroku still has of the old drain …")
        quiet = timedelta(seconds=QUIET_SECONDS)
        begun = datetime.now(UTC)

        def is_quiet() -> bool:
            now = datetime.now(UTC)
            return now - begun >= quiet and not self._traffic.tokens_since(name, now - quiet) - kept

        if not self._until(is_quiet, QUIET_SECONDS):
            others = self._traffic.tokens_since(name, datetime.now(UTC) - quiet) - kept
            raise Failure(
                f"Deliveries for {name} still come over {clean_line(', '.join(sorted(others)))};"
                " their secret is not retired.",
                "heroku drains of the other apps: one may use the same credentials",
            )

    def _retire(self, todo: Plan) -> None:
        after = self._plan()
        if after.old or after.kept.drain.id != todo.kept.drain.id:
            raise Failure(f"Somebody changed the drains of {self._app} meanwhile.", "the same again")
        kept = todo.kept.target.digest
        count = self._keeping.forget(todo.name, Secrets((), self._keeping.stored(todo.name)).others(kept))
        _say(f"Older secrets of {todo.name} retired: {count}.")
        if set(self._keeping.configured(todo.name)) - {kept}:
            _say(f"Now take the older secrets of {todo.name} out of DRAINLAKE_DRAINS: only its last entry is in use.")

    def _until(self, holds: Callable[[], bool], more_seconds: float = 0.0) -> bool:
        """Wait for something to become true, within the limit; whether it did."""
        deadline = time.monotonic() + self._wait_seconds + more_seconds
        while True:
            self._traffic.refresh()
            if holds():
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)


_EVER: Final = datetime.min.replace(tzinfo=UTC)


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
