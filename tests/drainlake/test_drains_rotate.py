"""``drains rotate`` and ``remove`` while deliveries come: no line is refused, whatever is killed when."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from drainlake.commands import drains
from drainlake.drains import rotation
from ingest.credentials import CredentialStore, digest
from tests.drainlake.conftest import PYTHON
from tests.drainlake.heroku_api import DRAINS_MAX, HerokuApi
from tests.ingest.running import Running, frame, post, receiver

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator
    from pathlib import Path

    from tests.drainlake.conftest import Cli
    from tests.drainlake.inside import Inside

REST = 3  # deliveries that Heroku still has of a drain that was removed

WAITS = {"POLL_SECONDS": 0.05, "SETTLE_SECONDS": 0.1, "QUIET_SECONDS": 1.5}
# The receiver knows the secrets from its settings.
CONFIGURED = """
import dataclasses
real = serve
def serve(options):
    return real(dataclasses.replace(options, drains={"shop": ("the-old", "the-new")}))
"""
# The waits, short; and a death at a named step.
SETUP = """
import os, signal
import drainlake.drains.rotation as rotation, drainlake.drains.platform_api as api, ingest.credentials as credentials
for name, seconds in {waits}.items(): setattr(rotation, name, seconds)
def die(): os.kill(os.getpid(), signal.SIGKILL)
def dying(owner, name, before=lambda *given: False, after=lambda *given: False):
    real = getattr(owner, name)
    def call(self, *given, **named):
        if before(*given): die()
        answer = real(self, *given, **named)
        if after(*given): die()
        return answer
    setattr(owner, name, call)
{kill}
from drainlake.cli import main
main()
"""
STEPS = {
    "the secret is stored": "dying(credentials.CredentialStore, 'add', after=lambda *_: True)",
    "Heroku has the new drain, nobody heard": "dying(api.PlatformApi, '_once', after=lambda how, *_: how == 'POST')",
    "the new drain delivers": "dying(api.PlatformApi, '_once', before=lambda how, *_: how == 'DELETE')",
    "the old drain is gone": "dying(api.PlatformApi, '_once', after=lambda how, *_: how == 'DELETE')",
    "before the old secret is retired": "dying(credentials.CredentialStore, 'forget', before=lambda *_: True)",
}


class Logplex:
    """Delivers a line over each drain of the stand-in again and again, and some over drains that were removed."""

    def __init__(self, heroku: HerokuApi, running: Running) -> None:
        self.statuses: list[int] = []
        self._heroku = heroku
        self._running = running
        self._stop = threading.Event()
        self._left: dict[str, int] = {}
        self._urls: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Logplex:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        connection = self._running.connect()
        while not self._stop.is_set():
            with self._heroku.lock:
                drains = [each for of_app in self._heroku.drains.values() for each in of_app]
            there = {each["token"]: each["url"] for each in drains if "@127.0.0.1:" in each["url"]}
            self._urls |= there
            self._left = {token: REST if token in there else self._left[token] - 1 for token in self._urls}
            for token, url in self._urls.items():
                if self._left[token] > 0:
                    number += 1
                    self.statuses.append(_post(connection, url, token, number))
            self._stop.wait(0.1)
        connection.close()


def _post(connection: http.client.HTTPConnection, url: str, token: str, number: int) -> int:
    parts = urlsplit(url)
    assert parts.username is not None
    assert parts.password is not None
    named = {"Logplex_Drain_Token": token, "Logplex_Frame_Id": f"{number:032X}"}
    return post(connection, frame(f"line {number}"), parts.username, parts.password, **named)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the receiver keeps its log."""
    return tmp_path / "h"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits of commands within this process, as short as those of SETUP."""
    for name, seconds in WAITS.items():
        monkeypatch.setattr(rotation, name, seconds)
    monkeypatch.setattr(drains, "WAIT_SECONDS", 2.0)


@contextmanager
def _world(cli: Cli | Inside, heroku: HerokuApi, home: Path, setup: str = "") -> Iterator[Running]:
    with receiver(home / "log.db", setup=setup) as running:
        url = f"http://127.0.0.1:{running.port}"
        cli.environment |= {**heroku.environment, "DRAINLAKE_URL": url, "DRAINLAKE_HOME": str(home)}
        yield running


def _patched(cli: Cli, kill: str = "") -> None:
    cli.command = (*PYTHON, "-c", SETUP.format(kill=kill, waits=WAITS))


def _attached(heroku: HerokuApi, home: Path, running: Running, app: str = "shop", name: str = "shop") -> str:
    secret = CredentialStore(home / "log.db").add(name)
    return heroku.add(app, f"http://{name}:{secret}@127.0.0.1:{running.port}/logs")


def _digests(home: Path) -> set[bytes]:
    return set(CredentialStore(home / "log.db").dated("shop"))


def _digest_of(drain: dict[str, Any]) -> bytes:
    return digest(urlsplit(drain["url"]).password or "")


def test_a_rotation_killed_at_each_step_goes_on_and_no_delivery_is_refused(
    cli: Cli, heroku: HerokuApi, home: Path
) -> None:
    """One rotation dies at five steps in turn; in the end there is one drain with the one secret that is left."""
    with _world(cli, heroku, home) as running:
        old = _attached(heroku, home, running)
        with Logplex(heroku, running) as logplex:
            for kill in STEPS.values():
                _patched(cli, kill)
                assert cli.run("drains", "rotate", "shop").returncode == -signal.SIGKILL
            _patched(cli)
            done = cli.run("drains", "rotate", "shop")
        assert done.returncode == 0, done.stderr
    [drain] = heroku.drains["shop"]
    assert drain["token"] != old
    assert _digests(home) == {_digest_of(drain)}
    assert "Older secrets of shop retired: 2." in done.stderr  # the old one, and the one that died before its drain
    assert len(logplex.statuses) > 20
    assert set(logplex.statuses) == {204}


def test_a_rotation_that_hears_nothing_changes_nothing_for_the_old_drain(
    inside: Inside, heroku: HerokuApi, home: Path
) -> None:
    """The wait has an end; the old drain and its secret stay in use."""
    with _world(inside, heroku, home) as running:
        old = _attached(heroku, home, running)
        done = inside.run("drains", "rotate", "shop", "--wait", "1")
        assert done.returncode == 1
        assert "No delivery came over" in done.stderr
        assert old in {drain["token"] for drain in heroku.drains["shop"]}
        assert _digests(home) == set(map(_digest_of, heroku.drains["shop"]))
        secret = urlsplit(heroku.drains["shop"][1]["url"]).password
        assert secret is not None
        assert secret not in done.stderr


def test_a_secret_that_another_app_uses_too_is_not_retired(inside: Inside, heroku: HerokuApi, home: Path) -> None:
    """Two apps share one name and secret: after one's rotation the other still gets in."""
    with _world(inside, heroku, home) as running:
        _attached(heroku, home, running)
        shared = heroku.drains["shop"][0]["url"]
        heroku.add("staging", shared)
        with Logplex(heroku, running) as logplex:
            done = inside.run("drains", "rotate", "shop", "--wait", "2")
        assert done.returncode == 1
        assert heroku.drains["staging"][0]["token"] in done.stderr
        assert digest(urlsplit(shared).password or "") in _digests(home)
        assert set(logplex.statuses) == {204}


