"""Messages on their way: retries, what is kept, what is given up, and who may send what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from queries.delivery import cron, outbox
from queries.delivery.ledger import (
    FINAL_MESSAGES_MAX,
    WAITING_MESSAGES_MAX,
    Episode,
    Kind,
    Ledger,
    Message,
    Parcel,
    State,
    bounded,
    decode,
    encode,
    transact,
)
from queries.delivery.notes import NoteError
from queries.delivery.standing import stand
from tests.queries.delivery.world import UTC_ZONE, MemoryNotes, World, alarms, at, finding, reports


class KilledError(BaseException):
    """What stands for kill -9 in one process: nothing after it runs, and nothing catches it."""


def _unsent(world: World) -> list[str]:
    return [f"{message.id} {parcel.destination}" for message, parcel in outbox.unsent(world.ledger)]


def test_a_failure_is_tried_again_with_growing_pauses() -> None:
    """Within half a minute of a run; then it is kept."""
    world = reports("25 12:00")
    world.down = {"mail"}
    world.run_at("26 07:00")
    first = world.tries[0][1]
    assert [(when - first).total_seconds() for _, when in world.tries] == [0, 5, 25]
    assert _unsent(world) == ["report-20261126T0700Z mail"]
    (part,) = [part for part in stand(world.ledger, world.plan, world.now) if part.part == "unsent"]
    assert not part.well
    assert "3 tries: it answered HTTP 500" in part.state


def test_what_is_kept_goes_first_and_says_that_it_is_late() -> None:
    """The next run sends it before it makes anything new."""
    world = reports("25 12:00")
    world.down = {"mail"}
    world.run_at("26 07:00")
    world.down = set()
    sent = world.run_at("27 07:00")
    assert [title.split(", ")[-1] for _, title, _ in sent] == ["Thu 26 Nov 2026", "Fri 27 Nov 2026"]


def test_a_destination_that_works_is_not_sent_to_twice() -> None:
    """Because another one failed."""
    world = reports("25 12:00", "mail", "slack")
    world.down = {"mail"}
    assert [name for name, *_ in world.run_at("26 07:00")] == ["slack"]
    world.down = set()
    assert [name for name, *_ in world.run_at("26 08:00")] == ["mail"]
    assert world.run_at("26 09:00") == []


def test_one_failure_holds_back_all_that_waits_for_a_destination() -> None:
    """Else each of fifty kept messages would wait for its own time-out."""
    world = reports("25 12:00")
    world.down = {"mail"}
    for day in range(26, 30):
        world.run_at(f"{day} 07:00")
    world.tries.clear()
    world.now += timedelta(hours=2)
    world.run()
    assert len(world.tries) <= 3
    world.down = set()
    world.now += timedelta(hours=2)
    world.run()
    assert len(world.sent) == 4


def test_after_a_week_a_message_is_given_up_and_that_is_told() -> None:
    """By the next message that is made."""
    world = reports("10 12:00")
    world.down = {"mail"}
    world.run_at("11 07:00")
    world.run_at("18 07:30")
    world.down = set()
    world.now += timedelta(days=1)
    world.run()
    assert any("did not reach you by mail and is given up (it answered HTTP 500)" in text for *_, text in world.sent)


def test_a_destination_that_is_gone_is_not_waited_for() -> None:
    """What waited for it is given up at once, by name."""
    from dataclasses import replace

    world = reports("25 12:00", "mail")
    world.down = {"mail"}
    world.run_at("26 07:00")
    world.plan = replace(world.plan, report_to=("slack",))
    ((name, _, text),) = world.run_at("27 07:00")
    assert name == "slack"
    assert "did not reach you by mail and is given up (it is no destination any more)" in text


POINTS = {
    "report claimed": "sent later",
    "report saved": "sent later",
    "report enqueued": "sent later",
    "sending": "sent later",
    "begun": "unknown",
    "accepted": "unknown",
    "marked": "sent",
}


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_ends_anywhere_neither_sends_twice_nor_skips_silently(point: str) -> None:
    """While its leases last nobody takes over; then exactly what was not begun is sent, and what was is told."""
    world = reports("25 12:00")
    world.now = at("26 07:00")

    def fault(reached: str) -> None:
        if reached == point and (point != "sending" or world.ledger.messages):
            raise KilledError

    before = world.notes.notes.copy()
    with pytest.raises(KilledError):
        world.run(fault)
    if point in {"report claimed", "report saved"}:
        # A kill releases nothing: put the claim back that the end of this process gave up.
        world.notes.notes = before
        transact(world.notes, lambda ledger: (_claimed(ledger, world), None))
        assert world.run_at("26 07:10") == []
    sent_before = len(world.sent)
    later = world.run_at("26 07:40")
    tomorrow = world.run_at("27 07:00")
    titles = [title for _, title, _ in world.sent]
    assert len(titles) == len(set(titles)), "nothing twice"
    outcome = POINTS[point]
    assert len(later) == (outcome == "sent later")
    assert len(tomorrow) == 1
    assert ("may not have reached you by mail (the process died while sending)" in tomorrow[0][2]) == (
        outcome == "unknown"
    )
    assert sent_before == (point in {"accepted", "marked"})


def _claimed(ledger: Ledger, world: World) -> Ledger:
    from queries.delivery.runs import claim

    assert world.plan.report_at is not None
    after, work = claim(ledger, Kind.REPORT, world.plan.report_at, at("26 07:00"), "the dead")
    assert work is not None
    return after


def test_whoever_was_taken_over_sends_nothing() -> None:
    """A process that was stopped for an hour while it made the report finds the other's in the ledger."""
    slow = reports("25 12:00")
    other = World(at("26 08:00"), slow.plan, slow.notes, numbers=slow.numbers)
    slow.now = at("26 07:00")

    def fault(point: str) -> None:
        if point == "report saved":
            other.now = at("26 08:00")
            other.run()

    slow.run(fault)
    assert (len(slow.sent), len(other.sent)) == (0, 1)


