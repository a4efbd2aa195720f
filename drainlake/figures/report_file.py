"""The file ``reports.prom`` in the home: what the ledger of reports and alarms shows, written after each look at it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from drainlake.delivery import plan_of
from drainlake.errors import Failure
from drainlake.figures.own_file import REPORTS, sweep_old, write
from drainlake.figures.report import FINDINGS, findings_by_level, report_figures
from drainlake.notes import lake_notes
from ingest.figures.files import ENDING, read_file
from queries.delivery.ledger import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from drainlake.settings import Settings
    from queries.report.model import Severity


def note_reports(settings: Settings, made: Sequence[Sequence[Severity]]) -> None:
    """Write the file. ``made`` are the findings of reports made just now; without one the last known ones stay.

    Where the ledger cannot be read or the file not be written, the older file stays and grows old visibly.
    """
    path = settings.metrics_folder / f"{REPORTS}{ENDING}"
    sweep_old(path)
    findings = findings_by_level(made[-1]) if made else _known_findings(path)
    with suppress(Failure, OSError):
        with lake_notes(settings) as notes:
            ledger = load(notes)
        write(path, report_figures(ledger, plan_of(settings), findings))


def _known_findings(path: Path) -> dict[str, float]:
    try:
        families = read_file(path)
    except Exception:  # noqa: BLE001 - there is none yet, or it is broken: then the findings are not known
        return {}
    return {
        sample.labels["level"]: sample.value for each in families if each.name == FINDINGS for sample in each.samples
    }
