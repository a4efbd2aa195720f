"""A real nginx on loopback that serves one folder in three ways and logs in two formats.

``plain`` is as Heroku's buildpack sets nginx up, ``naive`` has ``gzip on`` alone, ``fixed`` has the directives of the
fix that drainlake prints. The server ends with the test process, however that one ends.
"""

from __future__ import annotations

import http.client
import random
import re
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from queries.catalog import question
from tests.keeper import kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

NAMES = ("plain", "naive", "fixed")
START_TRIES = 5
WAIT_SECONDS = 20.0

CONFIGURATION = """
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 64; }}
http {{
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  types {{
    text/html html; text/css css; application/javascript js; application/json json; image/svg+xml svg; image/png png;
  }}
  default_type application/octet-stream;
  log_format heroku_kv escape=json
    'nginx_access v=1 ts=$msec request_id="$http_x_request_id" method="$request_method" uri="$request_uri" '
    'status=$status bytes_sent=$bytes_sent body_bytes_sent=$body_bytes_sent '
    'content_type="$sent_http_content_type" content_encoding="$sent_http_content_encoding" gzip_ratio="$gzip_ratio" '
    'accept_encoding="$http_accept_encoding" request_length=$request_length request_time=$request_time '
    'upstream_time="$upstream_response_time" xff="$http_x_forwarded_for" referer="$http_referer" '
    'ua="$http_user_agent" end=1';
{servers}
}}
"""

SERVER = """
  server {{
    listen 127.0.0.1:{port};
    root {root};
    access_log {name}.combined combined;
    access_log {name}.extended heroku_kv;
    location = /moved.css {{ return 302 http://127.0.0.1:{elsewhere}/css/app.css; }}
    {directives}
  }}
"""


def fix_directives() -> str:
    """The directives of the printed fix, as they stand there."""
    return "\n".join(re.findall(r"^gzip.*;$", question("uncompressed_assets").fix, re.MULTILINE))


@dataclass(frozen=True)
class Exchange:
    """What was asked of nginx: the bodies it sent, and the lines it logged in each format."""

    bodies: list[bytes]
    combined: list[str]
    extended: list[str]


@dataclass(frozen=True)
class Nginx:
    """A running nginx: its folder, the folder it serves, and a port for each way of serving it."""

    folder: Path
    site: Path
    ports: Mapping[str, int]

    def url(self, name: str) -> str:
        """The address of one way."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def exchange(self, name: str, requests: Iterable[tuple[str, Mapping[str, str]]], method: str = "GET") -> Exchange:
        """Send requests (path, headers), through Heroku's router as it were: with its ``Via``."""
        before = self.lines(name)
        bodies = [self._send(name, method, path, headers) for path, headers in requests]
        deadline = time.monotonic() + WAIT_SECONDS
        while len(self.lines(name)["extended"]) - len(before["extended"]) < len(bodies):
            assert time.monotonic() < deadline, "nginx did not log the requests"
            time.sleep(0.01)
        after = self.lines(name)
        return Exchange(bodies, *(after[kind][len(before[kind]) :] for kind in ("combined", "extended")))

    def lines(self, name: str) -> dict[str, list[str]]:
        """The access log of one way so far, in each format."""
        return {
            kind: (self.folder / f"{name}.{kind}").read_text("utf-8").splitlines() for kind in ("combined", "extended")
        }

    def _send(self, name: str, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=WAIT_SECONDS)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for key, value in {"Via": "1.1 vegur", **headers}.items():
                connection.putheader(key, value)
            connection.endheaders()
            return connection.getresponse().read()
        finally:
            connection.close()


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """A server for the session; skips where there is no nginx."""
    binary = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if binary is None:
        pytest.skip("no nginx here: apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("nginx")
    site = folder / "public"
    make_site(site)
    for attempt in range(1, START_TRIES + 1):
        with running(binary, folder, site) as server:
            if server is not None:
                yield server
                return
        assert attempt < START_TRIES, f"nginx did not start: {(folder / 'error.log').read_text()}"


def make_site(site: Path) -> None:
    """Text that compresses as a site's does, something that does not, and something too small."""
    chance = random.Random(4)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(700)]

    def text(length: int) -> bytes:
        drawn = " ".join(chance.choices(words, [1 / rank for rank in range(1, 701)], k=length // 2))
        return drawn.encode()[:length]

    contents = {
        "css/app.css": text(24_000), "js/app.js": text(120_000), "js/menu one.js": text(9_000),
        "data.json": text(40_000), "page.html": text(15_000), "logo.svg": text(3_000),
        "small.css": text(900), "photo.png": chance.randbytes(30_000),
    }  # fmt: skip
    for name, content in contents.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(content)


@contextmanager
def running(binary: str, folder: Path, site: Path) -> Iterator[Nginx | None]:
    """Run the server; None if it ends at once, for instance because another process took a port."""
    ports = dict(zip(NAMES, _free_ports(len(NAMES)), strict=True))
    directives = {"plain": "", "naive": "gzip on;", "fixed": fix_directives()}
    servers = "".join(
        SERVER.format(name=name, port=port, root=site, directives=directives[name], elsewhere=ports["plain"])
        for name, port in ports.items()
    )
    (folder / "nginx.conf").write_text(CONFIGURATION.format(servers=servers))
    command = [binary, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    with kept(command, ports["fixed"], subprocess.DEVNULL) as answers:
        yield Nginx(folder, site, ports) if answers else None


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
