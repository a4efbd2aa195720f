"""Reports when they are due: once, late, for those that were missed, and never silently not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from queries.delivery.ledger import State
from queries.delivery.standing import stand
from tests.queries.delivery.world import BERLIN, World, alarms, at, finding, reports


@pytest.fixture(params=[False, True], ids=["told", "answers lost"])
def world(request: pytest.FixtureRequest) -> World:
    """Daily reports at seven; also where each write's answer was lost and it is done again."""
    return reports("25 12:00", repeats=request.param)


def test_a_report_is_sent_once(world: World) -> None:
    """At its time, not before it, and not again by a later run."""
    assert world.run_at("26 06:59") == []
    assert len(world.run_at("26 07:00")) == 1
    assert world.run_at("26 07:01") == world.run_at("26 23:00") == []
    assert len(world.run_at("27 07:00")) == 1
    assert [(each.since, each.until) for each in world.windows] == [
        (at("25 07:00"), at("26 07:00")),
        (at("26 07:00"), at("27 07:00")),
    ]


def test_the_first_run_reports_nothing_of_before(world: World) -> None:
    """A schedule begins when it is first looked at."""
    assert world.sent == []
    assert world.windows == []


def test_a_job_that_is_started_at_the_due_time_reports_the_first_time_too() -> None:
    """A CronJob comes a few seconds after the instant it is meant for."""
    assert len(reports("26 07:00").sent) == 1
    assert len(reports("26 07:09").sent) == 1
    assert len(reports("26 07:11").sent) == 0


def test_a_first_report_asks_about_all_the_time_that_it_names() -> None:
    """Where several were due before the first look, none of them may be named and left out."""
    world = reports("26 07:05", cron_text="*/5 * * * *")
    ((_, _, text),) = world.sent
    assert "No report was made at 2026-11-26 07:00 UTC; this one asks about that time too." in text
    assert (world.windows[0].since, world.windows[0].until) == (at("26 06:55"), at("26 07:05"))


def test_a_late_report_says_so(world: World) -> None:
    """One that was missed by hours is made when the process is back, for the window it was due for."""
    ((_, _, text),) = world.run_at("26 16:30")
    assert "was due at 2026-11-26 07:00 UTC and is 10 h late" in text
    assert world.windows[-1].until == at("26 07:00")
    assert "late" not in world.run_at("27 07:00")[0][2]


def test_of_several_missed_ones_the_newest_looks_back_to_the_last_sent(world: World) -> None:
    """The skipped ones are named, and nothing falls between the windows."""
    world.run_at("26 07:00")
    ((_, _, text),) = world.run_at("29 08:00")
    assert "No report was made at 2026-11-27 07:00 UTC, 2026-11-28 07:00 UTC" in text
    assert (world.windows[-1].since, world.windows[-1].until) == (at("26 07:00"), at("29 07:00"))


def test_a_window_reaches_back_a_week_at_most(world: World) -> None:
    """After a month without a process the report says what it leaves out."""
    world.run_at("26 07:00")
    world.now = at("26 07:00") + timedelta(days=30, minutes=1)
    world.run()
    assert world.windows[-1].until - world.windows[-1].since == timedelta(days=7)
    assert "has had no report: it is too long ago" in world.sent[-1][2]
    assert "24 more and 2026-12-21" in world.sent[-1][2]


def test_a_monthly_report_covers_its_month() -> None:
    """The bound of a week is for missed reports, not for long periods."""
    monthly = reports("25 12:00", cron_text="0 7 1 * *")
    monthly.now = datetime(2026, 12, 1, 7, 0, tzinfo=UTC)
    monthly.run()
    assert monthly.windows[-1].since == at("01 07:00")


def test_a_clock_that_goes_back_sends_nothing_twice(world: World) -> None:
    """An hour back, and the same report is due again: it has been sent."""
    world.run_at("26 07:00")
    assert world.run_at("26 06:00") == world.run_at("26 07:00") == []
    assert world.run_at("25 07:30") == []
    assert len(world.run_at("27 07:00")) == 1


def test_a_clock_that_was_years_ahead_does_not_silence_the_schedule(world: World) -> None:
    """What was noted as done in a future that was none is forgotten, and that is told."""
    world.now = datetime(2031, 1, 1, 8, tzinfo=UTC)
    world.run()
    assert len(world.run_at("26 07:00")) == 1
    assert "The clock was wrong" in world.sent[-1][2]


def test_a_clock_that_was_hours_ahead_does_not_stop_the_checks() -> None:
    """They go on at once, and an alarm that has the name of one that was sent is sent too."""
    checks = alarms("26 09:00")
    checks.findings = [finding()]
    assert len(checks.run_at("26 19:05")) == 1
    checks.findings.append(finding("memory"))
    ((_, title, text),) = checks.run_at("26 09:10")
    assert "memory" in title
    assert "The clock was wrong" in text
    checks.findings.append(finding("restarts"))
    assert len(checks.run_at("26 19:06")) == 1


