"""The soak itself works: a short one, with kills, a power cut and a midnight, ends well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.soak import faults, world
from tests.soak.__main__ import soak

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(world.missing() is not None, reason=str(world.missing()))
def test_a_short_soak_finds_nothing_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every acknowledged line is in the lake once, through two faults and midnight, and each process ends with 0."""
    monkeypatch.setattr(faults, "PAUSE_SECONDS", (5.0, 6.0))
    found = list(soak(tmp_path, minutes=0.25, seed=3))
    assert [f"{each.name}: {each.value}" for each in found if not each.good] == []
