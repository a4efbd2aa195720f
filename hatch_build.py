"""Compiles the scanner (ingest/scanner) when drainlake is installed, where there is a C compiler.

Without one the installation goes on: everything works, and parsing takes several times as long.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "ingest/scanner/scanner.so"


class ScannerBuildHook(BuildHookInterface):
    """Adds the library to wheels, which then are of one platform."""

    PLUGIN_NAME = "custom"

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tell the wheel."""
        if self.target_name != "wheel":
            return
        compiler = next(filter(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang")), None)
        root = Path(self.root)
        if compiler is None or not _compile(compiler, root):
            (root / LIBRARY).unlink(missing_ok=True)
            self.app.display_warning("No C compiler: drainlake will parse lines several times slower than it could.")
            return
        build_data["artifacts"].append(LIBRARY)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _compile(compiler: str, root: Path) -> bool:
    """Make the library beside its sources, whole or not at all: a process may be about to load it."""
    library = root / LIBRARY
    made = library.with_suffix(f".{os.getpid()}")
    command = _sources(library.parent).command(compiler, library.parent, made)
    if subprocess.run(command, check=False).returncode:  # noqa: S603, the compiler that was found
        return False
    made.replace(library)
    return True


def _sources(folder: Path) -> Any:
    """The module ingest/scanner/sources.py, loaded by its path: drainlake is not installed yet."""
    spec = importlib.util.spec_from_file_location("sources", folder / "sources.py")
    if spec is None or spec.loader is None:
        raise ImportError(folder)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
