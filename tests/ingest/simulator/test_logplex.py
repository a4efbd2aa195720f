"""What the drain does with replies, losses and repeats; the account must balance in every case."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.simulator.framing import Delivery, frame, split
from ingest.simulator.logplex import NO_FAULTS, Drain, Faults, UnreachableError
from ingest.simulator.targets import HttpTarget, Reply
from tests.ingest.simulator.servers import http_server

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLIES = [
    json.loads(line) for line in Path(__file__).with_name("data").joinpath("replies.jsonl").read_text().splitlines()
]


class Scripted:
    """A target that gives the outcomes it was told to, then 204 for ever."""

    def __init__(self, *outcomes: int | str) -> None:
        self.outcomes = list(outcomes)
        self.posts: list[Delivery] = []

    def post(self, delivery: Delivery) -> Reply:
        """The next outcome of the script."""
        outcome = self.outcomes.pop(0) if self.outcomes else 204
        if outcome == "unreachable":
            return Reply(None, "unreachable", 0.0, "refused")
        self.posts.append(delivery)
        return Reply(outcome, "", 1.0) if isinstance(outcome, int) else Reply(None, outcome, 1.0)

    def close(self) -> None:
        """Nothing to give back."""


def clock() -> Iterator[datetime]:
    """Time that moves on by a second whenever it is asked."""
    at = datetime(2026, 11, 23, tzinfo=UTC)
    while True:
        yield at
        at += timedelta(seconds=1)


def drain(target: Scripted | HttpTarget, faults: Faults = NO_FAULTS, **options: Any) -> Drain:
    """A drain that never waits and has a clock of its own."""
    times = clock()
    return Drain(target, faults, now=lambda: next(times), sleep=lambda _: None, **options)


def deliveries(count: int, messages: int = 5) -> list[Delivery]:
    """Small deliveries whose messages are all different."""
    return [
        Delivery(
            f"{number:032X}",
            messages,
            b"".join(
                frame(190, "2026-11-23T13:15:50Z", "app", "web.1", b"%d.%d" % (number, n)) for n in range(messages)
            ),
        )
        for number in range(count)
    ]


def balanced(one: Drain) -> bool:
    """Whether every message ended in exactly one place."""
    ledger = one.ledger
    return ledger.messages == ledger.messages_acknowledged + ledger.messages_dropped + ledger.overflowed


@pytest.mark.parametrize("case", REPLIES, ids=[str(case["reply"]) for case in REPLIES])
def test_each_reply_has_logplexs_consequence(case: dict[str, Any]) -> None:
    """Three tries for what may pass, one for a 4xx, and the lost messages counted under the last outcome."""
    target = Scripted(*[case["reply"]] * 3)
    one = drain(target)
    assert one.deliver(deliveries(1)[0]) is case["acknowledged"]
    assert len(target.posts) == case["posts"]
    assert one.ledger.replies == {str(case["reply"]): case["posts"]}
    assert one.ledger.dropped == ({} if case["acknowledged"] else {str(case["reply"]): 5})
    assert balanced(one)


def test_a_further_try_is_the_same_delivery() -> None:
    """The same Frame-Id and, as long as nothing was lost, the same bytes."""
    target = Scripted(503, "timeout", 204)
    one = drain(target)
    assert one.deliver(deliveries(1)[0])
    assert target.posts == deliveries(1) * 3
    assert one.ledger.deliveries_acknowledged == 1


def test_losses_are_announced_in_front_of_the_next_delivery_and_rebuilt_each_try() -> None:
    """The notice counts as a message, and each try writes it anew with its own time."""
    target = Scripted(404, 503, 204, 204)
    one = drain(target)
    one.replay(deliveries(3))
    first, failed, accepted, after = target.posts
    assert first.messages == after.messages == 5
    assert failed.frame_id == accepted.frame_id
    assert (failed.messages, accepted.messages) == (6, 6)
    notices = [split(post.body)[0] for post in (failed, accepted)]
    assert all(b"Error L10 (output buffer overflow): 5 messages dropped since" in notice for notice in notices)
    assert notices[0] != notices[1]
    assert split(failed.body)[1:] == split(accepted.body)[1:]
    assert (one.ledger.l10_notices, one.ledger.l10_announced, one.ledger.l10_pending) == (1, 5, 0)
    assert balanced(one)


def test_a_notice_that_fails_stays_due_and_grows() -> None:
    """Two lost deliveries in a row are announced together, once."""
    target = Scripted(503, 503, 503, 400, 204)
    one = drain(target)
    one.replay(deliveries(3))
    assert b": 10 messages dropped" in split(target.posts[-1].body)[0]
    assert (one.ledger.l10_notices, one.ledger.l10_announced) == (1, 10)
    assert one.ledger.dropped == {"503": 5, "400": 5}
    # The clock was read for the first loss, then for the notice that failed, then for the one that arrived.
    assert b"since 2026-11-23T00:00:00.000000+00:00." in split(target.posts[-1].body)[0]


def test_a_refused_connection_uses_no_try() -> None:
    """A receiver that does not accept loses nothing while it restarts."""
    target = Scripted("unreachable", "unreachable", 503, "unreachable", 503, "unreachable", 204)
    one = drain(target)
    assert one.deliver(deliveries(1)[0])
    assert one.ledger.posts == 3


def test_a_target_that_never_comes_up_is_said() -> None:
    """Waiting for ever would look like a slow run. It is part of a sentence, which the command ends."""
    one = drain(Scripted(*["unreachable"] * 100_000), patience_seconds=1)
    with pytest.raises(UnreachableError, match=r"^no connection to the target \(.*refused.*\)$"):
        one.deliver(deliveries(1)[0])


def test_the_drop_fault_announces_exactly_what_it_took() -> None:
    """With a share of 1 every delivery loses a few of its first messages, and says so itself."""
    target = Scripted()
    one = drain(target, Faults(seed=3, drop_share=1.0))
    one.replay(deliveries(10, messages=60))
    sent = sum(post.messages - 1 for post in target.posts)
    assert one.ledger.messages == 600
    assert one.ledger.overflowed == one.ledger.l10_announced == 600 - sent > 0
    assert balanced(one)


@pytest.mark.parametrize("with_l10", [True, False])
def test_the_repeat_fault_sends_an_acknowledged_delivery_again(with_l10: bool) -> None:
    """Same Frame-Id and messages; with a notice in front when asked to, so the bodies differ."""
    target = Scripted()
    one = drain(target, Faults(seed=3, repeat_share=1.0, repeat_with_l10=with_l10))
    one.replay(deliveries(4, messages=60))
    assert one.ledger.deliveries_repeated == 4
    assert one.ledger.deliveries_acknowledged == 4
    for first, again in zip(target.posts[::2], target.posts[1::2], strict=True):
        assert first.frame_id == again.frame_id
        assert again.messages == first.messages + with_l10
        assert split(again.body)[with_l10:] == split(first.body)
    assert one.ledger.l10_notices == 4 * with_l10
    assert one.ledger.l10_announced == one.ledger.overflowed
    assert balanced(one)


@pytest.mark.parametrize(
    "body", [b"no head\nnone here either\n", deliveries(1, messages=3)[0].body], ids=["lines", "more"]
)
def test_of_what_cannot_be_counted_nothing_is_lost_on_purpose(body: bytes) -> None:
    """A saved log holds lines without a head, which go as they are: the faults leave such a delivery whole."""
    target = Scripted()
    one = drain(target, Faults(seed=3, repeat_share=0.5, drop_share=0.5))
    one.replay([Delivery(f"{number:032X}", 2, body) for number in range(20)])
    assert {post.body for post in target.posts} == {body}
    assert len(target.posts) > 20
    assert one.ledger.overflowed == 0
    assert balanced(one)


def test_faults_strike_by_share_and_the_same_for_a_seed() -> None:
    """A tenth is about a tenth, and a run can be repeated."""

    def run(seed: int) -> list[Delivery]:
        target = Scripted()
        drain(target, Faults(seed, repeat_share=0.1, drop_share=0.1)).replay(deliveries(300))
        return target.posts

    assert run(1) == run(1) != run(2)
    assert 310 < len(run(1)) < 350


@pytest.mark.parametrize(("repeat_share", "drop_share"), [(1.1, 0), (0, -0.1)])
def test_a_share_outside_0_to_1_is_refused(repeat_share: float, drop_share: float) -> None:
    """Ten percent is 0.1, not 10."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        Faults(repeat_share=repeat_share, drop_share=drop_share)


