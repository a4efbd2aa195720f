"""A reader that holds the footer of an earlier version still finds that version's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import parquet
from transforms.rewriting import KEPT_SECONDS, Region, first_gap

if TYPE_CHECKING:
    from pathlib import Path


def version(rows: int, seed: int) -> pl.DataFrame:
    """Rows that differ from version to version."""
    return pl.select(id=pl.int_range(rows), text=pl.format("{}-{}", pl.int_range(rows) * 7919 % 997, pl.lit(seed)))


def publish(file: Path, rows: pl.DataFrame, now: float) -> pq.FileMetaData:
    """Make ``rows`` the file's next version; gives its footer."""
    following = file.with_suffix(".next")
    if file.exists():
        parquet.write_next(rows, file, following, {"drainlake.offset": "1"}, now)
    else:
        parquet.write(rows, following, {})
    following.replace(file)
    return pq.read_metadata(file)


def read_with(footer: pq.FileMetaData, file: Path) -> pl.DataFrame:
    """What a reader sees that read its footer earlier and opens the file only now."""
    with pq.ParquetFile(file, metadata=footer) as parquet_file:
        return pl.DataFrame(parquet_file.read())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from([0.1, 4.0, 30.0])), min_size=1, max_size=12))
def test_footers_of_recent_versions_stay_good(tmp_path_factory: object, history: list[tuple[int, float]]) -> None:
    """After any history the last footer and those replaced within KEPT_SECONDS find their rows."""
    folder: Path = tmp_path_factory.mktemp("versions")  # type: ignore[attr-defined]
    file, now = folder / "e0-000001.parquet", 0.0
    held: list[tuple[float, pq.FileMetaData, pl.DataFrame]] = []  # replaced at, footer, rows
    for seed, (count, pause) in enumerate(history):
        now += pause
        rows = version(count, seed)
        footer = publish(file, rows, now)
        held = [(min(replaced, now), *rest) for replaced, *rest in held]  # type: ignore[misc]
        for replaced, old_footer, old_rows in held:
            if now - replaced < KEPT_SECONDS:
                assert read_with(old_footer, file).equals(old_rows)
        assert parquet.read(file).equals(rows)
        held.append((float("inf"), footer, rows))


def test_duckdb_and_polars_read_a_file_with_holes(tmp_path: Path) -> None:
    """Versions far apart in time leave holes; every reader gets the last rows, and the file stays bounded."""
    file = tmp_path / "e0-000001.parquet"
    for step in range(1, 12):
        rows = version(step * 500, step)
        publish(file, rows, now=step * 60.0)
        assert parquet.read(file).equals(rows)
        with duckdb.connect() as connection:
            found = connection.execute("SELECT count(*), count(DISTINCT text) FROM read_parquet(?)", [str(file)])
            assert found.fetchall() == [(rows.height, rows["text"].n_unique())]
    alone = tmp_path / "alone.parquet"
    parquet.write(rows, alone, {})
    assert file.stat().st_size < 5 * alone.stat().st_size


def test_rows_go_into_the_first_gap_that_holds_them() -> None:
    """The space of versions long gone is used again."""
    regions = [Region(100, 200, 0), Region(300, 400, 0)]
    assert [first_gap(regions, size) for size in (96, 97, 100, 101)] == [4, 200, 200, 400]
