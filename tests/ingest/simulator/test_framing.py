"""Frames and deliveries as Logplex makes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.simulator import framing


def test_a_frame_counts_octets_not_characters() -> None:
    """A count in characters would cut every line with an umlaut."""
    one = framing.frame(190, "2026-11-23T13:15:50Z", "app", "web.1", "Prüfung für 你好 ok\n".encode())
    assert one == "69 <190>1 2026-11-23T13:15:50Z host app web.1 - Prüfung für 你好 ok\n".encode()


def test_an_l10_notice_has_logplexs_words_and_no_newline() -> None:
    """It runs straight into the next frame, as in a real body."""
    at = datetime(2023, 2, 11, 20, 46, 52, 398833, UTC)
    since = at - timedelta(seconds=15, microseconds=90834)
    assert framing.l10(1, since, at) == (
        b"156 <172>1 2023-02-11T20:46:52.398833+00:00 host heroku logplex - "
        b"Error L10 (output buffer overflow): 1 messages dropped since 2023-02-11T20:46:37.307999+00:00."
    )


@given(st.lists(st.binary(max_size=300), max_size=40))
def test_frames_joined_without_separator_split_into_the_same_frames(messages: list[bytes]) -> None:
    """Whatever the messages hold: digits, newlines, headers of other frames."""
    frames = [framing.counted(message) for message in messages]
    assert framing.split(b"".join(frames)) == frames


@pytest.mark.parametrize("body", [b"5 abc", b"abc", b"12345678 a", b"-1 a", b"3 abc4"])
def test_a_body_that_is_not_whole_frames_is_refused(body: bytes) -> None:
    """The sender must not count messages in a body it cannot cut."""
    with pytest.raises(ValueError, match="send whole frames"):
        framing.split(body)


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(50, 500))
def test_bodies_stay_under_the_target_and_lose_nothing(sizes: list[int], target: int) -> None:
    """Only a message that is itself larger than the target makes a larger body, and it goes alone."""
    frames = [b"x" * size for size in sizes]
    bodies = list(framing.pack(frames, target))
    assert b"".join(body for _, body in bodies) == b"".join(frames)
    assert sum(messages for messages, _ in bodies) == len(frames)
    assert all(len(body) <= target or messages == 1 for messages, body in bodies)


def test_deliveries_are_filled_up_to_about_100_kb() -> None:
    """A body is closed only by a frame that no longer fits."""
    bodies = list(framing.pack([b"x" * 300] * 1000))
    assert [messages for messages, _ in bodies] == [341, 341, 318]


def test_frame_ids_are_32_upper_case_hex_digits_and_do_not_repeat() -> None:
    """Receivers recognise a repeat by them."""
    ids = framing.frame_ids("one origin")
    found = [next(ids) for _ in range(1000)]
    assert len(set(found)) == 1000
    assert all(re.fullmatch("[0-9A-F]{32}", one) for one in found)
    assert found[0] == next(framing.frame_ids("one origin")) != next(framing.frame_ids("another"))


def test_headers_have_logplexs_names_and_order() -> None:
    """A receiver that needs another header would fail here as it would on Heroku."""
    delivery = framing.Delivery("A" * 32, 3, b"12345")
    found = framing.headers("logs.example.org", "Basic eDp5", framing.drain_token("t"), delivery)
    assert [name for name, _ in found] == [
        "Host", "Authorization", "Content-Type", "Logplex-Msg-Count", "Logplex-Frame-Id",
        "Logplex-Drain-Token", "User-Agent", "Content-Length",
    ]  # fmt: skip
    values = dict(found)
    assert values["Content-Type"] == "application/logplex-1"
    assert values["Logplex-Msg-Count"] == "3"
    assert values["Content-Length"] == "5"
    assert re.fullmatch(r"d\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", values["Logplex-Drain-Token"])
    assert "Authorization" not in dict(framing.headers("h", None, "d.x", delivery))
