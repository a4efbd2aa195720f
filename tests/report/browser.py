"""A real headless Chromium in which reports are opened as files, with no name resolved and every request seen."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
FRAMES_MAX = 600

# The policy of the page refuses what would be evaluated from a string, so the waiting is written out.
DRAWN = f"""new Promise((done, fail) => {{
  let frames = 0;
  const look = () => {{
    const plots = [...document.querySelectorAll('.plot:not([hidden])')];
    if (plots.every((plot) => plot.dataset.drawn)) done();
    else if (++frames > {FRAMES_MAX}) fail(new Error('a chart was not drawn'));
    else requestAnimationFrame(look);
  }};
  look();
}})"""


@dataclass
class Opened:
    """A page and what it did: requests it made, complaints it printed."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open_all(self) -> None:
        """Open all that folds, and wait until what became visible is drawn."""
        self.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        self.page.evaluate(DRAWN)
        self.settle()

    def settle(self) -> None:
        """Wait for two frames: sizes are observed in one, charts drawn before the next."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@dataclass(frozen=True)
class Chromium:
    """The browser, and a folder for the files it opens."""

    browser: Browser
    folder: Path

    @contextmanager
    def opened(self, text: str, **context: Any) -> Iterator[Opened]:
        """Open a page from a file."""
        file = self.folder / "report.html"
        file.write_text(text, "utf-8")
        with self.browser.new_context(**({"viewport": WIDE} | context)) as held:
            opened = Opened(held.new_page())
            opened.page.on("request", lambda request: opened.requests.append(request.url))
            opened.page.on("console", lambda message: opened.complaints.append(message.text))
            opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
            opened.page.goto(file.as_uri())
            yield opened


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for a module; skips where there is none.

    Not for the session: its driver keeps an event loop running in this thread, which other tests want for themselves.
    """
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=binary, args=["--host-resolver-rules=MAP * ~NOTFOUND"])
        yield Chromium(browser, tmp_path_factory.mktemp("pages"))
        browser.close()
