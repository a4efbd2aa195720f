"""drainlake's own log: one line per event on stderr, a sentence for people or an object for machines.

No line is written per delivery: a drain of drainlake's own app would feed on it. A field never holds a secret, a body
or a path of a request. ``drainlake.ownlog`` says how the lines look; where it was not set up, as in a program that runs
a part by itself, the sentences go to stderr as they are.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

PARTS: Final = ("serve", "land", "schedule", "up")  # the processes that have a log
LOGGER: Final = logging.getLogger("drainlake")
LOGGER.setLevel(logging.INFO)


class _PlainHandler(logging.Handler):
    """The sentence alone, on what is stderr at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        print(record.getMessage(), file=sys.stderr, flush=True)  # noqa: T201 - the process's own log


LOGGER.addHandler(_PlainHandler())


def tell(part: str, event: str, sentence: str, *, level: int = logging.INFO, about: str = "", **fields: object) -> None:
    """Say that something happened.

    ``part`` is the process (serve, land …), ``event`` a name that never changes, such as ``certificate_renewed``.
    ``fields`` are what a machine would otherwise have to read out of the sentence. Of the same event about the same
    thing few are shown in a while, the others counted: ``about`` names the thing where there are several (a drain, a
    child, a destination); it must not be a text that anybody without credentials can choose.
    """
    LOGGER.log(level, sentence, extra={"part": part, "event": event, "about": about, "fields": fields})
