"""Rows out: Arrow batches as table, JSON, JSON lines, CSV, Markdown or Parquet, to stdout or a file.

A file given with ``--out`` appears whole or not at all. So does what goes to stdout, up to :data:`HELD_BYTES`:
a query can fail at its last row, and a cell may be one that cannot be printed. Of more a part is out by then, and that
is told.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, cast

import pyarrow as pa

from drainlake import cells, hostile, table
from drainlake.errors import Failure, WrongUse
from drainlake.writing import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TABLE_ROWS: Final = 10_000
HELD_BYTES: Final = 16 << 20
_CSV_SPECIAL: Final = re.compile(r'[",\r\n]|^\s|\s$')
_SUFFIXES: Final = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".md": "markdown",
    ".parquet": "parquet",
}


@dataclass
class Rows:
    """Batches of one schema, readable once; column names are unique. ``taken`` counts rows handed out."""

    names: list[str]
    kinds: list[pa.DataType]
    _batches: Iterator[pa.RecordBatch]
    taken: int = 0

    @classmethod
    def of(cls, reader: pa.RecordBatchReader) -> Rows:
        """The reader's rows, its first batch taken already: an error of the query shows here."""
        batches = _batches(reader)
        first = list(itertools.islice(batches, 1))
        names = cells.unique_names(reader.schema.names)
        return cls(names, list(reader.schema.types), itertools.chain(first, batches))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The batches, counted."""
        for batch in self._batches:
            self.taken += batch.num_rows
            yield batch

    def plain_rows(self) -> Iterator[tuple[Any, ...]]:
        """Row after row as plain values; raises :class:`Failure` for what :mod:`cells` cannot print."""
        for batch in self.batches():
            try:
                columns = [cells.plain(column) for column in batch.columns]
            except OverflowError:
                sentence = "A time within a list or struct lies outside of the years 1 to 9999."
                raise Failure(sentence, "cast it to VARCHAR") from None
            yield from zip(*columns, strict=True)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The reader's batches. Arrow tells DuckDB's errors as OSError, which would be taken for a full disk."""
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except OSError as error:
            raise pa.ArrowInvalid(str(error)) from None
        yield batch


class Held(io.RawIOBase):
    """A sink that holds back the first :data:`HELD_BYTES` until more come, or the block ends well.

    What comes after an error goes nowhere: the end of a format would make a part look whole.
    """

    def __init__(self, sink: IO[bytes]) -> None:
        super().__init__()
        self._sink = sink
        self._held = bytearray()
        self._room = HELD_BYTES
        self._is_broken = False

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Take some bytes."""
        if not self._is_broken:
            self._held += data
            if len(self._held) > self._room:
                self._let_go()
        return len(data)

    def give_up(self) -> None:
        """Let nothing more out."""
        self._is_broken = True

    def _let_go(self) -> None:
        self._room = 0
        self._sink.write(self._held)
        self._held.clear()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Let out what is held back, or tell that a part is out already."""
        if kind is None:
            self._let_go()
        elif not self._room and not issubclass(kind, BrokenPipeError):
            self._sink.flush()
            sys.stderr.write("Note: what stands on stdout broke off; the answer was not whole.\n")
        self.give_up()


@dataclass(frozen=True)
class Output:
    """What the user asked for with ``--format`` and ``--out``."""

    format: str | None = None
    path: Path | None = None
    table_rows: int = TABLE_ROWS

    @property
    def kind(self) -> str:
        """The format: the one given, else the file name's, else a table."""
        if self.format is not None:
            return self.format
        return _SUFFIXES.get(self.path.suffix, "table") if self.path is not None else "table"

    def check(self) -> None:
        """Refuse what cannot work before a query runs; raises :class:`WrongUse`."""
        if self.kind == "parquet" and self.path is None and sys.stdout.isatty():
            raise WrongUse("Parquet is not for a terminal.", "--out FILE.parquet")
        if self.path is not None and not self.path.absolute().parent.is_dir():
            raise WrongUse(f"There is no folder {self.path.absolute().parent}.", "make it first")

    def write(self, reader: pa.RecordBatchReader, trust: Mapping[str, Any] | None = None) -> int:
        """Write the rows; ``trust`` stands beside them in JSON: ``{"rows": […], "trust": {…}}``.

        Returns how many rows were taken from the reader.
        """
        rows = Rows.of(reader)
        if self.path is None:
            # A table is one piece, and what it says of rows left out is to stand below it.
            with nullcontext(sys.stdout.buffer) if self.kind == "table" else Held(sys.stdout.buffer) as sink:
                self._write_to(cast("IO[bytes]", sink), rows, trust)
            sys.stdout.flush()
        else:
            write_file(self.path, lambda sink: self._write_to(sink, rows, trust))
        return rows.taken

    def _write_to(self, sink: IO[bytes], rows: Rows, trust: Mapping[str, Any] | None) -> None:
        if self.kind == "parquet":
            _write_parquet(rows, sink)
            return
        for text in self._texts(rows, trust):
            sink.write(text.encode())

    def _texts(self, rows: Rows, trust: Mapping[str, Any] | None) -> Iterator[str]:
        if self.kind == "table":
            width = _terminal_width() if self.path is None and sys.stdout.isatty() else None
            return table_text(rows, width, self.table_rows)
        if self.kind == "json":
            return json_text(rows, trust)
        return {"jsonl": json_lines, "csv": csv_text, "markdown": markdown_text}[self.kind](rows)


