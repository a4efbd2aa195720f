"""All benchmarks in one command, each in a process of its own, and the check that nothing became worse.

    python -m tests.benchmarks [NAME…] [--quick] [--rounds N] [--record | --check]

Prints each measure against what is to be reached. ``--record`` keeps the runs (5 of them) in ``recorded.json``, by
size and bench; ``--check`` compares the ratios of 3 runs with those kept there, and exits with 1 when one became worse
or is missing, or a bench failed. What looks worse is run once more as often, and all runs count. ``comparing.py`` says
what is noise.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drainlake.documents.benchmarks import RECORDED
from drainlake.documents.measures import Measure
from tests.benchmarks import benches, scale
from tests.benchmarks.comparing import compare, findings_table, gather, results_table

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> int:
    """Run, print, record or check; the exit code."""
    given = _arguments()
    size = "quick" if given.quick else "full"
    rounds = given.rounds or (5 if given.record else 3 if given.check else 1)
    kept = json.loads(RECORDED.read_text("utf-8")) if RECORDED.exists() else {}
    measures, failed, bad = [], [], False
    for name in given.names or benches.names():
        try:
            found, is_worse = _bench(name, size, rounds, kept if given.check else None)
        except (benches.BenchError, ValueError) as error:
            failed.append(str(error))
            continue
        measures += found
        bad |= is_worse
        if given.record and found:
            kept.setdefault(size, {})[name] = _entry(found)
            RECORDED.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", "utf-8")
            scale.renew(kept)
    print("", *results_table(measures), *(f"FAILED {error}" for error in failed), sep="\n")
    return 1 if failed or bad else 0


def _bench(name: str, size: str, rounds: int, kept: dict[str, Any] | None) -> tuple[list[Measure], bool]:
    """The measures of a bench, and whether one of them is worse than what is kept; without ``kept`` none is."""
    runs = [benches.run(name, size) for _ in range(rounds)]
    found = gather(runs)
    if kept is None:
        return found, False
    recorded = _recorded(kept, size, name)
    if any(each.is_bad for each in compare(recorded, found)):
        runs += [benches.run(name, size) for _ in range(rounds)]
        found = gather(runs)
    findings = compare(recorded, found)
    print("", *findings_table(findings), sep="\n", flush=True)
    return found, any(each.is_bad for each in findings)


def _recorded(kept: dict[str, Any], size: str, name: str) -> list[Measure]:
    entry = kept.get(size, {}).get(name)
    if entry is None:
        print(f"\nNothing is recorded of {name} at this size.")
        return []
    if differing := sorted(key for key, value in benches.machine().items() if entry["machine"].get(key) != value):
        print(f"\nRecorded with another {', '.join(differing)}: compare with care.")
    return [Measure.of_json(each) for each in entry["measures"]]


def _entry(found: Sequence[Measure]) -> dict[str, Any]:
    measures = [each.as_json() for each in found]
    return {"date": datetime.now(UTC).date().isoformat(), "machine": benches.machine(), "measures": measures}


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(benches.names())}; else all")
    options.add_argument("--quick", action="store_true", help="small sizes")
    options.add_argument("--rounds", type=int, help="runs of each bench")
    what = options.add_mutually_exclusive_group()
    what.add_argument("--record", action="store_true")
    what.add_argument("--check", action="store_true")
    given = options.parse_args()
    if unknown := set(given.names) - set(benches.names()):
        options.error(f"there is no bench {', '.join(sorted(unknown))}")
    return given


if __name__ == "__main__":
    sys.exit(main())
