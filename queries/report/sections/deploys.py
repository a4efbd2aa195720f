"""What was changed, and did it make things worse?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.report.model import Section
from queries.report.series import change_name
from queries.report.words import at, counted, listed

if TYPE_CHECKING:
    from queries.report.asked import Asked


def section(asked: Asked) -> Section:
    """Changes, their effect, and the restarts."""
    answers = (asked.answer("releases"), asked.answer("deploy_impact"), asked.answer("dyno_restarts"))
    return Section("deploys", "Deploys and other changes", _sentence(asked), (), answers)


def _sentence(asked: Asked) -> str:
    rows = asked.question("releases")
    if not rows:
        return "Nothing was changed."
    newest = [f"{change_name(row)} at {at(row['changed_at'], asked.window)}" for row in rows[:3]]
    impact = asked.question("deploy_impact")
    worse = {(row["app"], row["changed_at"]) for row in impact if row["verdict"] == "worse"}
    effect = f"after {len(worse):,} of them a measure was worse" if worse else "after none of them a measure was worse"
    return f"{counted(len(rows), 'change')}: {listed(newest, len(rows[3:]))}; {effect}."
