"""Reports made by hand: a bad day of a shop, a quiet one, one of an attacker's text, one beyond all limits."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from queries.report.model import (
    Answer,
    Chart,
    Finding,
    Key,
    Line,
    Marker,
    Muted,
    Report,
    Section,
    Severity,
    Threshold,
    Window,
)
from queries.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SINCE = datetime(2026, 11, 25, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)
DAY = Window(SINCE, UNTIL, "shop")
MINUTES = tuple(SINCE + timedelta(minutes=minute) for minute in range(1440))
TRUST = Trust(received=1_000_203, parsed=999_959, defective=0, repeated=244, dropped=336, share_seen=0.99966)
IDS = (
    "799630f6-2947-e3f7-9488-2b1b7736c21f",
    "1b2f4c11-0d1e-4a2b-9c3d-1f2e3d4c5b6a",
    "a7d0f3b2-7b1c-4e5f-8a9b-0c1d2e3f4a5b",
)


def at(clock: str) -> datetime:
    """A moment of the day."""
    hour, minute, second = (int(part) for part in f"{clock}:00".split(":")[:3])
    return SINCE + timedelta(hours=hour, minutes=minute, seconds=second)


def wave(low: float, high: float) -> list[float]:
    """A day's traffic: little at night, most at three in the afternoon, with some noise that is always the same."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [
        round(middle - half * math.cos((minute - 180) / 1440 * 2 * math.pi) + half / 30 * math.sin(minute * 7.3), 1)
        for minute in range(1440)
    ]


def burst(first: int, last: int, height: float) -> list[float | None]:
    """Nothing, but for a hill between two minutes."""
    return [
        round(height * math.sin((minute - first) / (last - first) * math.pi)) if first <= minute <= last else 0
        for minute in range(1440)
    ]


def with_gap(values: Sequence[float | None], first: int, last: int) -> list[float | None]:
    """The values, unknown between two minutes."""
    return [None if first <= minute < last else value for minute, value in enumerate(values)]


def memory_chart() -> Chart:
    """Three dynos, one of which climbs beyond its quota; a deploy, a gap."""
    climb = [250 + minute * 0.02 if minute < 900 else min(662.0, 268 + (minute - 900) * 2.2) for minute in range(1110)]
    lines = (
        Line("web.1", with_gap([260 + 12 * math.sin(minute / 60) for minute in range(1440)], 420, 480)),
        Line("web.2", [300 + 9 * math.cos(minute / 45) for minute in range(1440)]),
        Line("web.3", with_gap([*climb, *(255 + minute * 0.02 for minute in range(330))], 420, 480)),
    )
    return Chart(
        "Memory of the dynos", "MB", MINUTES, lines,
        keys=(Key("highest, web.3", 662, at("17:58:40")),),
        thresholds=(Threshold("memory quota", 512),),
        markers=(Marker("deploy v142", at("14:55:10")), Marker("web.3 restarted", at("18:30:00"))),
    )  # fmt: skip


def timeouts_chart() -> Chart:
    """Timeouts in a burst beside the requests that were the cause."""
    return Chart(
        "Requests that timed out", "requests", MINUTES,
        (Line("timed out", burst(652, 661, 118)), Line("/reports/export", burst(648, 657, 21))),
        keys=(Key("in one minute", 118, at("10:56")), Key("timed out in all", 530, at("11:00:05"))),
        markers=(Marker("deploy v141", at("10:30:00")),),
    )  # fmt: skip


def latency_chart() -> Chart:
    """Two percentiles with a bad hour."""
    slow = wave(180, 420)
    return Chart(
        "Response time", "ms", MINUTES,
        (
            Line("p95", [value * (14 if 652 <= minute <= 661 else 1) for minute, value in enumerate(slow)]),
            Line("median", [value / 3 for value in slow]),
        ),
        keys=(Key("highest p95", 5_880, at("10:56")),),
    )  # fmt: skip


