"""Heroku's Platform API, as far as drains need it: list, add and remove the drains of an app, list apps.

The token goes to the one host of ``HEROKU_API_URL``: no redirect is followed, certificates are checked, and over plain
http only this machine itself is spoken to. Answers are bounded in size, pages and time. What fails becomes a
:class:`Failure` in our words; the API's own message can quote a drain's URL, so userinfo in it is hidden.

Source of paths, fields and headers: the published schema of the API (github.com/heroku/platform-api, schema.json) and
devcenter.heroku.com/articles/platform-api-reference.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import urllib3

from drainlake import __version__
from drainlake.errors import Failure, WrongUse
from drainlake.hostile import clean_line
from drainlake.values import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONNECT_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 20.0
ANSWER_SECONDS: Final = 60.0
ANSWER_MAX_BYTES: Final = 8 << 20
PAGES_MAX: Final = 50
APPS_MAX: Final = 2_000
TRIES_MAX: Final = 4
PAUSE_MAX_SECONDS: Final = 30.0
_ACCEPT: Final = "application/vnd.heroku+json; version=3"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_USERINFO: Final = re.compile(r"//[^/\s]*@")
_MESSAGE_MAX_CHARACTERS: Final = 200
_TOKEN: Final = "export HEROKU_API_KEY=$(heroku auth:token)"  # noqa: S105 - a command


@dataclass(frozen=True)
class Drain:
    """A drain as the API tells it. ``url`` can hold credentials; ``is_addon`` if an add-on made it."""

    id: str
    token: str
    url: Secret
    created_at: datetime
    is_addon: bool


class AppUnknown(Failure):
    """There is no such app, or the token may not see it."""


class DrainRefused(Failure):
    """The API does not add this drain; nothing was added."""


class DrainUnsure(Failure):
    """Whether the drain was added is not known."""


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_passing(self) -> bool:
        """Whether the next try may go better."""
        return self.status == 429 or self.status >= 500


class PlatformApi:
    """A client with one user's token. All calls raise :class:`Failure`."""

    def __init__(self, url: str, token: Secret | None, sleep: Callable[[float], None] = time.sleep) -> None:
        """Raises :class:`WrongUse` without a token that a header can carry, or where it would travel readable."""
        if token is None:
            raise WrongUse("HEROKU_API_KEY is not set.", _TOKEN)
        if not re.fullmatch(r"[\x21-\x7e]+", token.reveal()):
            raise WrongUse("HEROKU_API_KEY is no token: it has blanks or odd characters.", _TOKEN)
        if urlsplit(url).scheme != "https" and urlsplit(url).hostname not in _LOOPBACK:
            raise WrongUse(f"HEROKU_API_URL={url} would send the token readable.", "https://api.heroku.com")
        self._url = url
        self._token = token
        self._sleep = sleep
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS)
        self._pool = urllib3.PoolManager(num_pools=1, timeout=timeout, retries=False, cert_reqs="CERT_REQUIRED")

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def drains(self, app: str) -> list[Drain]:
        """All drains of an app, oldest first. Raises :class:`AppUnknown`."""
        path = _drains_path(app)
        found = [_drain(each) for each in self._pages(path, app)]
        return sorted(found, key=lambda drain: drain.created_at)

    def apps(self) -> tuple[list[str], bool]:
        """The names of the apps that the token sees, at most ``APPS_MAX``, and whether these are all."""
        names: list[str] = []
        for each in self._pages("/apps", None, first="name ..; max=200"):
            if len(names) == APPS_MAX:
                return names, False
            names.append(str(_field(each, "name")))
        return names, True

    def add_drain(self, app: str, url: Secret) -> Drain:
        """Add a drain, once: after a try whose outcome is not known, the app's drains tell whether it is there.

        Raises :class:`DrainRefused` when it was surely not added, :class:`DrainUnsure` when nobody knows.
        """
        body = json.dumps({"url": url.reveal()}).encode()
        is_unsure = False
        for number in range(1, TRIES_MAX + 1):
            answer = self._once("POST", _drains_path(app), body)
            if answer is not None and answer.status == 201:
                return _drain(_parsed(answer))
            is_unsure |= answer is None or answer.status >= 500
            is_no = answer is not None and not answer.is_passing
            if (is_unsure or (answer is not None and answer.status == 422)) and (drain := self._found(app, url)):
                return drain
            if is_no or number == TRIES_MAX:
                break
            self._pause(answer, number)
        refusal = self._refusal(answer, app)
        raise (DrainUnsure if is_unsure else DrainRefused)(refusal.sentence, refusal.remedy)

    def _found(self, app: str, url: Secret) -> Drain | None:
        try:
            return next((drain for drain in self.drains(app) if drain.url == url), None)
        except Failure as failure:
            raise DrainUnsure(failure.sentence, failure.remedy) from None

    def remove_drain(self, app: str, drain_id: str) -> None:
        """Remove a drain; one that is gone already is fine."""
        self._call("DELETE", f"{_drains_path(app)}/{quote(drain_id, safe='')}", app, fine=(200, 204, 404))

    def _pages(self, path: str, app: str | None, first: str | None = None) -> Iterator[object]:
        """The items of a list, page after page: 206 names the next one in ``Next-Range``."""
        wanted = first
        for _ in range(PAGES_MAX):
            answer = self._call("GET", path, app, fine=(200, 206), wanted=wanted)
            items = _parsed(answer)
            if not isinstance(items, list):
                raise _odd()
            yield from items
            wanted = answer.headers.get("Next-Range")
            if answer.status == 200 or not wanted:
                return
        raise Failure(f"Heroku's API has more than {PAGES_MAX} pages of this.", "--app instead of --all")

    def _call(
        self, method: str, path: str, app: str | None, *, fine: tuple[int, ...], wanted: str | None = None
    ) -> _Answer:
        """The answer of the first try that is not passing trouble. For requests that may be repeated."""
        for number in range(1, TRIES_MAX + 1):
            answer = self._once(method, path, wanted=wanted)
            if answer is not None and answer.status in fine:
                return answer
            if number == TRIES_MAX or (answer is not None and not answer.is_passing):
                break
            self._pause(answer, number)
        raise self._refusal(answer, app)

    def _once(self, method: str, path: str, body: bytes | None = None, wanted: str | None = None) -> _Answer | None:
        """One try; None when no whole answer came."""
        headers = {
            "Accept": _ACCEPT,
            "Authorization": f"Bearer {self._token.reveal()}",
            "User-Agent": f"drainlake/{__version__}",
        }
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        headers |= {"Range": wanted} if wanted is not None else {}
        try:
            answer = self._pool.request(
                method, self._url + path, body=body, headers=headers, redirect=False, preload_content=False
            )
            try:
                return _Answer(answer.status, answer.headers, _read(answer))
            finally:
                answer.close()  # a connection of which not all was read is of no more use
        except urllib3.exceptions.SSLError:
            raise Failure(
                f"The certificate of Heroku's API at {self._url} was not accepted.", "unset HEROKU_API_URL"
            ) from None
        except (urllib3.exceptions.HTTPError, OSError):
            return None

    def _pause(self, answer: _Answer | None, number: int) -> None:
        seconds = float(2 ** (number - 1))
        with suppress(TypeError, ValueError):
            seconds = float(answer.headers.get("Retry-After", seconds)) if answer is not None else seconds
        self._sleep(max(0.0, min(PAUSE_MAX_SECONDS, seconds)))

    def _refusal(self, answer: _Answer | None, app: str | None) -> Failure:
        """Say what an answer that is not fine means."""
        if answer is None:
            return Failure(f"Heroku's API at {self._url} does not answer.", "the same again, or look at the network")
        status, said = answer.status, self._said(answer)
        if status == 401:
            return Failure("Heroku does not accept the token in HEROKU_API_KEY.", _TOKEN)
        if status == 403:
            return AppUnknown(
                f"The token in HEROKU_API_KEY may not do this{said}.", "a token of someone who may operate the app"
            )
        if status == 404:
            return AppUnknown(f"Heroku knows no app {app}, or this token may not see it.", "heroku apps --all")
        if status == 422:
            return Failure(f"Heroku refuses this{said}.", f"heroku drains --app {app} (it takes five or six of an app)")
        if status == 429:
            return Failure("Heroku's API had too many requests of this account.", "again in some minutes")
        if status >= 500:
            return Failure(f"Heroku's API failed with {status}{said}.", "status.heroku.com, and again later")
        return Failure(f"Heroku's API at {self._url} answered {status}{said}.", "unset HEROKU_API_URL")

    def _said(self, answer: _Answer) -> str:
        """The API's message and the request's id, without anything secret."""
        message = ""
        with suppress(ValueError, RecursionError, AttributeError):
            message = str(json.loads(answer.body).get("message", ""))
        message = _USERINFO.sub("//…@", message).replace(self._token.reveal(), "…").rstrip(".")
        request_id = answer.headers.get("Request-Id", "")
        parts = [message[:_MESSAGE_MAX_CHARACTERS], f"Request-Id {request_id[:80]}" if request_id else ""]
        told = "; ".join(clean_line(part) for part in parts if part)
        return f" ({told})" if told else ""


