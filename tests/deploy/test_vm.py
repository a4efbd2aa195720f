"""The files for one machine: units by systemd's own checkers, the front by a real Caddy before a real receiver."""

from __future__ import annotations

import configparser
import http.client
import http.server
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from prometheus_client import ProcessCollector

from drainlake import settings
from ingest.eventlog.spooled import CLOSE_SECONDS
from ingest.server import LEAVE_SECONDS, STOP_SECONDS
from tests.deploy.pages import DEPLOY, ROOT
from tests.drainlake.receivers import free_port
from tests.ingest.running import numbered, post, receiver
from tests.keeper import kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VM = DEPLOY / "vm"
UNITS = VM / "systemd"
SERVICES = ("drainlake-serve.service", "drainlake-land.service", "drainlake-schedule.service")
EXPOSURE_MAX = 1.5
NAME = "logs.example.com"
TRIES = 3  # of Heroku, for one delivery
DIRECT = "auto_https disable_redirects"  # those want port 80


def tool(name: str, package: str) -> str:
    """The path of a program; skips where it is absent."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} here: apt-get install {package}")
    return path


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as they are installed, with a program that is there."""
    folder = tmp_path / "system"
    shutil.copytree(UNITS, folder, ignore=shutil.ignore_patterns("optional"))
    for path in folder.glob("*.service"):
        path.write_text(path.read_text().replace("/opt/drainlake/bin/drainlake", "/bin/true"))
    return folder


