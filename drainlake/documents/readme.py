"""The README's generated tables: commands, questions, settings, and what was measured.

Each stands between two markers, so that the page cannot drift from the program: a test compares.
"""

from __future__ import annotations

import re
from typing import Final

from drainlake.cli import COMMANDS
from drainlake.documents import benchmarks
from drainlake.setting_table import TABLE
from queries.catalog import questions
from queries.documentation import readme_table

_BLOCK: Final = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def settings_table() -> str:
    """All settings as a Markdown table."""
    lines = ["| name | default | |", "|---|---|---|"]
    for setting in TABLE:
        default = setting.default.strip("<>") if setting.default.startswith("<") else f"`{setting.default}`"
        lines.append(f"| `{setting.name}` | {default} | {setting.meaning} |")
    return "\n".join(lines) + "\n"


def command_table() -> str:
    """All commands as a Markdown table."""
    rows = [f"| `drainlake {name}` | {sentence} |" for name, sentence in COMMANDS.items()]
    return "\n".join(["| command | |", "|---|---|", *rows]) + "\n"


def renewed(page: str) -> str:
    """The page with every generated block as it has to be now; raises KeyError for an unknown block."""
    tables = {"settings": settings_table, "commands": command_table, "questions": _questions}
    tables["benchmarks"] = benchmarks.recorded
    return _BLOCK.sub(lambda block: block[1] + tables[block[2]]() + block[3], page)


def _questions() -> str:
    return readme_table(questions())
