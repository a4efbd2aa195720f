"""What is soaked: ``drainlake up`` on a home of its own, at a time of day that is not ours."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import trustme

if TYPE_CHECKING:
    from collections.abc import Mapping

APPS: Final = ("shop", "blog", "intern", "batch")
SECRET: Final = "a-secret-of-the-soak"
KEEP_DAYS: Final = 2
PARTS: Final = ("up", "serve", "land", "schedule")
# Berlin's clocks go forward in this night, at 01:00 UTC: a soak of three hours passes midnight in both zones, and that.
NIGHT: Final = datetime(2027, 3, 28, tzinfo=UTC)


def missing() -> str | None:
    """What this machine lacks for a soak."""
    return None if shutil.which("cc") else "there is no C compiler to make the other clock with; apt-get install gcc"


@dataclass
class World:
    """A running ``up``. ``now`` is its clock, ``seconds_to_midnight`` before midnight at the start."""

    folder: Path
    port: int
    seconds_to_midnight: float
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    _offset_seconds: float = field(init=False)
    _authority: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self._offset_seconds = round(NIGHT.timestamp() - self.seconds_to_midnight - time.time())
        source, library = Path(__file__).with_name("other_time.c"), self.folder / "other_time.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source)], check=True)
        self.renew_certificate()

    @property
    def home(self) -> Path:
        """The home of drainlake."""
        return self.folder / "home"

    @property
    def log(self) -> Path:
        """What ``up`` writes on stderr."""
        return self.folder / "up.log"

    def now(self) -> datetime:
        """The time where drainlake runs."""
        return datetime.fromtimestamp(time.time() + self._offset_seconds, UTC)

    def environment(self) -> Mapping[str, str]:
        """Settings of all commands, and the clock."""
        kept = {
            name: text for name, text in os.environ.items() if not name.startswith(("DRAINLAKE_", "KAFKA_", "AWS_"))
        }
        return kept | {
            "LD_PRELOAD": str(self.folder / "other_time.so"),
            "SOAK_CLOCK_OFFSET_SECONDS": f"{self._offset_seconds:.0f}",
            "TZ": "Europe/Berlin",
            "PORT": str(self.port),
            "DRAINLAKE_HOME": str(self.home),
            "DRAINLAKE_DRAINS": ",".join(f"{app}:{SECRET}" for app in APPS),
            "DRAINLAKE_TLS_CERT": str(self.folder / "cert.pem"),
            "DRAINLAKE_TLS_KEY": str(self.folder / "key.pem"),
            "DRAINLAKE_LAND_SECONDS": "3",
            "DRAINLAKE_FILE_ROWS": "50000",
            "DRAINLAKE_KEEP_DAYS": str(KEEP_DAYS),
            "DRAINLAKE_SPOOL_MAX_BYTES": "256MiB",
            "DRAINLAKE_NOTIFY": str(self.folder / "sent"),
            "DRAINLAKE_REPORT_AT": "*/4 * * * *",
            "DRAINLAKE_CHECK_AT": "*/2 * * * *",
            "DRAINLAKE_TIMEZONE": "Europe/Berlin",
        }

    def renew_certificate(self) -> None:
        """Put a new certificate and its key in place of the old ones, as an ACME client does."""
        issued = self._authority.issue_cert("127.0.0.1")
        for name, data in (
            ("key.pem", issued.private_key_pem.bytes()),
            ("cert.pem", b"".join(blob.bytes() for blob in issued.cert_chain_pems)),
        ):
            fresh = self.folder / f"{name}.new"
            fresh.write_bytes(data)
            fresh.replace(self.folder / name)

    def start(self) -> None:
        """Start ``up``."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "drainlake", "up"], env=self.environment(), stdout=log, stderr=log
            )
        self.starts += 1

    def stop(self) -> int:
        """Ask ``up`` to end, as systemd does; gives its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill_all(self) -> None:
        """Kill ``up`` and all its children, as a power cut does."""
        processes = list(self.processes().values())
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)
        if self.process is not None:
            self.process.wait(10)

    def processes(self) -> dict[str, psutil.Process]:
        """The running processes by part; what ``schedule`` starts for a run counts as "run"."""
        if self.process is None or self.process.poll() is not None:
            return {}
        found = {}
        try:
            above = psutil.Process(self.process.pid)
            for process in [above, *above.children(recursive=True)]:
                words = process.cmdline()
                part = (
                    "run" if "--work" in words else next((word for word in reversed(words) if word in PARTS), "other")
                )
                found[part] = process
        except psutil.NoSuchProcess:
            pass
        return found

    def run(self, *arguments: str) -> str:
        """Run a command of drainlake to its good end; gives stdout."""
        done = subprocess.run(
            [sys.executable, "-m", "drainlake", *arguments],
            env=self.environment(), capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode in {0, 3}, done.stderr
        return done.stdout
