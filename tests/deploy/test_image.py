"""The image's recipe agrees with the project, and the two programs that it brings beside drainlake do their work."""

from __future__ import annotations

import http.server
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import trustme

from drainlake.cli import COMMANDS
from drainlake.settings import NAMES
from tests.deploy.test_lock import PROJECT
from tests.deploy.tools import DEPLOY, ROOT
from tests.drainlake.test_processes import _free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

RECIPE = re.sub(r"\\\n", " ", (DEPLOY / "docker/Dockerfile").read_text("utf-8"))


def instructions(kind: str) -> list[str]:
    """What follows each instruction of a kind."""
    return re.findall(rf"^{kind} +(.+)$", RECIPE, re.MULTILINE)


def copied() -> list[str]:
    """The paths of the source tree that the build takes."""
    return [path.rstrip("/") for line in instructions("COPY") if "--from" not in line for path in line.split()[:-1]]


def test_what_is_copied_is_there_and_reaches_the_build() -> None:
    """Each path exists, and .dockerignore, which hides all else, lets it through."""
    let_through = {
        line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"
    }
    assert set(copied()) == let_through
    assert all((ROOT / path).exists() for path in copied())


def test_all_of_drainlake_is_copied() -> None:
    """Every package of the wheel, and what its build reads."""
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {*packages, "pyproject.toml", PROJECT["project"]["readme"]} <= set(copied())


def test_nothing_is_installed_without_a_hash() -> None:
    """Every pip takes a lock with hashes, or our own wheel and nothing else."""
    commands = re.findall(r"pip/bin/pip [^&\n]*", RECIPE)
    assert len(commands) == 4
    assert all(("--require-hashes" in each) != ("--no-deps" in each) for each in commands)


def test_the_image_runs_as_nobody_and_with_known_settings() -> None:
    """A numeric user, not root, that Kubernetes can check; names that are settings; a command that exists."""
    (user,) = instructions("USER")
    assert all(int(number) >= 10_000 for number in user.split(":"))
    named = set(re.findall(r"\b(DRAINLAKE_\w+)=", RECIPE))
    assert {"DRAINLAKE_HOME", "DRAINLAKE_HOST"} <= named <= set(NAMES)
    assert instructions("ENTRYPOINT") == ['["drainlake"]']
    (command,) = instructions("CMD")
    assert command.strip('[]"') in COMMANDS
    assert len({line.split()[0] for line in instructions("FROM")}) == 1, "the environment is linked to its own Python"


class _Health(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on stderr."""


@contextmanager
def _answering(status: int, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    handler = type("Handler", (_Health,), {"status": status})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _health(*arguments: str, **environment: str) -> int:
    script = DEPLOY / "docker/healthcheck.py"
    # A proxy that is not there: the way to the process beside must not go by it.
    env = {"PATH": os.environ["PATH"], "HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, script, *arguments], env=env | environment, capture_output=True, check=False)
    return done.returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_health_is_what_healthz_says(status: int, code: int) -> None:
    """By PORT, as the receiver listens, or by the port given, where other parts show it."""
    with _answering(status) as port:
        assert _health(PORT=str(port)) == code
        assert _health(str(port), PORT="9", DRAINLAKE_TLS_CERT="/cert.pem") == code


def test_health_of_nobody_and_behind_tls() -> None:
    """Nobody listens: not healthy. A receiver with a certificate is asked over TLS, though it is not for 127.0.0.1."""
    import ssl as tls

    assert _health(PORT=str(_free_port())) == 1
    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("logs.example.com").configure_cert(context)
    with _answering(200, context) as port:
        assert _health(PORT=str(port), DRAINLAKE_TLS_CERT="/cert.pem") == 0


def test_a_bucket_without_a_name_is_wrong_use() -> None:
    """One sentence and something to try."""
    done = subprocess.run(
        [sys.executable, DEPLOY / "docker/make_bucket.py"],
        env={"PATH": os.environ["PATH"], "DRAINLAKE_LAKE": "/data/lake"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("Try:")) == (2, 1)


@pytest.mark.parametrize("page", ["docker", "kubernetes"])
def test_a_page_names_what_there_is(page: str) -> None:
    """Commands that its reader copies exist, and so do the files that it links or copies."""
    folder = DEPLOY / page
    text = (folder / "README.md").read_text("utf-8")
    named = set(re.findall(r"(?:exec [^\n]*? |`)drainlake ([a-z]+)", text))
    assert "status" in named
    assert named <= set(COMMANDS)
    links = set(re.findall(r"\]\(([^)#:]+)", text))
    assert links
    assert all((folder / link).exists() for link in links)
