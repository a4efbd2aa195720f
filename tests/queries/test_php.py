"""PHP capacity against the buildpack's own figures and plain probability; error messages as shapes."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from queries import database
from tests.queries.lakes import write_lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Opened = Callable[[Path], duckdb.DuckDBPyConnection]

# By dyno type: workers at a memory_limit of 128, 64 and 32 MB, as Heroku's documentation and methods table give them.
PUBLISHED = {
    "standard-1x": (4, 8, 16),
    "standard-2x": (8, 16, 32),
    "performance-m": (20, 40, 80),
    "performance-l": (112, 224, 448),
}
# What the buildpack's own tests expect of a dyno with 512 MB, by memory_limit in MB.
BUILDPACK = {16: 32, 24: 21, 32: 16, 128: 4, 1024: 1}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """The questions over an empty lake, in memory."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        for statement in database.statements(str(write_lake(Path(folder) / "lake", {}))):
            connection.execute(statement)
        yield connection


def test_workers_are_the_published_ones(connection: duckdb.DuckDBPyConnection) -> None:
    """The formula gives the buildpack's workers for each dyno type and limit."""
    formula = ", ".join(f"php_workers(memory_mb, cores, {limit})" for limit in (128, 64, 32))
    answer = connection.execute(f"SELECT of_type, {formula} FROM dyno_types()").fetchall()
    assert {of_type: tuple(workers) for of_type, *workers in answer if of_type in PUBLISHED} == PUBLISHED


@pytest.mark.parametrize(
    ("megabytes", "percent", "quota"),
    [(903, 176.1, 512), (1028, 100.4, 1024), (14500, 101.1, 14336), (600, 200, 300), (0, 5, None), (5, 0, None)],
)
def test_quotas_behind_memory_lines(
    megabytes: float, percent: float, quota: float | None, connection: duckdb.DuckDBPyConnection
) -> None:
    """Rounded figures give the dyno type's memory where one is near, their own ratio where none is."""
    assert connection.execute("SELECT quota_of(?, ?)", [megabytes, percent]).fetchall() == [(quota,)]


@pytest.mark.parametrize("limit", BUILDPACK)
def test_workers_are_those_of_the_buildpacks_tests(limit: int, connection: duckdb.DuckDBPyConnection) -> None:
    """Limits that divide nothing round down, and one worker is started however large the limit."""
    assert connection.execute(f"SELECT php_workers(512, 8, {limit})").fetchall() == [(BUILDPACK[limit],)]


@pytest.mark.parametrize(
    ("size", "megabytes"),
    [("128M", 128), ("1G", 1024), ("65536K", 64), ("134217728", 128), ("unlimited", None), ("-1", None), ("", None)],
)
def test_sizes_of_the_boot_lines(size: str, megabytes: int | None, connection: duckdb.DuckDBPyConnection) -> None:
    """Sizes are read with the suffixes that the buildpack writes."""
    assert connection.execute("SELECT megabytes_of(?)", [size]).fetchall() == [(megabytes,)]


@pytest.mark.parametrize(("peak", "headroom"), [(5, 100), (36, 160), (130, 100)])
def test_dynos_needed_by_plain_probability(peak: int, headroom: int, tmp_path: Path, opened: Opened) -> None:
    """With one dyno less than `dynos_needed`, more than 5 % of the requests would meet a dyno that is all busy."""
    request = {"app": "shop", "source": "heroku", "dyno": "web.1", "timestamp": "2026-11-23T10:00:01Z", "path": "/"}
    rows: list[dict[str, Any]] = [{**request, "service_ms": 500, "status": 200}] * peak
    connection = opened(write_lake(tmp_path / "lake", {"router": rows}))
    answer = connection.execute(
        "SELECT workers, verdict, dynos_needed FROM php_capacity(limit_mb := 128, headroom_percent := ?)", [headroom]
    ).fetchall()
    assert len(answer) == 7
    planned = -(-peak * headroom // 100)
    for workers, verdict, needed in answer:
        if verdict != "enough":
            assert waits(planned, needed, workers) <= 0.05
            assert needed == 1 or waits(planned, needed - 1, workers) > 0.05
        else:
            assert needed == 1


def waits(planned: int, dynos: int, workers: int) -> float:
    """The chance that a request's dyno has `workers` of the others, each on any of the dynos alike."""
    others = planned - 1
    return sum(
        math.comb(others, there) * (dynos - 1) ** (others - there) / dynos**others
        for there in range(workers, others + 1)
    )


@pytest.mark.parametrize(
    ("message", "shape"),
    [
        ('Undefined array key "utm_source"', 'Undefined array key "…"'),
        (
            "include(nope.php): Failed opening 'nope.php' (include_path='.:/usr')",
            "include(nope.php): Failed opening '…' (include_path='…')",
        ),
        ("can't read /app/tmp/ab12.txt, isn't there", "can't read /…, isn't there"),
        ("connect() to unix:/tmp/heroku.fcgi.180.sock failed (11: busy)", "connect() to unix:/… failed ({n}: busy)"),
        ("GET https://api.example.com/v2/rates took 3.25 s", "GET /… took {n} s"),
        ("order 3f2a9c1b7d for 0xFF by 1b4e28ba-2fa1-11d2-883f-0016d3cca427", "order {n} for {n} by {uuid}"),
        ("<strong>incorrectly</strong>.", "<strong>incorrectly</strong>."),
        ("x" * 400, "x" * 300),
        ("", ""),
    ],
)
def test_messages_as_shapes(message: str, shape: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Numbers, quoted text, paths and addresses are masked; apostrophes, words and tags stay."""
    assert connection.execute("SELECT php_message_shape(?)", [message]).fetchall() == [(shape,)]


def test_frames_of_a_slow_log_block(connection: duckdb.DuckDBPyConnection) -> None:
    """Frames come from the inside out; the app's own is the first with a file outside of libraries."""
    block = "script_filename = /app/i.php\n[0x00007f0000cc13e0] curl_exec() /app/wp-includes/c.php:2\n"
    block += "[0x00007f0000cc1370] [INCLUDE_OR_EVAL]() unknown:0\n[0x00007f0000cc1300] App\\{closure}() /app/a.php:9"
    answer = connection.execute("SELECT trace_frames(?), own_frame(trace_frames(?))", [block, block]).fetchone()
    assert answer == (
        ["curl_exec() /app/wp-includes/c.php:2", "[INCLUDE_OR_EVAL]() unknown:0", "App\\{closure}() /app/a.php:9"],
        "App\\{closure}() /app/a.php:9",
    )
