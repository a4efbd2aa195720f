"""Real places to send to: a webhook that can be told to fail, and a mail server that keeps what it gets."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


@dataclass
class Webhook:
    """What came, as (path with query, JSON). ``answers`` are statuses for the next requests, then 200 for all.

    A status of 0 closes the connection without an answer; ``pause_seconds`` goes before each answer.
    """

    port: int
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    pause_seconds: float = 0.0


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """A running HTTP server of this machine; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A running one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            place.got.append((self.path, json.loads(body)))
            place.headers.append(dict(self.headers))
            time.sleep(place.pause_seconds)
            status = place.answers.pop(0) if place.answers else 200
            if status:
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with serving(Handler) as port:
        place = Webhook(port)
        yield place


@dataclass
class MailServer:
    """What came, as (recipients, mail). ``refused`` are recipients that it does not know; ``password`` it wants."""

    port: int = 0
    got: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    password: str = ""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: object, session: object, envelope: Any, address: str, options: object
    ) -> str:
        """Take a recipient, or not."""
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802 - as above
        """Keep a mail."""
        self.got.append((list(envelope.rcpt_tos), message_from_bytes(envelope.content, policy=policy.default)))  # type: ignore[arg-type]
        return "250 OK"

    def check(self, server: object, session: object, envelope: object, mechanism: str, given: Any) -> AuthResult:
        """Whether the password is right."""
        good = isinstance(given, LoginPassword) and given.password.decode() == self.password
        return AuthResult(success=good, handled=False)


@contextmanager
def mail_server(password: str = "") -> Iterator[MailServer]:
    """A running one; with a password it takes mail from nobody else."""
    server = MailServer(free_port(), password=password)
    options: dict[str, Any] = {}
    if password:
        options = {"authenticator": server.check, "auth_require_tls": False, "auth_required": True}
    controller = Controller(server, hostname="127.0.0.1", port=server.port, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
