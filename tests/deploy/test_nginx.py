"""The nginx files for the site, read by a real nginx; its answers behind a router, and its log in our own parsers."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from ingest.parsing import Body, parse
from ingest.simulator.framing import counted
from tests.deploy.pages import DEPLOY
from tests.drainlake.receivers import free_port
from tests.keeper import kept
from tests.nginx.fixtures import fix_directives, make_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NGINX = DEPLOY / "nginx"
FULL, INCLUDE = NGINX / "nginx_heroku.conf.php", NGINX / "gzip.conf"
WAIT_SECONDS = 20.0

# What the buildpack has: a main file, a server that reads PORT and an include by PHP, and its own default include.
MAIN = "daemon off; master_process off; error_log error.log; events { worker_connections 64; } include run.conf;"
STOCK = """http {
  types { text/html html php; text/css css; application/javascript js; application/json json; image/png png; }
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  server {
    listen 127.0.0.1:<?=getenv('PORT')?:'8080'?>;
    root "<?=getenv('DOCUMENT_ROOT')?>";
    access_log heroku.nginx_access.<?=getenv('PORT')?:'8080'?>.log;
    include "<?=getenv('HEROKU_PHP_NGINX_CONFIG_INCLUDE')?>";
  }
}
"""
DEFAULT_INCLUDE = "location / { index index.php index.html; }"


@dataclass
class Site:
    """The shop's site behind a running nginx."""

    folder: Path
    port: int

    def get(self, path: str, accept: str = "gzip, br") -> tuple[int, str | None, bytes]:
        """Status, encoding and body of the answer to what the router passes on."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)) as connection:
            fixed = {"Via": "1.1 vegur", "X-Request-Id": "r-1", "X-Forwarded-For": "198.51.100.7, 203.0.113.8"}
            connection.request("GET", path, headers={**fixed, "Accept-Encoding": accept, "User-Agent": 'a "b"'})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Encoding"), answer.read()

    def lines(self, count: int) -> list[str]:
        """The access log, once it has so many lines."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(found := self._log().splitlines()) < count:
            assert time.monotonic() < deadline, "nginx did not log the requests"
            time.sleep(0.01)
        return found

    def _log(self) -> str:
        return (self.folder / f"heroku.nginx_access.{self.port}.log").read_text("utf-8")


def tool(name: str, package: str) -> str:
    """The path of a program; skips where it is absent."""
    path = shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    if path is None:
        pytest.skip(f"no {name} here: apt-get install {package}")
    return path


@contextmanager
def site(folder: Path, configuration: Path | None = None, include: Path | None = None) -> Iterator[Site]:
    """Run nginx as `heroku-php-nginx -c CONFIGURATION -C INCLUDE public` does."""
    nginx = tool("nginx", "nginx-light")
    make_buildpack(folder / "buildpack", STOCK)
    make_site(folder / "public")
    (folder / "public/index.php").write_text("<p>the front page</p>" * 200)
    (folder / "main.conf").write_text(MAIN)
    for _ in range(5):
        port = free_port()
        (folder / "run.conf").write_text(printed(folder, configuration, include, port).stdout)
        command = [nginx, "-p", str(folder), "-c", "main.conf", "-e", "error.log", "-g", "pid nginx.pid;"]
        with kept(command, port, subprocess.DEVNULL) as answers:
            if answers:
                yield Site(folder, port)
                return
    raise AssertionError((folder / "error.log").read_text())


def make_buildpack(folder: Path, stock: str) -> None:
    """The buildpack's folder: its script, by which it is found, and its configuration."""
    for name, text in {
        "bin/heroku-php-nginx": "#!/bin/sh\n",
        "conf/nginx/heroku.conf.php": stock,
        "conf/nginx/default_include.conf": DEFAULT_INCLUDE,
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)


