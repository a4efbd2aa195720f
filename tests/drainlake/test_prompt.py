"""The SQL prompt on a real terminal: completion, several lines, Ctrl-C, history, leaving."""

from __future__ import annotations

import os
import pty
import re
import select
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from drainlake.prompt import Words
from drainlake.session import Vocabulary, is_whole, statements
from tests.drainlake.conftest import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.drainlake.conftest import Cli

CTRL_C, CTRL_D, TAB, ENTER = "\x03", "\x04", "\t", "\r"
LONG_QUERY = "SELECT 'begun' AS v; SELECT count(*) FROM range(100000000000) t(x) WHERE x % 7 = 3;"
PROMPT = "drainlake>"
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")
# The child has to be the leader of a session whose terminal this is, or Ctrl-C would be no signal.
ON_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
WORDS = Vocabulary(
    {"router": ["timestamp", "app", "status"], "php": ["timestamp", "message"]},
    {"latency": ["since", "app_name"]},
    ("SELECT", "STRUCT"),
)


class Terminal:
    """``drainlake sql`` on a pseudo-terminal of 120 columns."""

    def __init__(self, cli: Cli) -> None:
        self._main, child = pty.openpty()
        os.set_blocking(self._main, False)
        self.seen = ""
        self._read_to = 0
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, *COMMAND, "sql"],
            cwd=cli.folder,
            env=cli.env(TERM="xterm", COLUMNS="120", LINES="40", PROMPT_TOOLKIT_NO_CPR="1"),
            stdin=child,
            stdout=child,
            stderr=child,
        )
        os.close(child)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._main, text.encode())

    def wait_for(self, text: str, seconds: float = 20.0) -> str:
        """Read until the text, escapes aside, appears behind what was waited for before."""
        deadline = time.monotonic() + seconds
        while text not in self.seen[self._read_to :]:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen[self._read_to :]!r}"
            if select.select([self._main], [], [], 0.2)[0]:
                self.seen += self._read()
        end = self.seen.index(text, self._read_to) + len(text)
        part, self._read_to = self.seen[self._read_to : end], end
        return part

    def leave(self) -> int:
        """Press Ctrl-D at the next prompt and give the exit code."""
        self.wait_for(PROMPT)
        self.type(CTRL_D)
        return self.process.wait(20)

    def _read(self) -> str:
        try:
            return ESCAPES.sub("", os.read(self._main, 65536).decode("utf-8", "replace"))
        except OSError:
            raise AssertionError(f"the prompt ended: {self.seen!r}") from None

    def close(self) -> None:
        """End it however it is."""
        self.process.kill()
        self.process.wait()
        os.close(self._main)


@pytest.fixture(name="terminal")
def _terminal(cli: Cli) -> Iterator[Terminal]:
    opened = Terminal(cli)
    try:
        opened.wait_for(PROMPT)
        yield opened
    finally:
        opened.close()


def test_a_statement_over_two_lines_runs_at_its_semicolon(terminal: Terminal) -> None:
    """Enter goes on with the next line until a semicolon ends it; then rows, count and time show."""
    terminal.type("SELECT 40 + 2 AS answer" + ENTER)
    terminal.type(", 'x' AS t;" + ENTER)
    terminal.wait_for("    42  x")
    terminal.wait_for("(1 row, ")
    assert terminal.leave() == 0


def test_ctrl_c_stops_a_query_and_stays(terminal: Terminal) -> None:
    """A running query ends at once, the prompt lives on and answers the next statement."""
    terminal.type(LONG_QUERY + ENTER)
    terminal.wait_for("(1 row, ")  # of the first statement: the second is running
    terminal.type(CTRL_C)
    terminal.wait_for("Stopped.")
    terminal.wait_for(PROMPT)
    terminal.type("SELECT 'alive' || '!' AS v;" + ENTER)
    terminal.wait_for("alive!")


def test_ctrl_c_at_the_prompt_drops_the_line(terminal: Terminal) -> None:
    """Half a statement is forgotten, the prompt stays."""
    terminal.type("SELECT nonsense")
    terminal.wait_for("nse")
    terminal.type(CTRL_C)
    terminal.wait_for(PROMPT)
    terminal.type("SELECT 'clean' || '!' AS v;" + ENTER)
    terminal.wait_for("clean!")


def test_tab_completes_a_table(terminal: Terminal) -> None:
    """After FROM, a unique beginning becomes the table's name."""
    terminal.type("DESCRIBE FROM rel")
    terminal.wait_for("releases")  # in the menu
    terminal.type(TAB + " LIMIT 1;" + ENTER)
    terminal.wait_for("INTEGER")


def test_an_error_is_one_line_and_the_prompt_stays(terminal: Terminal) -> None:
    """A wrong statement and an unknown dot command are told; then .tables and .help work."""
    terminal.type("SELECT * FROM nowhere;" + ENTER)
    terminal.wait_for("nowhere does not exist")
    terminal.type(".nope" + ENTER)
    terminal.wait_for("There is no command .nope")
    terminal.type(".tables" + ENTER)
    terminal.wait_for("h12_timeouts(since, until, app_name)")
    terminal.type(".help" + ENTER)
    terminal.wait_for("Ctrl-D leaves")


def test_the_history_is_kept_for_its_owner_only(cli: Cli, terminal: Terminal) -> None:
    """Statements come back in the next session, from a file nobody else can read."""
    terminal.type("SELECT 'first' || 'session' AS v;" + ENTER)
    terminal.wait_for("firstsession")
    assert terminal.leave() == 0
    path = cli.folder / "drainlake-data" / "sql-history"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = Terminal(cli)
    try:
        second.wait_for(PROMPT)
        second.type("\x1b[A" + ENTER)
        second.wait_for("firstsession")
    finally:
        second.close()


@pytest.mark.parametrize(
    ("before", "want"),
    [
        ("SELECT * FROM ro", ["router"]),
        ("SELECT * FROM ", ["router", "php", "latency("]),
        ("FROM router JOIN p", ["php"]),
        ("SELECT st", ["status", "STRUCT"]),
        ("sel", ["SELECT"]),
        ("SELECT mess", ["message"]),
        ("FROM latency(si", ["since := "]),
        ("FROM latency(app_", ["app_name := "]),
        (".sc", [".schema"]),
        (".schema ph", ["php"]),
        ("SELECT router.stat", ["status"]),
        ("SELECT zzz", []),
    ],
)
def test_completion_knows_what_can_stand_here(before: str, want: list[str]) -> None:
    """Relations after FROM, else columns, parameters of the question called, keywords."""
    found = Words(WORDS).get_completions(Document(before), CompleteEvent())
    assert [completion.text for completion in found] == want


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", True),
        (".tables", True),
        ("SELECT 1;", True),
        ("SELECT 1", False),
        ("SELECT ';'", False),
        ("SELECT 1 -- ;", False),
        ("SELECT 1; -- done", True),
        ("SELECT 'a;b';", True),
    ],
)
def test_enter_runs_whole_statements_only(text: str, whole: bool) -> None:
    """A semicolon inside a string or comment ends nothing."""
    assert is_whole(text) is whole


def test_a_pipe_is_cut_into_statements() -> None:
    """Lines gather until a semicolon; dot commands stand alone; the last statement needs no semicolon."""
    lines = ["\n", "SELECT 1,\n", "\n", " ';';\n", ".tables\n", "  \n", "SELECT 2\n"]
    assert list(statements(lines)) == ["SELECT 1,\n\n ';';\n", ".tables", "SELECT 2\n"]
