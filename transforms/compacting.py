"""Takes the dead space out of a rewritten file that cannot have holes: an object on S3.

A rewritten file keeps the bytes of the version before it for readers that hold the old footer (``rewriting``). On a
local folder they become a hole in place (``settling``). An object is only ever written as a whole, and a reader may
look up the live rows at any time, so the space goes in steps, each a new version of the file with the same rows, and
each KEPT_SECONDS or more after the one before:

1. While the live rows do not stand at the front, they are written once more into the first gap that holds them, the
   version before kept at its place as always. Once or twice, since rows that stand behind a gap as large as they are
   go into it.
2. When they stand at the front, what is behind them is dropped: magic, live rows at their places, footer. Whoever holds
   the footer before finds the same rows at the same places.

The second step writes the rows anew and takes the result only if it equals the live bytes.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq

from transforms import parquet, rewriting

if TYPE_CHECKING:
    from collections.abc import Mapping

_OURS: Final = "drainlake."


def is_due(metadata: Mapping[str, str], now: float) -> bool | None:
    """Whether a file with this footer can take its next step; None if it has no dead space.

    ``now`` is the time in seconds since 1970.
    """
    regions = rewriting.regions_in(metadata)
    if not regions:
        return None
    return all(now - region.replaced_at >= rewriting.KEPT_SECONDS for region in regions)


def next_step(data: bytes, now: float) -> bytes | None:
    """The file's next version on the way to one without dead space; None if there is nothing to do about it."""
    footer = pq.read_metadata(BytesIO(data))
    start, end = rewriting.live_extent(footer)
    rows, metadata = parquet.read(BytesIO(data)), _ours(data)
    if start == len(rewriting.MAGIC):
        compact = parquet.encode(rows, metadata)
        if compact[:end] == data[:end]:
            return compact
        if footer.created_by == pq.read_metadata(BytesIO(compact)).created_by:
            return None  # no use in trying again: this very writer would write other bytes for ever
    return parquet.encode_next(rows, data, metadata, now, size_bytes=end - start)


def _ours(data: bytes) -> dict[str, str]:
    found = parquet.read_footer(BytesIO(data)).metadata
    return {key: value for key, value in found.items() if key.startswith(_OURS) and key != rewriting.KEPT_KEY}
