"""drainlake's own log: one line per event on stderr, a sentence for people or an object for machines.

No line is written per delivery: a drain of drainlake's own app would feed on it. A field never holds a secret, a body
or a path of a request.
"""

from __future__ import annotations

import logging
from typing import Final

LOGGER: Final = logging.getLogger("drainlake")


def tell(part: str, event: str, sentence: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Say that something happened.

    ``part`` is the process (serve, land …), ``event`` a name that never changes, such as ``certificate_renewed``.
    ``fields`` are what a machine would otherwise have to read out of the sentence.
    """
    LOGGER.log(level, sentence, extra={"part": part, "event": event, "fields": fields})
