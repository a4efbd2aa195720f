"""A stand-in for Heroku's Platform API: a real HTTP server that holds requests and its own answers to the schema.

What the schema does not say stands in the API's reference: the headers of request and answer, ranges, error bodies.
That a URL which an app has already, and more drains than an app may have, are answered with 422 is not in either; the
ids and messages of errors are this stand-in's own.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator, FormatChecker

from tests.drainlake.receivers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = json.loads((Path(__file__).parent / "data" / "platform_api.json").read_text("utf-8"))
TOKEN = "HRKU-the-token-of-the-tests"
DRAINS_MAX = 5
PATH = re.compile(r"/apps/([^/]+)/log-drains(?:/([^/]+))?")


def check(value: object, name: str) -> None:
    """Hold a value to a definition of the schema; raises jsonschema's ValidationError."""
    schema = {**SCHEMA, "$ref": f"#/$defs/{name}"}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(value)


@dataclass
class Fault:
    """What the next request of a method meets. ``status`` 0 closes the connection; ``does`` does the work first."""

    method: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    does: bool = False
    body: bytes | None = None


@dataclass
class HerokuApi:
    """The server's state. ``drains`` by app; ``wrong`` says what a client did against the rules."""

    port: int
    drains: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    page: int = 200
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        """Settings that make drainlake ask here."""
        return {"HEROKU_API_KEY": TOKEN, "HEROKU_API_URL": f"http://127.0.0.1:{self.port}"}

    def add(self, app: str, url: str, age: timedelta = timedelta(0), addon: dict[str, Any] | None = None) -> str:
        """Give an app a drain; its token."""
        made = (datetime.now(UTC) - age).isoformat(timespec="microseconds").replace("+00:00", "Z")
        named = {"id": str(uuid.uuid5(uuid.NAMESPACE_DNS, app)), "name": app}
        drain = {"id": str(uuid.uuid4()), "token": f"d.{uuid.uuid4()}", "url": url, "addon": addon, "app": named}
        self.drains.setdefault(app, []).append(drain | {"created_at": made, "updated_at": made})
        return str(drain["token"])

    def take_fault(self, method: str) -> Fault | None:
        """The fault that waits for this method, once."""
        found = next((fault for fault in self.faults if fault.method == method), None)
        if found is not None:
            self.faults.remove(found)
        return found

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of one request."""
        if headers["Accept"] != "application/vnd.heroku+json; version=3":
            self.wrong.append(f"Accept: {headers['Accept']}")
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return error(401, "unauthorized", "Invalid credentials provided.")
        if (method, path) == ("GET", "/apps"):
            return self._apps(headers["Range"])
        match = PATH.fullmatch(path)
        if match is None:
            self.wrong.append(f"{method} {path}")
            return error(404, "not_found", "The requested API endpoint was not found.")
        drains = self.drains.get(unquote(match[1]))
        if drains is None:
            return error(404, "not_found", "Couldn't find that app.")
        return self._drains(method, unquote(match[1]), match[2], drains, body)

    def _drains(self, method: str, app: str, key: str | None, drains: list[dict[str, Any]], body: bytes) -> Any:
        if method == "GET" and key is None:
            check(drains, "drains")
            return 200, {}, list(drains)
        if method == "POST" and key is None:
            given = json.loads(body)
            check(given, "new_drain")
            if any(drain["url"] == given["url"] for drain in drains):
                return error(422, "invalid_params", f"Url {given['url']} has already been taken.")
            if len(drains) >= DRAINS_MAX:
                return error(422, "invalid_params", f"You may have {DRAINS_MAX} drains, so not {given['url']}.")
            self.add(app, given["url"])
            check(drains[-1], "drain")
            return 201, {}, drains[-1]
        found = next((drain for drain in drains if key in {drain["id"], drain["token"]}), None)
        if method != "DELETE" or found is None:
            return error(404, "not_found", "Couldn't find that log drain.")
        drains.remove(found)
        return 200, {}, found

    def _apps(self, wanted: str | None) -> tuple[int, dict[str, str], Any]:
        match = re.fullmatch(r"name (?:\](\S+))?\.\.; max=(\d+)", wanted or "name ..; max=200")
        if match is None:
            return error(416, "bad_range", "Bad range.")
        size = min(self.page, int(match[2]))
        names = [name for name in sorted(self.drains) if match[1] is None or name > match[1]]
        now = datetime.now(UTC).isoformat()
        apps = [{"id": str(uuid.uuid4()), "name": name, "created_at": now, "updated_at": now} for name in names[:size]]
        check(apps, "apps")
        if len(names) <= size:
            return 200, {}, apps
        return 206, {"Next-Range": f"name ]{names[size - 1]}..; max={match[2]}"}, apps


def error(status: int, name: str, message: str) -> tuple[int, dict[str, str], Any]:
    """An error as the API answers it."""
    body = {"id": name, "message": message, "url": "https://devcenter.heroku.com/articles/platform-api-reference"}
    check(body, "error")
    return status, {}, body


@contextmanager
def heroku_api() -> Iterator[HerokuApi]:
    """A running one; at the end no client may have broken a rule."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            with api.lock:
                api.calls.append(f"{self.command} {self.path}")
                fault = api.take_fault(self.command)
                status, headers, answer = 0, {}, None
                if fault is None or fault.does:
                    status, headers, answer = api.answer(self.command, self.path, self.headers, body)
            if fault is not None:
                status, headers = fault.status, fault.headers
                answer = error(status, "trouble", "It failed for https://shop:s3cret@x.example/logs.")[2]
            if not status:
                self.close_connection = True
                return
            data = fault.body if fault is not None and fault.body is not None else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Request-Id": str(uuid.uuid4()), "RateLimit-Remaining": "2399", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = serve  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with serving(Handler) as port:
        api = HerokuApi(port)
        yield api
        assert api.wrong == []
