"""What is next in the change of a drain's secret, from what the API and the store show. Pure.

A rotation keeps no state of its own. Two drains of an app that point here: a rotation that has begun. One drain with
the newest secret, and older secrets: one whose old drain is gone and whose old secret is not retired yet. So whoever
was killed in between goes on where it was.

Invariant: an old secret is retired only after a drain with the newest one has delivered and the old drain has been gone
for longer than Heroku tries a delivery. Before, Heroku would get a 401 for what it still has, and drop it for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drainlake.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drainlake.drains.states import Attached


@dataclass(frozen=True)
class Secrets:
    """The hashes of one name's secrets: those in DRAINLAKE_DRAINS in order, the stored ones with their time."""

    configured: Sequence[bytes]
    stored: Mapping[bytes, float]

    def rank(self, digest: bytes) -> tuple[int, float]:
        """The larger, the newer. What DRAINLAKE_DRAINS says last is meant for new drains, so it is the newest."""
        if digest in self.configured:
            return 1, float(len(self.configured) - 1 - list(reversed(self.configured)).index(digest))
        return 0, self.stored.get(digest, 0.0)

    def is_newest(self, digest: bytes) -> bool:
        """Whether no secret is newer."""
        return all(self.rank(digest) >= self.rank(each) for each in (*self.configured, *self.stored))

    def others(self, kept: bytes) -> list[bytes]:
        """The stored ones but one."""
        return [digest for digest in self.stored if digest != kept]


@dataclass(frozen=True)
class Plan:
    """``name`` is the user in the drains' URLs. ``old`` go once ``kept`` has delivered.

    ``begins``: a new drain has to be added first, beside ``kept``.
    """

    name: str
    kept: Attached
    old: Sequence[Attached]
    begins: bool


def name_of(app: str, attached: Sequence[Attached]) -> str:
    """The one name that the working drains of an app go by; raises :class:`Failure` if that is not one."""
    names = sorted({each.target.user for each in attached if each.is_ours and each.is_known})
    if not names:
        raise Failure(f"No drain of {app} delivers here.", f"drainlake attach {app} --apply")
    if len(names) > 1:
        raise Failure(f"Drains of {app} go by several names: {', '.join(names)}.", f"drainlake drains remove {app} d.…")
    return names[0]


def plan(app: str, attached: Sequence[Attached], secrets: Secrets) -> Plan:
    """What to do about the drains of an app that point here; raises :class:`Failure` if nothing can be done."""
    ours = [each for each in attached if each.is_ours]
    name = name_of(app, attached)
    if any(each.drain.is_addon for each in ours):
        raise Failure(f"An add-on made a drain of {app} that points here.", f"heroku addons --app {app}")
    working = [each for each in ours if each.is_known]
    kept = max(working, key=lambda each: (secrets.rank(each.target.digest), each.drain.created_at))
    old = [each for each in ours if each is not kept]
    is_newest = secrets.is_newest(kept.target.digest)
    leftovers = len(secrets.others(kept.target.digest)) + len(set(secrets.configured) - {kept.target.digest})
    if is_newest and not leftovers and not old and secrets.configured:
        raise Failure(
            f"{name} has one secret in DRAINLAKE_DRAINS, and no other can be stored there from here.",
            f"DRAINLAKE_DRAINS=…,{name}:OLD,{name}:NEW at all receivers (NEW: openssl rand -hex 32), then again",
        )
    return Plan(name, kept, old, begins=not old and not (is_newest and leftovers))
