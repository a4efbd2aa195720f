"""What the operator wants out of the lake does not get into it, and every answer still comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.eventlog.embedded import EmbeddedLog
from ingest.schema import TABLES
from tests.transforms.lines import entry
from tests.transforms.memory_log import MemoryLog
from transforms import parquet, privacy
from transforms.addresses import Hasher
from transforms.landing import land_once
from transforms.locallake import LocalLake
from transforms.privacy import Privacy, masked
from transforms.query_strings import cut_in_text, cut_path

KEY = b"a key of the tests"
ADDRESS, OTHER = "203.0.113.7", "2001:db8::1"
HASHED = Privacy(KEY)
BOTH = Privacy(KEY, drop_queries=True)

PATHS = (
    ("/x?a=b", "/x"),
    ("/x?", "/x"),
    ("/x?a=b?c#d", "/x"),
    ("https://shop.example.com/cart?email=jane%40example.com", "https://shop.example.com/cart"),
    ("/x", "/x"),
    ("", ""),
    ("?a=b", ""),
    (None, None),
)
DATA = Path(__file__).parent / "data/query_strings.tsv"
TEXTS = [
    *(line.split("\t") for line in DATA.read_text("utf-8").splitlines()[1:]),
    ["first /a?x=1\nsecond /b?y=jane\n#0 {main}", "first /a\nsecond /b\n#0 {main}"],
]


@pytest.mark.parametrize("table", TABLES)
def test_every_text_column_is_treated_or_named_as_holding_no_address(table: str) -> None:
    """A new column must not leak because nobody thought of it."""
    texts = [column.name for column in TABLES[table].columns if column.type == "VARCHAR"]
    kinds = (privacy.ADDRESSES, privacy.TEXTS, privacy.ADDRESS_FREE)
    assert sorted(texts) == sorted(name for kind in kinds for name in kind.get(table, ()))
    treated = {*privacy.ADDRESSES.get(table, ()), *privacy.TEXTS.get(table, ())}
    assert {*privacy.PATHS.get(table, ()), *privacy.TEXTS_WITH_QUERIES.get(table, ())} <= treated


@pytest.mark.parametrize(("path", "expected"), PATHS)
def test_paths_lose_their_query_strings(path: str | None, expected: str | None) -> None:
    """Whatever stands behind the first question mark."""
    frame = pl.DataFrame({"path": [path]}, schema={"path": pl.String})
    assert frame.select(cut_path(pl.col("path"))).item() == expected


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_texts_lose_the_query_strings_in_them(text: str, expected: str) -> None:
    """Request lines, referrers and URLs; a sentence with a question mark stays."""
    assert pl.DataFrame({"text": [text]}).select(cut_in_text(pl.col("text"))).item() == expected


@given(st.text(st.characters(exclude_categories=["Z", "C"], exclude_characters='"\\')))
def test_no_query_string_of_a_request_line_is_left(query: str) -> None:
    """Whatever a client puts there, as long as it is no blank or quote."""
    line = pl.DataFrame({"text": [f'"GET /x?{query} HTTP/1.1" 200']})
    assert line.select(cut_in_text(pl.col("text"))).item() == '"GET /x HTTP/1.1" 200'


def rows_of(table: str) -> pl.DataFrame:
    """A row whose every text column holds both addresses and a query string."""
    lists = privacy.ADDRESSES.get(table, frozenset())
    texts = {*privacy.TEXTS.get(table, ())} - {"route"}
    full = dict.fromkeys(texts, f"/x?mail=jane&{ADDRESS}&[{OTHER}]") | dict.fromkeys(lists, f"{OTHER}, {ADDRESS}")
    return pl.DataFrame(
        [full], schema={column.name: pl.String for column in TABLES[table].columns if column.type == "VARCHAR"}
    )


@pytest.mark.parametrize("table", [*privacy.TEXTS])
def test_no_address_is_left_and_equal_ones_stay_equal_in_every_column(table: str) -> None:
    """The same client is the same hash in the router's row, the access line and PHP's message."""
    (row,) = masked(table, rows_of(table), HASHED).to_dicts()
    hasher = Hasher(KEY)
    for name in (*privacy.ADDRESSES.get(table, ()), *({*privacy.TEXTS[table]} - {"route"})):
        assert hasher.token(ADDRESS) in row[name]
        assert hasher.token(OTHER) in row[name]
        assert ADDRESS not in row[name]
        assert OTHER not in row[name]


@pytest.mark.parametrize("table", [*privacy.TEXTS_WITH_QUERIES])
def test_query_strings_are_dropped_in_every_column_that_has_some(table: str) -> None:
    """And no address is hashed where there is no key."""
    (row,) = masked(table, rows_of(table), Privacy(drop_queries=True)).to_dicts()
    for name in (*privacy.PATHS.get(table, ()), *privacy.TEXTS_WITH_QUERIES[table]):
        assert row[name] == "/x"
    assert all(row[name] == f"{OTHER}, {ADDRESS}" for name in privacy.ADDRESSES.get(table, ()))


def test_the_key_is_not_shown() -> None:
    """Neither in a traceback nor in a log."""
    assert "a key" not in repr(HASHED)


def landed(lake: LocalLake, table: str) -> pl.DataFrame:
    """All rows of a table."""
    files = sorted((lake.path / table).glob("date=2026*/*.parquet"))
    return pl.concat([parquet.read(file) for file in files])


def request(path: str) -> dict[str, str]:
    """A request of the client."""
    return {"path": path, "client_ip": ADDRESS, "forwarded_for": f"jane, {ADDRESS}"}


def test_a_tail_is_not_treated_again_whatever_becomes_of_the_key(tmp_path: Path) -> None:
    """Rows landed before a key was set, under another one and after it was thrown away lie in one file."""
    log, lake = MemoryLog(), LocalLake(tmp_path / "lake")
    for number, given_privacy in enumerate((Privacy(), HASHED, HASHED, Privacy(b"another key here"), Privacy())):
        log.append([entry("router", [request(f"/{number}?x=1")])])
        land_once(log, lake, file_rows=100, privacy=given_privacy)
    rows = landed(lake, "router").sort("path")
    clients = rows["client_ip"].to_list()
    assert clients == [ADDRESS, *[Hasher(KEY).token(ADDRESS)] * 2, Hasher(b"another key here").token(ADDRESS), ADDRESS]
    assert [
        client == entries.split(", ")[1] for client, entries in zip(clients, rows["forwarded_for"], strict=True)
    ] == [True] * 5
    assert rows["path"].to_list() == [f"/{number}?x=1" for number in range(5)]


def test_what_continuation_lines_tell_is_treated_too(tmp_path: Path) -> None:
    """A PHP message that nginx wraps says client and path only when its lines are joined."""
    log, lake = MemoryLog(), LocalLake(tmp_path / "lake")
    head = {"dyno": "web.1", "component": "php", "level": "Fatal error", "message": f"Uncaught Error at {ADDRESS}"}
    place = f'client: {ADDRESS}, server: _, request: "GET /x?a=b HTTP/1.1", host: "e"'
    end = f'  thrown in /a.php on line 3" while reading, {place}'
    log.append([entry("php", [head])])
    land_once(log, lake, file_rows=100, privacy=BOTH)
    log.append([entry("php", [{"dyno": "web.1", "component": "php", "message": end, "continues": True}])])
    land_once(log, lake, file_rows=100, privacy=BOTH)
    (row,) = landed(lake, "php").to_dicts()
    assert (row["client_ip"], row["path"], row["line"]) == (Hasher(KEY).token(ADDRESS), "/x", 3)
    assert ADDRESS not in str(row)


LANDER = """
import os, sys
from pathlib import Path
from ingest.eventlog.embedded import EmbeddedLog
from transforms.locallake import LocalLake
from transforms.landing import land_once
from transforms.privacy import Privacy
home, deadly = Path(sys.argv[1]), sys.argv[2]
def fault(point):
    if point == deadly:
        os.kill(os.getpid(), 9)
key = Privacy(b"a key of the tests")
land_once(EmbeddedLog(home / "log.db"), LocalLake(home / "lake"), file_rows=100, fault=fault, privacy=key)
"""


@pytest.mark.parametrize("point", ["temporary written", "renamed"])
def test_a_kill_leaves_each_row_once_and_hashed_once(tmp_path: Path, point: str) -> None:
    """What came into the file before the kill is not hashed again by the landing that repeats it."""
    log, lake = EmbeddedLog(tmp_path / "log.db"), LocalLake(tmp_path / "lake")
    log.append([entry("router", [request("/0")])])
    land_once(log, lake, file_rows=100, privacy=HASHED)
    log.append([entry("router", [request("/1")])])
    command = [sys.executable, "-c", LANDER, str(tmp_path), point]
    assert subprocess.run(command, check=False, cwd=Path(__file__).parents[2], timeout=60).returncode == -9
    land_once(log, lake, file_rows=100, privacy=HASHED)
    assert landed(lake, "router")["client_ip"].to_list() == [Hasher(KEY).token(ADDRESS)] * 2
    log.close()