def test_configured_secrets_rotate_in_two_settings(inside: Inside, heroku: HerokuApi, home: Path) -> None:
    """One secret in DRAINLAKE_DRAINS: says to add one. Two: the drain moves to the last, and the first may go."""
    with _world(inside, heroku, home, CONFIGURED) as running:
        heroku.add("shop", f"http://shop:the-old@127.0.0.1:{running.port}/logs")
        with Logplex(heroku, running) as logplex:
            refused = inside.run("drains", "rotate", "shop", DRAINLAKE_DRAINS="shop:the-old")
            done = inside.run("drains", "rotate", "shop", DRAINLAKE_DRAINS="shop:the-old,shop:the-new")
    assert refused.returncode == 1
    assert "shop:OLD,shop:NEW" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert "out of DRAINLAKE_DRAINS" in done.stderr
    assert [urlsplit(drain["url"]).password for drain in heroku.drains["shop"]] == ["the-new"]
    assert set(logplex.statuses) == {204}
    assert "the-new" not in refused.stderr + done.stderr


def test_removing_an_app_waits_for_what_heroku_still_has(inside: Inside, heroku: HerokuApi, home: Path) -> None:
    """All drains that point here go, then the credentials; drains of others stay."""
    with _world(inside, heroku, home) as running:
        _attached(heroku, home, running)
        _attached(heroku, home, running)
        other = heroku.add("shop", "syslog://logs.example.org:514")
        heroku.drains["shop"][-1]["url"] = f"http://other:x@127.0.0.1:{running.port}/elsewhere"
        done = inside.run("drains", "remove", "shop")
    assert done.returncode == 0, done.stderr
    assert [drain["token"] for drain in heroku.drains["shop"]] == [other]
    assert _digests(home) == set()


def test_credentials_of_an_app_that_is_gone_are_forgotten_once_it_is_quiet(
    inside: Inside, heroku: HerokuApi, home: Path
) -> None:
    """Whether Heroku has no such app or hides it is not told: while deliveries come, the credentials stay."""
    with _world(inside, heroku, home) as running:
        _attached(heroku, home, running)
        hidden = heroku.drains.pop("shop")
        heroku.drains["under another name"] = hidden
        with Logplex(heroku, running):
            refused = inside.run("drains", "remove", "shop")
        done = inside.run("drains", "remove", "shop")
    assert refused.returncode == 1
    assert hidden[0]["token"] in refused.stderr
    assert done.returncode == 0, done.stderr
    assert _digests(home) == set()


def test_no_room_for_another_drain_leaves_all_as_it_was(inside: Inside, heroku: HerokuApi, home: Path) -> None:
    """Rotation needs room for one more; Heroku's no forgets the new secret."""
    with _world(inside, heroku, home) as running:
        _attached(heroku, home, running)
        before = _digests(home)
        for number in range(DRAINS_MAX - 1):
            heroku.add("shop", f"syslog://logs-{number}.example.org:514")
        done = inside.run("drains", "rotate", "shop")
    assert done.returncode == 1
    assert "five or six" in done.stderr
    assert _digests(home) == before
