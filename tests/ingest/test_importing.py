"""Files into the event log: each once, whole, and only those of the right form."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING

import polars as pl
import pytest

from ingest import plain
from ingest.defects import DEFECTS
from ingest.eventlog.embedded import EmbeddedLog
from ingest.importing import APPEND_BYTES, LOOK_APPENDS, Imported, LogFile, WrongFormError
from ingest.saved_logs import LINE_MAX_BYTES, SavedLogError
from tests.ingest.running import stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RECEIVED_AT_US = 1_795_000_000_000_000


def elb_line(number: int) -> bytes:
    """A line with a number, at a second of its own."""
    stamp = f"2015-05-13T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000000Z"
    request = f'"GET http://h:80/{number} HTTP/1.1" "curl/7" - -'
    return f"{stamp} lb 1.2.3.4:2817 10.0.0.1:80 0.1 0.1 0.1 200 200 0 29 {request}\n".encode()


def elb_lines(count: int) -> bytes:
    """That many lines."""
    return b"".join(map(elb_line, range(count)))


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    """Where the log lies."""
    return tmp_path / "log.db"


@pytest.fixture
def take(tmp_path: Path, log_path: Path) -> Iterator[Callable[..., Imported]]:
    """Write a file and import it."""
    log = EmbeddedLog(log_path)

    def import_file(content: bytes, name: str = "x.log", form: str | None = plain.ELB, app: str = "shop") -> Imported:
        path = tmp_path / name
        path.write_bytes(content)
        file, read = LogFile(path, app, form), list[int]()
        found = file.append_to(log, file.content(read.append), RECEIVED_AT_US, read.append)
        assert max(read, default=0) <= len(content)
        return found

    yield import_file
    log.close()


def test_a_file_counts_once_under_any_name_and_packing(take: Callable[..., Imported], log_path: Path) -> None:
    """Only its content names it; the second time every line is held."""
    content = elb_lines(3000)
    assert take(content) == Imported(lines=3000)
    assert take(content, "renamed.txt") == Imported(lines=3000, held=3000)
    assert take(gzip.compress(content), "x.log.gz") == Imported(lines=3000, held=3000)
    # Two gzip files one behind the other are one, as `cat` makes them.
    assert take(gzip.compress(content[:999]) + gzip.compress(content[999:]), "y.gz").held == 3000
    rows = stored(log_path)
    assert rows["router"].height == 3000
    ledger = rows["deliveries"].select("lines", "parsed", "defects", "repeated").sum().row(0)
    assert ledger == (12_000, 3000, 0, 9000)
    assert set(rows["deliveries"]["timestamp"].dt.year()) == {2015}


def test_another_app_and_another_file_are_their_own(take: Callable[..., Imported]) -> None:
    """The same lines for another app are new, and so is a file that has grown."""
    take(elb_lines(10))
    assert take(elb_lines(10), app="blog").held == 0
    assert take(elb_lines(11)).held == 0


def test_a_file_given_as_the_wrong_kind_can_be_given_again(take: Callable[..., Imported]) -> None:
    """Nothing is stored of it, and the right form takes it whole."""
    with pytest.raises(WrongFormError):
        take(elb_lines(10), form=plain.ACCESS)
    with pytest.raises(WrongFormError):
        take(elb_lines(10), form=None)
    assert take(elb_lines(10)) == Imported(lines=10)


def test_a_line_of_the_form_may_come_late_but_not_too_late(take: Callable[..., Imported]) -> None:
    """A file may begin with odd lines; of one without end only the beginning is read."""
    odd = b"# written by hand".ljust(9999) + b"\n"
    assert take(odd * 500 + elb_line(1)) == Imported(lines=501, defects=500)
    with pytest.raises(WrongFormError):
        take(odd * (APPEND_BYTES * LOOK_APPENDS // len(odd) + 100) + elb_line(1))


@pytest.mark.parametrize("content", [b"", b"\n \r\n\n", gzip.compress(b"", mtime=0)])
def test_a_file_without_lines_is_no_error(content: bytes, take: Callable[..., Imported]) -> None:
    """Load balancers write empty files too."""
    assert take(content) == Imported()


@pytest.mark.parametrize("cut", [9, 300, -4])
def test_of_a_damaged_file_nothing_is_stored(cut: int, take: Callable[..., Imported], log_path: Path) -> None:
    """The whole file is looked through before its first line is taken in."""
    with pytest.raises(SavedLogError, match="not whole gzip data; copy"):
        take(gzip.compress(elb_lines(20_000))[:cut])
    assert stored(log_path) == {}


def test_a_byte_order_mark_does_not_cost_the_first_line(take: Callable[..., Imported]) -> None:
    """Editors on Windows put one in front, and end lines in their own way."""
    assert take(b"\xef\xbb\xbf" + elb_lines(3).replace(b"\n", b"\r\n")) == Imported(lines=3)


def test_a_line_of_ten_megabytes_is_kept_in_pieces(take: Callable[..., Imported], log_path: Path) -> None:
    """Its neighbours are read, its bytes are kept in order, and no piece passes for a line, in bounded memory."""
    long = b"x" * (10 * LINE_MAX_BYTES) + elb_line(7)
    tracemalloc.start()
    assert take(gzip.compress(elb_lines(2) + long + elb_line(3))) == Imported(lines=14, defects=11)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 << 20
    rows = stored(log_path)
    assert rows["router"]["path"].to_list() == ["/0", "/1", "/3"]
    assert "".join(rows["lines"]["message"]) == long.decode().removesuffix("\n")
    assert rows["lines"]["defect"].unique().to_list() == [DEFECTS[plain.FORMS[plain.CUT].defect]]


def test_every_line_is_a_row_whatever_stands_between(take: Callable[..., Imported], log_path: Path) -> None:
    """NULs, bytes that are no text, notices of Heroku and other logs' lines cost no neighbour its row."""
    odd = [b"\0\0\0\n", b"\xff\xfe\n", b'1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.0" 200 7\n',
           b"83 <172>1 2026-11-23T13:15:33+00:00 host heroku logplex - Error L10\n"]  # fmt: skip
    content = b"".join(each for number in range(800) for each in (odd[number % 4], elb_line(number)))
    assert take(content) == Imported(lines=1600, defects=800)
    rows = stored(log_path)
    assert (rows["router"].height, rows["lines"].height) == (800, 800)
    assert rows["lines"].select(pl.col("timestamp").dt.epoch("us").unique()).to_series().to_list() == [RECEIVED_AT_US]
    assert take(content) == Imported(lines=1600, held=1600)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_saved_lines_without_a_head_are_rows_of_their_own(
    end: bytes, take: Callable[..., Imported], log_path: Path
) -> None:
    """Heroku prints a head on every line, so one without it continues none: neighbours are no single line."""
    head = b"2026-11-23T13:15:50Z app[web.1]: "
    lines = [
        b"no head",
        b"  #0 /app/a.php(3)?token=abc",
        head + b"a",
        b"83 is no count",
        b"",
        b"x",
        head + b"b",
        b"cut",
    ]
    assert take(end.join(lines), form=None) == Imported(lines=7, defects=5)
    rows = stored(log_path)["lines"]
    odd = rows.filter(pl.col("defect").is_not_null())
    trace = "  #0 /app/a.php(3)?token=[REDACTED]"
    assert odd["message"].to_list() == ["no head", trace, "83 is no count", "x", "cut"]
    assert odd["defect"].unique().to_list() == [DEFECTS[plain.FORMS[plain.SAVED].defect]]
    assert rows.filter(pl.col("defect").is_null())["message"].to_list() == ["a", "b"]
    assert take(end.join(lines), form=None) == Imported(lines=7, held=7)
