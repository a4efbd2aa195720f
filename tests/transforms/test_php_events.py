"""Continuation lines join their head, also across deliveries and landings, and no line is lost."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.lines import NOON, entry
from tests.transforms.memory_log import MemoryLog
from transforms import parquet
from transforms.bites import entry_schema
from transforms.landing import land_once
from transforms.locallake import LocalLake
from transforms.php_events import join_continuations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Row = dict[str, object]


def head(message: str, seconds: float = 0, **columns: object) -> Row:
    """A head of an event."""
    moment = NOON + timedelta(seconds=seconds)
    return {
        "timestamp": moment,
        "dyno": "web.1",
        "component": "php",
        "message": message,
        "continues": False,
        **columns,
    }


def line(message: str, seconds: float = 0, **columns: object) -> Row:
    """A continuation line."""
    return head(message, seconds, continues=True, **columns)


def join(*rows: Row) -> list[Row]:
    """Join rows given in order of arrival."""
    frame = pl.DataFrame([{"app": "shop", **row} for row in rows], schema=entry_schema("php"))
    return join_continuations(frame).to_dicts()


def test_stack_trace_joins_its_head() -> None:
    """The lines of a trace stand in `trace` in their order."""
    (row,) = join(
        head("Uncaught RuntimeException: boom", file="/app/exc.php", line=1, level="Fatal error"),
        line("Stack trace:"),
        line("#0 /app/exc.php(1): f()"),
        line("#1 {main}"),
        line("  thrown in /app/exc.php on line 1"),
    )
    assert row["trace"] == "Stack trace:\n#0 /app/exc.php(1): f()\n#1 {main}\n  thrown in /app/exc.php on line 1"
    assert (row["file"], row["line"], row["level"]) == ("/app/exc.php", 1, "Fatal error")


def test_place_comes_from_thrown_in_when_the_head_has_none() -> None:
    """A head that broke off gets its place from the last line of the trace."""
    (row,) = join(
        head("Uncaught RuntimeException: two"),
        line("lines in /app/other.php:9"),
        line("#0 {main}"),
        line("  thrown in /app/exc.php on line 7"),
    )
    assert (row["file"], row["line"]) == ("/app/exc.php", 7)


def test_place_comes_from_the_line_that_completes_the_message() -> None:
    """A warning over two lines."""
    (row,) = join(head("multi"), line("line warning in /app/warn.php on line 12"))
    assert (row["file"], row["line"], row["trace"]) == (
        "/app/warn.php",
        12,
        "line warning in /app/warn.php on line 12",
    )


def test_slow_log_block() -> None:
    """Script from its own line, place from the first frame, where the time goes."""
    (row,) = join(
        head("[pool www] pid 5311", component="php-fpm"),
        line("script_filename = /app/slow.php", component="php-fpm"),
        line("[0x00007fe9b4c130e0] sleep() /app/slow.php:3", component="php-fpm"),
        line("[0x00007fe9b4c13080] wait() /app/index.php:8", component="php-fpm"),
    )
    assert (row["script"], row["file"], row["line"]) == ("/app/slow.php", "/app/slow.php", 3)
    assert str(row["trace"]).count("\n") == 2


def test_tail_of_an_open_wrapper_fills_the_request() -> None:
    """nginx puts the request behind the last line of the message it wraps; quotes in it are not escaped."""
    (row,) = join(
        head("Uncaught LogicException: wrapped"),
        line("#0 {main}"),
        line(
            '  thrown in /app/f.php on line 1" while reading response header from upstream, '
            'client: 10.1.2.3, server: localhost, request: "GET /f.php?s="raw" HTTP/1.1", '
            'upstream: "fastcgi://unix:/tmp/x.sock:", '
            'host: "app.herokuapp.com"'
        ),
    )
    assert (row["method"], row["path"], row["client_ip"]) == ("GET", '/f.php?s="raw"', "10.1.2.3")
    assert (row["upstream"], row["file"], row["line"]) == ("fastcgi://unix:/tmp/x.sock:", "/app/f.php", 1)


def test_line_without_head_becomes_a_row() -> None:
    """Nothing is lost: what finds no head within 5 s stands alone."""
    rows = join(
        line("#0 /app/a.php(1): f()"),
        head("late", 1),
        line("#0 /app/b.php(1): f()", 6.1),
        line("#1 /app/b.php(2): g()", 6.2, dyno="web.2"),
    )
    assert [(row["component"], row["message"], row["trace"]) for row in rows] == [
        ("php", "#0 /app/a.php(1): f()", None),
        ("php", "late", None),
        ("php", "#0 /app/b.php(1): f()", None),
        ("php", "#1 /app/b.php(2): g()", None),
    ]


def test_lines_join_the_head_of_their_own_dyno_and_kind() -> None:
    """Other dynos, nginx lines and slow-log blocks in between take nothing."""
    rows = join(
        head("boom"),
        head("other dyno", dyno="web.2"),
        head("open() failed", component="nginx"),
        head("[pool www] pid 1", component="php-fpm"),
        line("#0 {main}"),
        line("script_filename = /app/s.php", component="php-fpm"),
    )
    assert [row["trace"] for row in rows] == ["#0 {main}", None, None, "script_filename = /app/s.php"]


def test_late_line_joins_by_timestamp() -> None:
    """Arrival out of order: the timestamp decides, arrival only breaks ties."""
    rows = join(head("first", 0), head("second", 2), line("#0 {main}", 1), line("#1 {main}", 2))
    assert [row["trace"] for row in rows] == ["#0 {main}", "#1 {main}"]


def test_join_reaches_the_tail_across_landings(tmp_path: Path) -> None:
    """Head and lines in three deliveries and three landings give the one row that one landing gives."""
    log, lake = MemoryLog(), LocalLake(tmp_path / "lake")
    for rows in (
        [head("boom")],
        [line("Stack trace:"), line("#0 {main}", 1)],
        [line("  thrown in /app/x.php on line 4", 2)],
    ):
        log.append([entry("php", rows)])
        land_once(log, lake, file_rows=1)  # joined lines are no rows: the full tail still takes them
    (file,) = lake.files("php", "2026-11-20", "e0")
    (row,) = lake.read(file).to_dicts()
    assert row["trace"] == "Stack trace:\n#0 {main}\n  thrown in /app/x.php on line 4"
    assert (row["file"], row["line"]) == ("/app/x.php", 4)


MIDNIGHT = timedelta(hours=12).total_seconds()


def test_a_trace_that_midnight_parts_joins_its_head(tmp_path: Path) -> None:
    """The lines of an entry that come within 5 s of their head stand with it, whatever landing is cut short between."""
    events = [
        line("#0 none", MIDNIGHT - 9),  # has no head, and is none
        head("boom", MIDNIGHT - 1),
        head("other dyno", MIDNIGHT - 1, dyno="web.2"),
        line("Stack trace:", MIDNIGHT - 1),
        line("#0 {main}", MIDNIGHT),
        line("  thrown in /app/x.php on line 4", MIDNIGHT + 4),
        line("#9 too late", MIDNIGHT + 4.1),
        head("next", MIDNIGHT + 4.2),
        line("#0 next", MIDNIGHT + 4.3),
    ]
    log, lake = MemoryLog(), LocalLake(tmp_path / "lake")
    log.append([entry("php", events), entry("php", [line("#1 another entry", MIDNIGHT + 1, dyno="web.2")])])
    with suppress(InterruptedError):
        land_once(log, lake, file_rows=9, fault=_interrupt_once())
    land_once(log, lake, file_rows=9)
    found = {date: lake.read(lake.files("php", date, "e0")[0]).to_dicts() for date in lake.dates("php")}
    assert {date: [(row["message"], row["trace"]) for row in rows] for date, rows in found.items()} == {
        "2026-11-20": [
            ("#0 none", None),
            ("boom", "Stack trace:\n#0 {main}\n  thrown in /app/x.php on line 4"),
            ("other dyno", None),
        ],
        "2026-11-21": [("#1 another entry", None), ("#9 too late", None), ("next", "#0 next")],
    }


def _interrupt_once() -> Callable[[str], None]:
    """Ends the landing once the first of two days is in place."""

    def fault(point: str) -> None:
        if point == "renamed":
            raise InterruptedError

    return fault


kinds = st.sampled_from(
    [
        head("boom"),
        head("[pool www] pid 1", component="php-fpm"),
        head("open() failed", component="nginx"),
        line("#0 {main}"),
        line("script_filename = /app/s.php", component="php-fpm"),
    ]
)
streams = st.lists(st.tuples(kinds, st.sampled_from([0, 0.5, 3, 7]), st.sampled_from(["web.1", "web.2"])), max_size=14)


def _rows(stream: list[tuple[Row, float, str]]) -> list[Row]:
    seconds = 0.0
    rows = []
    for row, pause, dyno in stream:
        seconds += pause
        rows.append({**row, "app": "shop", "timestamp": NOON + timedelta(seconds=seconds), "dyno": dyno})
    return rows


def _represented(rows: list[Row]) -> int:
    return len(rows) + sum(len(str(row["trace"]).split("\n")) for row in rows if row["trace"] is not None)


@given(streams)
def test_no_line_is_lost(stream: list[tuple[Row, float, str]]) -> None:
    """Rows out plus lines joined are the rows in."""
    assert _represented(join(*_rows(stream))) == len(stream)


@settings(deadline=None)
@given(streams, st.sets(st.integers(0, 13)))
def test_outcome_does_not_depend_on_where_landings_end(stream: list[tuple[Row, float, str]], cuts: set[int]) -> None:
    """Lines that arrive in order join alike in one landing and in several."""
    rows = _rows(stream)
    whole = join(*rows)
    tail: list[Row] = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(rows)], strict=True):
        tail = join(*[{**row, "continues": None} for row in tail], *rows[start:end])
    assert tail == whole


def test_php_rows_get_their_route_after_the_join(tmp_path: Path) -> None:
    """A path that only the joined line says is templated too."""
    log, lake = MemoryLog(), LocalLake(tmp_path / "lake")
    last = '#0 {main}" while reading upstream, client: 10.1.2.3, server: x, request: "GET /users/7 HTTP/1.1"'
    log.append([entry("php", [head("boom"), line(last)])])
    land_once(log, lake, file_rows=10)
    (row,) = parquet.read(lake.path / "php/date=2026-11-20/e0-000001.parquet").to_dicts()
    assert (row["path"], row["route"]) == ("/users/7", "/users/{id}")
