"""Rows in every format: exact values, hostile text, files that appear whole."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len

from drainlake import hostile, output, table
from drainlake.errors import Failure, WrongUse
from drainlake.output import Output, Rows, csv_text, json_lines, json_text, markdown_text, table_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = [
    "\n=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM(1)",
    "\x1b[31mred\x1b[0m",
    "\x9b31mred",
    "\x00nul\x07bell\x08",
    "right\u202eleft",
    "iso\u2066late\u2069",
    "zero\u200bwidth\u200d\ufeff",
    "line\u2028separator",
    "tag\U000e0041",
    '=HYPERLINK("http://evil","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\u200b=1+1",
    "new\nline",
    "a|b",
    "<script>alert(1)</script>",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "`code` *bold* _it_ ~s~",
    "&lt;b&gt;",
    'quote " comma ,',
    "[red]rich markup[/red] :smile:",
    "back\\slash",
    "",
]


@pytest.fixture(name="con")
def _con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> Rows:
    return Rows.of(con.sql(query).to_arrow_reader(1000))


def _hostile_rows() -> Rows:
    return Rows.of(pa.table({"text": HOSTILE, "=name\x1b": list(range(len(HOSTILE)))}).to_reader())


def _is_dangerous(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp", "Cs"}


def test_a_table_of_hostile_text_has_one_clean_line_per_row() -> None:
    """No control, bidirectional or zero-width character reaches the terminal, and no row gains a line."""
    text = "".join(table_text(_hostile_rows(), None, 1000))
    assert not [c for c in text if _is_dangerous(c) and c != "\n"]
    assert text.count("\n") == len(HOSTILE) + 2
    assert "[red]rich markup[/red] :smile:" in text


def test_csv_of_hostile_text_runs_nothing_and_reads_back() -> None:
    """No cell or header starts as a formula; the reader gets every row and everything visible of it."""
    text = "".join(csv_text(_hostile_rows()))
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == len(HOSTILE) + 1
    for row in rows:
        assert not unicodedata.normalize("NFKC", row[0]).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert rows[0] == ["text", "'=name"]
    assert [row[0].removeprefix("'") for row in rows[1:]] == [hostile.clean(text) for text in HOSTILE]
    assert not [c for c in text if _is_dangerous(c) and c not in "\n\r\t"]


def test_csv_leaves_numbers_and_instants_alone(con: duckdb.DuckDBPyConnection) -> None:
    """A negative number is no formula; NULL is nothing, the empty text is two quotes."""
    rows = _rows(con, "SELECT -5 AS n, -1.5::DOUBLE AS f, NULL AS x, '' AS e, true AS b, [1, 2] AS l")
    assert "".join(csv_text(rows)) == 'n,f,x,e,b,l\n-5,-1.5,,"",true,"[1, 2]"\n'


def test_markdown_of_hostile_text_stays_a_table() -> None:
    """Every row is one line with as many bars as the header, without a live tag, link or emphasis."""
    lines = "".join(markdown_text(_hostile_rows())).splitlines()
    assert len(lines) == len(HOSTILE) + 2
    for line in lines:
        bare = line.replace("\\\\", "").replace("\\|", "")
        assert bare.count("|") == 3
        assert not any(mark in bare.replace("\\" + mark, "") for mark in ("<", "[", "`", "*", "~"))
        assert "://" not in bare.replace("\\:", "")
        assert not [c for c in line if _is_dangerous(c)]


def test_json_is_exact_and_shows_nothing_invisible() -> None:
    """Reading the JSON gives the very texts; the bytes themselves hold no dangerous character."""
    text = "".join(json_text(_hostile_rows()))
    assert [row["text"] for row in json.loads(text)] == HOSTILE
    assert not [c for c in text if _is_dangerous(c) and c != "\n"]


def test_every_dangerous_character_is_taken_out() -> None:
    """Over all of Unicode, what controls or hides is removed; visible marks of scripts stay."""
    visible = {"Arabic", "Syriac", "Kaithi", "Egyptian"}
    for code in range(0x110000):
        character = chr(code)
        if _is_dangerous(character) and character not in "\t\n\r":
            name = unicodedata.name(character, "").title().split(" ")[0]
            assert hostile.clean(character) == "" or name in visible, hex(code)
    assert hostile.clean("Zoë 日本 🙂 \ufffd ü") == "Zoë 日本 🙂 \ufffd ü"


VALUES = [
    ("1::BIGINT", 1),
    ("9007199254740993::BIGINT", 9007199254740993),
    ("sum(x) FROM (VALUES (3), (4)) t(x)", 7),
    ("1.25::DECIMAL(5,2)", 1.25),
    ("0.1::DOUBLE", 0.1),
    ("'NaN'::DOUBLE", None),
    ("'-inf'::DOUBLE", None),
    ("['inf'::DOUBLE, 1]", [None, 1.0]),
    ("TIMESTAMPTZ '2017-10-16 19:26:28.605373+00'", "2017-10-16T19:26:28.605373Z"),
    ("TIMESTAMPTZ '2017-10-16 21:26:28+02'", "2017-10-16T19:26:28.000000Z"),
    ("TIMESTAMP '12017-10-16 19:26:28'", "12017-10-16T19:26:28.000000"),
    ("TIMESTAMP_NS '2020-01-01 00:00:00.123456789'", "2020-01-01T00:00:00.123456789"),
    ("DATE '2020-02-29'", "2020-02-29"),
    ("'infinity'::TIMESTAMPTZ", None),
    ("'-infinity'::DATE", None),
    ("max(t) FROM (VALUES (NULL::DATE)) x(t)", None),
    (
        "{'at': TIMESTAMPTZ '2020-01-01 01:00+01', 'n': NULL}",
        {"at": "2020-01-01T00:00:00.000000Z", "n": None},
    ),
    ("INTERVAL '1 day 90 seconds'", "P1DT90S"),
    ("INTERVAL 0 SECOND", "PT0S"),
    ("'ab'::ENUM('ab', 'cd')", "ab"),
    ("TIME '10:00:01'", "10:00:01"),
    ("true", True),
    ("'\\xFFa'::BLOB", "\\xffa"),
    ("''", ""),
    ("NULL", None),
]


@pytest.mark.parametrize(("sql", "want"), VALUES, ids=[sql for sql, _ in VALUES])
def test_json_holds_the_value(con: duckdb.DuckDBPyConnection, sql: str, want: Any) -> None:
    """Whatever DuckDB's type, JSON holds the value itself; NaN and infinities are null."""
    [line] = json_lines(_rows(con, f"SELECT {sql.replace(' FROM', ' AS v FROM')} {'' if ' FROM' in sql else 'AS v'}"))
    assert json.loads(line, parse_constant=pytest.fail) == {"v": want}


