"""Finds out that a drain is the receiver's own: that of the Heroku app which runs the receiver.

Each POST to ``/logs`` makes Heroku's router write a line about it, and the drain of that app brings the line in the
next POST, for ever. The proof needs no guess: the router gives each request an id, hands it over as ``X-Request-ID``
and writes the same into its line. So the ids of a drain's last stored deliveries are remembered, and a router line of
a POST to ``/logs`` that the same drain brings with one of these ids is the line about such a delivery.

Why ids, and why only of the same app and drain token. A client may choose the id of its request, and the router logs
it: whoever could have any id remembered for a drain could send that id to the drained app, and have an innocent drain
refused. So ids of requests without good credentials, or of another app's or another drain's deliveries, never count.
To know an id that counts one must see the receiver's headers or its log of requests, and it writes none. The host in
the line would be no proof: an app with the domain ``*.example.com`` at Heroku gets, and logs, requests for any
host of it, so also for a receiver that runs elsewhere as ``logs.example.com``, and anybody can send these.

Each process knows the ids of its own deliveries only. Of several dynos each finds out once the line about one of its
deliveries comes to itself, which in a loop happens soon: on average after as many deliveries as the square of the
number of dynos. What is stored before stays. Nothing is kept on disk: a process that starts anew finds out again.

What is not found: two receivers whose drains point at each other, as neither sees the ids that the other one's router
gave; and a private space's drain, which has no token and brings the lines of all apps there, so it is never refused.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow.compute as pc

from ingest.columns import integers
from ingest.oplog import tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from ingest.deliveries import Delivery
    from ingest.text import Positions

PATH: Final = "/logs"
IDS_KEPT: Final = 256  # of each drain: its own line comes back within seconds, and a drain posts a few times a second
DRAINS_KEPT: Final = 256
_ID: Final = re.compile(r"[A-Za-z0-9+/=_-]{20,200}")  # what Heroku's router takes for an id, and gives
_TOKEN: Final = re.compile(r"d\.[A-Za-z0-9-]{8,64}")


class Drain(NamedTuple):
    """Whose credentials a delivery came with, and the token of its drain."""

    app: str
    token: str


class Post(NamedTuple):
    """A router line about a POST to ``/logs``: number of the delivery that brought it, and its request id."""

    delivery: int
    request_id: str


def request_id_of(header: str | None) -> str | None:
    """The id that an ``X-Request-ID`` header gives, if Heroku's router could have written it."""
    return header if header and _ID.fullmatch(header) else None


def posts(deliveries: Sequence[Delivery], router: pa.RecordBatch | None, delivery_of: Positions) -> list[Post]:
    """The router lines of a batch that could be about deliveries; ``delivery_of`` gives each row's delivery.

    Nothing is looked at where no delivery came through Heroku's router.
    """
    if router is None or all(_drain(delivery) is None for delivery in deliveries):
        return []
    are_posts = pc.and_(pc.starts_with(router["path"], PATH), pc.equal(router["method"], "POST"))
    rows = pc.indices_nonzero(are_posts)
    ids = router["request_id"].take(rows).to_pylist()
    numbers = delivery_of[integers(rows)].tolist()
    return [Post(number, id_) for number, id_ in zip(numbers, ids, strict=True) if id_ is not None]


class OwnDrains:
    """The drains that were found to be the receiver's own. ``look`` runs in one thread, ``know`` in any."""

    def __init__(self) -> None:
        self._ids: OrderedDict[Drain, deque[str]] = OrderedDict()
        self._found: OrderedDict[Drain, None] = OrderedDict()

    def know(self, app: str, token: str | None) -> bool:
        """Whether the drain of these credentials was found to be the receiver's own."""
        return token is not None and (app, token) in self._found

    def look(self, deliveries: Sequence[Delivery], found: Iterable[Post]) -> None:
        """Remember the ids of stored deliveries, and look for the ids of earlier ones in what they brought.

        Must be called before the deliveries are answered: the router writes its line after that.
        """
        brought: dict[int, set[str]] = {}
        for post in found:
            brought.setdefault(post.delivery, set()).add(post.request_id)
        for number, delivery in enumerate(deliveries):
            drain = _drain(delivery)
            if drain is None or delivery.request_id is None:
                continue
            ids = self._ids.setdefault(drain, deque(maxlen=IDS_KEPT))
            self._ids.move_to_end(drain)
            if not brought.get(number, set()).isdisjoint(ids):
                self._note(drain)
            ids.append(delivery.request_id)
        _shorten(self._ids)

    def _note(self, drain: Drain) -> None:
        if drain in self._found:
            return
        self._found[drain] = None
        _shorten(self._found)
        tell(
            "serve",
            "loop_detected",
            f"The drain {drain.token} of {drain.app} is that of the app which runs this receiver: each delivery makes a"
            f" line for the next one. Its deliveries are refused from now on;"
            f" remove it: heroku drains:remove {drain.token} --app {drain.app}",
            level=logging.ERROR,
            about=f"{drain.app} {drain.token}",
            app=drain.app,
            drain_token=drain.token,
        )


def _drain(delivery: Delivery) -> Drain | None:
    """The drain of a delivery that came through Heroku's router; None for any other."""
    token = delivery.drain_token
    if delivery.request_id is None or token is None or not _TOKEN.fullmatch(token):
        return None
    return Drain(delivery.app, token)


def _shorten(kept: OrderedDict[Drain, deque[str]] | OrderedDict[Drain, None]) -> None:
    """Only who has credentials can name many drains; it makes the receiver forget the oldest, never grow."""
    while len(kept) > DRAINS_KEPT:
        kept.popitem(last=False)