def test_what_was_found_before_it_was_taken_over_does_not_ring() -> None:
    """A check that was stopped for an hour knows nothing of now: the other's has been noted since."""
    slow = alarms("26 07:00")
    slow.findings, slow.now = [finding()], at("26 07:05")
    other = World(at("26 08:00"), slow.plan, slow.notes, numbers=slow.numbers)
    slow.run(lambda point: other.run() and None if point == "alarm claimed" else None)
    assert (slow.sent, other.sent) == ([], [])
    assert slow.ledger.tracks["alarm"].handled_until == at("26 08:00")


def test_a_claim_is_respected_and_a_begun_parcel_too() -> None:
    """Two processes at each step of the other's run: one report, whoever sends it."""
    one = reports("25 12:00", "mail", "slack")
    two = World(at("26 07:00"), one.plan, one.notes, numbers=one.numbers)
    one.now = at("26 07:00")
    one.run(lambda point: two.run() and None)
    assert sorted(name for name, *_ in one.sent + two.sent) == ["mail", "slack"]


def test_a_late_mark_of_one_that_lived_counts() -> None:
    """Taken for dead while it was sending, it notes in the end that the message was accepted."""
    world = reports("25 12:00")
    other = World(at("26 08:00"), world.plan, world.notes, numbers=world.numbers)
    world.now = at("26 07:00")
    world.run(lambda point: other.run() and None if point == "accepted" else None)
    assert [parcel.state for each in world.ledger.messages for parcel in each.parcels] == [State.SENT]
    assert (len(world.sent), other.sent) == (1, [])


def _dies(world: World, now: str, point: str) -> None:
    def die(reached: str) -> None:
        if reached == point:
            raise KilledError

    world.now = at(now)
    with pytest.raises(KilledError):
        world.run(die)


def test_runs_that_die_each_time_are_told() -> None:
    """Where a check is killed for its memory no exception says so, and silence would look like peace."""
    world = alarms("26 06:00")
    for now in ("26 07:00", "26 07:25", "26 07:50"):
        _dies(world, now, "alarm claimed")
    _dies(world, "26 08:15", "alarm claimed")
    ((_, title, text),) = world.run_at("26 08:16")
    assert title == "drainlake: nothing can be checked"
    assert "was killed" in text


def test_a_report_whose_process_died_is_made_by_the_next_at_once() -> None:
    """A parent knows that its child is dead, and the next child need not wait for the lease."""
    world = reports("26 06:00")
    _dies(world, "26 07:00", "report claimed")
    assert world.run_at("26 07:01") == []
    claim = world.ledger.tracks["report"].claim
    assert claim is not None
    world.dead = {claim.token}
    assert len(world.run_at("26 07:02")) == 1
    assert world.windows[-1].since == at("25 07:00")


