"""What has to hold of a lake after everything that was sent, whatever happened meanwhile."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.soak.kafka.drains import Delivery, Try

REPLY_MAX_SECONDS = 4.0
SHOWN_MAX = 10
_SINCE = re.compile(r"messages dropped since (\S+)\.$")
_ELSEWHERE = ("router", "access", "php", "samples", "releases")


class Found(NamedTuple):
    """What the lake holds: how often each line and each notice, and the ledger's (rows, lines, new) by Frame-Id."""

    lines: Mapping[str, int]
    notices: Mapping[str, tuple[int, int]]  # by the time since which: rows and the sum of what was dropped
    odd: Sequence[str]  # rows that nobody sent so
    ledger: Mapping[str, tuple[int, int, int]]


def look(lake: Path) -> Found:
    """Read the lake with DuckDB."""
    counts = _rows(lake, "lines", "message, count(*)", "GROUP BY ALL")
    platform = _rows(lake, "platform", "message, count(*), sum(lines_dropped)", "GROUP BY ALL")
    defects = _rows(lake, "lines", "defect, message", "WHERE defect IS NOT NULL")
    ledger = _rows(lake, "deliveries", "frame_id, count(*), sum(lines), sum(lines - repeated)", "GROUP BY ALL")
    notices = {match[1]: (rows, dropped) for text, rows, dropped in platform if (match := _SINCE.search(text))}
    odd = [f"in platform: {text}" for text, *_ in platform if not _SINCE.search(text)]
    odd += [f"{defect}: {message}" for defect, message in defects]
    odd += [f"{rows} rows in {table}" for table in _ELSEWHERE for (rows,) in _rows(lake, table, "count(*)") if rows]
    return Found(
        dict(counts),
        notices,
        odd,
        {frame_id: (rows, lines, new) for frame_id, rows, lines, new in ledger},
    )


def _rows(lake: Path, table: str, what: str, rest: str = "") -> list[tuple[Any, ...]]:
    with duckdb.connect(config={"threads": 2}) as connection:
        query = f"SELECT {what} FROM read_parquet('{lake}/{table}/**/*.parquet') {rest}"
        return connection.execute(query).fetchall()


def differences(deliveries: Sequence[Delivery], found: Found) -> list[str]:
    """One sentence for each thing that does not hold."""
    return [
        *_lines(deliveries, found.lines),
        *_notices(deliveries, found.notices),
        *found.odd,
        *_ledger(deliveries, found),
        *_total(deliveries, found),
        *_replies(deliveries),
    ]


def _lines(deliveries: Sequence[Delivery], found: Mapping[str, int]) -> Iterator[str]:
    """Acknowledged exactly once, others at most once, and nothing else."""
    sent = {line: each.is_acknowledged for each in deliveries for line in each.lines}
    for line, acknowledged in sent.items():
        if acknowledged and line not in found:
            yield f"acknowledged and not in the lake: {line}"
    for line, times in found.items():
        if times > 1:
            yield f"{times} times in the lake: {line}"
        if line not in sent:
            yield f"in the lake and never sent: {line}"


def _notices(deliveries: Sequence[Delivery], found: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """Each distinct notice once, with what it announced."""
    sent = {notice.since: notice for each in deliveries for notice in each.notices}
    for since, notice in sent.items():
        if notice.is_acknowledged and since not in found:
            yield f"acknowledged and not in the lake: the notice of {notice.dropped} since {since}"
        elif since in found and found[since] != (1, notice.dropped):
            yield f"the notice of {notice.dropped} since {since} is in the lake as (rows, dropped) {found[since]}"
    yield from (f"a notice that nobody sent, since {since}" for since in found.keys() - sent.keys())


def _ledger(deliveries: Sequence[Delivery], found: Found) -> Iterator[str]:
    """By delivery: rows and lines within what its tries allow, and as many new lines as there are in the lake."""
    for each in deliveries:
        rows, lines, new = found.ledger.get(each.frame_id, (0, 0, 0))
        kept = [done for done in each.tries if done.is_acknowledged]
        perhaps = kept + [done for done in each.tries if done.is_open]
        if not len(kept) <= rows <= len(perhaps):
            yield f"{each.frame_id}: {rows} rows in the ledger, {len(kept)} to {len(perhaps)} tries"
        if not _lines_of(kept) <= lines <= _lines_of(perhaps):
            yield f"{each.frame_id}: {lines} lines in the ledger, {_lines_of(kept)} to {_lines_of(perhaps)} sent"
        least, most = _new_lines(each)
        in_lake = sum(line in found.lines for line in each.lines) + sum(n.since in found.notices for n in each.notices)
        if not least <= new <= most or (least == most and new != in_lake):
            yield f"{each.frame_id}: {new} new lines in the ledger, {least} to {most} sent, {in_lake} in the lake"
    strangers = found.ledger.keys() - {each.frame_id for each in deliveries}
    yield from (f"{frame_id}: in the ledger and never sent" for frame_id in strangers)


def _new_lines(delivery: Delivery) -> tuple[int, int]:
    """The least and the most lines that the lake can have of a delivery."""
    notices = [notice.is_acknowledged for notice in delivery.notices]
    lines = len(delivery.lines)
    return lines * delivery.is_acknowledged + sum(notices), lines + len(notices)


def _total(deliveries: Sequence[Delivery], found: Found) -> Iterator[str]:
    """The sum over everything, within what is open: a receiver that died amid its append wrote some tables only."""
    least, most = (sum(counts) for counts in zip(*map(_new_lines, deliveries), strict=True))
    new = sum(new for _, _, new in found.ledger.values())
    rows = sum(found.lines.values()) + sum(rows for rows, _ in found.notices.values())
    if abs(new - rows) > most - least:
        yield f"the ledger counts {new} new lines, the lake has {rows} rows, {most - least} are open"


def _lines_of(tries: Iterable[Try]) -> int:
    return sum(done.lines for done in tries)


def _replies(deliveries: Sequence[Delivery]) -> Iterator[str]:
    """Whoever answers does so in time, and only so as the contract says."""
    for done in (done for each in deliveries for done in each.tries):
        if done.seconds > REPLY_MAX_SECONDS:
            yield f"{done.frame_id}: answered {done.status} after {done.seconds:.2f} s"
        if done.status not in {None, 204, 503}:
            yield f"{done.frame_id}: answered {done.status}"


def shortened(sentences: Sequence[str]) -> list[str]:
    """The first of each kind, and how many more there are; kinds differ in their words only."""
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for sentence in sentences:
        kinds[re.sub(r"\S*\d\S*", "", sentence.partition(": drain-")[0])].append(sentence)
    shown = [sentence for same in kinds.values() for sentence in same[:SHOWN_MAX]]
    more = Counter({kind: len(same) - SHOWN_MAX for kind, same in kinds.items() if len(same) > SHOWN_MAX})
    return shown + [f"and {count} more: {kind}" for kind, count in more.items()]
