"""Access logs as files, parsed by several threads at once and given in the order of the file."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from ingest.parsing import Body
from ingest.plain import ACCESS, CUT, parse_as
from ingest.saved_logs import SavedLogError, chunks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor, Future
    from pathlib import Path

    import pyarrow as pa

CHUNK_BYTES: Final = 2_000_000
EXAMPLES_MAX: Final = 3  # lines that are named, of a file
SAMPLE_BYTES: Final = 100_000
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Piece(NamedTuple):
    """What a chunk of a file gave: rows of ``access``, how many lines are none, the first of these, how it begins, how
    many bytes it has, and how many bytes of the file, which may be packed, are read."""

    rows: pa.RecordBatch | None
    defects: int
    examples: list[str]
    sample: bytes
    size: int
    position: int


def pieces(path: Path, pool: Executor, ahead: int, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Piece]:
    """The pieces of a file; ``ahead`` is how many are held at most.

    Raises SavedLogError as ``ingest.saved_logs`` does, after the pieces that could be read.
    """
    waiting: deque[Future[Piece]] = deque()
    broken: SavedLogError | None = None
    try:
        for number, (chunk, is_cut, position) in enumerate(chunks(path, chunk_bytes)):
            text = chunk if number else chunk.removeprefix(_BYTE_ORDER_MARK)
            waiting.append(pool.submit(_piece, text, is_cut, position))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
    except SavedLogError as error:
        broken = error
    while waiting:
        yield waiting.popleft().result()
    if broken is not None:
        raise broken


def _piece(chunk: bytes, is_cut: bool, position: int) -> Piece:
    """Blank lines are none; they carry nothing."""
    tables = parse_as(CUT if is_cut else ACCESS, [Body("", chunk)], 0).tables
    others = tables["lines"]["message"].to_pylist() if "lines" in tables else []
    others = [line for line in others if line and line.strip()]
    return Piece(tables.get("access"), len(others), others[:EXAMPLES_MAX], chunk[:SAMPLE_BYTES], len(chunk), position)
