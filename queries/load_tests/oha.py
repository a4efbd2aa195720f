"""Addresses for oha and a shell script that sends them at the rate of the busiest minute."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Final

from queries.load_tests.plan import STEPS, TIMEOUT_SECONDS, step_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.load_tests.plan import Plan, Workload

SCRIPT: Final = "oha.sh"

_HEAD: Final = r"""#!/usr/bin/env bash
# oha sends at a rate and counts the time that a request waited for its turn (--latency-correction). It draws from the
# lines of oha-WORKLOAD.txt, where an address stands as often as it is asked for. It takes whole requests a second.
# Redirects are not followed: they could lead to another host.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

# run STEP WORKLOAD REQUESTS_A_SECOND CONNECTIONS STOP_P95_MS
run() {
  local printed="oha-$2-$1.txt"
  echo "== $2 at $1 of today's peak: $3 requests a second"
  oha --no-tui -z @SECONDS@s -q "$3" -c "$4" -t @TIMEOUT@s -r 0 --latency-correction \
    --urls-from-file "oha-$2.txt" | tee "$printed" || exit 1
  awk -v stop="$5" '
    /^Error distribution:/ { errors = 1 }
    /^ +95(\.00)?% in/ { p95 = $4 ~ /^ms/ ? $3 : $4 ~ /^(us|µs)/ ? $3 / 1000 : $3 * 1000 }
    /^ +\[[0-9]+\]/ && !errors { sent += $2; if ($1 !~ /\[[23]/) failed += $2 }
    /^ +\[[0-9]+\]/ && errors && !/aborted due to deadline/ { gsub(/[^0-9]/, "", $1); sent += $1; failed += $1 }
    END { exit !(sent > 0 && failed <= sent / 100 && p95 <= stop) }
  ' "$printed" || { echo "Stopped: more than 1 % errors, or p95 above $5 ms." >&2; exit 1; }
}
"""


def files(plan: Plan) -> dict[str, str]:
    """``oha.sh``, and a file of addresses for each workload, one a line."""
    head = _HEAD.replace("@SECONDS@", str(plan.seconds)).replace("@TIMEOUT@", str(TIMEOUT_SECONDS))
    lists = {f"oha-{item.name}.txt": "".join(f"{url}\n" for url in item.targets()) for item in plan.workloads}
    return {SCRIPT: head + "".join(f"{line}\n" for line in _calls(plan)), **lists}


def _calls(plan: Plan) -> Iterator[str]:
    for step in STEPS:
        yield ""
        for item in plan.workloads:
            yield shlex.join(_run(item, step))


def _run(item: Workload, step: float) -> list[str]:
    per_second = math.ceil(item.per_minute(step) / 60)
    return ["run", step_name(step), item.name, str(per_second), str(item.connections(step)), str(item.stop_p95_ms)]
