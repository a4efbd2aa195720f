"""A script for k6: one scenario per workload, all at once, each at its own rate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from queries.load_tests.plan import ERROR_SHARE_MAX, STEPS, TIMEOUT_SECONDS

if TYPE_CHECKING:
    from queries.load_tests.plan import Plan, Workload

SCRIPT: Final = "k6.js"
RUNNER: Final = "k6.sh"

_CODE: Final = r"""
const step = Number(__ENV.STEP || 1);

// At 1 times the peak the app must be as good as today; above it the stop rule alone counts.
function thresholds(workload) {
  const failed = [{ threshold: `rate<=${PLAN.stop_error_share}`, abortOnFail: true, delayAbortEval: '10s' }];
  const took = [{ threshold: `p(95)<=${workload.stop_p95_ms}`, abortOnFail: true, delayAbortEval: '10s' }];
  if (step <= 1) {
    failed.push(`rate<=${workload.error_share}`);
    took.push(`p(95)<=${workload.p95_ms}`);
  }
  return { failed, took };
}

// Each address once by one user, before the load: right after a restart of the app its caches are cold.
export const options = { scenarios: { cold: {
  executor: 'shared-iterations', exec: 'cold', vus: 1, iterations: 1, maxDuration: `${PLAN.cold_seconds}s`,
} }, thresholds: {} };

for (const [name, workload] of Object.entries(PLAN.workloads)) {
  options.scenarios[name] = {
    executor: 'constant-arrival-rate',
    exec: 'load',
    startTime: `${PLAN.cold_seconds}s`,
    duration: `${PLAN.seconds}s`,
    rate: Math.ceil(workload.per_minute * step),
    timeUnit: '1m',
    preAllocatedVUs: Math.ceil(workload.in_flight * step),
    maxVUs: Math.ceil(workload.connections * step),
    env: { WORKLOAD: name },
  };
  const { failed, took } = thresholds(workload);
  options.thresholds[`http_req_failed{scenario:${name}}`] = failed;
  options.thresholds[`http_req_duration{scenario:${name}}`] = took;
}

// Redirects are not followed: they could lead to another host.
function ask(name, url) {
  http.get(url, { redirects: 0, timeout: `${PLAN.timeout_seconds}s`, tags: { name } });
}

export function cold() {
  for (const [name, workload] of Object.entries(PLAN.workloads)) {
    for (const url of workload.cold) ask(`cold ${name}`, url);
  }
}

export function load() {
  const { targets } = PLAN.workloads[__ENV.WORKLOAD];
  ask(__ENV.WORKLOAD, targets[Math.floor(Math.random() * targets.length)]);
}
"""

_RUN: Final = r"""#!/usr/bin/env bash
# k6 ends with an error when a threshold is missed; the next step is not run then.
cd "$(dirname "$0")" || exit 1
for step in @STEPS@; do
  k6 run -e STEP="$step" k6.js || exit 1
done
"""
COLD_MAX: Final = 10
COLD_SECONDS: Final = 60


def files(plan: Plan) -> dict[str, str]:
    """``k6.js`` and ``k6.sh``, which runs it step by step."""
    # JSON in ASCII is JavaScript; without `<` it ends no script element wherever somebody pastes it.
    data = json.dumps(_data(plan), indent=2, ensure_ascii=True).replace("<", "\\u003c")
    script = f"import http from 'k6/http';\n\nconst PLAN = {data};\n{_CODE}"
    return {SCRIPT: script, RUNNER: _RUN.replace("@STEPS@", " ".join(f"{step:g}" for step in STEPS))}


def _data(plan: Plan) -> dict[str, Any]:
    return {
        "seconds": plan.seconds,
        "cold_seconds": COLD_SECONDS,
        "timeout_seconds": TIMEOUT_SECONDS,
        "stop_error_share": ERROR_SHARE_MAX,
        "workloads": {item.name: _workload(item) for item in plan.workloads},
    }


def _workload(item: Workload) -> dict[str, Any]:
    return {
        "per_minute": item.per_minute(1),
        "in_flight": item.concurrency,
        "connections": item.connections(1),
        "p95_ms": item.p95_ms,
        "stop_p95_ms": item.stop_p95_ms,
        "error_share": round(item.error_share, 6),  # no exponent, which thresholds do not know
        "cold": [url for url, _ in item.addresses[:COLD_MAX]],
        "targets": item.targets(),
    }
