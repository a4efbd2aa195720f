"""The README's table of what was measured, from what ``python -m tests.benchmarks --record`` kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drainlake.documents.measures import Measure, goal, number

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDED: Final = Path(__file__).parents[2] / "tests/benchmarks/recorded.json"
_NOTHING: Final = "Nothing is recorded yet: `python -m tests.benchmarks --record`.\n"


def recorded() -> str:
    """The table as the README has it."""
    return table(json.loads(RECORDED.read_text("utf-8")) if RECORDED.exists() else {})


def table(kept: Mapping[str, Any]) -> str:
    """What was recorded at full size: a sentence for each machine and date, and a row for each measure."""
    entries = kept.get("full", {})
    if not entries:
        return _NOTHING
    rows = [_row(Measure.of_json(measure)) for entry in entries.values() for measure in entry["measures"]]
    head = ["| measure | median | to its baseline | spread | to reach |", "|---|---:|---:|---:|---|"]
    return "\n".join([_places(entries), "", *head, *rows]) + "\n"


def _places(entries: Mapping[str, Any]) -> str:
    benches: dict[str, list[str]] = {}
    for name, entry in entries.items():
        machine = ", ".join(_plain(_part(key, value)) for key, value in entry["machine"].items())
        benches.setdefault(f"on {entry['date']}: {machine}", []).append(name)
    if len(benches) == 1:
        return f"Measured {next(iter(benches))}."
    return " ".join(f"Measured {place} ({', '.join(names)})." for place, names in benches.items())


def _part(key: str, value: object) -> str:
    return {"cpu": f"{value}", "cores": f"{value} cores", "memory_gb": f"{value} GB"}.get(key, f"{key} {value}")


def _row(measure: Measure) -> str:
    spread = f"± {measure.spread * 100:.0f} %" if measure.spread is not None and len(measure.values) > 1 else ""
    reached = {True: ": reached", False: ": not reached", None: ""}[measure.is_reached]
    ratio = f"{measure.ratio:.3g} x" if measure.ratio is not None else ""
    cells = [measure.name, f"{number(measure.value)} {measure.unit}", ratio, spread, goal(measure) + reached]
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: object) -> str:
    return str(text).replace("|", "\\|")
