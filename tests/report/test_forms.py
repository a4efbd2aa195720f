"""Each form of a report: its shape, its limits, and that text of an attacker is text in all of them."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from queries.report import as_json, as_markdown, as_slack, as_text, formatting
from queries.report.as_html import render as as_html
from queries.report.charting import extremes, stretches, thin
from queries.report.escaping import clean, shorten
from queries.report.model import Chart, Line, Severity, Window
from tests.report.reports import (
    DAY,
    EVIL,
    HOSTILE,
    LONG_PATH,
    MINUTES,
    SINCE,
    UNTIL,
    at,
    bad_day,
    findings,
    hostile_report,
    memory_chart,
    quiet_day,
    vast_report,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

RENDERED = {"html": as_html, "markdown": as_markdown.render, "slack": as_slack.render, "text": as_text.render}
MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1_234_567, "requests", "1,234,567 requests"),
        (0.12345, "requests", "0.123 requests"),
        (264, "ms", "264 ms"),
        (1_320, "ms", "1.32 s"),
        (30_001, "ms", "30.0 s"),
        (2_244_728, "ms", "37 min 25 s"),
        (7_500, "s", "2 h 05 min"),
        (812, "bytes", "812 bytes"),
        (1_530_000, "bytes", "1.53 MB"),
        (662, "MB", "662 MB"),
        (99.999, "%", "99.99 %"),
        (0.001, "%", "< 0.01 %"),
        (12.34, "%", "12.3 %"),
        (100, "%", "100 %"),
        (None, "ms", formatting.DASH),
        (math.nan, "bytes", formatting.DASH),
        (math.inf, "", formatting.DASH),
    ],
)
def test_an_amount_reads_as_people_write_it(value: float | None, unit: str, shown: str) -> None:
    """Separators, a unit of the right size, a dash for what is unknown; not all never reads as all."""
    assert formatting.amount(value, unit) == shown


@given(st.floats(), st.sampled_from(["ms", "s", "bytes", "%", "share", "requests", "MB", ""]))
def test_any_amount_has_a_short_text(value: float, unit: str) -> None:
    """No value fails, however large, small or strange."""
    assert 0 < len(formatting.amount(value, unit)) < 40


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("p95_ms", 573, "573 ms"),
        ("share", 0.0027, "0.27 %"),
        ("bytes", 2_500_000, "2.50 MB"),
        ("peak_percent", 129.3, "129.3 %"),
        ("peak_memory_mb", 662.0, "662 MB"),
        ("timeouts", Decimal(1204), "1,204"),
        ("first_at", at("10:51:14"), "10:51:14"),
        ("first_at", at("10:51:14").replace(tzinfo=None), "10:51:14"),
        ("first_at", SINCE - timedelta(hours=1), "24 Nov 23:00:00"),
        ("first_at", UNTIL, "24:00:00"),
        ("is_lower_bound", True, "yes"),
        ("route", None, formatting.DASH),
        ("culprits", [{"route": "/ä"}], '[{"route": "/ä"}]'),
    ],
)
def test_a_cell_takes_its_unit_from_the_columns_name(column: str, value: Any, shown: str) -> None:
    """What `queries/*.sql` names with a unit is shown with it."""
    assert formatting.cell(column, value, DAY) == shown


def test_times_have_their_date_when_the_window_has_several_days() -> None:
    """A time of day alone would be ambiguous."""
    window = Window(SINCE - timedelta(hours=6), SINCE + timedelta(hours=18))
    assert formatting.instant(at("10:51:14"), window) == "25 Nov 10:51:14"
    assert formatting.instant(datetime(2025, 12, 31, 1, tzinfo=UTC), window) == "31 Dec 2025 01:00:00"


@given(st.lists(st.none() | st.integers(0, 1000), min_size=1, max_size=400), st.integers(4, 100))
def test_a_thinned_chart_keeps_its_extremes(values: list[int | None], moments_max: int) -> None:
    """A peak of one minute is drawn and is in the table, however few points or rows there are."""
    chart = Chart("c", "", MINUTES[: len(values)], (Line("l", values),))
    thinned = thin(chart, moments_max)
    assert len(thinned.times) == len(thinned.lines[0].values) <= max(moments_max, 2) + 2
    before, after = extremes(chart, chart.lines[0]), extremes(thinned, thinned.lines[0])
    assert (before is None) == (after is None)
    if before and after:
        assert (before.lowest[0], before.highest[0]) == (after.lowest[0], after.highest[0])
        shown = {number for row in stretches(chart, 10) for number in re.findall(r"[\d,]+", row.cells[0])}
        assert {f"{before.lowest[0]:,.0f}", f"{before.highest[0]:,.0f}"} <= shown
    assert len(stretches(chart, 10)) <= 10


def test_all_forms_tell_the_same_findings_in_the_same_words() -> None:
    """Whoever reads one form knows what the readers of the others know."""
    report = bad_day()
    for name, render in RENDERED.items():
        text = re.sub(r"\s+", " ", render(report).replace("\\", "").replace("\u00a0", " "))
        for finding in report.findings:
            assert finding.sentence in text, name
            assert finding.id in text, name
        assert report.verdict in text
        assert "Computed from 99.96 % of the lines" in text


def test_the_page_says_how_to_mute_as_the_command_takes_it() -> None:
    """`drainlake mute` without --until is refused."""
    assert f"drainlake mute {bad_day().findings[0].id} --until 7d" in as_html(bad_day())


def test_json_holds_everything_exactly() -> None:
    """The documented shape; times in UTC, severities as words, nothing shortened."""
    held = json.loads(as_json.render(bad_day()))
    assert held["version"] == 1
    assert held["is_wrong"] is True
    assert held["window"] == {
        "since": "2026-11-25T00:00:00.000000Z", "until": "2026-11-26T00:00:00.000000Z", "app": "shop"
    }  # fmt: skip
    first = held["findings"][0]
    assert (first["id"], first["severity"], first["is_new"]) == (bad_day().findings[0].id, "critical", True)
    assert len(first["chart"]["times"]) == len(first["chart"]["lines"][0]["values"]) == 1440
    assert held["sections"][0]["answers"][0]["rows"][4][-1] is None
    assert held["trust"]["dropped"] == 336
    hostile = json.loads(as_json.render(hostile_report()))
    assert hostile["findings"][0]["sentence"] == EVIL
    assert hostile["sections"][0]["answers"][0]["rows"][1][3] is None


def test_a_quiet_day_is_said_in_every_form() -> None:
    """Without findings there is a verdict still."""
    for render in RENDERED.values():
        text = render(quiet_day())
        assert "Nothing is wrong." in text
        assert "No findings." in text


def test_a_day_without_lines_gets_no_tick() -> None:
    """A drain that is gone would look like a day on which all was well."""
    report = quiet_day()
    empty = replace(report, trust={**report.trust, "received": 0})
    assert [re.findall('class="verdict (.*?)"', as_html(each)) for each in (report, empty)] == [["good"], ["notice"]]


def test_a_page_stays_below_three_megabytes() -> None:
    """More of everything than fits, in the characters that escaping makes longest; what is left out is said."""
    text = as_html(vast_report())
    assert len(text.encode()) < 3 * MEGABYTE
    assert "The first 60 of 200 findings are on this page" in text
    assert "moments: the lowest and the highest of each few." in text


def test_the_same_report_gives_the_same_page() -> None:
    """Pages can be compared."""
    assert as_html(bad_day()) == as_html(bad_day())


def test_a_chart_that_findings_share_is_shown_as_one_of_their_own() -> None:
    """Also where the room for its table, and then for all of it, comes to an end."""
    many = [replace(findings()[0], subject=f"route {number}") for number in range(60)]
    chart = memory_chart()
    shared, own = (
        as_html(replace(bad_day(), findings=tuple(replace(finding, chart=each()) for finding in many)))
        for each in (lambda: chart, memory_chart)
    )
    is_alike = shared == own  # compared apart: to tell in what two pages differ takes minutes
    without_table, charts = own.count("The table is left out"), own.count("<figure")
    assert is_alike
    assert 0 < without_table < charts < len(many)


def test_a_long_path_is_shortened_and_still_there() -> None:
    """The row shows its beginning and its end; the whole of it opens."""
    text = as_html(hostile_report())
    assert LONG_PATH in text
    shown = shorten(LONG_PATH, 90)
    assert (shown[:9], shown[-4:], len(shown)) == ("/aaaaaaaa", "/end", 90)


def nodes(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each element of a page with the names of its attributes."""
    for node in html5lib.parse(text, namespaceHTMLElements=False).iter():
        yield str(node.tag if isinstance(node.tag, str) else "comment"), tuple(sorted(node.attrib))


