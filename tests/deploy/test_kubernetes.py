"""The Kubernetes files: as `kubectl apply -k` makes them of the examples, against the schemas and against drainlake."""

from __future__ import annotations

import base64
import re
import shutil
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest

from drainlake import __version__, settings
from drainlake.cli import COMMANDS
from drainlake.scheduling import RUN_SECONDS_MAX
from drainlake.values import size_bytes
from ingest.eventlog.spooled import CLOSE_SECONDS
from ingest.server import LEAVE_SECONDS, STOP_SECONDS
from tests.deploy.tools import BUILD_TIMEOUT_SECONDS, DEPLOY, kustomized

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)  # the first use may build the tool

VERSIONS = ("1.30", "1.37")  # the oldest that the page names, and the newest
MEMORY_MAX_BYTES = 512 << 20
METRICS_PORT = 9090


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Everything that is applied, with the examples of secrets."""
    folder: Path = tmp_path_factory.mktemp("kubernetes") / "drainlake"
    shutil.copytree(DEPLOY / "kubernetes", folder, ignore=shutil.ignore_patterns("*.env"))
    shutil.copy(DEPLOY / "kubernetes/config.env", folder)
    for example in folder.glob("secrets/*.example"):
        shutil.copy(example, example.with_suffix(""))
    return kustomized(folder)


@pytest.fixture(scope="module")
def pods(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The specs of pods by the name of what makes them."""
    found = {}
    for each in documents:
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found[each["metadata"]["name"]] = spec["template"]["spec"]
    assert set(found) == {"receiver", "lander", "schedule"}
    return found


def environment(documents: list[dict[str, Any]], container: dict[str, Any]) -> dict[str, str]:
    """What a container gets from its maps and secrets."""
    texts = dict[str, str]()
    for source in container["envFrom"]:
        (kind, reference), *_ = source.items()
        (found,) = (each for each in documents if each["metadata"]["name"] == reference["name"])
        decode = (lambda text: base64.b64decode(text).decode()) if kind == "secretRef" else str
        texts |= {key: decode(value) for key, value in found["data"].items()}
    return texts


def test_every_document_fits_its_schema(documents: list[dict[str, Any]]) -> None:
    """Strictly: an unknown field is refused too."""
    assert len(documents) >= 20
    for each in documents:
        for version in VERSIONS:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("name", ["receiver", "lander", "schedule"])
def test_a_pod_has_little_power(pods: dict[str, Any], name: str) -> None:
    """What the namespace's level `restricted` asks for, a read-only root, and only its own volumes to write to."""
    spec = pods[name]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/data", "/tmp"]


def test_the_image_is_of_this_version(pods: dict[str, Any]) -> None:
    """In the file and in the page that builds it: else a new version is applied under an old name."""
    (container,) = pods["receiver"]["containers"]
    image = f"registry.example.com/drainlake:{__version__}"
    assert container["image"] == image
    page = (DEPLOY / "kubernetes/README.md").read_text("utf-8")
    assert set(re.findall(r"registry\.example\.com/drainlake:\S+", page)) == {image}


@pytest.mark.parametrize("name", ["receiver", "lander", "schedule"])
def test_a_pod_runs_what_drainlake_has(documents: list[dict[str, Any]], pods: dict[str, Any], name: str) -> None:
    """A command that exists, settings it understands, the promised memory, time to stop."""
    (container,) = pods[name]["containers"]
    assert container["args"][0] in COMMANDS
    texts = environment(documents, container)
    assert settings.hints(texts) == []
    assert {key for key in texts if not key.startswith("AWS_")} <= set(settings.NAMES)
    assert settings.parse(texts).kafka is not None
    limits = container["resources"]["limits"]
    assert size_bytes(f"{limits['memory']}B") < MEMORY_MAX_BYTES
    stop = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert pods[name]["terminationGracePeriodSeconds"] > stop + LEAVE_SECONDS + STOP_SECONDS + CLOSE_SECONDS


