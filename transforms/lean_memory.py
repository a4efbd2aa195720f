"""Which allocator Arrow uses in a process that lands: one that gives back what is free.

Landing fills and frees the same tens of megabytes for each bite, in Arrow, then in polars. Arrow's own choice,
mimalloc, keeps what it had at its peak: measured, 15 MB of a usual backlog, 40 MB of a flood of long paths.
"""

from __future__ import annotations

import pyarrow as pa


def use_lean_memory() -> None:
    """Let Arrow use jemalloc in this process from now on, where it has it; safe to call again."""
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