OUTCOMES = st.sampled_from([204, 200, 400, 401, 429, 500, 503, 302, "timeout", "socket error", "unreachable"])


@given(st.lists(OUTCOMES, max_size=60), st.integers(0, 99), st.floats(0, 1), st.floats(0, 1))
def test_the_account_balances_whatever_happens(
    outcomes: list[int | str], seed: int, repeat_share: float, drop_share: float
) -> None:
    """Every message ends in one place, and what was lost is announced or still due."""
    target = Scripted(*outcomes)
    one = drain(target, Faults(seed, repeat_share=repeat_share, drop_share=drop_share))
    one.replay(deliveries(12))
    ledger = one.ledger
    assert balanced(one)
    assert ledger.messages == 60
    assert ledger.posts == len(target.posts) == sum(ledger.replies.values())
    assert ledger.bytes_sent == sum(len(post.body) for post in target.posts)
    assert ledger.l10_announced + ledger.l10_pending == ledger.messages_dropped + ledger.overflowed


def test_reply_times_are_nearest_rank() -> None:
    """Of one hundred values the 99th is the 99th, not something between two."""
    one = drain(Scripted())
    for ms in range(1, 101):
        one.ledger.replied("204", 0, float(ms))
    times = one.ledger.reply_times
    assert (times.count, times.p50_ms, times.p99_ms, times.max_ms) == (100, 50.0, 99.0, 100.0)
    assert drain(Scripted()).ledger.reply_times.count == 0


def test_over_a_real_connection_a_failing_delivery_is_tried_three_times_and_announced() -> None:
    """The same behaviour through real sockets, with the headers a receiver sees."""
    with http_server() as server:
        server.statuses = [204, 503, 503, 503, 204]
        one = drain(HttpTarget(server.url))
        one.replay(deliveries(3))
        one.close()
    assert [got.header("Logplex-Frame-Id")[-1] for got in server.requests] == [*"01112"]
    assert [got.header("Logplex-Msg-Count") for got in server.requests] == ["5", "5", "5", "5", "6"]
    assert [len(got.body) == int(got.header("Content-Length")) for got in server.requests] == [True] * 5
    assert one.ledger.replies == {"204": 2, "503": 3}
    assert one.ledger.reply_times.count == 5