def requests_chart() -> Chart:
    """Requests per minute by kind of answer."""
    return Chart(
        "Requests in a minute", "requests", MINUTES,
        (
            Line("answered", with_gap(wave(120, 1250), 420, 480)),
            Line("4xx", [round(value / 18) for value in wave(40, 300)]),
            Line("5xx", burst(650, 663, 210)),
        ),
        keys=(Key("busiest minute", 1_312, at("15:02")),),
        markers=(Marker("deploy v141", at("10:30")), Marker("deploy v142", at("14:55:10"))),
    )  # fmt: skip


def finding(severity: Severity, kind: str, subject: str, sentence: str, **more: Any) -> Finding:
    """A finding with all that a finding has."""
    given = {
        "since": at("10:52:53"),
        "until": at("11:00:05"),
        "sql": f"SELECT timestamp, route, service_ms, request_id\nFROM router\nWHERE app = 'shop' AND code = 'H12'"
        f"\n  AND route = '{subject or '/'}'\nORDER BY timestamp",
        "command": "drainlake query h12_autopsy --since 2026-11-25T10:52 --until 2026-11-25T11:01 --app shop",
        "advice": "Move the export into a worker, and answer at once with where the file will be.\n"
        "Until then set request_terminate_timeout to 25 s, so that a worker does not go on after the router gave up.",
        "request_ids": IDS,
    }
    return Finding(kind, "shop", subject, severity, sentence, **(given | more))


def findings() -> tuple[Finding, ...]:
    """Twelve, of all severities."""
    c, w, n = Severity.CRITICAL, Severity.WARNING, Severity.NOTICE
    return (
        finding(c, "timeouts", "/reports/export", "530 requests timed out between 10:52:53 and 11:00:05;"
                " /reports/export held 90 % of the workers,"
                " and 463 of them only stood behind it.", chart=timeouts_chart(), is_new=True,
                also=("Deploy v141 at 10:30:00, 23 minutes before.", "No dyno restarted in the hour before.")),
        finding(c, "memory", "web.3", "web.3 went over its memory quota at 17:54:14 and swapped for 41 minutes, at most"
                " 662 MB of 512 MB.", chart=memory_chart(), since=at("17:54:14"), until=at("18:34:58")),
        finding(w, "gzip", "/build/app.js", "/build/app.js goes out uncompressed: 14,692 requests sent 5.9 GB where 1.5"
                " GB would do.", chart=None, is_new=True, since=at("00:00"), until=UNTIL),
        finding(w, "latency", "/search", "/search is slower than on the days before: p95 1.9 s instead of 0.7 s since"
                " 14:55:10.", chart=latency_chart(), since=at("14:55:10"), until=UNTIL),
        finding(w, "errors", "H13", "41 requests failed with H13 (connection closed without response) within six"
                " minutes.", chart=requests_chart()),
        finding(w, "leak", "web.2", "web.2 gains 11 MB an hour and reaches its quota in 19 hours.",
                chart=memory_chart()),
        finding(w, "silence", "", "The log had a hole of one hour from 07:00 to 08:00.", since=at("07:00"),
                until=at("08:00"), chart=requests_chart(), request_ids=(), advice=""),
        finding(n, "crawler", "AhrefsBot", "AhrefsBot made 11.2 % of all requests and used 4.1 dyno hours."),
        finding(n, "cold", "web.1", "web.1 answered slowly for 38 s after its start at 04:12:09.",
                chart=latency_chart()),
        finding(n, "php", "Catalog.php:88", "PHP warned 2,310 times of an undefined index in Catalog.php, line 88."),
        finding(n, "404", "/old-shop/{slug}", "1,204 requests asked for /old-shop/{slug}, which is gone."),
        finding(n, "sizes", "", "Standard-1X dynos were idle for 71 % of the time between 01:00 and 06:00."),
    )  # fmt: skip


