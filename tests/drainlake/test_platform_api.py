"""The client of Heroku's Platform API against a stand-in that answers as the published schema says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drainlake.drains import platform_api
from drainlake.drains.platform_api import AppUnknown, DrainRefused, DrainUnsure, PlatformApi
from drainlake.errors import Failure, WrongUse
from drainlake.values import Secret
from tests.drainlake.heroku_api import DRAINS_MAX, TOKEN, Fault, HerokuApi

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = Secret("https://shop:A-SECRET@logs.example.com/logs")


@pytest.fixture
def pauses() -> list[float]:
    """How long the client paused, without pausing."""
    return []


@pytest.fixture
def api(heroku: HerokuApi, pauses: list[float]) -> Iterator[PlatformApi]:
    """A client with the right token."""
    client = PlatformApi(f"http://127.0.0.1:{heroku.port}", Secret(TOKEN), pauses.append)
    yield client
    client.close()


def test_a_drain_is_added_listed_and_removed(api: PlatformApi, heroku: HerokuApi) -> None:
    """Each call does what it says, and a drain that is gone may be removed again."""
    drain = api.add_drain("shop", URL)
    assert api.drains("shop") == [drain]
    assert drain.url == URL
    assert drain.token.startswith("d.")
    for _ in range(2):
        api.remove_drain("shop", drain.id)
        assert heroku.drains["shop"] == []


def test_a_list_is_read_page_after_page(api: PlatformApi, heroku: HerokuApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """206 names the next range; a list longer than the limit says that it is not all."""
    heroku.page = 2
    heroku.drains |= {f"app-{number}": [] for number in range(6)}
    assert api.apps() == (sorted(heroku.drains), True)
    assert heroku.calls == ["GET /apps"] * 4
    monkeypatch.setattr(platform_api, "APPS_MAX", 3)
    assert api.apps() == (sorted(heroku.drains)[:3], False)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_passing_trouble_is_tried_again(api: PlatformApi, heroku: HerokuApi, method: str, status: int) -> None:
    """A lost answer, a rate limit and a failing server are asked again, and a drain is never added twice."""
    calls = {
        "GET": lambda: api.drains("shop"),
        "POST": lambda: api.add_drain("shop", URL),
        "DELETE": lambda: api.remove_drain("shop", "d.x"),
    }
    for does in (False, True):
        heroku.faults.append(Fault(method, status, does=does and status != 429))
        calls[method]()
        assert len(heroku.drains["shop"]) == (method == "POST")


def test_pauses_follow_the_server_and_have_a_limit(api: PlatformApi, heroku: HerokuApi, pauses: list[float]) -> None:
    """Retry-After counts up to a limit; after some tries it is given up."""
    heroku.faults += [Fault("GET", 429, {"Retry-After": text}) for text in ("7", "86400", "soon")]
    assert api.drains("shop") == []
    assert pauses == [7.0, platform_api.PAUSE_MAX_SECONDS, 4.0]
    heroku.faults += [Fault("GET", 429)] * 4
    with pytest.raises(Failure, match="too many requests"):
        api.drains("shop")


REFUSALS = {
    401: ("does not accept the token", "heroku auth:token"),
    403: ("may not do this", "someone who may operate"),
    404: ("knows no app shop", "heroku apps"),
    302: ("answered 302", "HEROKU_API_URL"),
    500: ("failed with 500", "status.heroku.com"),
    0: ("does not answer", "network"),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_refusals_are_one_sentence_and_one_thing_to_try(api: PlatformApi, heroku: HerokuApi, status: int) -> None:
    """In our words; a message that quotes a drain's URL shows no secret of it."""
    headers = {"Location": f"http://127.0.0.1:{heroku.port}/apps"} if status == 302 else {}
    heroku.faults += [Fault("GET", status, headers)] * platform_api.TRIES_MAX
    with pytest.raises(Failure) as caught:
        api.drains("shop")
    said, tries = REFUSALS[status]
    assert said in caught.value.sentence
    assert tries in caught.value.remedy
    assert "s3cret" not in caught.value.sentence
    assert TOKEN not in caught.value.sentence + caught.value.remedy
    assert "GET /apps" not in heroku.calls  # where the redirect points to


def test_a_plain_no_differs_from_not_knowing(api: PlatformApi, heroku: HerokuApi) -> None:
    """Whoever made a secret for a drain may forget it after a plain no only."""
    for number in range(DRAINS_MAX):
        heroku.add("shop", f"syslog://logs-{number}.example.com:514")
    with pytest.raises(DrainRefused, match="Heroku refuses this") as refused:
        api.add_drain("shop", URL)
    assert "A-SECRET" not in refused.value.sentence
    heroku.faults += [Fault("POST", 0)] * platform_api.TRIES_MAX
    with pytest.raises(DrainUnsure):
        api.add_drain("shop", URL)
    with pytest.raises(DrainRefused):
        api.add_drain("other", URL)
    with pytest.raises(AppUnknown):
        api.drains("other")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b"[1]", b'[{"id": "x"}]', b'[{"id":"x","token":"d.x","url":"u","created_at":"soon"}]',
     b'[{"id":"x","token":"d.x","url":"https://a:\\ud800@h","created_at":"2026-11-20T12:00:00Z"}]',
     b"[" * 100_000, b'"' + b"x" * platform_api.ANSWER_MAX_BYTES + b'"'],
    ids=["nothing", "html", "object", "number", "fields", "time", "half a character", "deep", "endless"],
)  # fmt: skip
def test_answers_outside_of_the_schema_are_refused(api: PlatformApi, heroku: HerokuApi, body: bytes) -> None:
    """Whatever a wrong server says ends in a sentence."""
    heroku.faults += [Fault("GET", 200, body=body)] * platform_api.TRIES_MAX
    with pytest.raises(Failure, match=r"not in its schema|does not answer"):
        api.drains("shop")


@pytest.mark.parametrize(
    ("url", "token", "says"),
    [
        ("https://api.heroku.com", None, "HEROKU_API_KEY is not set"),
        ("https://api.heroku.com", "two words", "is no token"),
        ("https://api.heroku.com", "line\r\nX-Header: 1", "is no token"),
        ("http://api.example.com", TOKEN, "would send the token readable"),
    ],
)
def test_a_token_goes_nowhere_it_could_leak(url: str, token: str | None, says: str) -> None:
    """Refused before anything is sent."""
    with pytest.raises(WrongUse, match=says):
        PlatformApi(url, Secret(token) if token else None)


def test_a_certificate_of_nobody_is_not_accepted() -> None:
    """The token is sent to no server that cannot prove its name."""
    import ssl
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.handle_request, daemon=True)
    thread.start()
    api = PlatformApi(f"https://localhost:{server.server_address[1]}", Secret(TOKEN))
    with pytest.raises(Failure, match="certificate"):
        api.drains("shop")
    api.close()
    thread.join()
    server.server_close()
