"""Equal events are shown now and then, never lost from the count, and never more lines than a disk can bear."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from drainlake.ownlog.limits import KEYS_MAX, LINES_MAX, WINDOW_SECONDS, Limiter, Shown

MOMENTS = st.lists(st.tuples(st.floats(0, 30), st.sampled_from("abc")), max_size=60)


@given(MOMENTS)
def test_every_event_is_shown_or_counted_once(gaps: list[tuple[float, str]]) -> None:
    """Whatever comes when: shown ones and left out ones add up, by key, and equal ones keep their distance."""
    limiter, now = Limiter(), 0.0
    shown_at: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    counted = {"a": 0, "b": 0, "c": 0}
    for gap, key in gaps:
        now += gap
        for shown in limiter.admit((key,), key, now):
            shown_at[shown.event].append(now)
            counted[shown.event] += 1 + shown.left_out
    for times in shown_at.values():
        assert all(later - earlier >= WINDOW_SECONDS for earlier, later in itertools.pairwise(times))
    for shown in limiter.due(now, at_end=True):
        counted[shown.event] += 1 + shown.left_out
    assert counted == {key: sum(1 for _, each in gaps if each == key) for key in "abc"}


def test_the_last_event_is_shown_in_the_end() -> None:
    """After "away, back, away" the log must not go on saying that all is well."""
    limiter = Limiter()
    assert limiter.admit(("kafka",), "away", 0.0) == [Shown("away", 0)]
    assert limiter.wait_seconds(0.0) is None
    for second, event in enumerate(("still", "back", "away again"), 1):
        assert limiter.admit(("kafka",), event, float(second)) == []
    assert limiter.wait_seconds(4.0) == WINDOW_SECONDS - 4.0
    assert limiter.due(9.9) == []
    assert limiter.due(10.0) == [Shown("away again", 2)]
    assert limiter.admit(("kafka",), "back", 12.0) == []


def test_ever_new_keys_neither_grow_nor_flood() -> None:
    """Who can make events differ gets no more lines, and no memory, from it; the rest is counted."""
    limiter, lines = Limiter(), 0
    for number in range(10 * LINES_MAX):
        lines += len(limiter.admit((f"key {number}",), number, 1.0))
    assert lines == LINES_MAX
    assert limiter.take_dropped() == 9 * LINES_MAX
    assert len(limiter._kept) == KEYS_MAX
    assert limiter.admit(("another",), "x", 1.0 + WINDOW_SECONDS) == [Shown("x", 0)]