def _drains_path(app: str) -> str:
    return f"/apps/{quote(app, safe='')}/log-drains"


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    """The whole body within both limits; raises TimeoutError or urllib3's errors."""
    until = time.monotonic() + ANSWER_SECONDS
    body = bytearray()
    while some := answer.read(1 << 16, decode_content=False):
        body += some
        if len(body) > ANSWER_MAX_BYTES or time.monotonic() > until:
            raise TimeoutError
    return bytes(body)


def _parsed(answer: _Answer) -> object:
    try:
        parsed = json.loads(answer.body)
        json.dumps(
            parsed, ensure_ascii=False
        ).encode()  # escapes can spell halves of characters, which nothing can print
    except (ValueError, RecursionError):  # brackets can be nested deeper than Python counts
        raise _odd() from None
    return parsed


def _field(item: object, name: str) -> Any:
    if not isinstance(item, dict) or name not in item:
        raise _odd()
    return item[name]


def _drain(item: object) -> Drain:
    try:
        made = datetime.fromisoformat(str(_field(item, "created_at")))
    except ValueError:
        raise _odd() from None
    name = str(_field(item, "id"))
    if made.tzinfo is None or not _ID.fullmatch(name):  # it becomes a part of a path
        raise _odd()
    return Drain(
        name,
        clean_line(str(_field(item, "token"))),
        Secret(str(_field(item, "url"))),
        made,
        isinstance(item, dict) and item.get("addon") is not None,
    )


def _odd() -> Failure:
    return Failure("Heroku's API answered something that is not in its schema.", "unset HEROKU_API_URL, or try again")
