"""The kept inputs of all targets go through all oracles: what was found once stays found out.

The fuzzer itself does not run here; README.md says how it does.
"""

from __future__ import annotations

import pytest

from tests.fuzz import corpus
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs_hold(name: str) -> None:
    """Each seed of the target is read without a fault that its oracles know."""
    seeds = corpus.load(name)
    assert seeds, "python -m tests.fuzz --keep makes them"
    for seed in seeds:
        try:
            TARGETS[name].check(seed.octets)
        except Exception as error:
            error.add_note(f"input {seed.octets!r}; {seed.found or 'no finding so far'}")
            raise


def test_the_corpus_stays_small() -> None:
    """What is kept for ever is what is needed, and belongs to a target."""
    kept = [*corpus.FOLDER.iterdir()]
    assert {path.stem for path in kept} == {*TARGETS}
    assert sum(path.stat().st_size for path in kept) < 300_000