def harmless(text: str) -> str:
    """Letters in place of all that is visible, so that only the visible differs."""
    return "".join("x" if each.isprintable() and not each.isspace() else each for each in text)


@pytest.mark.parametrize("text", [*HOSTILE, EVIL])
def test_hostile_text_makes_no_element_and_no_attribute(text: str) -> None:
    """In each field at once: the page has the elements and attributes that letters would have given."""
    page, letters = as_html(hostile_report(text)), as_html(hostile_report(harmless(text)))
    found = list(nodes(page))
    assert found == list(nodes(letters))
    assert {tag for tag, _ in found} & {"img", "iframe", "object", "embed", "form", "base", "link", "comment"} == set()
    assert [name for _, names in found for name in names if name.startswith("on") or name == "style"] == []
    assert clean(page) == page


def test_the_data_of_a_chart_is_data() -> None:
    """It is JSON whatever stands in a label, and its labels are the clean ones."""
    tree = html5lib.parse(as_html(hostile_report()), namespaceHTMLElements=False)
    held = [json.loads(node.text) for node in tree.iter("script") if node.get("type") == "application/json"]
    assert len(held) == 5
    assert all(clean(line["label"]) == line["label"] for chart in held for line in chart["lines"])


@pytest.mark.parametrize("text", [*HOSTILE, EVIL, "# h", "- l", "1. n", "    code", "+ p", "=== r"])
def test_hostile_text_is_text_in_markdown(text: str) -> None:
    """A parser of GitHub's Markdown finds the tokens that letters would have given: no link, no image, no HTML."""
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False})

    def tokens(words: str) -> list[str]:
        found = parser.parse(as_markdown.render(hostile_report(words)))
        return [each.type for token in found for each in (token, *(token.children or ()))]

    kinds = set(tokens(text))
    assert kinds & {"html_block", "html_inline", "link_open", "image", "hr", "blockquote_open", "code_block"} == set()
    assert kinds & {"em_open", "strong_open", "s_open", "code_inline", "ordered_list_open"} == set()
    assert clean(as_markdown.render(hostile_report(text))) == as_markdown.render(hostile_report(text))