def printed(
    folder: Path, configuration: Path | None, include: Path | None, port: int
) -> subprocess.CompletedProcess[str]:
    """What PHP makes of a configuration, which the buildpack does at the start of a dyno."""
    buildpack = folder / "buildpack"
    environment = os.environ | {
        "PATH": f"{buildpack / 'bin'}:{os.environ['PATH']}",
        "PORT": str(port),
        "DOCUMENT_ROOT": str(folder / "public"),
        "HEROKU_APP_DIR": str(folder),
        "HEROKU_PHP_NGINX_CONFIG_INCLUDE": str(include or buildpack / "conf/nginx/default_include.conf"),
    }
    command = [tool("php", "php-cli"), str(configuration or buildpack / "conf/nginx/heroku.conf.php")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def rows(lines: list[str]) -> list[dict[str, Any]]:
    """The rows that our parsers read of access lines as Heroku delivers them: without a quote at the end."""
    head = "<190>1 2026-11-23T13:15:42.512345+00:00 host app web.1 - "
    frames = b"".join(counted((head + line.removesuffix('"') + "\n").encode()) for line in lines)
    tables = parse([Body("shop", frames)], 0).tables
    assert list(tables) == ["access"]
    return tables["access"].to_pylist()


def test_the_directives_are_those_of_the_printed_fix() -> None:
    """One truth: what `uncompressed_assets` prints, what -C and what -c take."""
    for path in (FULL, INCLUDE):
        assert "\n".join(re.findall(r"^\s*(gzip.*;)$", path.read_text(), re.MULTILINE)) == fix_directives(), path


@pytest.mark.parametrize(
    ("configuration", "include"),
    [(None, INCLUDE), (FULL, None), (FULL, INCLUDE)],
    ids=["-C gzip.conf", "-c nginx_heroku.conf.php", "both"],
)
def test_texts_are_compressed_behind_the_router_and_the_front_page_stays(
    tmp_path: Path, configuration: Path | None, include: Path | None
) -> None:
    """With the router's Via header; what is no text, or not asked for, goes out as it is."""
    with site(tmp_path, configuration, include) as shop:
        for path in ("/", "/css/app.css", "/js/app.js", "/data.json"):
            status, encoding, _ = shop.get(path)
            assert (path, status, encoding) == (path, 200, "gzip")
        assert shop.get("/css/app.css", accept="identity")[:2] == (200, None)
        assert shop.get("/photo.png")[:2] == (200, None)


def test_a_directive_alone_compresses_nothing_and_an_include_of_its_own_loses_the_front_page(tmp_path: Path) -> None:
    """Both traps of the page are there, in the buildpack's own way of including."""
    trap = tmp_path / "trap.conf"
    trap.write_text("gzip on;\n")
    with site(tmp_path, None, trap) as shop:
        assert shop.get("/css/app.css")[:2] == (200, None)
        assert shop.get("/")[0] == 403


def test_each_access_line_tells_whether_it_was_compressed(tmp_path: Path) -> None:
    """Type, encodings, ratio, times and request id arrive in the columns of `access`."""
    with site(tmp_path, FULL) as shop:
        packed = shop.get("/css/app.css")[2]
        plain = shop.get("/css/app.css", accept="identity")[2]
        shop.get('/missing%20"x"?q=a%2Cb')
        first, second, third = rows(shop.lines(3))
    assert (first["path"], first["status"]) == ("/css/app.css", 200)
    assert len(packed) < first["bytes"] < len(packed) + 100  # with the lengths of its chunks
    assert (first["content_type"], first["content_encoding"], first["accept_encoding"]) == (
        "text/css",
        "gzip",
        "gzip, br",
    )
    assert first["gzip_ratio"] == pytest.approx(len(plain) / len(packed), abs=0.02)
    assert (first["request_id"], first["client_ip"]) == ("r-1", "203.0.113.8")
    assert first["request_ms"] is not None
    assert (second["content_encoding"], second["gzip_ratio"], second["bytes"]) == (None, None, len(plain))
    assert (second["accept_encoding"], second["content_type"]) == ("identity", "text/css")
    assert (third["status"], third["path"]) == (404, '/missing%20"x"?q=a%2Cb')


def test_a_buildpack_that_changed_starts_the_site_all_the_same(tmp_path: Path) -> None:
    """Where the two places are not found, its configuration is used unchanged, and the log says so."""
    changed = STOCK.replace("heroku.nginx_access", "elsewhere")
    make_buildpack(tmp_path / "buildpack", changed)
    done = printed(tmp_path, FULL, None, 8080)
    assert done.returncode == 0
    assert done.stdout == printed(tmp_path, None, None, 8080).stdout
    assert "is used unchanged" in done.stderr