def test_only_who_needs_a_secret_has_it(documents: list[dict[str, Any]], pods: dict[str, Any]) -> None:
    """The receivers, on the internet, cannot reach the lake; the others do not know the drains."""
    known = {name: environment(documents, spec["containers"][0]) for name, spec in pods.items()}
    assert {name for name, texts in known.items() if "DRAINLAKE_DRAINS" in texts} == {"receiver"}
    assert {name for name, texts in known.items() if "AWS_SECRET_ACCESS_KEY" in texts} == {"lander", "schedule"}


def test_probes_ask_routes_that_are_there(pods: dict[str, Any]) -> None:
    """The receiver's own routes on its port, the others' on DRAINLAKE_METRICS_PORT."""
    routes = {"receiver": ({"/healthz", "/readyz"}, 8080), "lander": ({"/healthz"}, METRICS_PORT)}
    for name, (paths, port) in routes.items():
        (container,) = pods[name]["containers"]
        named = {each["name"]: each["containerPort"] for each in container["ports"]}
        probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
        assert {probe["path"] for probe in probes} == paths
        assert {named[probe["port"]] for probe in probes} == {port}


def test_ports_agree(documents: list[dict[str, Any]], pods: dict[str, Any]) -> None:
    """Front to Service to container, and DRAINLAKE_METRICS_PORT to what is scraped and let in."""
    services = {each["metadata"]["name"]: each["spec"] for each in documents if each["kind"] == "Service"}
    (ingress,) = (each for each in documents if each["kind"] == "Ingress")
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    backend = path["backend"]["service"]
    assert path["path"] == "/logs"
    assert [port["targetPort"] for port in services[backend["name"]]["ports"]] == [backend["port"]["name"]] == ["http"]
    (stateful,) = (each for each in documents if each["kind"] == "StatefulSet")
    assert services[stateful["spec"]["serviceName"]]["clusterIP"] == "None"
    scraped = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"]
        for each in documents
        if each["kind"] in {"StatefulSet", "Deployment"}
    }
    assert scraped == {"receiver": "8080", "lander": str(METRICS_PORT)}
    texts = environment(documents, pods["lander"]["containers"][0])
    assert texts["DRAINLAKE_METRICS_PORT"] == str(METRICS_PORT)


def test_what_was_acknowledged_outlives_the_pod(documents: list[dict[str, Any]], pods: dict[str, Any]) -> None:
    """The receiver's home is a volume of its own that is kept, and larger than its spool may grow."""
    (stateful,) = (each for each in documents if each["kind"] == "StatefulSet")
    (claim,) = stateful["spec"]["volumeClaimTemplates"]
    mounts = {mount["mountPath"]: mount["name"] for mount in pods["receiver"]["containers"][0]["volumeMounts"]}
    assert claim["metadata"]["name"] == mounts["/data"]
    assert set(stateful["spec"]["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    texts = environment(documents, pods["receiver"]["containers"][0])
    volume = size_bytes(f"{claim['spec']['resources']['requests']['storage']}B")
    assert settings.parse(texts).spool_max_bytes < volume


def test_reports_are_made_once_and_in_time(documents: list[dict[str, Any]]) -> None:
    """One run at a time, ended only after it had the time it gives itself."""
    (cron,) = (each["spec"] for each in documents if each["kind"] == "CronJob")
    assert cron["concurrencyPolicy"] == "Forbid"
    assert cron["jobTemplate"]["spec"]["activeDeadlineSeconds"] > RUN_SECONDS_MAX
    assert re.fullmatch(r"\*/5 \* \* \* \*", cron["schedule"])
    (container,) = cron["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["schedule", "--once"]


def test_labels_meet(documents: list[dict[str, Any]]) -> None:
    """What selects pods (services, budgets, network rules) finds the pods of some workload."""
    labels = [
        each["spec"].get("jobTemplate", each)["spec"]["template"]["metadata"]["labels"]
        for each in documents
        if each["kind"] in {"StatefulSet", "Deployment", "CronJob"}
    ]
    for each in documents:
        spec = each.get("spec", {})
        selector = spec.get("selector", spec.get("podSelector")) if each["kind"] != "CronJob" else None
        wanted = (selector or {}).get("matchLabels", selector or {})
        if wanted and "matchExpressions" not in wanted:
            assert any(wanted.items() <= own.items() for own in labels), each["metadata"]["name"]
