"""Running the real command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.drainlake.inside import Inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.drainlake.heroku_api import HerokuApi

PYTHON = (sys.executable, "-W", "error")
COMMAND = (*PYTHON, "-m", "drainlake")


@dataclass
class Cli:
    """``drainlake`` in an empty folder, with an environment of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = COMMAND

    def env(self, **more: str) -> dict[str, str]:
        """The environment a process gets: ours without settings, plus those given."""
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("DRAINLAKE_", "KAFKA_", "AWS_")) and k != "PORT"
        }
        return kept | self.environment | more

    def run(self, *args: str, stdin: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """Run to the end; stdin is empty unless given."""
        return subprocess.run(
            [*self.command, *args],
            cwd=self.folder,
            env=self.env(**env),
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def good(self, *args: str, stdin: str | None = None, **env: str) -> str:
        """Run to a good end and give stdout."""
        done = self.run(*args, stdin=stdin, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *args: str, **env: str) -> subprocess.Popen[str]:
        """Start and leave running; the test ends it."""
        return subprocess.Popen(
            [*self.command, *args],
            cwd=self.folder,
            env=self.env(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in an empty folder."""
    return Cli(tmp_path)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Inside:
    """The command in an empty folder, within this process."""
    return Inside(tmp_path, monkeypatch, capfd)


@pytest.fixture
def heroku() -> Iterator[HerokuApi]:
    """A stand-in of Heroku's API with one app."""
    from tests.drainlake.heroku_api import heroku_api

    with heroku_api() as running:
        running.drains["shop"] = []
        yield running
