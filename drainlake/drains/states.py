"""What a drain is to this receiver: ours or another's, known or unknown, heard or silent. Pure.

The API shows a drain's URL with the secret in it, the store keeps a hash: so whether a drain's credentials open the
door is known without asking the receiver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from ingest.credentials import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from drainlake.drains.platform_api import Drain

ATTACHED: Final = "attached"
NEW: Final = "new"
SILENT: Final = "silent"
DOUBLED: Final = "doubled"
UNKNOWN: Final = "unknown credentials"
ELSEWHERE: Final = "elsewhere"
MISSING: Final = "missing"
NO_APP: Final = "no app"
TROUBLES: Final = (UNKNOWN, MISSING, NO_APP, DOUBLED, SILENT)  # worst first
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Target:
    """A drain's URL, taken apart. ``digest`` is of the secret, as the store keeps it; ``host`` has no secret.

    Of other services' URLs no more than the host is shown: they carry keys in path and query.
    """

    host: str
    place: tuple[str, int | None, str] | None  # host, port and path; None for what is no http URL
    user: str
    digest: bytes


def target_of(url: str) -> Target:
    """What a URL points to; any text gives an answer."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return Target("?", None, "", b"")
    named = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    place = (host, port or _PORTS[parts.scheme], parts.path.rstrip("/")) if parts.scheme in _PORTS else None
    secret = unquote(parts.password or "")
    return Target(named, place, unquote(parts.username or ""), digest(secret))


@dataclass(frozen=True)
class Attached:
    """A drain as the API tells it, with what its URL points to. ``is_known``: its credentials open the door."""

    drain: Drain
    target: Target
    is_ours: bool
    is_known: bool


def sort_out(drains: Sequence[Drain], receiver: str | None, known: Mapping[str, Collection[bytes]]) -> list[Attached]:
    """Say of each drain whether it points here. Without ``receiver``, those whose credentials are known do."""
    here = target_of(receiver).place if receiver is not None else None
    found = []
    for drain in drains:
        target = target_of(drain.url.reveal())
        is_known = target.digest in known.get(target.user, ())
        is_ours = is_known if here is None else target.place == here
        found.append(Attached(drain, target, is_ours, is_known))
    return found


@dataclass(frozen=True)
class Row:
    """One line of the answer; ``drain`` and ``host`` are None where an app has no drain."""

    app: str
    drain: str | None
    host: str | None
    state: str
    since: datetime | None = None
    last_delivery: datetime | None = None


def judge(
    app: str,
    attached: Sequence[Attached],
    last_delivery: Callable[[Attached, bool], datetime | None] | None,
    *,
    is_expected: bool,
    silent_before: datetime,
) -> list[Row]:
    """The rows of one app.

    ``last_delivery`` gives the last one of a drain of ours, told whether it is the only one; None where nothing is
    known of deliveries here, then no drain is called silent. ``is_expected``: the app has credentials here.
    """
    working = [each for each in attached if each.is_ours and each.is_known]
    rows = []
    for each in attached:
        last = last_delivery(each, len(working) == 1) if last_delivery is not None and each in working else None
        state = _state(each, last, silent_before, is_doubled=len(working) > 1, is_heard=last_delivery is not None)
        rows.append(Row(app, each.drain.token, each.target.host, state, each.drain.created_at, last))
    if is_expected and not any(each.is_ours for each in attached):
        rows.append(Row(app, None, None, MISSING))
    return rows


def _state(each: Attached, last: datetime | None, silent_before: datetime, *, is_doubled: bool, is_heard: bool) -> str:
    if not each.is_ours:
        return ELSEWHERE
    if not each.is_known:
        return UNKNOWN
    if is_doubled:
        return DOUBLED
    if last is not None and last >= silent_before:
        return ATTACHED
    if last is None and each.drain.created_at >= silent_before:
        return NEW
    return SILENT if is_heard else ATTACHED
