"""Work that only one process of a host may do at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def sole(lock: Path) -> Iterator[bool]:
    """Whether this process is the one, for as long as the block runs; it does not wait. The folder must be there.

    The lock ends with its process, however that ends, so a killed one blocks nobody. The file stays. Raises OSError
    when it cannot be made.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