def test_what_a_dead_process_was_sending_is_unknown_at_once() -> None:
    """The next message says so."""
    world = reports("26 06:00")
    _dies(world, "26 07:00", "begun")
    world.dead = {parcel.token for _, parcel in outbox.unsent(world.ledger)}
    world.run_at("26 07:01")
    assert [parcel.state for each in world.ledger.messages for parcel in each.parcels] == [State.UNKNOWN]
    assert "may not have reached you" in world.run_at("27 07:00")[0][2]


def test_an_alarm_does_not_wait_for_the_report_of_the_same_run() -> None:
    """A report may wait for lines to land and take minutes to make."""
    world = alarms("26 06:50")
    world.plan = replace(world.plan, report_at=cron.parse("0 7 * * *", UTC_ZONE), report_to=("mail",))
    world.now, world.findings = at("26 07:00"), [finding()]
    points: list[str] = []
    world.run(points.append)
    assert points.index("accepted") < points.index("report claimed")
    assert [title.split(":")[0] for _, title, _ in world.sent] == ["drainlake WARNING in shop", "drainlake"]


def test_a_run_that_is_told_to_stop_gives_its_claim_back() -> None:
    """A restart at seven does not make the report twenty minutes late."""
    world = reports("25 12:00")
    world.now = at("26 07:00")

    def stop(point: str) -> None:
        if point == "report saved":
            raise SystemExit(0)

    with pytest.raises(SystemExit):
        world.run(stop)
    assert len(world.run_at("26 07:01")) == 1


def test_the_ledger_is_read_as_it_was_written() -> None:
    """All of it, and within its limits."""
    parcel = Parcel("mail", State.BEGUN, 2, at("26 07:00"), "token", at("26 07:05"), "it answered HTTP 500")
    message = Message(
        "report-1", Kind.REPORT, at("26 07:00"), at("26 07:01"), "a title", "text", (parcel,), told=("x",)
    )
    episode = Episode("0123456789", "shop", "slow", 2, at("26 07:00"), at("26 07:05"), at("26 07:10"), 2, is_held=True)
    ledger = reports("25 12:00").ledger
    whole = Ledger(ledger.tracks, (message,), (episode,), ("news",), 3)
    assert decode(encode(whole)) == whole


def test_the_ledger_is_bounded_and_says_what_it_drops() -> None:
    """The newest final messages stay without their text; a waiting one that goes leaves a sentence."""
    final = [_message(f"f{i}", State.SENT) for i in range(FINAL_MESSAGES_MAX + 5)]
    waiting = [_message(f"w{i}", State.WAITING) for i in range(WAITING_MESSAGES_MAX + 1)]
    kept = bounded(Ledger(messages=(*final, *waiting), news=tuple(f"{i}" * 2000 for i in range(100))))
    assert [each.id for each in kept.messages[:1]] == ["f5"]
    assert {each.text for each in kept.messages if each.is_final} == {""}
    assert kept.messages[-1].text
    assert len(kept.messages) == FINAL_MESSAGES_MAX + WAITING_MESSAGES_MAX
    assert kept.news[-1] == "Too many messages waited to be sent, and this one was dropped: title w0"
    assert len(encode(kept)) < 2 << 20


def _message(name: str, state: State) -> Message:
    return Message(
        name, Kind.ALARM, at("26 07:00"), at("26 07:00"), f"title {name}", "x" * 20_000, (Parcel("mail", state),)
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is damaged"),
        (b"{", "is damaged"),
        (b"[1]", "is damaged"),
        (b'{"version": "1"}', "is damaged"),
        (b'{"version": 1, "messages": 5}', "is damaged"),
        (b'{"version": 1, "strange": 5}', "is damaged"),
        (b'{"version": 1, "held_count": "5"}', "is damaged"),
        (b'{"version": 1, "tracks": {"report": {"handled_until": "2026-01-01"}}}', "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b'{"version": 2}', "newer drainlake"),
    ],
)
def test_what_another_has_written_is_refused_and_left(data: bytes, told: str) -> None:
    """Garbage and newer versions are named, with what to do, and not overwritten."""
    notes = MemoryNotes({"_delivery.json": data})
    with pytest.raises(NoteError, match=told) as caught:
        transact(notes, lambda ledger: (ledger, None))
    assert "; " in str(caught.value)
    assert notes.notes == {"_delivery.json": data}
