"""The page in a real browser: it loads nothing, draws its charts, and is usable by keyboard, on a phone, on paper."""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import axe_playwright_python
import pytest

from queries.report.as_html import render
from queries.report.model import Answer, Section
from tests.report.browser import PHONE, chromium
from tests.report.reports import bad_day, hostile_report, quiet_day, small_day

if TYPE_CHECKING:
    from tests.report.browser import Chromium

__all__ = ["chromium"]

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")

# For each drawn chart: how many pixels inside its axes have exactly the colour of each line, and how many of the first
# line lie between two moments (hours of the day).
PIXELS = """([first, last]) => [...document.querySelectorAll('figure.chart:has(canvas)')].map((figure) => {
  const canvas = figure.querySelector('canvas');
  const over = figure.querySelector('.u-over').getBoundingClientRect();
  const box = canvas.getBoundingClientRect();
  const ratio = canvas.width / box.width;
  const inside = [over.left - box.left, over.top - box.top, over.width, over.height];
  const [x, y, w, h] = inside.map((length) => Math.round(length * ratio));
  const pixels = canvas.getContext('2d').getImageData(x, y, w, h).data;
  const colours = [...figure.querySelectorAll('.legend .swatch path')].map((path) =>
    getComputedStyle(path).stroke.match(/\\d+/g).slice(0, 3).map(Number));
  const counts = colours.map(() => 0);
  let between = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at + 3] < 255) continue;
    colours.forEach(([r, g, b], line) => {
      if (pixels[at] !== r || pixels[at + 1] !== g || pixels[at + 2] !== b) return;
      counts[line] += 1;
      const hour = (((at / 4) % w) / w) * 24;
      if (line === 0 && hour > first && hour < last) between += 1;
    });
  }
  return { title: figure.querySelector('figcaption').innerText, counts, between };
})"""

# As many columns as a question has, with the longest things that stand in them.
WIDE_ANSWER = Answer(
    "wide",
    ("app", *(f"text_{n}" for n in range(5)), "first_at", *(f"number_{n}" for n in range(8))),
    (
        (
            "shop",
            *("/wp-content/plugins/woocommerce/assets" * 2,) * 5,
            datetime(2026, 11, 26, tzinfo=UTC),
            *(999_999,) * 8,
        ),
    ),
    1,
    "SELECT 1",
)
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_nothing_is_loaded_and_nothing_complains(chromium: Chromium) -> None:
    """One file is all: with all opened and all tools used there is no second request and no message of the console."""
    with chromium.opened(render(bad_day())) as opened:
        opened.open_all()
        for button in opened.page.locator(".tools button").all():
            button.click()
        assert len(opened.requests) == 1
        assert opened.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_line_is_drawn_in_its_colour(chromium: Chromium, scheme: str) -> None:
    """No chart is blank, no line is missing, and what is unknown is a gap and not a line."""
    with chromium.opened(render(bad_day()), color_scheme=scheme) as opened:
        opened.open_all()
        drawn = opened.page.evaluate(PIXELS, [7.1, 7.9])
    assert len(drawn) == 13
    for chart in drawn:
        assert min(chart["counts"]) > 5, chart
        if chart["title"].startswith(("Memory", "Requests in a minute")):
            assert chart["between"] == 0, chart


def test_the_keyboard_reaches_everything_and_shows_where_it_is(chromium: Chromium) -> None:
    """Tab goes to all that can be used, each time with an outline; Enter opens a finding."""
    with chromium.opened(render(bad_day())) as opened:
        page = opened.page
        first = page.locator(".finding > details > summary").first
        first.focus()
        page.keyboard.press("Enter")
        assert page.locator(".finding > details").first.evaluate("(details) => details.open")
        opened.settle()
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        usable = page.evaluate(
            "[...document.querySelectorAll('a, button, summary, [tabindex]')].filter((e) => e.checkVisibility()).length"
        )
        seen = 0
        for _ in range(usable + 1):  # one of them leaves the page and comes back at its start
            page.keyboard.press("Tab")
            seen += page.evaluate(
                "(() => { const e = document.activeElement; const isNew = !e.dataset.seen; e.dataset.seen = 1;"
                "return isNew && e !== document.body && getComputedStyle(e).outlineStyle !== 'none' ? 1 : 0 })()"
            )
        assert usable > 60
        assert seen == usable


