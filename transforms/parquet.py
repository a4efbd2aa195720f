"""One Parquet file of the lake: how it is written, and what its footer says of its rows' origin."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.schema import DERIVED, TABLES
from transforms import rewriting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from transforms.pieces import Pieces

SCHEMA_VERSION: Final = "1"
ERASED_KEY: Final = "drainlake.erased"
SCHEMAS: Final[Mapping[str, pl.Schema]] = {
    name: pl.Schema(table.arrow) for name, table in {**TABLES, **DERIVED}.items()
}
"""The tables' columns in polars types, as every file of the lake holds them."""


class TornFileError(Exception):
    """The file is not a whole Parquet file."""


class Provenance(Protocol):
    """Where a file's rows come from, in whatever words its writer will look for when it comes back."""

    def metadata(self) -> dict[str, str]:
        """As key-values of a Parquet footer; each key begins with ``drainlake.``, others do not outlive a rewrite."""


@dataclass(frozen=True)
class Origin:
    """Where a file's rows come from: the rows of its date up to ``offset`` of the log ``identity``.

    ``memory_bytes`` is what the rows took in memory when written: landing asks it before it opens a tail. A
    ``sealed`` file gets no more rows. ``routes`` names the rules that its routes were found by. ``erased`` counts the
    rows that were taken out of it (see ``erasing``).
    """

    identity: str
    offset: int
    memory_bytes: int
    sealed: bool = False
    routes: str = ""
    erased: int = 0

    def metadata(self) -> dict[str, str]:
        """As key-values of a Parquet footer."""
        return {
            "drainlake.log": self.identity,
            "drainlake.offset": str(self.offset),
            "drainlake.version": SCHEMA_VERSION,
            "drainlake.bytes": str(self.memory_bytes),
            **({"drainlake.sealed": "1"} if self.sealed else {}),
            **({"drainlake.routes": self.routes} if self.routes else {}),
            **({ERASED_KEY: str(self.erased)} if self.erased else {}),
        }


@dataclass(frozen=True)
class Footer:
    """What a footer says. ``origin`` is None for a file that drainlake did not land."""

    rows: int
    schema: pl.Schema
    metadata: Mapping[str, str]

    @property
    def origin(self) -> Origin | None:
        """The file's origin, or None if its metadata does not say one."""
        found = self.metadata
        try:
            return Origin(
                found["drainlake.log"],
                int(found["drainlake.offset"]),
                int(found.get("drainlake.bytes", "0")),
                sealed="drainlake.sealed" in found,
                routes=found.get("drainlake.routes", ""),
                erased=int(found.get(ERASED_KEY, "0")),
            )
        except (KeyError, ValueError):
            return None


def write(rows: pl.DataFrame | Pieces, file: Path | BytesIO, metadata: Mapping[str, str]) -> None:
    """Write rows to a file and read the footer back. Raises if a full disk or a fault left it not whole."""
    if isinstance(file, BytesIO):
        written = rewriting.write_alone(rows, file, metadata=metadata)
    else:
        with file.open("wb") as target:
            written = rewriting.write_alone(rows, target, metadata=metadata)
    _require_whole(written, file)


def write_next(
    rows: pl.DataFrame | Pieces, previous: Path, path: Path, metadata: Mapping[str, str], now: float
) -> None:
    """Write rows to a path as the next version of ``previous`` (see rewriting.py); else as :func:`write`."""
    with previous.open("rb") as source, path.open("wb") as target:
        written = rewriting.write_next(rows, source, target, metadata=metadata, now=now)
    _require_whole(written, path)


def encode(rows: pl.DataFrame | Pieces, metadata: Mapping[str, str]) -> bytes:
    """Rows as the bytes of a file, in which they take the very bytes that :func:`encode_next` gives them."""
    target = BytesIO()
    write(rows, target, metadata)
    return target.getvalue()


def encode_next(
    rows: pl.DataFrame | Pieces, previous: bytes, metadata: Mapping[str, str], now: float, size_bytes: int | None = None
) -> bytes:
    """Rows as the bytes of the next version of a file (see rewriting.py)."""
    target = BytesIO()
    rewriting.write_next(rows, BytesIO(previous), target, metadata=metadata, now=now, size_bytes=size_bytes)
    return target.getvalue()


def _require_whole(written: int, file: Path | BytesIO) -> None:
    if read_footer(file).rows != written:
        raise TornFileError(f"{_name(file)} was not written whole")


def read_pieces(file: Path | BytesIO, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """The rows of a file, row group by row group, as :func:`read` gives them."""
    metadata = pq.read_metadata(file)
    source = file.getvalue() if isinstance(file, BytesIO) else file
    rows = pl.scan_parquet(source, glob=False, hive_partitioning=False).select(columns or pl.all())
    begin = 0
    for group in range(metadata.num_row_groups):
        count = metadata.row_group(group).num_rows
        yield rows.slice(begin, count).collect()
        begin += count


def read(file: Path | BytesIO, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """All rows of a file. A path is taken literally: brackets and stars in it are no glob."""
    return pl.read_parquet(file, columns=list(columns) if columns else None, glob=False, hive_partitioning=False)


def read_footer(file: Path | BytesIO) -> Footer:
    """Read a footer. Raises :class:`TornFileError` if the file is not whole, FileNotFoundError if absent.

    Of a file in memory its end is enough, as long as the footer is in it.
    """
    try:
        with pq.ParquetFile(file) as opened:
            schema = pl.Schema(opened.schema_arrow)
            stored = opened.metadata.metadata or {}
            rows = opened.metadata.num_rows
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError, pl.exceptions.PolarsError) as error:
        raise TornFileError(f"{_name(file)} is no whole Parquet file ({str(error).splitlines()[0]})") from error
    return Footer(rows, schema, {_text(key): _text(value) for key, value in stored.items()})


def _name(file: Path | BytesIO) -> str:
    return "it" if isinstance(file, BytesIO) else str(file)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
