"""Targets for vegeta and a shell script that sends them at the rate of the busiest minute."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from queries.load_tests.plan import STEPS, TIMEOUT_SECONDS, step_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.load_tests.plan import Plan

SCRIPT: Final = "vegeta.sh"

_HEAD: Final = r"""#!/usr/bin/env bash
# vegeta sends at a rate, however long the app takes. It goes round the lines of vegeta-WORKLOAD.txt, where an address
# stands as often as it is asked for. Redirects are not followed: they could lead to another host.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

# run STEP WORKLOAD REQUESTS_A_MINUTE STOP_P95_MS
run() {
  local kept="vegeta-$2-$1"
  echo "== $2 at $1 of today's peak: $3 requests a minute"
  vegeta attack -targets="vegeta-$2.txt" -rate="$3/1m" -duration=@SECONDS@s -timeout=@TIMEOUT@s -redirects=-1 \
    > "$kept.bin" || exit 1
  vegeta report "$kept.bin"
  vegeta report -type=json "$kept.bin" > "$kept.json" || exit 1
  local success p95
  success=$(sed -n 's/.*"success":\([0-9.e+-]*\).*/\1/p' "$kept.json")
  p95=$(sed -n 's/.*"95th":\([0-9]*\).*/\1/p' "$kept.json")
  awk -v success="$success" -v p95="$p95" -v stop="$4" \
    'BEGIN { exit !(success >= 0.99 && p95 > 0 && p95 <= stop * 1000000) }' \
    || { echo "Stopped: more than 1 % errors, or p95 above $4 ms." >&2; exit 1; }
}
"""


def files(plan: Plan) -> dict[str, str]:
    """``vegeta.sh``, and a file of targets for each workload: lines ``GET ADDRESS``."""
    head = _HEAD.replace("@SECONDS@", str(plan.seconds)).replace("@TIMEOUT@", str(TIMEOUT_SECONDS))
    targets = {f"vegeta-{item.name}.txt": "".join(f"GET {url}\n" for url in item.targets()) for item in plan.workloads}
    return {SCRIPT: head + "".join(f"{line}\n" for line in _calls(plan)), **targets}


def _calls(plan: Plan) -> Iterator[str]:
    for step in STEPS:
        yield ""
        for item in plan.workloads:
            yield shlex.join(["run", step_name(step), item.name, str(item.per_minute(step)), str(item.stop_p95_ms)])
