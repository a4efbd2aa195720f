"""The locked dependencies: complete, allowed by the project, and every one by its hash."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from itertools import pairwise
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.tools import DEPLOY, ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = {
    "deploy/requirements.lock": PROJECT["project"]["dependencies"],
    "deploy/docker/build.lock": PROJECT["build-system"]["requires"],
}
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ]+)(?: ; (?P<marker>.+?))? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
# Where drainlake runs: the oldest Python it takes, and that of the image, on both kinds of machine.
ENVIRONMENTS = [
    {"python_version": python, "python_full_version": f"{python}.1", "platform_machine": machine}
    | {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "extra": ""}
    for python in ("3.11", "3.13")
    for machine in ("x86_64", "aarch64")
]


def pins(lock: str, environment: dict[str, str]) -> dict[str, str]:
    """Versions by name, as pip would take them in an environment."""
    matches = [PIN.fullmatch(line) for line in (ROOT / lock).read_text("utf-8").splitlines()]
    found = [match for match in matches if match]
    kept = [each for each in found if each["marker"] is None or Marker(each["marker"]).evaluate(environment)]
    versions = {each["name"]: each["version"] for each in kept}
    assert len(versions) == len(kept), "two versions of one package"
    return versions


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_by_hash(lock: str) -> None:
    """A line is a pin, a hash or a comment: no package index is named, and none is taken without a hash."""
    lines = [line for line in (ROOT / lock).read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(PIN.fullmatch(line) or HASH.fullmatch(line) for line in lines)
    assert all(HASH.fullmatch(after) for line, after in pairwise(lines) if PIN.fullmatch(line))
    assert PIN.fullmatch(lines[0])
    assert HASH.fullmatch(lines[-1])


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize(
    "environment", ENVIRONMENTS, ids=lambda each: f"{each['python_version']}-{each['platform_machine']}"
)
def test_the_lock_is_current(lock: str, environment: dict[str, str]) -> None:
    """Every dependency of the project is in it, at a version that it allows; else renew it (its first lines)."""
    locked = pins(lock, environment)
    for text in LOCKS[lock]:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate(environment):
            version = locked.get(canonicalize_name(wanted.name), "not locked")
            assert wanted.specifier.contains(version, prereleases=True), f"{text} in {lock}: {version}"


def test_nothing_that_a_locked_package_needs_is_missing() -> None:
    """What the installed distributions of the same versions ask for is locked too, at a version they take."""
    environment = ENVIRONMENTS[0]
    locked = pins("deploy/requirements.lock", environment)
    compared = 0
    for name, version in locked.items():
        if _installed_version(name) != version:
            continue  # a machine that installs newer ones says nothing about this one
        compared += 1
        for wanted in map(Requirement, metadata.requires(name) or []):
            if wanted.marker is None or wanted.marker.evaluate(environment):
                found = locked.get(canonicalize_name(wanted.name), "not locked")
                assert wanted.specifier.contains(found, prereleases=True), f"{name} needs {wanted}: {found}"
    assert compared > 0


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def test_the_lock_names_its_renewal() -> None:
    """Its first lines are the command that makes it."""
    head = (DEPLOY / "requirements.lock").read_text("utf-8").splitlines()[:2]
    assert "uv pip compile pyproject.toml --universal" in head[1]
