"""The drain of the app that runs the receiver is found out and refused; no other drain ever is."""

from __future__ import annotations

import http.client
import random
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from ingest.batch import prepare
from ingest.credentials import CredentialStore
from ingest.deliveries import Delivery
from ingest.loops import DRAINS_KEPT, IDS_KEPT, OwnDrains, request_id_of
from tests.ingest.running import SECRET, frame, receiver, stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ingest.running import Running

TOKEN = "d.fc6b856b-3332-4546-93de-7d0ee272c3bd"
OTHER_TOKEN = "d.00000000-3332-4546-93de-7d0ee272c3bd"
HOST = "logs-1234567890ab.herokuapp.com"


def new_id() -> str:
    """What Heroku's router makes of a request without an id."""
    return str(uuid.uuid4())


def line(id_: str, *, method: str = "POST", path: str = "/logs", host: str = HOST, status: int = 204) -> str:
    """What Heroku's router logs of a request."""
    return (
        f'at=info method={method} path="{path}" host={host} request_id={id_} fwd="54.1.2.3" dyno=web.1'
        f" connect=0ms service=9ms status={status} bytes=0 protocol=http1.1 tls=true tls_version=unknown"
    )


@dataclass
class HerokuApp:
    """An app behind Heroku's router, with a drain: what the router logs comes with the next delivery."""

    running: Running
    token: str | None = TOKEN
    app: str = "shop"
    lines: list[bytes] = field(default_factory=list)

    def request(self, secret: str = SECRET, id_: str | None = None, body: bytes | None = None) -> int:
        """Post what was logged to the receiver, through the router of the app; the status."""
        id_ = id_ or new_id()
        body = b"".join(self.lines) or frame("hello") if body is None else body
        named = {"Logplex_Drain_Token": self.token} if self.token else {}
        status = self.running.post(body, self.app, secret, X_Request_ID=id_, Host=HOST, **named)
        self.lines = [frame(line(id_, status=status), "heroku", "router")]
        return status


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A receiver."""
    with receiver(tmp_path / "log.db") as each:
        yield each


def refusals(running: Running) -> dict[str, float]:
    """The counter of refusals, by reason; those that never happened are left out."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return {
        reason: float(count)
        for reason, count in re.findall(r'drainlake_refusals_total\{reason="(\w+)"\} (\S+)', text)
        if float(count)
    }


def test_the_receivers_own_drain_is_found_out_and_refused(running: Running) -> None:
    """Its second delivery brings the line about the first; what came until then stays, what follows is not stored."""
    app = HerokuApp(running)
    assert [app.request() for _ in range(5)] == [204, 204, 403, 403, 403]
    assert refusals(running) == {"loop": 3.0}
    assert running.stop() == 0
    assert running.process.stderr is not None
    told = [said for said in running.process.stderr if "runs this receiver" in said]
    assert len(told) == 1
    assert f"heroku drains:remove {TOKEN} --app shop" in told[0]
    tables = stored(running.log_path)
    assert (len(tables["lines"]), len(tables["router"]), len(tables["deliveries"])) == (1, 1, 2)


def test_another_drain_of_the_same_app_goes_on(running: Running) -> None:
    """What is refused is a drain, not an app."""
    own, other = HerokuApp(running), HerokuApp(running, OTHER_TOKEN)
    for _ in range(3):
        own.request()
    assert [own.request(), other.request(body=frame("x"))] == [403, 204]


def test_a_receiver_that_starts_anew_finds_out_again(tmp_path: Path) -> None:
    """Nothing about it is kept on disk, and nothing has to be."""
    for _ in range(2):
        with receiver(tmp_path / "log.db") as running:
            app = HerokuApp(running)
            assert [app.request() for _ in range(3)] == [204, 204, 403]