def test_times_that_cannot_be_printed_are_told(con: duckdb.DuckDBPyConnection) -> None:
    """In lists and structs alone, and with what to do."""
    with pytest.raises(Failure, match="outside of the years 1 to 9999") as told:
        list(json_lines(_rows(con, "SELECT ['infinity'::TIMESTAMPTZ] AS v")))
    assert told.value.remedy == "cast it to VARCHAR"


def test_columns_of_one_name_are_told_apart(con: duckdb.DuckDBPyConnection) -> None:
    """A repeated column name does not swallow a value."""
    [line] = json_lines(_rows(con, "SELECT 1 AS a, 2 AS a, 3 AS a"))
    assert list(json.loads(line).values()) == [1, 2, 3]


def test_trust_stands_beside_the_rows(con: duckdb.DuckDBPyConnection) -> None:
    """With trust, JSON is an object of both, also without rows."""
    for query, rows in (("SELECT 1 AS a", [{"a": 1}]), ("SELECT 1 AS a WHERE false", [])):
        text = "".join(json_text(_rows(con, query), {"share_seen": 0.5}))
        assert json.loads(text) == {"rows": rows, "trust": {"share_seen": 0.5}}


def test_a_table_fits_its_terminal_and_aligns_numbers(con: duckdb.DuckDBPyConnection) -> None:
    """Wide text gives way to an ellipsis, numbers are whole and stand to the right."""
    rows = _rows(con, "SELECT repeat('漢', 50) AS text, 12345 AS n UNION ALL SELECT 'b', 7")
    lines = "".join(table_text(rows, 40, 1000)).splitlines()
    assert all(cell_len(line) <= 40 for line in lines)
    assert lines[2].endswith("…  12345")
    assert lines[3].endswith("      7")


def test_a_table_in_a_pipe_cuts_nothing(con: duckdb.DuckDBPyConnection) -> None:
    """Without a width every value is whole."""
    text = "".join(table_text(_rows(con, "SELECT repeat('x', 5000) AS long"), None, 1000))
    assert "x" * 5000 in text


def test_too_many_columns_become_blocks() -> None:
    """Where even short columns do not fit, each row is a block that names its filled cells."""
    names = [f"column_{n}" for n in range(20)]
    text = table.draw(names, [["v"] * 19 + [""]], right=[False] * 20, width=60)
    assert "column_18  v" in text
    assert "column_19" not in text


