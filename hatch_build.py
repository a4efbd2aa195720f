"""Compiles the scanner (ingest/scanner) when drainlake is installed, where there is a C compiler.

Without one the installation goes on: everything works, and parsing takes several times as long.
"""

from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SCANNER = "ingest/scanner"


class ScannerBuildHook(BuildHookInterface):
    """Adds the library to wheels, which then are of one platform."""

    PLUGIN_NAME = "custom"

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tell the wheel."""
        if self.target_name != "wheel":
            return
        building = _building(Path(self.root) / SCANNER)
        if not building.compiled():
            self.app.display_warning(
                "No C compiler, or it failed: lines will be parsed several times slower than they could be."
            )
            return
        build_data["artifacts"].append(f"{SCANNER}/{building.LIBRARY}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _building(folder: Path) -> Any:
    """The module ingest/scanner/building.py, loaded by its path: drainlake is not installed yet."""
    spec = importlib.util.spec_from_file_location("building", folder / "building.py")
    if spec is None or spec.loader is None:
        raise ImportError(folder)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
