"""compose.yaml: as `docker compose` reads it, and the same topology run with the environment and commands it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from drainlake import settings
from drainlake.cli import COMMANDS
from tests.deploy.tools import BUILD_TIMEOUT_SECONDS, DEPLOY, compose_model
from tests.drainlake.conftest import PYTHON, Cli
from tests.drainlake.test_processes import _answers as answers
from tests.drainlake.test_processes import _free_port, _rows, _until
from tests.drainlake.test_scale_out import _deliver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kafka.access import Access
    from tests.s3.fixtures import S3Server

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)  # the first use builds the tool

SECRETS = {"STORE_ACCESS_KEY": "key", "STORE_SECRET_KEY": "secret", "KAFKA_CLUSTER_ID": "ZHJhaW5sYWtlLXRlc3RzLTE"}
OURS = {"receiver": "serve", "lander-1": "land", "lander-2": "land", "schedule": "schedule"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """All services, the TLS front too."""
    return compose_model(SECRETS)


def test_every_container_has_little_power(services: dict[str, Any]) -> None:
    """No capability that it does not need, no way to gain one, a limit of memory and processes, a rotated log."""
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "front" else []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"] in ({"1g"} if name == "kafka" else {"512m", "256m"}), name
        assert service["pids_limit"] <= 500, name
        assert service["logging"]["options"]["max-size"] == "10m", name
        assert service.get("read_only", False) == (name != "kafka"), name
        assert ":" in service["image"] or service["image"] == "drainlake", name


def test_only_receiver_and_front_can_be_reached(services: dict[str, Any]) -> None:
    """The receiver on loopback, the front from everywhere; Kafka and the store have no way out either."""
    published = {
        name: [(port.get("host_ip"), port["published"]) for port in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }
    assert published == {"receiver": [("127.0.0.1", "8080")], "front": [(None, "80"), (None, "443")]}
    assert set(services["kafka"]["networks"]) == set(services["store"]["networks"]) == {"inside"}


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_set_as_drainlake_understands(services: dict[str, Any], name: str) -> None:
    """A command that exists, known names with values that can be, time to stop, a volume for the home."""
    service = services[name]
    assert service["command"] == [OURS[name]]
    assert OURS[name] in COMMANDS
    texts = {key: str(value) for key, value in service["environment"].items()}
    assert settings.hints(texts) == []
    assert settings.parse(texts).kafka is not None
    assert re.fullmatch(r"4\ds", service["stop_grace_period"]), "longer than the 35 s that stopping may take"
    assert [volume["target"] for volume in service["volumes"]] == ["/data"]
    if name != "receiver":
        assert service["healthcheck"]["test"][-1] == texts["DRAINLAKE_METRICS_PORT"]


def test_a_secret_that_is_not_set_is_refused(services: dict[str, Any]) -> None:
    """Without .env nothing starts with an empty password; env.example names every variable that the file takes."""
    with pytest.raises(ValueError, match=r"STORE_SECRET_KEY: set it in \.env"):
        compose_model(SECRETS | {"STORE_SECRET_KEY": ""})
    text = (DEPLOY / "docker/compose.yaml").read_text("utf-8")
    wanted = set(re.findall(r"\$\{(\w+)", text))
    offered = set(re.findall(r"^#?(\w+)=", (DEPLOY / "docker/env.example").read_text("utf-8"), re.MULTILINE))
    assert wanted == offered


def test_the_front_passes_on_what_the_one_of_the_vm_does(services: dict[str, Any]) -> None:
    """Figures stay inside, and deliveries wait for a new receiver: the tests of the VM's Caddyfile hold both."""
    mounted = {volume["target"]: volume["source"] for volume in services["front"]["volumes"]}
    assert mounted["/etc/caddy/Caddyfile"].endswith("/Caddyfile")
    ours, theirs = ((DEPLOY / part / "Caddyfile").read_text("utf-8").splitlines()[1:] for part in ("docker", "vm"))
    names = {"logs.example.com {": "{$DRAINLAKE_DOMAIN} {", "127.0.0.1:8080": "receiver:8080"}
    text = "\n".join(theirs)
    for old, new in names.items():
        text = text.replace(old, new)
    assert ours == text.splitlines()


