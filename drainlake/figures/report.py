"""What the ledger of reports and alarms shows as figures. Pure: the ledger and the plan are arguments.

These figures are of the lake and not of a process, so they carry no label of one: whoever looked last wrote them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from ingest.figures.exposition import family
from queries.delivery.ledger import Kind, State
from queries.report.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from prometheus_client import Metric

    from queries.delivery.cron import Cron
    from queries.delivery.ledger import Ledger
    from queries.delivery.schedule import Plan

LEVELS: Final = tuple(severity.name.lower() for severity in Severity)
FINDINGS: Final = "drainlake_report_findings"


def report_figures(ledger: Ledger, plan: Plan, findings: Mapping[str, float]) -> Iterator[Metric]:
    """The families. ``findings`` are those of the newest report by level; {} while none was made."""
    yield from _runs(ledger, plan)
    yield from _messages(ledger)
    yield family(
        "gauge", FINDINGS, "Findings in the newest report that was made, by level.",
        (({"level": level}, findings.get(level, 0)) for level in LEVELS if findings),
    )  # fmt: skip
    alarms = Counter(Severity(each.severity).name.lower() for each in ledger.episodes if each.ended_at is None)
    yield family(
        "gauge", "drainlake_alarms_open", "Findings that ring or would ring, as of the last check, by level.",
        (({"level": level}, alarms[level]) for level in LEVELS),
    )  # fmt: skip


def findings_by_level(levels: Iterable[Severity]) -> dict[str, float]:
    """How many findings of each level, all levels named."""
    counted = Counter(severity.name.lower() for severity in levels)
    return {level: counted[level] for level in LEVELS}


def _runs(ledger: Ledger, plan: Plan) -> Iterator[Metric]:
    crons = {Kind.REPORT: plan.report_at, Kind.ALARM: plan.check_at}
    tracks = {kind: ledger.tracks[kind] for kind, cron in crons.items() if cron is not None and kind in ledger.tracks}
    labels: dict[Kind, dict[str, str]] = {Kind.REPORT: {"kind": "report"}, Kind.ALARM: {"kind": "check"}}
    yield family(
        "gauge", "drainlake_last_run_timestamp_seconds", "The due time of the last report or check that was done.",
        ((labels[kind], _seconds(track.handled_until)) for kind, track in tracks.items()),
    )  # fmt: skip
    yield family(
        "gauge", "drainlake_next_run_timestamp_seconds", "When the next report or check is due that was not done yet.",
        ((labels[kind], _next(crons[kind], track.handled_until)) for kind, track in tracks.items()),
    )  # fmt: skip
    yield family(
        "gauge", "drainlake_runs_failed_in_a_row", "Reports or checks that failed since the last good one.",
        ((labels[kind], track.failures) for kind, track in tracks.items()),
    )  # fmt: skip


def _messages(ledger: Ledger) -> Iterator[Metric]:
    kinds = {kind: [each for each in ledger.messages if each.kind is kind] for kind in Kind}
    yield family(
        "gauge", "drainlake_last_message_timestamp_seconds", "When the newest report or message of alarms was made.",
        (({"kind": str(kind)}, _newest(each.made_at for each in found)) for kind, found in kinds.items()),
    )  # fmt: skip
    sent = {
        kind: [each for each in found if any(parcel.state is State.SENT for parcel in each.parcels)]
        for kind, found in kinds.items()
    }
    yield family(
        "gauge", "drainlake_last_sent_message_timestamp_seconds",
        "When the newest report or message of alarms was made that has reached a place of DRAINLAKE_NOTIFY.",
        (({"kind": str(kind)}, _newest(each.made_at for each in found)) for kind, found in sent.items()),
    )  # fmt: skip
    parcels = Counter(_standing(parcel.state, parcel.reason) for each in ledger.messages for parcel in each.parcels)
    yield family(
        "gauge", "drainlake_messages", "The last messages by how they stand, counted once for each place they go to:"
        " sent; waiting (quiet hours, or not tried yet); failing; unknown (it may have arrived); given_up.",
        (({"state": state}, parcels[state]) for state in ("sent", "waiting", "failing", "unknown", "given_up")),
    )  # fmt: skip


def _standing(state: State, reason: str) -> str:
    if state in {State.WAITING, State.BEGUN}:
        return "failing" if reason else "waiting"
    return state.value.replace(" ", "_")


def _next(cron: Cron | None, after: datetime) -> float | None:
    return _seconds(cron.next(after)) if cron is not None else None


def _newest(times: Iterator[datetime]) -> float | None:
    newest = max(times, default=None)
    return _seconds(newest) if newest is not None else None


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