def test_the_keyboard_reads_values_and_zooms(chromium: Chromium) -> None:
    """On a chart the arrows show a value with its time, also told to a screen reader; plus and Escape zoom."""
    with chromium.opened(render(quiet_day())) as opened:
        page = opened.page
        opened.settle()  # a chart that is not drawn yet hears no key
        page.locator(".plot").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        opened.settle()
        assert page.locator(".tip").first.inner_text().split("\n")[:2] == ["25 Nov 00:01:00", "0 requests timed out"]
        assert page.locator("#said").inner_text().startswith("25 Nov 00:01:00; 0 requests")
        before = page.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()")
        page.keyboard.press("+")
        opened.settle()
        assert page.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()") != before
        page.keyboard.press("Escape")
        opened.settle()
        assert page.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()") == before


@pytest.mark.parametrize(
    ("context", "rules"),
    [
        ({"color_scheme": "light"}, {}),
        ({"color_scheme": "dark"}, {"runOnly": ["color-contrast", "link-in-text-block"]}),
        ({"viewport": PHONE}, {"rules": {"color-contrast": {"enabled": False}}}),
    ],
    ids=["light", "dark", "phone"],
)
def test_an_accessibility_checker_finds_nothing(chromium: Chromium, context: Any, rules: Any) -> None:
    """axe-core with everything opened: all its rules, once more of colours in the dark, of the rest on a phone."""
    with chromium.opened(render(small_day()), **context) as opened:
        opened.open_all()
        opened.page.evaluate(AXE)
        found = opened.page.evaluate("(rules) => axe.run(document, rules).then((result) => result.violations)", rules)
    assert [(rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in found] == []


@pytest.mark.parametrize("make", [bad_day, hostile_report], ids=["ordinary", "hostile"])
def test_a_telephone_needs_no_scrolling_sideways(chromium: Chromium, make: Any) -> None:
    """At 360 pixels wide tables move in their boxes, the page does not, whatever words an attacker made."""
    with chromium.opened(render(make()), viewport=PHONE) as opened:
        assert opened.page.evaluate(SIDEWAYS) == 0
        opened.open_all()
        assert opened.page.evaluate(SIDEWAYS) == 0


def test_the_tools_do_what_they_say(chromium: Chromium) -> None:
    """Themes change the colours, local time changes times and charts and says so, all opens and closes."""
    with chromium.opened(render(bad_day()), timezone_id="Asia/Kolkata") as opened:
        page = opened.page
        time = page.locator(".finding time").first
        ground = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(ground)
        page.get_by_role("button", name="Theme").click()
        assert page.evaluate(ground) == light
        page.get_by_role("button", name="Theme: light").click()
        assert page.evaluate(ground) != light
        assert time.inner_text() == "10:52:53"
        drawn = page.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()")
        page.get_by_role("button", name="Local time").click()
        opened.settle()
        assert time.inner_text() == "25 Nov 16:22:53"
        assert "are in Asia/Calcutta now" in page.locator(".zone-note").inner_text()
        assert page.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()") != drawn
        page.get_by_role("button", name="Local time").click()
        assert time.inner_text() == "10:52:53"
        page.get_by_role("button", name="Open all").click()
        assert page.locator(".finding > details:not([open])").count() == 0
        page.get_by_role("button", name="Open all").click()
        assert page.locator(".finding > details[open]").count() == 0


def test_a_copy_button_copies_the_statement(chromium: Chromium) -> None:
    """What is pasted is what the finding holds."""
    with chromium.opened(render(bad_day()), permissions=["clipboard-read", "clipboard-write"]) as opened:
        page = opened.page
        page.locator(".finding > details > summary").first.click()
        page.get_by_role("button", name="Copy: SQL of this sentence").click()
        page.get_by_text("Copied", exact=True).first.wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == bad_day().findings[0].sql


def test_without_scripts_everything_is_said(chromium: Chromium) -> None:
    """Sentences, tables and statements are there and open; nothing empty or dead is shown."""
    report = bad_day()
    with chromium.opened(render(report), java_script_enabled=False) as opened:
        page = opened.page
        page.locator(".finding > details > summary").first.click()
        text = re.sub(r"\s+", " ", page.locator("main").inner_text())
        for told in (*report.findings, *report.sections):
            assert told.sentence in text
        assert report.findings[0].command in text
        assert page.get_by_role("button").count() == 0
        assert page.locator(".plot").first.is_hidden()
        table = page.locator(".finding .chart .fold").first
        table.locator("summary").click()
        assert table.locator("tbody tr").count() == 48
        assert table.get_by_text("0 to 116", exact=True).is_visible()


def test_paper_has_all_evidence_in_light(chromium: Chromium) -> None:
    """Before printing all findings open, in light, with charts that fit; afterwards the page is as it was."""
    with chromium.opened(render(bad_day()), color_scheme="dark") as opened:
        page = opened.page
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        opened.settle()
        assert page.locator(".finding > details:not([open])").count() == 0
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(26, 30, 34)"
        widths = page.evaluate("[...document.querySelectorAll('canvas')].map((e) => e.getBoundingClientRect().width)")
        assert len(widths) == 13
        assert max(widths) <= 640
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen", color_scheme="dark")
        assert page.locator(".finding > details[open]").count() == 0


def test_no_table_is_cut_off_by_the_edge_of_the_paper(chromium: Chromium) -> None:
    """Of A4 688 pixels are left between the margins. Paths and words break there; a number or a heading never does."""
    wide = replace(small_day(), sections=(Section("wide", "Wide", "", answers=(WIDE_ANSWER,)),))
    with chromium.opened(render(wide), viewport={"width": 688, "height": 900}) as opened:
        opened.page.emulate_media(media="print")
        opened.settle()
        assert opened.page.evaluate(SIDEWAYS) == 0
        assert opened.page.locator("td.right").first.evaluate("(cell) => cell.getClientRects()[0].height") < 20


def test_an_address_opens_its_finding(chromium: Chromium) -> None:
    """A link to a finding, as a message has it, opens the finding."""
    found = bad_day().findings[3]
    with chromium.opened(render(bad_day())) as opened:
        opened.page.goto(f"{opened.page.url}#f-{found.id}")
        opened.page.locator(f"#f-{found.id} .evidence").wait_for(state="visible")


def test_hostile_text_does_nothing_in_a_browser(chromium: Chromium) -> None:
    """Nothing of it runs, loads or complains, with everything opened and every text of a chart drawn."""
    with chromium.opened(render(hostile_report())) as opened:
        opened.open_all()
        assert opened.page.evaluate("window.pwned") is None
        assert opened.page.locator("img, iframe, object, svg[onload]").count() == 0
        assert len(opened.requests) == 1
        assert opened.complaints == []


HOLE = """<script>window.pwned = 1</script><img src="http://HOST/a.png" onerror="window.pwned = 1">
<style>@import url(http://HOST/a.css); body { background: url(http://HOST/b.png) }</style>
<svg onload="window.pwned = 1"></svg><iframe srcdoc="<script>parent.pwned = 1</script>"></iframe>
<link rel="stylesheet" href="http://HOST/c.css"><script src="http://HOST/d.js"></script>
<object data="http://HOST/e"></object><base href="http://HOST/"><video src="http://HOST/f"></video>
<form action="http://HOST/g"><button id="send">send</button></form><a id="go" href="javascript:pwned=1">go</a>"""


def test_even_a_hole_in_the_escaping_runs_and_loads_nothing(chromium: Chromium) -> None:
    """The page's own policy refuses all of it: scripts, styles, images, frames, forms."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        hole = HOLE.replace("HOST", f"127.0.0.1:{server.getsockname()[1]}")
        with chromium.opened(render(quiet_day()).replace("<main>", f"<main>{hole}")) as opened:
            opened.page.evaluate("document.querySelectorAll('#send, #go').forEach((each) => each.click())")
            opened.settle()
            assert opened.page.evaluate("window.pwned") is None
            assert any("Content Security Policy" in text for text in opened.complaints)
        with pytest.raises(BlockingIOError):  # nobody has knocked
            server.accept()
