"""Running commands within the test process, for tests that need many and none in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drainlake.cli import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@dataclass
class Inside:
    """``drainlake`` in an empty folder, with an environment of its own."""

    folder: Path
    patch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run to the end; refuses a command that leaves this process with other signals than it had."""
        before = _handlers()
        with self.patch.context() as patch:
            for name in os.environ:
                if name.startswith(("DRAINLAKE_", "KAFKA_", "AWS_", "HEROKU_")) or name in {"PORT", "DYNO"}:
                    patch.delenv(name)
            for name, text in {**self.environment, **env}.items():
                patch.setenv(name, text)
            patch.chdir(self.folder)
            self.captured.readouterr()
            code = run(args)
            said = self.captured.readouterr()
        assert _handlers() == before, f"drainlake {' '.join(args)} wants a process of its own"
        return subprocess.CompletedProcess(args, code, said.out, said.err)

    def good(self, *args: str, **env: str) -> str:
        """Run to a good end and give stdout."""
        done = self.run(*args, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _handlers() -> list[object]:
    """What happens to this process at the signals that commands handle."""
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