def test_a_table_says_when_rows_are_left_out(
    con: duckdb.DuckDBPyConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limit shows on stderr, and only when it was hit."""
    list(table_text(_rows(con, "FROM range(5)"), None, 5))
    assert capsys.readouterr().err == ""
    text = "".join(table_text(_rows(con, "FROM range(6)"), None, 5))
    assert text.count("\n") == 7
    assert "first 5 rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.json", b"["),
        ("a.jsonl", b'{"range"'),
        ("a.csv", b"range\n"),
        ("a.md", b"| range |"),
        ("a.txt", b"range\n"),
    ],
)
def test_the_files_name_decides_the_format(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, start: bytes
) -> None:
    """``--out`` alone picks the format by the ending."""
    Output(path=tmp_path / name).write(con.sql("FROM range(2)").to_arrow_reader(1000))
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_parquet_keeps_types_and_exact_text(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A Parquet file holds the very values, times with their zone."""
    path = tmp_path / "a.parquet"
    count = Output(path=path).write(pa.table({"t": HOSTILE}).to_reader())
    assert count == len(HOSTILE)
    assert pq.read_table(path)["t"].to_pylist() == HOSTILE
    Output(path=path).write(con.sql("SELECT now() AS at, 1 AS a, 2 AS a FROM range(0)").to_arrow_reader(10))
    assert pq.read_schema(path).names == ["at", "a", "a_1"]
    assert pq.read_schema(path).field("at").type == pa.timestamp("us", "UTC")


def test_a_failing_query_leaves_the_file_as_it_was(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """An error in the middle of the rows leaves the old file and no temporary."""
    path = tmp_path / "a.csv"
    path.write_text("old")
    query = "SELECT CASE WHEN range = 90000 THEN error('late') END AS v FROM range(100000)"
    with pytest.raises(pa.ArrowException, match="late"):
        Output(path=path).write(con.sql(query).to_arrow_reader(1000))
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


LATE = "SELECT CASE WHEN range = 9000 THEN error('late') END AS v FROM range(10000)"
TOO_LATE_TO_PRINT = "SELECT [TIMESTAMP '10000-01-01'] AS v FROM range(2000) WHERE range = 1500 UNION ALL SELECT []"
FORMATS = ["table", "json", "jsonl", "csv", "markdown", "parquet"]


@pytest.mark.parametrize("kind", FORMATS)
def test_what_fails_late_leaves_nothing_on_stdout(
    kind: str, con: duckdb.DuckDBPyConnection, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Whether the query fails or one of its last cells: a reader gets the whole answer or none."""
    con.execute("SET streaming_buffer_size = '10KB'")
    for query in (LATE, *([TOO_LATE_TO_PRINT] if kind != "parquet" else [])):
        with pytest.raises((pa.ArrowException, Failure), match=r"late|years 1 to 9999"):
            Output(kind).write(con.sql(query).to_arrow_reader(1000))
        assert capsysbinary.readouterr() == (b"", b"")


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
def test_what_fails_beyond_what_is_held_back_is_told(
    kind: str,
    con: duckdb.DuckDBPyConnection,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A part of a large answer is out by then: it is told as such, and is no whole JSON or Parquet by chance."""
    monkeypatch.setattr(output, "HELD_BYTES", 5_000)
    con.execute("SET streaming_buffer_size = '10KB'")
    with pytest.raises(pa.ArrowException, match="late"):
        Output(kind).write(con.sql(f"SELECT uuid(), v FROM ({LATE})").to_arrow_reader(1000))
    out, told = capsysbinary.readouterr()
    assert len(out) > 5_000
    assert told == b"Note: what stands on stdout broke off; the answer was not whole.\n"
    assert not out.endswith((b"]\n", b"PAR1"))


@pytest.mark.parametrize("kind", FORMATS)
def test_stdout_has_the_same_bytes_however_much_is_held_back(
    kind: str,
    con: duckdb.DuckDBPyConnection,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer beyond it goes on as before."""
    found = []
    for held in (0, 5_000, 1 << 24):
        monkeypatch.setattr(output, "HELD_BYTES", held)
        assert Output(kind).write(con.sql("SELECT range AS v FROM range(5000)").to_arrow_reader(1000)) == 5000
        found.append(capsysbinary.readouterr())
    assert found[0] == found[1] == found[2]
    assert len(found[0].out) > 5_000


def test_parquet_says_what_it_cannot_hold(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A type without a place in Parquet is an expected failure."""
    with pytest.raises(Failure, match="Parquet cannot hold"):
        Output(path=tmp_path / "a.parquet").write(con.sql("SELECT INTERVAL 1 DAY AS i").to_arrow_reader(10))
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_refused_before_the_query(tmp_path: Path) -> None:
    """``--out`` into a folder that is not there is wrong use."""
    with pytest.raises(WrongUse, match="no folder"):
        Output(path=tmp_path / "no" / "a.csv").check()