def test_lookalikes_of_an_ordinary_app_are_never_refused(running: Running) -> None:
    """Its own POSTs to /logs, also on the receiver's host, other lines with the very id, and an app that imitates."""
    last = new_id()
    for source, process, text in (
        ("heroku", "router", line(new_id())),  # a wildcard domain at Heroku logs requests for the receiver's host
        ("heroku", "router", line(new_id(), host="www.shop.example")),
        ("heroku", "router", line("{last}", method="GET")),
        ("heroku", "router", line("{last}", path="/logout")),
        ("heroku", "router", line("x", path='/logs" host=a request_id={last} fwd="1.2.3.4" dyno=web.1 ')),
        ("app", "web.1", line("{last}")),
        ("app", "router", line("{last}")),
        ("heroku", "router", line(new_id(), path="/logs?request_id={last}")),
    ):
        app, body, last = HerokuApp(running), frame(text.replace("{last}", last), source, process), new_id()
        assert app.request(id_=last, body=body) == 204
    assert HerokuApp(running).request(body=frame("x")) == 204
    assert refusals(running) == {}


def test_an_id_that_an_attacker_chose_proves_nothing(running: Running) -> None:
    """Who may log requests with an id of his at the shop cannot have that id remembered for the shop's drain.

    Neither without credentials, nor with those of another app, nor with another drain's token: else anybody could have
    the shop's drain refused.
    """
    chosen = "chosen-by-the-attacker-0001"
    victim, secret_of_blog = HerokuApp(running), CredentialStore(running.log_path).add("blog")
    assert victim.request() == 204
    assert HerokuApp(running).request(secret="wrong", id_=chosen) == 401
    assert HerokuApp(running, app="blog").request(secret=secret_of_blog, id_=chosen) == 204
    assert HerokuApp(running, OTHER_TOKEN).request(id_=chosen) == 204
    assert HerokuApp(running, None).request(id_=chosen) == 204
    logged = frame(line(chosen), "heroku", "router")
    assert [victim.request(body=logged) for _ in range(3)] == [204, 204, 204]


def test_a_drain_without_a_token_is_not_refused(running: Running) -> None:
    """That of a private space has none, and brings lines of all apps of the space."""
    app = HerokuApp(running, None)
    assert [app.request() for _ in range(4)] == [204] * 4


@pytest.mark.parametrize(
    ("header", "want"),
    [
        ("8601b555-6a83-4c12-8269-97c8e32cdb22", "8601b555-6a83-4c12-8269-97c8e32cdb22"),
        ("1", None),  # a front that counts requests; some router line may well say it
        ("x" * 201, None),
        ("a request of mine, with blanks", None),
        (None, None),
    ],
)
def test_only_what_the_router_writes_counts_as_an_id(header: str | None, want: str | None) -> None:
    """Heroku takes 20 to 200 characters of base64's and `-`."""
    assert request_id_of(header) == want


def _look(drains: OwnDrains, id_: str, body: bytes, token: str = TOKEN) -> None:
    delivery = Delivery("shop", body, 0, drain_token=token, request_id=id_)
    drains.look([delivery], prepare([delivery]).posts)


def test_each_of_several_dynos_finds_out() -> None:
    """The router spreads the deliveries of a loop over the dynos, and each sees a line about one of its own soon."""
    chance = random.Random(4)
    dynos = [OwnDrains() for _ in range(5)]
    body, count = b"", 0
    while not all(dyno.know("shop", TOKEN) for dyno in dynos):
        count += 1
        assert count < 1000
        dyno, id_ = chance.choice(dynos), new_id()
        if not dyno.know("shop", TOKEN):
            _look(dyno, id_, body)
        body = frame(line(id_), "heroku", "router")


def test_what_is_remembered_is_bounded() -> None:
    """Of a drain the oldest ids are forgotten, of the drains the one that was silent longest."""
    drains = OwnDrains()
    first = new_id()
    _look(drains, first, b"")
    for _ in range(IDS_KEPT):
        _look(drains, new_id(), b"")
    _look(drains, new_id(), frame(line(first), "heroku", "router"))
    assert not drains.know("shop", TOKEN)
    last = new_id()
    _look(drains, last, b"")
    for number in range(DRAINS_KEPT):
        _look(drains, new_id(), b"", f"d.{number:012}")
    _look(drains, new_id(), frame(line(last), "heroku", "router"))
    assert not drains.know("shop", TOKEN)
    assert len(drains._ids) == DRAINS_KEPT
