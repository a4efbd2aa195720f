"""The buffer of a live drain."""

from __future__ import annotations

import threading

import pytest

from ingest.simulator.framing import Delivery, counted, frame_ids, split
from ingest.simulator.live import LiveDrain
from ingest.simulator.logplex import Drain
from ingest.simulator.targets import Reply


class Held:
    """A target that holds each post until it is released, and says when one has arrived."""

    def __init__(self) -> None:
        self.arrived, self.released = threading.Event(), threading.Event()
        self.posts: list[Delivery] = []
        self.error: Exception | None = None

    def post(self, delivery: Delivery) -> Reply:
        """Answers once released, or raises the error it was given."""
        if self.error:
            raise self.error
        self.posts.append(delivery)
        self.arrived.set()
        self.released.wait()
        return Reply(204, "", 1.0)

    def close(self) -> None:
        """Nothing to give back."""


def test_a_full_buffer_loses_the_oldest_and_announces_them() -> None:
    """1,024 messages are kept while a delivery is in flight."""
    target = Held()
    with LiveDrain(Drain(target), frame_ids("t")) as live:
        live.offer(counted(b"first"))
        assert target.arrived.wait(10)
        for number in range(1500):
            live.offer(counted(b"%d" % number))
        target.released.set()
    frames = [one for post in target.posts[1:] for one in split(post.body)]
    assert b": 476 messages dropped since" in frames[0]
    assert frames[1:] == [counted(b"%d" % number) for number in range(476, 1500)]
    assert live.ledger.messages == 1501
    assert live.ledger.overflowed == live.ledger.l10_announced == 476
    assert live.ledger.messages_acknowledged == 1025


def test_after_five_minutes_without_success_only_ten_messages_are_kept() -> None:
    """Logplex calls such a drain degraded."""
    now = [0.0]
    target = Held()
    with LiveDrain(Drain(target), frame_ids("t"), monotonic=lambda: now[0]) as live:
        live.offer(counted(b"first"))
        assert target.arrived.wait(10)
        now[0] = 301.0
        for number in range(50):
            live.offer(counted(b"%d" % number))
        target.released.set()
    assert live.ledger.overflowed == 40


def test_deliveries_stay_under_the_target_size() -> None:
    """What has gathered goes out in bodies of about 100 KB."""
    target = Held()
    with LiveDrain(Drain(target), frame_ids("t")) as live:
        live.offer(counted(b"first"))
        assert target.arrived.wait(10)
        for _ in range(900):
            live.offer(counted(b"x" * 1000))
        target.released.set()
    assert max(len(post.body) for post in target.posts) <= 102_400
    assert [post.messages for post in target.posts[1:]] == [101] * 8 + [92]


def test_what_stops_the_sender_reaches_the_caller() -> None:
    """An error in the thread must not look like a finished run."""
    target = Held()
    target.error = RuntimeError("disk gone")
    live = LiveDrain(Drain(target), frame_ids("t"))
    live.__enter__()
    live.offer(counted(b"one"))
    with pytest.raises(RuntimeError, match="disk gone"):
        live.close()
