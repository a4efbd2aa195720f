"""What a file of ``minutes`` says in its footer of how it was made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest.schema import LATENCY_BASE, MADE_KEY, MINUTES
from transforms.minutes.contents import Content

if TYPE_CHECKING:
    from collections.abc import Mapping

# With another one all minutes are made again: raise it when the same rows give other minutes.
RULES: Final = 2
_VERSION: Final = [RULES, LATENCY_BASE, [column.name for column in MINUTES.columns]]


@dataclass(frozen=True)
class Record:
    """Made of which rows: ``files`` by name, and a fingerprint for each hour that has any.

    ``covered`` is a digest of which minutes the log covered, ``last_lines`` is each app's last minute with a line up to
    the end of the day, and before ``until`` all lines had time to come; both in minutes since 1970.
    """

    files: Mapping[str, Content]
    hours: Mapping[int, str]
    covered: str
    last_lines: Mapping[str, int]
    until: int

    def metadata(self) -> dict[str, str]:
        """As key-values of a Parquet footer."""
        stored = {
            "version": _VERSION,
            "files": {name: content.to_json() for name, content in self.files.items()},
            "hours": [*self.hours.items()],
            "covered": self.covered,
            "last_lines": dict(self.last_lines),
            "until": self.until,
        }
        return {MADE_KEY: json.dumps(stored, separators=(",", ":"))}


def read(metadata: Mapping[str, str]) -> Record | None:
    """The record in a footer; None for one of other rules, and for what is no record."""
    try:
        stored = json.loads(metadata[MADE_KEY])
        if stored["version"] != _VERSION:
            return None
        files = {name: Content.from_json(content) for name, content in stored["files"].items()}
        return Record(files, dict(stored["hours"]), stored["covered"], stored["last_lines"], stored["until"])
    except (KeyError, ValueError, TypeError):
        return None