class Topology:
    """The services as processes: their commands and environments, with Kafka and the store where they really are."""

    def __init__(self, folder: Path, kafka: Access, prefix: str, s3: S3Server) -> None:
        secrets = SECRETS | {"STORE_ACCESS_KEY": s3.access_key, "STORE_SECRET_KEY": s3.secret_key}
        drains = {"DRAINLAKE_DRAINS": "shop:secret-of-shop,blog:secret-of-blog"}
        self.services = compose_model(secrets | drains)
        self._folder = folder
        self._moved = {"kafka:9092": kafka.bootstrap, "http://store:7070": s3.endpoint}
        self._ours = {"KAFKA_PREFIX": prefix, "DRAINLAKE_LAND_SECONDS": "0.5", "DRAINLAKE_HOST": "127.0.0.1"}

    def cli(self, name: str) -> Cli:
        """drainlake as a service has it, with a home and ports of its own."""
        texts = {key: str(value) for key, value in self.services[name]["environment"].items()}
        for inside, real in self._moved.items():
            texts = {key: value.replace(inside, real) for key, value in texts.items()}
        ports = {key: str(_free_port()) for key in ("PORT", "DRAINLAKE_METRICS_PORT")}
        home = self._folder / name
        home.mkdir(exist_ok=True)
        # kafka-python leaves the sockets of refused connections to the garbage collector.
        command = (*PYTHON, "-W", "ignore:unclosed <socket:ResourceWarning", "-m", "drainlake")
        return Cli(home, texts | self._ours | ports, command)

    @contextmanager
    def running(self, name: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
        """The service's command; gives its process and port."""
        cli = self.cli(name)
        process = cli.start(*self.services[name]["command"])
        try:
            yield process, int(cli.environment["PORT"])
        finally:
            process.kill()
            process.communicate()

    def make_bucket(self) -> int:
        """What the one-shot service does."""
        entrypoint = self.services["bucket"]["entrypoint"]
        assert entrypoint == ["python", "/opt/drainlake/make_bucket.py"]
        command = [sys.executable, DEPLOY / "docker/make_bucket.py"]
        return subprocess.run(command, env=self.cli("bucket").env(), check=False, capture_output=True).returncode


def test_the_topology_lands_each_line_once_though_a_lander_dies(
    tmp_path: Path, kafka: Access, kafka_prefix: str, s3: S3Server
) -> None:
    """A delivery is in the lake; after ``kill -9`` of a lander so is the next one, also when it comes twice."""
    topology = Topology(tmp_path, kafka, kafka_prefix, s3)
    assert [topology.make_bucket(), topology.make_bucket()] == [0, 0]
    lake = topology.cli("schedule")
    with ExitStack() as running:
        receiver, port = running.enter_context(topology.running("receiver"))
        first, _ = running.enter_context(topology.running("lander-1"))
        second, _ = running.enter_context(topology.running("lander-2"))
        schedule, _ = running.enter_context(topology.running("schedule"))
        _until(lambda: answers(port), "the receiver answers")
        health = [sys.executable, DEPLOY / "docker/healthcheck.py"]
        assert subprocess.run(health, env=os.environ | {"PORT": str(port)}, check=False).returncode == 0

        _deliver(port, "shop")
        _until(lambda: _lines(lake) == {"shop": 2}, "the first delivery landed")
        first.kill()
        _deliver(port, "blog")
        _deliver(port, "blog")
        _until(lambda: _lines(lake) == {"blog": 2, "shop": 2}, "what came after the death landed once")
        for process in (receiver, second, schedule):
            process.terminate()
            assert process.wait(timeout=60) == 0


def _lines(lake: Cli) -> dict[str, int]:
    return {
        row["app"]: row["n"] for row in _rows(lake, "SELECT app, count(*) AS n FROM lines GROUP BY ALL ORDER BY ALL")
    }
