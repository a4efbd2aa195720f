"""How the lake's columns are encoded: a row of a request takes so many bytes, and every reader reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from ingest.parsing import Body, parse
from ingest.schema import TABLES
from tests.benchmarks import mix
from tests.benchmarks.bench_landing import bytes_per_row
from tests.benchmarks.traffic import router_rows
from transforms import parquet
from transforms.encoding import ROW_GROUP_ROWS_MAX, encodings, mostly_distinct, row_groups
from transforms.route_book import RouteBook

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 90_000
# Of it 18.5 are the request id, 16 bytes of which are random.
BYTES_MAX = 34.6


@pytest.fixture(scope="module")
def traffic() -> pl.DataFrame:
    """An hour of a shop's requests, with routes."""
    return RouteBook().name(router_rows(ROWS))


@pytest.fixture(scope="module")
def varied() -> pl.DataFrame:
    """The requests of the benchmarks' standard mix, with routes."""
    rows = parse([Body("shop", b"".join(mix.frames(60_000)))], 0).tables["router"]
    return RouteBook().name(pl.DataFrame(rows).cast(dict(parquet.SCHEMAS["router"])))


@pytest.fixture(scope="module")
def files(traffic: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same rows in a new file, and as the next version of it."""
    folder = tmp_path_factory.mktemp("files")
    parquet.write(traffic, folder / "new.parquet", {})
    parquet.write_next(traffic, folder / "new.parquet", folder / "next.parquet", {}, now=0.0)
    return {name: folder / f"{name}.parquet" for name in ("new", "next")}


def test_a_request_takes_few_bytes(files: dict[str, Path]) -> None:
    """Rows of a new file take no more than was measured when the encodings were chosen."""
    whole, columns = bytes_per_row([files["new"]])
    assert whole < BYTES_MAX
    assert columns["request_id"] < 18.6
    assert columns["timestamp"] < 2.4


def test_a_rewritten_file_takes_as_few(files: dict[str, Path]) -> None:
    """Rows take the same bytes whether their file is new or a tail that was rewritten."""
    assert bytes_per_row([files["next"]])[1] == bytes_per_row([files["new"]])[1]


@pytest.mark.parametrize("name", ["new", "next"])
def test_every_reader_reads_the_same_rows(name: str, files: dict[str, Path], traffic: pl.DataFrame) -> None:
    """DuckDB, polars and Arrow give the rows that were written, ids as text."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql("FROM read_parquet(?)", params=[str(files[name])])
        assert pl.DataFrame(found.to_arrow_table()).equals(traffic)
    assert parquet.read(files[name]).equals(traffic)
    table = pq.read_table(files[name])
    assert pl.DataFrame(table).equals(traffic)
    assert str(table.schema.field("request_id").type) == "string"


def test_encodings_are_those_that_duckdb_1_reads() -> None:
    """No column of any table takes an encoding that older readers refuse."""
    used = {code for table in TABLES.values() for code in encodings(table.arrow, table.arrow.names).values()}
    assert used == {"DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"}


def test_values_that_repeat_go_through_a_dictionary(traffic: pl.DataFrame) -> None:
    """A third of a shop's paths are distinct in an hour, and a dictionary takes fewer bytes for them."""
    assert mostly_distinct(traffic) == frozenset()


def test_values_that_differ_take_no_dictionary(varied: pl.DataFrame, tmp_path: Path) -> None:
    """Paths with an id in each and bodies of any size are written as they are; every reader reads them."""
    assert mostly_distinct(varied) == {"path", "bytes"}
    parquet.write(varied, tmp_path / "varied.parquet", {})
    found = duckdb.sql("FROM read_parquet(?)", params=[str(tmp_path / "varied.parquet")]).select("path", "bytes")
    assert pl.DataFrame(found.to_arrow_table()).equals(varied.select("path", "bytes"))
    assert parquet.read(tmp_path / "varied.parquet").equals(varied)


def test_a_request_of_the_standard_mix_takes_less_than_30_bytes(varied: pl.DataFrame, tmp_path: Path) -> None:
    """Few addresses, but ids in most paths and bodies of any size: without a choice of encodings it would be 32."""
    parquet.write(varied, tmp_path / "varied.parquet", {})
    whole, columns = bytes_per_row([tmp_path / "varied.parquet"])
    assert whole < 30
    assert columns["bytes"] < 2.4
    assert columns["path"] < 3.6


def test_numbers_without_a_dictionary_are_read_whatever_they_are(tmp_path: Path) -> None:
    """The least and the largest numbers stand side by side, and between them nothing."""
    numbers = pl.DataFrame({"bytes": [2**63 - 1, -(2**63), None, 0]}, schema={"bytes": pl.Int64})
    assert mostly_distinct(numbers) == {"bytes"}
    parquet.write(numbers, tmp_path / "numbers.parquet", {})
    assert parquet.read(tmp_path / "numbers.parquet").equals(numbers)
    found = duckdb.sql("SELECT bytes FROM read_parquet(?)", params=[str(tmp_path / "numbers.parquet")])
    assert found.fetchall() == numbers.rows()


@pytest.mark.parametrize(("rows", "groups"), [(0, 0), (1, 1), (ROW_GROUP_ROWS_MAX, 1), (ROW_GROUP_ROWS_MAX + 1, 2)])
def test_row_groups_are_about_equal(rows: int, groups: int) -> None:
    """No file ends with a row group of a few rows, each of which would have dictionaries of its own."""
    sizes = [group.num_rows for group in row_groups(pl.select(id=pl.int_range(rows)))]
    assert len(sizes) == groups
    assert sum(sizes) == rows
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_minutes_have_smaller_row_groups() -> None:
    """Whoever wants the rows per app, which stand first in a day of minutes, does not read all of the day."""
    groups = list(row_groups(pl.select(per=pl.lit("app"), id=pl.int_range(100_000))))
    assert [group.num_rows for group in groups] == [50_000, 50_000]
