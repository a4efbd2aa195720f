"""What rings, and what does not: episodes, quiet hours, mutes, a flood; and what messages say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.delivery import messages, mutes
from queries.delivery.episodes import EPISODES_MAX, Rules, observe
from queries.delivery.ledger import Ledger
from queries.delivery.mutes import Mute
from queries.delivery.notes import NoteError
from queries.report.model import Severity, Window
from tests.queries.delivery.world import UTC_ZONE, MemoryNotes, alarms, at, finding, report


def test_a_finding_rings_once_per_episode() -> None:
    """However often it is found."""
    world = alarms("26 07:00")
    world.findings = [finding()]
    assert [len(world.run_at(f"26 07:{minute:02}")) for minute in range(5, 60, 5)] == [1] + [0] * 10


def test_all_findings_of_a_check_come_in_one_message() -> None:
    """The worst is the title."""
    world = alarms("26 07:00")
    world.findings = [finding(), finding("memory", Severity.CRITICAL), finding("gzip")]
    ((_, title, text),) = world.run_at("26 07:05")
    assert title == "drainlake CRITICAL in shop: memory on /cart (and 2 more)"
    assert text.index("memory") < text.index("gzip")
    assert "drainlake mute" in text


def test_it_rings_again_when_it_got_worse() -> None:
    """Not when it got better, and not when it is as bad as it has been."""
    world = alarms("26 07:00")
    rings = []
    for minute, severity in [(5, 2), (10, 3), (15, 2), (20, 3)]:
        world.findings = [finding(severity=Severity(severity))]
        rings.append(len(world.run_at(f"26 07:{minute:02}")))
    assert rings == [1, 1, 0, 0]


def test_it_rings_again_when_it_was_gone_for_an_hour() -> None:
    """A flapping one does not ring at each flap."""
    world = alarms("26 07:00")
    world.findings = [finding()]
    assert len(world.run_at("26 07:05")) == 1
    world.findings = []
    world.run_at("26 07:10")
    world.findings = [finding()]
    assert world.run_at("26 08:05") == []
    world.findings = []
    world.run_at("26 08:10")
    world.findings = [finding(since=at("26 09:05"), until=at("26 09:10"))]
    assert len(world.run_at("26 09:10")) == 1


def test_one_that_began_anew_while_nobody_looked_rings() -> None:
    """The process was away for a night: the finding of the morning is another episode."""
    world = alarms("25 20:00")
    world.findings = [finding(since=at("25 20:00"), until=at("25 20:05"))]
    world.run_at("25 20:05")
    world.findings = [finding(since=at("26 06:00"), until=at("26 06:05"))]
    assert len(world.run_at("26 06:05")) == 1


def test_what_is_resolved_stands_in_the_next_message() -> None:
    """Once it has been gone for an hour: before that it could come back without a ring."""
    world = alarms("26 07:00")
    world.findings = [finding()]
    world.run_at("26 07:05")
    world.findings = []
    world.run_at("26 07:10")
    world.findings = [finding("memory")]
    ((_, _, text),) = world.run_at("26 07:20")
    assert "Resolved" not in text
    world.findings = [finding("memory"), finding("gzip")]
    ((_, _, text),) = world.run_at("26 08:15")
    assert "Resolved: timeouts on /cart (2026-11-26 07:00 to 07:05 UTC)" in text
    world.findings.append(finding("tls"))
    assert "Resolved" not in world.run_at("26 08:20")[0][2]


def test_in_quiet_hours_only_what_is_critical_rings() -> None:
    """The rest rings at their end if it is still so, and is told as passed if it is not."""
    world = alarms("25 21:00", quiet_text="22:00-07:00")
    world.findings = [finding("lasting"), finding("passing"), finding("memory", Severity.CRITICAL)]
    ((_, title, text),) = world.run_at("25 23:00")
    assert "memory" in title
    assert "lasting" not in text
    assert "2 alarms had to wait" in text
    world.findings = [finding("lasting")]
    assert world.run_at("26 00:05") == world.run_at("26 06:55") == []
    ((_, title, text),) = world.run_at("26 07:00")
    assert "lasting" in title
    assert "Passed unheard: passing on /cart" in text


def test_a_kept_alarm_waits_for_the_end_of_quiet_hours() -> None:
    """A mail server that comes back at three wakes nobody."""
    world = alarms("25 21:00", quiet_text="22:00-07:00")
    world.findings, world.down = [finding()], {"mail"}
    world.run_at("25 21:05")
    world.down = set()
    assert world.run_at("26 03:00") == []
    assert len(world.run_at("26 07:00")) == 1


def test_a_muted_finding_rings_when_its_mute_has_ended() -> None:
    """If it is still so; one that ended meanwhile is never told."""
    world = alarms("26 07:00")
    known, other = finding(), finding("memory")
    world.findings, world.muted = [known, other], {known.id, other.id}
    assert world.run_at("26 07:05") == []
    world.findings, world.muted = [known], set()
    ((_, title, text),) = world.run_at("26 07:10")
    assert "timeouts" in title
    assert "memory" not in text


def test_a_flood_is_limited_counted_and_said() -> None:
    """Six messages an hour; what waits rings with the next one that may."""
    world = alarms("26 07:00")
    sent = []
    for i in range(12):
        world.findings = [*world.findings, finding(f"kind {i}")]
        sent += world.run_at(f"26 07:{5 * i:02}") if i else []
    assert len(sent) == 6
    ((_, title, text),) = world.run_at("26 08:06")
    assert "and 4 more" in title
    assert "5 alarms had to wait: quiet hours, or more than 6 an hour." in text


def test_more_findings_than_can_be_remembered_do_not_ring_for_ever() -> None:
    """Those beyond the limit ring neither now nor at each check; ended ones make room."""
    flood = [finding(f"kind {i}") for i in range(EPISODES_MAX + 50)]
    ledger, rings = observe(Ledger(), flood, at("26 07:05"), Rules())
    assert len(rings) == EPISODES_MAX
    assert observe(ledger, flood, at("26 07:10"), Rules())[1] == ()
    ended, _ = observe(ledger, [], at("26 07:15"), Rules())
    assert len(observe(ended, [finding("another")], at("26 07:20"), Rules())[1]) == 1


@given(st.lists(st.tuples(st.integers(1, 90), st.sampled_from([0, 2, 3]), st.booleans(), st.booleans()), max_size=25))
def test_an_episode_is_told_at_most_once_per_severity(steps: list[tuple[int, int, bool, bool]]) -> None:
    """Whatever the gaps, mutes and quiet hours: two tellings of one severity have an hour without it between them."""
    ledger, now = Ledger(), at("26 00:00")
    told: dict[int, list[int]] = {}
    seen: list[int] = []
    minute = 0
    for gap, severity, is_muted, is_quiet in steps:
        minute += gap
        now = at("26 00:00") + timedelta(minutes=minute)
        each = finding(severity=Severity(severity or 2), since=now, until=now)
        rules = Rules({each.id} if is_muted else (), is_quiet)
        ledger, rings = observe(ledger, [each] if severity else [], now, rules)
        if rings:
            assert not is_muted
            assert severity == 3 or not is_quiet
            before = [m for s in told for m in told[s] if s >= severity]
            if before:
                after = [m for m in seen if m >= max(before)] + [minute]
                assert max(b - a for a, b in pairwise(after)) >= 60
            told.setdefault(severity, []).append(minute)
        if severity:
            seen.append(minute)


HOSTILE = (
    "x\r\nBcc: all@example.com\r\n\r\nhi\x00\x1b[31m\u202e\u2028 @everyone <!channel> <@U1> <http://evil|here>"
    + "y" * 9000
)


def test_a_hostile_finding_makes_no_header_and_calls_nobody() -> None:
    """Its text is one line of a title, and what chats understand is broken up."""
    bad = finding(sentence=HOSTILE, app=HOSTILE, command=HOSTILE, advice=HOSTILE, also=(HOSTILE,))
    made = report(Window(at("25 07:00"), at("26 07:00"), HOSTILE), at("26 07:00"), bad, verdict=HOSTILE)
    titles = [messages.alarm_title([bad, finding()]), messages.report_title(made, UTC_ZONE)]
    texts = [messages.alarm_text([bad], [HOSTILE], UTC_ZONE), messages.report_text(made, [HOSTILE], UTC_ZONE)]
    for title in titles:
        assert title.isprintable()
        assert len(title) <= messages.TITLE_MAX_CHARS
    for text in titles + texts:
        assert not any(
            call in text for call in ("@everyone", "<!channel", "<@U1", "<http", "\r", "\x00", "\x1b", "\u202e")
        )
    for text in texts:
        assert all(line.isprintable() for line in text.splitlines())
        assert not any(line.startswith("Bcc:") for line in text.splitlines())


def test_a_report_without_lines_does_not_say_that_all_is_well() -> None:
    """Nobody knows; and where an app fell silent, it is the one that is named."""
    window = Window(at("25 07:00"), at("26 07:00"))
    nothing = replace(report(window, at("26 07:00")), apps=())
    assert messages.report_title(nothing, UTC_ZONE) == "drainlake: no lines came, Thu 26 Nov 2026"
    silent = replace(nothing, findings=(finding("silence"),))
    assert messages.report_title(silent, UTC_ZONE) == "drainlake: 1 warning in shop, Thu 26 Nov 2026"


def test_a_report_with_nothing_found_has_no_gap_in_its_text() -> None:
    """Verdict, window, then what is told besides, one empty line between."""
    made = report(Window(at("25 07:00"), at("26 07:00")), at("26 07:00"))
    text = messages.report_text(made, ["This report is late."], UTC_ZONE)
    assert "\n\n\n" not in text
    assert text.endswith("2026-11-26 07:00 UTC.\n\nThis report is late.\n")


def test_a_long_report_is_cut_for_mail_before_a_heading() -> None:
    """A mail of more than 102 KB of HTML is clipped by Gmail; the page that is attached has all of it."""
    short = "# Verdict\n\n## One\n\nmore\n"
    assert messages.mail_markdown(short) == short
    parts = [f"## Part {i}\n\n{'word ' * 1000}\n" for i in range(20)]
    cut = messages.mail_markdown("# Verdict\n\n" + "\n".join(parts))
    assert len(cut) <= messages.MAIL_MAX_CHARS + 100
    assert cut.endswith("word\n\n*The rest is in the page that is attached.*\n")
    assert "## Part 6" in cut
    assert messages.mail_markdown("x" * 99_000).startswith("xxx")


@given(st.text())
def test_a_line_is_one_printable_line(text: str) -> None:
    """Of any text."""
    line = messages.plain_line(text, 80)
    assert len(line) <= 80
    assert "\n" not in line
    assert messages.plain_line(line, 80) == line


def test_mutes_end_and_are_bounded() -> None:
    """One that has ended is dropped by the next change; a damaged note is refused and left."""
    notes = MemoryNotes()
    mutes.mute(notes, Mute("0123456789", at("27 00:00"), at("26 07:00"), "on its way"))
    assert mutes.muted(notes, at("26 23:59"))["0123456789"].why == "on its way"
    assert mutes.muted(notes, at("27 00:00")) == {}
    mutes.mute(notes, Mute("aaaaaaaaaa", at("29 00:00"), at("28 07:00")))
    assert list(mutes.decode(notes.note(mutes.NAME))) == ["aaaaaaaaaa"]
    assert mutes.unmute(notes, "aaaaaaaaaa")
    assert not mutes.unmute(notes, "aaaaaaaaaa")
    many = {f"{i:010x}": Mute(f"{i:010x}", at("29 00:00"), at("28 07:00")) for i in range(mutes.MUTES_MAX)}
    notes.notes[mutes.NAME] = mutes.encode(many)
    with pytest.raises(NoteError, match="are muted already"):
        mutes.mute(notes, Mute("ffffffffff", at("29 00:00"), at("28 07:00")))
    notes.notes[mutes.NAME] = b'{"version": 1, "mutes": [{}]}'
    with pytest.raises(NoteError, match="damaged"):
        mutes.muted(notes, at("28 07:00"))
