"""Browsers and systems by their user agent: what all claim to be comes last."""

from __future__ import annotations

from importlib import resources

import duckdb
import pytest

_CHROME = "Mozilla/5.0 ({0}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 {1}Safari/537.36{2}"
_APPLE = "Mozilla/5.0 ({0}) AppleWebKit/605.1.15 (KHTML, like Gecko) {1}"
CASES = [
    (_CHROME.format("Windows NT 10.0; Win64; x64", "", ""), "Chrome", "Windows"),
    (_CHROME.format("Windows NT 10.0; Win64; x64", "", " Edg/142.0.0.0"), "Edge", "Windows"),
    (_CHROME.format("X11; CrOS x86_64 14541.0.0", "", " OPR/120.0"), "Opera", "ChromeOS"),
    (_CHROME.format("Linux; Android 10; K", "Mobile ", ""), "Chrome", "Android"),
    (
        _APPLE.format("iPhone; CPU iPhone OS 18_1 like Mac OS X", "CriOS/142.0 Mobile/15E148 Safari/604.1"),
        "Chrome",
        "iOS",
    ),
    (_APPLE.format("iPhone; CPU iPhone OS 18_1 like Mac OS X", "Mobile/15E148"), "Safari", "iOS"),
    (_APPLE.format("Macintosh; Intel Mac OS X 10_15_7", "Version/18.1 Safari/605.1.15"), "Safari", "macOS"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", "Linux"),
    ("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer", "Windows"),
    ("Mozilla/4.0 (compatible)", "another browser", None),
    ("curl/8.5.0", "curl", None),
    (None, None, None),
]


@pytest.mark.parametrize(("agent", "browser", "system"), CASES)
def test_what_an_agent_names(agent: str | None, browser: str | None, system: str | None) -> None:
    """The program and the system."""
    with duckdb.connect() as connection:
        connection.execute((resources.files("queries") / "shared" / "agents.sql").read_text("utf-8"))
        found = connection.execute("SELECT browser_of(agent), system_of(agent) FROM (SELECT ? AS agent)", [agent])
        assert found.fetchone() == (browser, system)
