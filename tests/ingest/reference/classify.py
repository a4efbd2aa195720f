"""Says which table a line belongs to, by APPNAME, PROCID and message and never by PRI (heroku-logs.md 1.4).

Only Heroku's own frames are believed: what a dyno prints is access, php or lines, whatever it imitates. R13 alone comes
under the name of the one-off dyno itself (3.2).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.ingest.reference import access, php, platform, samples

if TYPE_CHECKING:
    from tests.ingest.reference.header import Line

ROUTER_TOKEN = re.compile(r"(?:^| )(?:at|code|method)=")
ATTACH_ERROR = "Error R13 (Attach error) -> Failed to attach to process"
DYNO = re.compile(r"[A-Za-z0-9_-]+\.[0-9]+")


def table(line: Line) -> str:
    """The name of the table the line is parsed into."""
    if line.process == "api" and line.app in ("heroku", "app"):
        return "releases"
    if line.app == "heroku":
        return _heroku(line)
    if line.app == "app":
        return _app(line)
    return "lines"


def _heroku(line: Line) -> str:
    if line.process == "router":
        # The router's lines of 2012 without such a token (`Error H10 … -> GET …`) stay lines.
        return "router" if ROUTER_TOKEN.search(line.message) else "lines"
    if line.process not in ("logplex", "log-shuttle") and samples.parse(line):
        return "samples"
    return "platform"


def _app(line: Line) -> str:
    if line.process == "log-shuttle" and platform.LOSS.match(line.message):
        return "platform"
    if re.fullmatch(r"run\.[0-9]+", line.process) and line.message == ATTACH_ERROR:
        return "platform"
    if is_dyno_output(line):
        if access.is_access(line.message):
            return "access"
        return "php" if php.is_php(line.message) else "lines"
    if samples.kind(line) is not None and samples.parse(line):
        return "samples"
    return "lines"


def is_dyno_output(line: Line) -> bool:
    """Whether a dyno (`web.1`) printed the line."""
    return line.app == "app" and DYNO.fullmatch(line.process) is not None
