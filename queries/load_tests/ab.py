"""A shell script that runs ab: each address once (cold), then the workloads at each step, until one is too much."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Final

from queries.load_tests.plan import STEPS, TIMEOUT_SECONDS, step_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.load_tests.plan import Plan, Workload

SCRIPT: Final = "ab.sh"
COLD_MAX: Final = 10

_HEAD: Final = r"""#!/usr/bin/env bash
# ab tests the requests in flight: it keeps so many open and sends the next as soon as one is answered, so its rate is
# what the app makes of it. What it prints is kept in ab-WORKLOAD-STEP.txt.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

# cold ADDRESS...: each once, before any other; right after a restart of the app its caches are cold.
cold() {
  for address in "$@"; do
    ab -q -n 1 -c 1 -s @TIMEOUT@ "$address" | awk -v address="$address" \
      '/^Total:/ { print "cold: " $2 " ms " address; found = 1 } END { exit !found }' || exit 1
  done
}

# run STEP WORKLOAD IN_FLIGHT REQUESTS STOP_P95_MS ADDRESS
# -t stands before -n, which it would reset. -l: a dynamic page may have another length each time.
run() {
  local printed="ab-$2-$1.txt"
  echo "== $2 at $1 of today's peak: $3 requests in flight"
  ab -t @SECONDS@ -n "$4" -c "$3" -s @TIMEOUT@ -l "$6" | tee "$printed" || exit 1
  awk -v stop="$5" '
    /^Complete requests:/ { sent = $3 }
    /^Failed requests:/ { failed += $3 }
    /^ +\(Connect:/ { gsub(/[^0-9 ]/, ""); failed -= $3 }  # by length alone
    /^Non-2xx responses:/ { failed += $3 }
    /^ +95%/ { p95 = $2 }
    END { exit !(sent > 0 && failed <= sent / 100 && p95 <= stop) }
  ' "$printed" || { echo "Stopped: more than 1 % errors, or p95 above $5 ms." >&2; exit 1; }
}
"""


def files(plan: Plan) -> dict[str, str]:
    """``ab.sh``."""
    head = _HEAD.replace("@SECONDS@", str(plan.seconds)).replace("@TIMEOUT@", str(TIMEOUT_SECONDS))
    return {SCRIPT: head + "\n" + "".join(f"{line}\n" for line in _calls(plan))}


def _calls(plan: Plan) -> Iterator[str]:
    for item in plan.workloads:
        yield shlex.join(["cold", *(url for url, _ in item.addresses[:COLD_MAX])])
    for step in STEPS:
        yield ""
        for item in plan.workloads:
            yield shlex.join(_run(item, step))


def _run(item: Workload, step: float) -> list[str]:
    in_flight = math.ceil(item.concurrency * step)
    sent = math.ceil(item.requests * step)
    return ["run", step_name(step), item.name, str(in_flight), str(sent), str(item.stop_p95_ms), item.addresses[0][0]]
