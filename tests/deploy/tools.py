"""Tools that read deployment files as their users' own tools do, built once from their Go modules and kept."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BUILD_TIMEOUT_SECONDS = 600
RUN_TIMEOUT_SECONDS = 60


class Tool(NamedTuple):
    """A command in a Go module; ``binary`` is the name that Go gives it."""

    package: str
    version: str
    binary: str

    @property
    def path(self) -> Path:
        """Where the built command is kept."""
        return ROOT / ".cache" / f"{self.package.split('/')[-2]}-{self.binary}-{self.version}" / self.binary


# The library that `docker compose` itself reads its files with, and the one in `kubectl apply -k`.
COMPOSE = Tool("github.com/compose-spec/compose-go/v2/cmd", "v2.16.2", "cmd")
KUSTOMIZE = Tool("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.3", "kustomize")


def built(tool: Tool) -> Path:
    """The command's path; workers that start together wait for the first one to build it."""
    if tool.path.exists():
        return tool.path
    if shutil.which("go") is None:
        pytest.skip(f"no Go here to build {tool.package} with")
    tool.path.parent.mkdir(parents=True, exist_ok=True)
    with (tool.path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tool.path.exists():
            with tempfile.TemporaryDirectory(dir=tool.path.parent) as fresh:
                command = ["go", "install", f"{tool.package}@{tool.version}"]
                subprocess.run(command, env=os.environ | {"GOBIN": fresh}, check=True, timeout=BUILD_TIMEOUT_SECONDS)
                (Path(fresh) / tool.binary).rename(tool.path)
    return tool.path


def compose_model(values: Mapping[str, str]) -> dict[str, Any]:
    """The services of compose.yaml with a .env of these values, checked and merged as `docker compose` does it.

    Values are put in here: the tool's own loading of a model forgets its environment. Raises ValueError for a value
    that must be set.
    """
    whole = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compose.yaml"
        path.write_text(json.dumps(_interpolated(whole, values)), "utf-8")
        model: dict[str, Any] = json.loads(_run([built(COMPOSE), "--format", "json", path], dict(os.environ)))
    services: dict[str, Any] = model["services"]
    return services


def _interpolated(node: Any, values: Mapping[str, str]) -> Any:
    """The two forms that the file uses: ``${NAME:-default}``, and ``${NAME:?message}`` for what must be set."""
    if isinstance(node, dict):
        return {key: _interpolated(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_interpolated(value, values) for value in node]

    def value(match: re.Match[str]) -> str:
        found = values.get(match["name"]) or (match["rest"] if match["kind"] == "-" else "")
        if not found and match["kind"] == "?":
            raise ValueError(f"{match['name']}: {match['rest']}")
        return found

    pattern = r"\$\{(?P<name>\w+):(?P<kind>[-?])(?P<rest>[^}]*)\}"
    return re.sub(pattern, value, node) if isinstance(node, str) else node


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """The documents that `kubectl apply -k FOLDER` would apply."""
    command = ["kubectl", "kustomize"] if shutil.which("kubectl") else [built(KUSTOMIZE), "build"]
    return list(yaml.safe_load_all(_run([*command, folder], dict(os.environ))))


def _run(command: list[str | Path], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