def test_hostile_text_is_text_in_slack() -> None:
    """No mention, no link, no code and no style but the message's own."""
    text = as_slack.render(hostile_report())
    assert re.findall(r"<[^>]*>|https?://|www\.|@(?:here|channel|everyone)", text) == []
    assert set(re.findall(r"\*([^*]*)\*", text)) == {"Report", "Critical, new", "Warning, new", "Notice, new"}
    assert text.count("*") == 8
    assert not {"`", "~"} & set(text)
    assert not re.search(r"^(&gt;|>)", text, re.MULTILINE)
    assert clean(text) == text


def test_a_slack_message_keeps_slacks_limits() -> None:
    """3,000 characters in a block, 50 blocks, 40,000 characters in all; what is left out is counted."""
    one = hostile_report("&" * 10_000).findings[0]
    report = replace(bad_day(), findings=tuple(replace(one, kind=str(place)) for place in range(200)))
    pieces = as_slack.paragraphs(report)
    assert max(map(len, pieces)) <= 3_000
    assert len(pieces) <= 50
    assert len(as_slack.render(report)) <= 40_000
    told = len(pieces) - 3
    assert f"{200 - told:,} more findings do not fit a message" in pieces[-2]


def test_hostile_text_cannot_move_a_terminals_cursor() -> None:
    """No control character, no invisible one; each line but a command's is at most 100 wide."""
    text = as_text.render(hostile_report())
    assert clean(text) == text
    assert "\r" not in text
    assert all(len(line) <= 100 for line in text.splitlines() if "script" not in line)


@pytest.mark.parametrize("severity", Severity)
def test_every_severity_has_its_word_in_every_form(severity: Severity) -> None:
    """Nobody has to know what a number or a colour means."""
    found = tuple(each for each in bad_day().findings if each.severity == severity)
    for render in (*RENDERED.values(), as_json.render):
        assert severity.name in render(replace(bad_day(), findings=found)).upper()
