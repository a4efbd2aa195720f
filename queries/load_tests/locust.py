"""A locustfile: one class of users per workload, which together send at the rate of the busiest minute."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from queries.load_tests.plan import ERROR_SHARE_MAX, STEPS, TIMEOUT_SECONDS

if TYPE_CHECKING:
    from queries.load_tests.plan import Plan, Workload

SCRIPT: Final = "locustfile.py"
RUNNER: Final = "locust.sh"

_CODE: Final = r'''

@events.init_command_line_parser.add_listener
def add_step(parser):
    parser.add_argument("--step", type=float, default=1.0, help="How many times today's peak to send.")


class Workload(HttpUser):
    abstract = True
    host = HOST
    workload = ""

    def wait_time(self):
        """So long that all users of the workload together send at its rate."""
        rates = WORKLOADS[self.workload]
        each = rates["per_minute"] / 60 * self.environment.parsed_options.step / self.fixed_count
        return constant_throughput(each)(self)

    @task
    def ask(self):
        url = random.choice(WORKLOADS[self.workload]["targets"])
        # Redirects are not followed: they could lead to another host.
        self.client.get(url, name=self.workload, allow_redirects=False, timeout=TIMEOUT_SECONDS)


for _name, _workload in WORKLOADS.items():
    globals()[_name.capitalize()] = type(
        _name.capitalize(), (Workload,), {"workload": _name, "fixed_count": _workload["users"]}
    )


@events.quitting.add_listener
def judge(environment, **_):
    """The stop rule: locust ends with an error when a workload failed or took too long."""
    for name, workload in WORKLOADS.items():
        seen = environment.stats.get(name, "GET")
        p95 = seen.get_response_time_percentile(0.95) or 0
        if not seen.num_requests or seen.fail_ratio > STOP_ERROR_SHARE or p95 > workload["stop_p95_ms"]:
            print(f"Stopped at {name}: {seen.num_requests} requests, {seen.fail_ratio:.1%} failed, p95 {p95} ms.")
            environment.process_exit_code = 1
'''

_RUN: Final = r"""#!/usr/bin/env bash
# locust ends with an error when the stop rule is broken; the next step is not run then.
cd "$(dirname "$0")" || exit 1
for step in @STEPS@; do
  locust -f locustfile.py --headless -u @USERS@ -r @USERS@ -t @SECONDS@s --step "$step" || exit 1
done
"""


def files(plan: Plan) -> dict[str, str]:
    """``locustfile.py`` and ``locust.sh``, which runs it step by step."""
    # Strings, numbers, lists and objects in ASCII JSON are the same in Python.
    workloads = json.dumps({item.name: _workload(item) for item in plan.workloads}, indent=4, ensure_ascii=True)
    constants = f"HOST = {json.dumps(plan.host)}\nTIMEOUT_SECONDS = {TIMEOUT_SECONDS}\n"
    constants += f"STOP_ERROR_SHARE = {ERROR_SHARE_MAX}\nWORKLOADS = {workloads}\n"
    script = f"import random\n\nfrom locust import HttpUser, constant_throughput, events, task\n\n{constants}{_CODE}"
    users = sum(_users(item) for item in plan.workloads)
    run = _RUN.replace("@STEPS@", " ".join(f"{step:g}" for step in STEPS))
    return {SCRIPT: script, RUNNER: run.replace("@USERS@", str(users)).replace("@SECONDS@", str(plan.seconds))}


def _users(item: Workload) -> int:
    """Enough to hold the rate of the last step while the app stays within the stop rule."""
    return item.connections(STEPS[-1])


def _workload(item: Workload) -> dict[str, Any]:
    return {
        "per_minute": item.per_minute(1),
        "users": _users(item),
        "stop_p95_ms": item.stop_p95_ms,
        "targets": item.targets(),
    }
