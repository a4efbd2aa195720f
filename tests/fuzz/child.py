"""One target under atheris, in a process of its own: ``python -m tests.fuzz.child NAME INPUTS CULPRIT [OPTION …]``.

The readers, and the reference parsers beside them, are instrumented: the columnar parsers do their work inside NumPy
and Arrow, where no branch is seen, so it is the reference's branches that lead the fuzzer on.
"""

from __future__ import annotations

import faulthandler
import mmap
import sys
import time
from pathlib import Path
from random import Random

import atheris

PACKAGES = ["ingest", "transforms", "drainlake", "queries", "cronsim", "tests"]
# Left out: modules that work on whole arrays, since under atheris what they compare is never freed (20 MB an input
# of `long_lines`, where without atheris nothing grows), and our own, whose branches are nobody's.
PLAIN = [
    *(f"ingest.{name}" for name in ("batch", "classify", "columns", "frames", "headers", "keyvalue", "parsing", "plain",
      "records", "rewriting", "schema", "text", "times")),
    *(f"ingest.parsers.{name}" for name in ("access", "access_file", "elb", "php", "request", "router")),
    *(f"tests.fuzz.{name}" for name in ("deliveries", "entries", "fields", "files", "inputs", "mutating", "requests",
      "settings_texts", "slowness", "targets")),
]  # fmt: skip


HANG_SECONDS = 30  # beyond libFuzzer's own limit, which is seen only where Python looks for signals, not inside C


class Watch:
    """Knows the input that is being tried, whatever becomes of the process, and ends a process that hangs.

    The file holds the input's size in four bytes, then the input; it is memory shared with whoever looks afterwards.
    """

    def __init__(self, path: Path, size_max_bytes: int) -> None:
        path.write_bytes(bytes(4 + size_max_bytes))
        with path.open("r+b") as file:
            self._input = mmap.mmap(file.fileno(), 0)
        self._armed_at = float("-inf")

    def begins(self, data: bytes) -> None:
        """Remember the input, and once a second put off the end of the process."""
        self._input[: 4 + len(data)] = len(data).to_bytes(4) + data
        now = time.monotonic()
        if now - self._armed_at > 1:
            self._armed_at = now
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)


def main() -> None:
    """Fuzz until libFuzzer's limits end it or something is found."""
    name, inputs, culprit, *options = sys.argv[1:]
    with atheris.instrument_imports(include=PACKAGES, exclude=PLAIN):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]

    def mutated(data: bytes, size_max_bytes: int, seed: int) -> bytes:
        def spare(octets: bytes) -> bytes:
            return bytes(atheris.Mutate(octets, max(len(octets) + 16, 16)))

        return target.mutate(bytes(data), Random(seed), spare)[:size_max_bytes]

    watch = Watch(Path(culprit), target.size_max_bytes)

    def checked(data: bytes) -> None:
        watch.begins(data)
        target.check(data)

    options.append(f"-max_len={target.size_max_bytes}")
    atheris.Setup([sys.argv[0], inputs, *options], checked, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