def test_clocks_that_differ_by_little_disturb_nothing() -> None:
    """Of two processes one may be minutes ahead of the other."""
    checks = alarms("26 09:00")
    checks.run_at("26 09:05")
    checks.findings = [finding()]
    assert checks.run_at("26 09:01") == []
    ((_, _, text),) = checks.run_at("26 09:10")
    assert "clock" not in text


@pytest.mark.parametrize(("day", "local"), [(29, "07:00 CEST"), (30, "07:00 CEST")])
def test_a_report_in_berlin_comes_when_the_wall_says_seven(day: int, local: str) -> None:
    """In summer time that is five o'clock UTC."""
    berlin = reports("25 12:00", zone=BERLIN)
    berlin.now = datetime(2026, 3, day, 4, 59, tzinfo=UTC)
    berlin.notes.notes.clear()
    berlin.run()
    berlin.now += timedelta(minutes=1)
    berlin.run()
    assert f"{berlin.windows[-1].until.astimezone(BERLIN):%H:%M %Z}" == local


def test_a_report_that_cannot_be_made_is_tried_again_and_told(world: World) -> None:
    """Twice after a pause; then the failure itself is sent, and the next report looks back over it."""
    world.broken = "the lake is gone"
    assert world.run_at("26 07:00") == world.run_at("26 07:01") == []
    assert world.run_at("26 07:02") == []
    ((_, title, text),) = world.run_at("26 07:06")
    assert title == "drainlake: the report could not be made"
    assert "the lake is gone" in text
    assert world.run_at("26 07:30") == []
    world.broken = ""
    world.run_at("27 07:00")
    assert world.windows[-1].since == at("25 07:00")


def test_a_failing_check_is_told_once() -> None:
    """After three in a row, and not every five minutes."""
    checks = alarms("26 06:00")
    checks.broken = "no connection"
    sent = [checks.run_at(f"26 07:{minute:02}") for minute in range(0, 60, 5)]
    assert [len(each) for each in sent] == [0, 0, 1] + [0] * 9
    assert "Nothing can be checked: no connection" in sent[2][0][2]
    assert any("failed" in part.state and not part.well for part in stand(checks.ledger, checks.plan, checks.now))


def test_where_nothing_is_notified_a_report_is_made_and_kept(world: World) -> None:
    """No destination is no reason to make none; and what was to be told waits for one."""
    world.plan = replace(world.plan, report_to=())
    assert world.run_at("26 07:00") == []
    assert world.saved == ["report-20261126T0700Z"]


def test_status_says_what_is_due_and_what_was_sent(world: World) -> None:
    """And that a schedule which nobody runs is not well."""
    world.run_at("26 07:00")
    parts = {part.part: part for part in stand(world.ledger, world.plan, at("26 09:00"))}
    assert parts["report"].state == "next 2026-11-27 07:00 UTC, last message 2 h ago"
    assert '"drainlake: all is well in shop, Thu 26 Nov 2026" to mail' in parts["sent"].state
    assert all(part.well for part in parts.values())
    late = {part.part: part for part in stand(world.ledger, world.plan, at("28 09:00"))}
    assert "not run since 2026-11-27 07:00 UTC" in late["report"].state
    assert not late["report"].well


def test_status_does_not_call_a_run_missed_that_is_being_done() -> None:
    """A report every few minutes may take longer than that; once its lease has ended it is missed."""
    often = reports("26 07:00", cron_text="*/5 * * * *")
    often.now = at("26 07:10")

    def die(point: str) -> None:
        if point == "report claimed":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        often.run(die)
    states = [stand(often.ledger, often.plan, at(now))[0] for now in ("26 07:15", "26 07:45")]
    assert [(part.well, part.state.split(",")[0]) for part in states] == [
        (True, "being made since 2026-11-26 07:10 UTC"),
        (False, "not run since 2026-11-26 07:05 UTC"),
    ]


def test_a_destination_that_takes_too_long_is_not_sent_to_again(world: World) -> None:
    """It may have the message: the next one says so, and status does until then."""
    world.slow = {"mail"}
    assert len(world.run_at("26 07:00")) == 1
    assert any(not part.well for part in stand(world.ledger, world.plan, world.now))
    world.slow = set()
    ((_, _, text),) = world.run_at("27 07:00")
    assert "may not have reached you by mail (it took too long)" in text
    assert "`drainlake report --send`" in text
    assert all(part.well for part in stand(world.ledger, world.plan, world.now))
    assert [parcel.state for each in world.ledger.messages for parcel in each.parcels] == [State.UNKNOWN, State.SENT]