TIMEOUT_ROWS = (
    ("shop", "/product/{slug}", 105, 38_245, at("10:53:50"), at("11:00:04"), 0.0027, 730),
    ("shop", "/", 67, 23_064, at("10:53:51"), at("11:00:05"), 0.0029, 573),
    ("shop", "/reports/export", 67, 85, at("10:52:53"), at("10:57:29"), 0.7882, 30_001),
    ("shop", "/api/stock/SKU-{id}", 54, 17_111, at("10:54:03"), at("11:00:00"), 0.0032, 113),
    ("shop", "/api/orders/{id}", 38, 14_096, at("10:54:55"), at("10:59:55"), 0.0027, None),
)
TIMEOUT_COLUMNS = ("app", "route", "timeouts", "requests", "first_at", "last_at", "share", "p95_ms")


def answer(question: str = "h12_timeouts", row_count: int = 43) -> Answer:
    """The first rows of a question."""
    return Answer(
        question,
        TIMEOUT_COLUMNS,
        TIMEOUT_ROWS,
        row_count,
        f"FROM {question}(since := '2026-11-25', app_name := 'shop')",
    )


def sections() -> tuple[Section, ...]:
    """Ten standing questions."""
    told: tuple[tuple[str, str, str, Callable[[], Chart] | None], ...] = (
        ("timeouts", "Timeouts", "530 of 412,008 requests timed out, all in seven minutes.", timeouts_chart),
        ("memory", "Memory", "web.3 went over its quota, the others stayed below 60 %.", memory_chart),
        ("compression", "Compression", "Two files go out uncompressed; they cost 4.4 GB a day.", None),
        ("concurrency", "Requests at once", "At most 41 requests ran at once, at 10:56:12.", requests_chart),
        ("status", "Status codes", "98.9 % of the requests were answered well.", requests_chart),
        ("latency", "Response times", "Half the requests took less than 211 ms, 95 % less than 573 ms.", latency_chart),
        ("errors", "Errors", "H12 and H13 are the only router errors.", None),
        ("restarts", "Restarts", "Dynos restarted four times, each time for a deploy.", None),
        ("releases", "Releases", "Two deploys; errors rose after neither.", None),
        ("coverage", "What the log covers", "23 of 24 hours are covered.", requests_chart),
    )  # fmt: skip
    return tuple(
        Section(name, title, sentence, (chart(),) if chart else (), (answer(),))
        for name, title, sentence, chart in told
    )


def bad_day() -> Report:
    """A rich report: what the page is looked at with."""
    muted = Finding("noise", "shop", "/wp-login.php", Severity.NOTICE, "Someone tries passwords at /wp-login.php.",
                    SINCE, UNTIL, "SELECT 1", "drainlake query crawlers")  # fmt: skip
    return Report(
        DAY, UNTIL + timedelta(hours=6), ("shop",),
        "530 visitors waited in vain at eleven, and web.3 ran out of memory in the evening.",
        findings(), sections(), TRUST, (Muted(muted, UNTIL + timedelta(days=30)),), SINCE + timedelta(hours=6),
        ("Costs are left out: no price of a dyno is set.", "Redis is left out: no Redis line came in this window."),
        {"alarm budget": "one false alarm a week", "objective": "99.5 % of requests below 2 s",
         "minutes read": "1,380 of 1,440"},
    )  # fmt: skip


def quiet_day() -> Report:
    """Nothing is wrong."""
    return replace(
        bad_day(), findings=(), muted=(), verdict="Nothing is wrong.", notes=(), sections=sections()[:2], settings={}
    )


def small_day() -> Report:
    """One of each thing that a page can have, for checks whose time grows with the page."""
    report = bad_day()
    kinds = tuple(next(each for each in report.findings if each.severity == severity) for severity in Severity)
    long = Answer("long", ("path",), ((LONG_PATH,),), 1, "SELECT 1")
    return replace(
        report, findings=kinds[::-1], sections=(*report.sections[1:2], Section("long", "Long", "", (), (long,)))
    )


