"""What a page says: its commands, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def commands(page: Path) -> list[str]:
    """The ``sh`` blocks of a page in order; blocks of another kind are not to be run."""
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
