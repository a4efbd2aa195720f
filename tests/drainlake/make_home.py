"""Makes the home of one version that later versions are tried on: ``python -m tests.drainlake.make_home FOLDER``.

Run it with the code of the version that is about to be followed by another, and pack what it leaves:
``tar cJf tests/drainlake/homes/VERSION.tar.xz -C FOLDER .``. Some deliveries of a simulated shop are
landed, with the minutes and a report; some wait in the log; one app has credentials that ``attach`` made.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

DELIVERIES = 2  # of each day
SECRET = "a-secret-of-the-test"


def drainlake(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command of drainlake on the home."""
    environment = os.environ | {"DRAINLAKE_DRAINS": f"shop:{SECRET}", "PORT": "18231", "DRAINLAKE_LAND_SECONDS": "3600"}
    command = [sys.executable, "-m", "drainlake", "--home", str(home), *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.DEVNULL)


def run(home: Path, *arguments: str) -> None:
    """Run a command to its good end; a report that found something wrong is one."""
    assert drainlake(home, *arguments).wait(120) in {0, 3}, arguments


def post(home: Path, seed: int, day: str) -> None:
    """Send some deliveries from the middle of a simulated day."""
    file = home.with_suffix(f".{seed}")
    run(home, "simulate", "--to", str(file), "--lines", "20000", "--seed", str(seed), "--day", day)
    lines = file.read_text("utf-8").splitlines()
    file.unlink()
    for line in lines[60 : 60 + DELIVERIES]:
        delivery = json.loads(line)
        basic = base64.b64encode(f"shop:{SECRET}".encode()).decode()
        kept = {name: value for name, value in delivery["headers"].items() if name not in {"Host", "Content-Length"}}
        request = urllib.request.Request(
            "http://127.0.0.1:18231/logs", delivery["text"].encode(), kept | {"Authorization": f"Basic {basic}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 204


def main(home: Path) -> None:
    """Make it."""
    run(home, "attach", "blog", "--url", "https://logs.example.com")
    receiver = drainlake(home, "serve")
    time.sleep(5)
    post(home, 5, "2026-11-24")
    run(home, "land", "--once")
    run(home, "schedule", "--once")
    run(home, "report", "--since", "2026-11-24", "--until", "2026-11-25", "--out", str(home / "report.html"))
    post(home, 6, "2026-11-25")
    receiver.terminate()
    receiver.wait(60)
    for name in ("report.html", "lake/.locks", "lake/.tmp", "reports"):
        place = home / name
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