def analyze(folder: Path, *arguments: str) -> str:
    """What systemd-analyze says of the units in a folder; every warning is an error."""
    command = [tool("systemd-analyze", "systemd"), *arguments]
    environment = os.environ | {"SYSTEMD_UNIT_PATH": f"{folder}:"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_systemd_takes_the_units(units: Path) -> None:
    """Its checker knows every directive and has nothing to say; also with the one for port 443."""
    analyze(units, "verify", "--man=no", "drainlake.target", *SERVICES)
    own = units / "drainlake-serve.service.d"
    own.mkdir()
    shutil.copy(UNITS / "optional/20-port-443.conf", own)
    analyze(units, "verify", "--man=no", "drainlake-serve.service")


@pytest.mark.parametrize("service", SERVICES)
def test_the_services_are_exposed_as_little_as_the_page_says(units: Path, service: str) -> None:
    """systemd's own figure, which counts what a service could still reach."""
    told = analyze(units, "security", "--offline=true", service)
    level = re.search(rf"exposure level for {service}: ([0-9.]+)", told)
    assert level
    assert float(level[1]) <= EXPOSURE_MAX


def test_a_stop_has_more_time_than_it_takes_and_a_wrong_setting_stays_down() -> None:
    """systemd must not kill what is still storing, nor start again and again what cannot start."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNITS / "drainlake-.service.d/10-hardening.conf")
    assert int(unit["Service"]["TimeoutStopSec"]) > LEAVE_SECONDS + STOP_SECONDS + CLOSE_SECONDS
    assert unit["Service"]["RestartPreventExitStatus"] == "2"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_services_can_read_what_their_figures_are_made_of() -> None:
    """Without /proc/stat there are none of memory, starts and open files, and three alarms are blind."""
    shared = (UNITS / "drainlake-.service.d/10-hardening.conf").read_text("utf-8")
    assert not re.search(r"^ProcSubset=pid", shared, re.MULTILINE)
    assert list(ProcessCollector(registry=None).collect())
    assert not list(ProcessCollector(registry=None, proc="/nowhere").collect())


def test_the_settings_are_read_alike_by_systemd_and_the_shell(tmp_path: Path) -> None:
    """The file is for both; every line of it, those behind a # too, is a setting that drainlake knows."""
    text = re.sub(r"^#(?=[A-Z_]+=)", "", (VM / "drainlake.env").read_text("utf-8"), flags=re.MULTILINE)
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert set(given) <= set(settings.NAMES)
    settings.parse({name: value.strip("'") for name, value in given.items()})
    (tmp_path / "all.env").write_text(text)
    script = f"set -aeu; . {tmp_path}/all.env; " + "".join(f'printf "%s\\n" "${name}"; ' for name in given)
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout
    assert told.splitlines() == [value.strip("'") for value in given.values()]


def test_the_files_that_the_pages_install_are_there() -> None:
    """A page that was followed once must not outlive its files; the lock files have tests of their own."""
    for page in DEPLOY.glob("*/README.md"):
        for name in re.findall(r"(?<![\w/])deploy/[\w./*-]+\b", page.read_text("utf-8")):
            if not name.endswith(".lock"):
                assert list(ROOT.glob(name)) or list(ROOT.glob(f"{name}*")), f"{page.parent.name}: {name}"


@contextmanager
def caddy(folder: Path, backend: int) -> Iterator[tuple[int, ssl.SSLContext]]:
    """The Caddyfile on a port of its own, with an authority of its own; gives the port and whom to trust."""
    port = free_port()
    text = (VM / "Caddyfile").read_text("utf-8")
    ours = "".join(f"\t{line}\n" for line in ("local_certs", "skip_install_trust", "admin off", DIRECT))
    text = text.replace("{\n\tservers", f"{{\n{ours}\tservers", 1)
    text = text.replace(f"{NAME} {{", f"{NAME}:{port} {{").replace("127.0.0.1:8080", f"127.0.0.1:{backend}")
    (folder / "Caddyfile").write_text(text)
    command = [tool("caddy", "caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    environment = os.environ | {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    with (folder / "caddy.log").open("w") as log, kept(command, port, log, environment) as listens:
        assert listens, (folder / "caddy.log").read_text()
        yield port, certified(port, folder / "caddy/pki/authorities/local/root.crt")


def certified(port: int, authority: Path) -> ssl.SSLContext:
    """Whom to trust, once Caddy has given itself a certificate; until then it refuses every handshake."""
    for _ in range(400):
        with suppress(OSError), closing(connect(port, trust := ssl.create_default_context(cafile=authority))) as probe:
            probe.connect()
            return trust
        time.sleep(0.05)
    raise AssertionError("Caddy has no certificate")


class ToName(http.client.HTTPSConnection):
    """To this machine, under the name that the certificate is for."""

    def connect(self) -> None:
        """Connect, and show the name."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=NAME)  # type: ignore[attr-defined]


def connect(port: int, trust: ssl.SSLContext) -> ToName:
    """A connection as a drain has one."""
    return ToName("127.0.0.1", port, timeout=20, context=trust)


def status_of(port: int, trust: ssl.SSLContext, path: str) -> int:
    """The status of a GET."""
    with closing(connect(port, trust)) as connection:
        connection.request("GET", path, headers={"Host": NAME})
        return connection.getresponse().status


def test_caddy_passes_deliveries_on_and_nothing_else(tmp_path: Path) -> None:
    """Over a connection that stays, with the certificate for the name; figures and readiness stay inside."""
    with receiver(tmp_path / "log.db") as running, caddy(tmp_path, running.port) as (port, trust):
        with closing(connect(port, trust)) as connection:
            for start in (0, 100):
                assert post(connection, numbered(range(start, start + 100)), Host=NAME) == 204
            assert post(connection, b"", secret="wrong", Host=NAME) == 401
        assert status_of(port, trust, "/healthz") == 200
        for path in ("/metrics", "/readyz", "/", "/logs/../metrics", "//metrics"):
            assert status_of(port, trust, path) in {400, 404}, path


class Taking(http.server.BaseHTTPRequestHandler):
    """Takes what comes whole, as the receiver does once it is back."""

    def do_POST(self) -> None:
        """Take it."""
        length = int(self.headers["Content-Length"])
        if len(self.rfile.read(length)) == length:
            self.send_response(204)
            self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def test_a_delivery_that_comes_during_a_restart_is_taken_within_the_tries_of_heroku(tmp_path: Path) -> None:
    """Answered 502 at once, all three tries would be used up in a few milliseconds, and the delivery dropped."""
    backend = free_port()
    answers: list[int] = []

    def deliver(port: int, trust: ssl.SSLContext) -> None:
        while len(answers) < TRIES and 204 not in answers:
            with closing(connect(port, trust)) as connection:
                answers.append(post(connection, numbered(range(100)), Host=NAME))

    with caddy(tmp_path, backend) as (port, trust):
        drain = threading.Thread(target=deliver, args=(port, trust))
        drain.start()
        drain.join(0.5)
        assert answers == [], "it was answered though nobody was there to take it"
        with http.server.ThreadingHTTPServer(("127.0.0.1", backend), Taking) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            drain.join(20)
            server.shutdown()
    assert answers[-1] == 204
