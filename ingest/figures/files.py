"""Figures that processes of this host leave in a folder, one file each, in Prometheus' text form.

A process writes its file whole and by rename, so what is read is always of one moment. One that was killed leaves its
last file behind; a gauge in it says until when it wanted to be heard of again. A file that cannot be read or is too
large, and files beyond so many, are left out and counted: they never break a scrape.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import Metric

ENDING: Final = ".prom"
FILES_MAX: Final = 32
FILE_BYTES_MAX: Final = 256 << 10
_PREFIXES: Final = ("drainlake_", "process_")


@dataclass(frozen=True)
class Found:
    """What a folder holds: families by the stem of their file, and what was left out, by why."""

    families: dict[str, list[Metric]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def read_folder(folder: Path) -> Found:
    """All files of the folder; an empty answer where there is none."""
    found = Found()
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.endswith(ENDING))
    except OSError:
        return found
    found.left_out["file_too_many"] += max(0, len(paths) - FILES_MAX)
    for path in paths[:FILES_MAX]:
        try:
            found.families[path.stem] = read_file(path)
        except FileNotFoundError:
            continue  # its process has just ended
        except Exception:  # noqa: BLE001 - whatever a broken file makes the parser raise
            found.left_out["file_broken"] += 1
    return found


def read_file(path: Path) -> list[Metric]:
    """The families of one file; raises OSError, or ValueError and others for what is no such file."""
    with path.open("rb") as opened:
        data = opened.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"more than {FILE_BYTES_MAX} bytes")
    if data and not data.endswith(b"\n"):
        raise ValueError("it ends within a line")
    families = list(text_string_to_metric_families(data.decode()))
    if any(not each.name.startswith(_PREFIXES) for each in families):
        raise ValueError("a name that is not ours")
    return families
