"""Small real servers for the sender: one that speaks HTTP, one that says whatever it is told to."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


@dataclass
class Received:
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The header's value; empty when it was not sent."""
        return dict(self.headers).get(name, "")


@dataclass
class Recorder:
    url: str = ""
    statuses: list[int] = field(default_factory=list)
    requests: list[Received] = field(default_factory=list)
    connections: int = 0


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            recorder.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            recorder.requests.append(Received(self.path, list(self.headers.items()), body))
            self.send_response(recorder.statuses.pop(0) if recorder.statuses else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def http_server(tls: ssl.SSLContext | None = None) -> Iterator[Recorder]:
    """A server that answers 204, or the statuses put into the recorder, in their order."""
    recorder = Recorder()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(recorder))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    recorder.url = f"{'https' if tls else 'http'}://shop:s%2Fcret@127.0.0.1:{server.server_port}/logs?app=shop"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def raw_server(reply: bytes, *, hang: bool = False) -> Iterator[str]:
    """A server that reads one request and then says ``reply`` and closes, or just stays silent."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += peer.recv(65_536)
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = len(head) - head.find(b"\r\n\r\n") - 4
                while body < length:
                    body += len(peer.recv(65_536))
                peer.sendall(reply)
                if hang:
                    done.wait()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/logs"
        finally:
            done.set()
            thread.join()
