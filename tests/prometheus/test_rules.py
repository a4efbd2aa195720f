"""The alert rules and the sample configuration, looked at by Prometheus' own tool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "alerts_test.yml", "silence_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_takes_rules_and_configuration(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """It checks their form, and rings each alert in the tests beside this one."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: apt-get install prometheus")
    for file in (*(ROOT / "deploy/prometheus").glob("*.yml"), *Path(__file__).parent.glob("*_test.yml")):
        shutil.copy(file, tmp_path)
    (tmp_path / "drainlake.token").write_text("secret")
    done = subprocess.run([promtool, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
