"""From a file of one million access lines to an HTML page, each from a cold start, against goaccess.

    python -m tests.benchmarks.bench_goaccess [--lines 1000000] [--rounds 3] [--goaccess PATH] [--durable]

Both get the same file, which is in the page cache, an empty home, and write a page. What both count is compared:
requests, bytes, and requests by status. goaccess is measured with one thread and, where it knows ``--jobs``, with as
many as there are processors; its better wall and its better CPU time count. ``--durable`` also imports into a lake.
Rounds alternate, the best of each counts: noise only adds. Compare figures of one run only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import access_log
from tests.benchmarks.measure import record

UNTIL = "2026-11-23"
SINCE = "2026-11-16"
REACH_RATIO = 0.2  # of what goaccess takes at its best


class Taken(NamedTuple):
    """What a command took: seconds by the clock and of processors, and the most memory it held."""

    wall: float
    cpu: float
    memory_mb: float


def took(command: list[str], home: Path) -> Taken:
    """Run a command in a process of its own; 3 is a report that found something."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "HOME": str(home)}, stdout=subprocess.DEVNULL, cwd=home)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, 3}:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return Taken(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def ours(log: Path, out: Path) -> list[str]:
    """The command of drainlake."""
    return [sys.executable, "-m", "drainlake", "report", str(log), "--out", str(out)]


def theirs(goaccess: str, log: Path, out: Path, *more: str) -> list[str]:
    """The command of goaccess."""
    return [goaccess, str(log), "--log-format=COMBINED", "--no-global-config", "--no-progress", "-o", str(out), *more]


def totals_of_drainlake(path: Path) -> dict[str, int]:
    """Requests and bytes in all and requests by status, from the report as JSON."""
    sections = {section["name"]: section for section in json.loads(path.read_text("utf-8"))["sections"]}
    [days, _] = sections["traffic"]["answers"]
    requests, octets = days["columns"].index("requests"), days["columns"].index("bytes")
    found = {"requests": sum(row[requests] for row in days["rows"]), "bytes": sum(row[octets] for row in days["rows"])}
    return found | {str(row[0]): row[1] for row in sections["statuses"]["answers"][0]["rows"]}


def totals_of_goaccess(path: Path) -> dict[str, int]:
    """The same from its JSON."""
    held = json.loads(path.read_text("utf-8"))
    codes = [code for group in held["status_codes"]["data"] for code in group["items"]]
    found = {"requests": held["general"]["valid_requests"], "bytes": held["general"]["bandwidth"]}
    return found | {re.match(r"\d+", _text(code))[0]: _count(code) for code in codes}  # type: ignore[index]


def _text(item: dict[str, object]) -> str:
    return str(item["data"])


def _count(item: dict[str, object]) -> int:
    hits = item["hits"]
    return int(hits["count"] if isinstance(hits, dict) else hits)  # type: ignore[call-overload]


def check(goaccess: str, log: Path, folder: Path) -> None:
    """Both must count the same."""
    mine, other = folder / "ours.json", folder / "theirs.json"
    took(ours(log, mine), folder)
    took(theirs(goaccess, log, other), folder)
    assert totals_of_drainlake(mine) == totals_of_goaccess(other), (
        totals_of_drainlake(mine),
        totals_of_goaccess(other),
    )


def commands(goaccess: str, log: Path, folder: Path) -> dict[str, list[str]]:
    """What is measured, by name."""
    found = {
        "drainlake report FILE": ours(log, folder / "ours.html"),
        "goaccess": theirs(goaccess, log, folder / "theirs.html"),
    }
    known = subprocess.run([goaccess, "--help"], capture_output=True, text=True, check=False).stdout
    if "--jobs" in known:
        jobs = str(os.cpu_count() or 1)
        found[f"goaccess --jobs={jobs}"] = theirs(goaccess, log, folder / "theirs.html", f"--jobs={jobs}")
    return found


def durable(log: Path, folder: Path) -> Taken:
    """Import into a new lake, then report on it."""
    home = folder / "durable"
    shutil.rmtree(home, ignore_errors=True)
    start = [sys.executable, "-m", "drainlake", "--home", str(home)]
    taken = [took([*start, "import", "access", str(log), "--app", "shop"], folder)]
    taken += [took([*start, "report", "--since", SINCE, "--until", UNTIL, "--out", str(folder / "lake.html")], folder)]
    return Taken(sum(each.wall for each in taken), sum(each.cpu for each in taken), max(each[2] for each in taken))


def show(results: dict[str, list[Taken]]) -> None:
    """The best of each, and how many times as long as ours the others took."""
    best = {name: Taken(*map(min, zip(*taken, strict=True))) for name, taken in results.items()}
    base = best["drainlake report FILE"]
    print(f"{'':28}{'wall s':>8}{'CPU s':>8}{'MB':>7}{'wall':>8}{'CPU':>8}")
    for name, taken in best.items():
        ratios = f"{taken.wall / base.wall:7.1f}x{taken.cpu / base.cpu:7.1f}x"
        print(f"{name:28}{taken.wall:8.2f}{taken.cpu:8.2f}{taken.memory_mb:7.0f}{ratios}")
    others = [taken for name, taken in best.items() if name.startswith("goaccess")]
    wall, cpu = min(taken.wall for taken in others) / base.wall, min(taken.cpu for taken in others) / base.cpu
    record("goaccess, log to page, wall", base.wall, "s", baseline=wall * base.wall, reach_ratio=REACH_RATIO)
    record("goaccess, log to page", base.cpu, "CPU s", baseline=cpu * base.cpu)
    record("goaccess, peak memory of our process", base.memory_mb, "MB")
    print(f"goaccess at its best takes {wall:.1f} times as long by the clock and {cpu:.1f} times the CPU time")


def main() -> None:
    """Make the file, check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--goaccess", default=shutil.which("goaccess"), help="another goaccess than that of the path")
    parser.add_argument("--durable", action="store_true", help="also measure an import and a report on the lake")
    options = parser.parse_args()
    if options.goaccess is None:
        print("Skipped: goaccess is not installed; apt-get install goaccess, or --goaccess PATH.")
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        log = folder / "access.log"
        access_log.write(log, options.lines)
        check(options.goaccess, log, folder)  # and the file is in the page cache now
        measured = commands(options.goaccess, log, folder)
        results: dict[str, list[Taken]] = {name: [] for name in measured}
        for _ in range(options.rounds):
            for name, command in measured.items():
                results[name].append(took(command, folder))
        if options.durable:
            results["import, report on the lake"] = [durable(log, folder)]
        show(results)


if __name__ == "__main__":
    main()