def table_text(rows: Rows, width: int | None, rows_max: int) -> Iterator[str]:
    """An aligned table; says on stderr when there is more than a table can show."""
    shown = list(itertools.islice(rows.plain_rows(), rows_max + 1))
    if rows.names == ["explain_key", "explain_value"]:
        yield "".join(hostile.clean(str(plan)) for _, plan in shown)  # a drawing, not a cell
        return
    lines = [[hostile.clean_line(table.text_of(value)) for value in row] for row in shown[:rows_max]]
    names = [hostile.clean_line(name) for name in rows.names]
    yield table.draw(names, lines, right=[cells.is_number(kind) for kind in rows.kinds], width=width)
    if len(shown) > rows_max:
        sys.stderr.write(f"These are the first {rows_max} rows; `--format csv` gives all.\n")


def json_text(rows: Rows, trust: Mapping[str, Any] | None = None) -> Iterator[str]:
    """A list of row objects, or with trust an object that holds both."""
    yield '{"rows": [' if trust is not None else "["
    joint = "\n"
    for line in json_lines(rows):
        yield joint + line.rstrip("\n")
        joint = ",\n"
    yield "\n]\n" if trust is None else f'\n], "trust": {_json(trust)}}}\n'


def json_lines(rows: Rows) -> Iterator[str]:
    """One JSON object per line."""
    for row in rows.plain_rows():
        yield _json(dict(zip(rows.names, row, strict=True))) + "\n"


def csv_text(rows: Rows) -> Iterator[str]:
    """CSV with a header; text a spreadsheet would run is guarded, NULL is an empty cell, '' is ``""``."""
    is_text = [cells.is_text(kind) for kind in rows.kinds]
    yield ",".join(_csv_cell(name, is_text=True) for name in rows.names) + "\n"
    for row in rows.plain_rows():
        yield ",".join(map(_csv_cell, row, is_text)) + "\n"


def _csv_cell(value: Any, is_text: bool) -> str:
    if value is None:
        return ""
    text = hostile.guard_formula(value) if is_text else _flat(value)
    return '"' + text.replace('"', '""') + '"' if _CSV_SPECIAL.search(text) or not text else text


def markdown_text(rows: Rows) -> Iterator[str]:
    """A table of GitHub's Markdown; numbers are aligned to the right."""
    yield _markdown_line(map(hostile.escape_markdown, rows.names))
    yield _markdown_line("---:" if cells.is_number(kind) else "---" for kind in rows.kinds)
    for row in rows.plain_rows():
        yield _markdown_line(hostile.escape_markdown(_flat(value)) for value in row)


def _markdown_line(texts: Iterator[str]) -> str:
    return "| " + " | ".join(texts) + " |\n"


def _flat(value: Any) -> str:
    """A value as the text of one cell: NULL as nothing, what is no text as JSON writes it."""
    if isinstance(value, str):
        return value
    return "" if value is None else _json(value)


def _json(value: Any) -> str:
    return hostile.escape_json(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _write_parquet(rows: Rows, sink: IO[bytes]) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import, and for this format only

    schema = pa.schema(list(zip(rows.names, rows.kinds, strict=True)))
    try:
        with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            try:
                for batch in rows.batches():
                    writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            except BaseException:
                if isinstance(sink, Held):
                    sink.give_up()  # before the writer ends the file
                raise
    except pa.ArrowNotImplementedError as error:
        raise Failure(f"Parquet cannot hold a column of this answer: {error}.", "cast it to VARCHAR") from None


def _terminal_width() -> int:
    return os.get_terminal_size(sys.stdout.fileno()).columns or 80
