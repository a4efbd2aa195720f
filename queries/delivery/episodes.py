"""When a finding rings: once per episode, again when it got worse or came back after it had been gone for an hour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from queries.delivery.ledger import LINE_MAX_CHARS, Episode, Kind, Ledger
from queries.report.model import Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from queries.report.model import Finding

GONE: Final = timedelta(hours=1)
EPISODES_MAX: Final = 300
HOUR: Final = timedelta(hours=1)
ALARMS_PER_HOUR_MAX: Final = 6


@dataclass(frozen=True)
class Rules:
    """What keeps a finding from ringing now: mutes, by id, and quiet hours, which do not hold back a CRITICAL one."""

    muted: Collection[str] = ()
    is_quiet: bool = False


def observe(
    ledger: Ledger, findings: Sequence[Finding], now: datetime, rules: Rules
) -> tuple[Ledger, tuple[Finding, ...]]:
    """Note what is so now, and give the findings that ring, worst first.

    ``findings`` are all that are so; one that is missing has ended. What would ring but may not (quiet hours, more
    than so many messages in an hour) rings in a later check, if it is still so.
    """
    # Of one id only the worst: the order of a check's findings must not decide.
    worst = {each.id: each for each in sorted(findings, key=lambda each: each.severity)}
    known = {episode.id: episode for episode in ledger.episodes}
    episodes = _ended(known, worst, now)
    is_full = alarms_of_the_hour(ledger, now) >= ALARMS_PER_HOUR_MAX
    rings, held = [], 0
    for finding in sorted(worst.values(), key=lambda each: (-each.severity, each.id)):
        episode = _going_on(known.get(finding.id), finding, now)
        wants = finding.severity > episode.told and finding.id not in rules.muted
        may = not is_full and (not rules.is_quiet or finding.severity >= Severity.CRITICAL)
        if finding.id not in known and not _has_room(episodes):
            continue  # what cannot be remembered would ring at every check
        if wants and may:
            rings.append(finding)
            episode = replace(episode, told=int(finding.severity), is_held=False)
        elif wants:
            held += not episode.is_held
            episode = replace(episode, is_held=True)
        episodes[finding.id] = episode
    after = replace(ledger, episodes=tuple(episodes.values()), held_count=ledger.held_count + held)
    return after, tuple(rings)


def take_news(ledger: Ledger, now: datetime) -> tuple[Ledger, tuple[str, ...]]:
    """What the next message tells besides its own: what has ended, what passed unheard, what went wrong in sending."""
    lines, kept = list(ledger.news), []
    for episode in ledger.episodes:
        if not _is_over(episode, now):
            kept.append(episode)
        elif episode.told:
            lines.append(f"Resolved: {episode.sentence} ({_stretch(episode)})")
        elif episode.is_held:
            lines.append(f"Passed unheard: {episode.sentence} ({_stretch(episode)})")
    if ledger.held_count:
        lines.append(
            f"{ledger.held_count} alarms had to wait: quiet hours, or more than {ALARMS_PER_HOUR_MAX} an hour."
        )
    return replace(ledger, news=(), held_count=0, episodes=tuple(kept)), tuple(lines)


def alarms_of_the_hour(ledger: Ledger, now: datetime) -> int:
    """Messages with alarms within an hour; either side of now, as a clock can go back."""
    return sum(each.kind is Kind.ALARM and abs(each.made_at - now) < HOUR for each in ledger.messages)


def _going_on(known: Episode | None, finding: Finding, now: datetime) -> Episode:
    """The episode that a finding belongs to: the one before, unless that was gone for an hour."""
    sentence = finding.sentence[:LINE_MAX_CHARS]
    is_back = known is not None and (_is_over(known, now) or finding.since - known.until >= GONE)
    if known is None or is_back:
        return Episode(finding.id, finding.app, sentence, int(finding.severity), finding.since, finding.until)
    return replace(
        known,
        sentence=sentence,
        severity=int(finding.severity),
        until=max(known.until, finding.until),
        ended_at=None,
    )


def _ended(known: Mapping[str, Episode], found: Collection[str], now: datetime) -> dict[str, Episode]:
    """The episodes that were not found, ended; those of which nothing is left to tell are dropped an hour later."""
    gone = {each.id: replace(each, ended_at=each.ended_at or now) for each in known.values() if each.id not in found}
    return {name: each for name, each in gone.items() if each.told or each.is_held or not _is_over(each, now)}


def _is_over(episode: Episode, now: datetime) -> bool:
    return episode.ended_at is not None and now - episode.ended_at >= GONE


def _has_room(episodes: dict[str, Episode]) -> bool:
    """Whether one more can be remembered; the first that has ended makes room for it."""
    if len(episodes) < EPISODES_MAX:
        return True
    ended = next((name for name, each in episodes.items() if each.ended_at is not None), None)
    if ended is not None:
        del episodes[ended]
    return ended is not None


def _stretch(episode: Episode) -> str:
    return f"{episode.began_at:%Y-%m-%d %H:%M} to {episode.until:%H:%M} UTC"
