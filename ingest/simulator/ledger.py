"""The exact account of what the stand-in sent and what became of it.

Messages are counted without the L10 notices that the sender itself adds. Every message taken on ends in
exactly one of ``messages_acknowledged``, ``dropped`` (by the reason) and ``overflowed``.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ReplyTimes:
    """Milliseconds from the first byte sent to the whole reply; nearest-rank percentiles."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(slots=True)
class Ledger:
    """Counts that only grow while a drain works."""

    deliveries: int = 0
    """Deliveries taken on."""
    messages: int = 0
    """Messages in them, and messages that never made it into one."""
    posts: int = 0
    """Requests that got a connection: first tries, further tries and repeats."""
    deliveries_acknowledged: int = 0
    messages_acknowledged: int = 0
    replies: Counter[str] = field(default_factory=Counter)
    """Posts by outcome: the status, or 'timeout', 'socket error', 'unparsable reply'."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Messages given up, by the outcome of the last try."""
    overflowed: int = 0
    """Messages lost before they were sent: a full buffer, or the drop fault."""
    deliveries_repeated: int = 0
    messages_repeated: int = 0
    """Deliveries (and their messages) sent again although they had been acknowledged."""
    l10_notices: int = 0
    l10_announced: int = 0
    """L10 notices that were acknowledged, and the messages they announced as lost."""
    l10_pending: int = 0
    """Messages lost that no acknowledged notice has announced yet."""
    bytes_sent: int = 0
    bytes_acknowledged: int = 0
    _reply_ms: array[float] = field(default_factory=lambda: array("d"))

    def replied(self, outcome: str, body_bytes: int, ms: float) -> None:
        """Notes one post and its outcome."""
        self.posts += 1
        self.replies[outcome] += 1
        self.bytes_sent += body_bytes
        self._reply_ms.append(ms)

    @property
    def messages_dropped(self) -> int:
        """Messages in deliveries that were given up."""
        return self.dropped.total()

    @property
    def reply_times(self) -> ReplyTimes:
        """Reply times over all posts; zeros when there were none."""
        ranked = sorted(self._reply_ms)
        if not ranked:
            return ReplyTimes(0, 0.0, 0.0, 0.0)
        return ReplyTimes(len(ranked), _nearest_rank(ranked, 50), _nearest_rank(ranked, 99), ranked[-1])


def _nearest_rank(ranked: list[float], percent: int) -> float:
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]
