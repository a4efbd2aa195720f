"""The README says what the program does: its tables are current, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

from drainlake import __version__
from drainlake.cli import COMMANDS
from drainlake.documents.readme import renewed
from drainlake.settings import NAMES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_generated_tables_are_current() -> None:
    """The tables stand as the program has them; else run ``python -m drainlake.documents``."""
    assert renewed(README) == README
    assert all(f"`{name}`" in README for name in NAMES)
    assert README.count("<!-- begin ") == 4


def test_the_page_names_real_commands_only() -> None:
    """Every ``drainlake WORD`` in code on the page is a command."""
    code = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)) + "\n".join(re.findall(r"`([^`\n]+)`", README))
    named = set(re.findall(r"(?:^|[ /])drainlake ([a-z]+)", code, re.MULTILINE))
    assert named <= set(COMMANDS)
    assert {"demo", "up", "attach", "query", "sql", "import"} <= named


def test_two_commands_do_all_setup() -> None:
    """The first two code blocks are one line each: one ends in the demo, one in the tests."""
    first, second = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)[:2]
    assert "\n" not in first + second
    assert first.startswith("python3 -m venv .venv && .venv/bin/pip install -q . && ")
    assert first.endswith("drainlake demo")
    assert second.endswith("pytest")


def test_the_changelog_knows_this_version() -> None:
    """The newest entry is the version of the package."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == __version__