HOSTILE = (
    "<script>window.pwned = 1</script>",
    '"><img src=x onerror="window.pwned = 1">',
    "</script><script>window.pwned = 1</script>",
    "--><!--<svg/onload=window.pwned=1>",
    "]]></title></style></textarea><iframe src=//evil.example>",
    "javascript:window.pwned=1//http://evil.example/ www.evil.example",
    "{{ 7*7 }}{% raw %}${7*7}",
    "\x1b[31mred\x1b]8;;http://evil.example\x07link\x1b]8;;\x07\x1b[2J",
    "\u202egnp.exe\u202c \u2066\u2069 \u200f\u200b",
    "nul\x00 \ud800 \\xFF \u2028line\u2029",
    "=cmd|' /C calc'!A0",
    "<!channel> <@U12345> *bold* _it_ ~no~ `code` @here &lt;",
    "[click](http://evil.example) ![x](http://evil.example/x.png) | cell | # head",
    "new\nline\r\n\n# heading\n> quote\n```\n",
)
EVIL = " ".join(HOSTILE)
LONG_PATH = "/" + "a" * 10_000 + "/end"


def hostile_finding(text: str, severity: Severity = Severity.CRITICAL) -> Finding:
    """A finding with the text in each field."""
    return Finding("kind" + text, text, text, severity, text, at("10:00"), at("11:00"), text, text, text, (text,) * 3,
                   hostile_chart(text), (text, text), is_new=True)  # fmt: skip


def hostile_chart(text: str) -> Chart:
    """A chart with the text in each label."""
    return Chart(text, text, MINUTES[:60], tuple(Line(text, [1.0] * 60) for _ in range(8)),
                 (Key(text, 1, at("00:01")),),
                 (Threshold(text, 2.0),), (Marker(text, at("00:30")),))  # fmt: skip


def hostile_report(text: str = EVIL) -> Report:
    """A report with the text in each field."""
    rows = ((text, None, {"k": [text]}, 1.5, at("00:00")), (LONG_PATH + text, text, None, float("nan"), None))
    shown = Answer(text, (text, "b" + text, "c", "share", "first_at"), rows, 2, text)
    section = Section("name" + text, text, text, (hostile_chart(text),), (shown,))
    found = tuple(hostile_finding(text, severity) for severity in sorted(Severity, reverse=True))
    muted = Muted(hostile_finding("muted " + text), UNTIL)
    return Report(
        Window(SINCE, UNTIL, text), UNTIL, (text, text), text,
        tuple(replace(each, kind=f"{each.kind}{place}") for place, each in enumerate(found)),
        (section,), TRUST, (muted,), SINCE, (text,), {text: text},
    )  # fmt: skip


def vast_report() -> Report:
    """More of everything than a page may hold, written so that escaping makes it longer still."""
    text = '"' * 9_000
    moments = tuple(SINCE + timedelta(seconds=61 * minute + minute % 7) for minute in range(1500))
    lines = tuple(Line(text, [-0.000012345 * minute for minute in range(1500)]) for _ in range(12))
    marks = tuple(Marker(text, moment) for moment in moments[:100])
    chart = Chart(text, text, moments, lines, tuple(Key(text, 1, UNTIL) for _ in range(50)),
                  tuple(Threshold(text, 1.0) for _ in range(50)), marks)  # fmt: skip
    one = hostile_finding(text)
    found = tuple(
        replace(one, kind=str(place), chart=chart, also=(text,) * 100, advice="\n".join([text] * 100))
        for place in range(200)
    )
    rows = Answer(text, tuple(f"{text}{place}" for place in range(40)), ((text,) * 40,) * 120, 10**6, text)
    return Report(
        DAY, UNTIL, (text,) * 100, text, found,
        tuple(Section(str(place), text, text, (chart,) * 12, (rows,) * 12) for place in range(40)),
        TRUST, tuple(Muted(each, UNTIL) for each in found), SINCE, (text,) * 200,
        {f"{text}{place}": text for place in range(100)},
    )  # fmt: skip
