"""The page that lies beside the scripts and says what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from queries.load_tests.plan import Plan

NAME: Final = "load-test.md"

_TEXT: Final = """\
# Load test of {app} against {host}

Written by `drainlake query load_test_plan --write`. All requests are GET and go to {host} alone.
**Read the addresses before you run them**: they are from the log, and a GET can change something too.

| workload | requests a second | in flight | p95 today | stop above | errors today |
|---|---:|---:|---:|---:|---:|
{rows}

Each script first asks some addresses once (cold: restart the app just before), then sends 1, 1.5 and 2 times today's
peak for {seconds} seconds each, and stops when more than 1 % of the requests fail or the p95 is above its limit.
Today's figures are the router's; a generator also sees the way through the network, so run it near the app.

| run | what it does |
|---|---|
| `ab.sh` | keeps the requests in flight, one address per workload |
| `vegeta.sh`, `oha.sh` | sends at the rate, one workload after the other; without the cold pass |
| `k6.sh` | sends at the rates, all workloads at once |
| `locust.sh` | the same with locust; without the cold pass |

Not in the scripts:

{by_hand}

Afterwards, with START and END of one step and the name of the app that was tested:
`drainlake query load_test_verdict --since START --until END --app TESTED --param plan_app={app}`. Add
`--ab ab-WORKLOAD-1x.txt` for what ab printed, and `--param load_percent=150` or `200` for the other steps.
"""


def files(plan: Plan) -> dict[str, str]:
    """``load-test.md``."""
    rows = "\n".join(
        f"| {item.name} | {item.per_second:.3g} | {item.concurrency} | {item.p95_ms} ms | {item.stop_p95_ms} ms |"
        f" {100 * item.error_share:.3g} % |"
        for item in plan.workloads
    )
    by_hand = "\n".join(f"* {name}: {note}" for name, note in plan.by_hand) or "nothing"
    return {NAME: _TEXT.format(app=plan.app, host=plan.host, seconds=plan.seconds, rows=rows, by_hand=by_hand)}
