"""One target under atheris, in a process of its own: ``python -m tests.fuzz.child NAME INPUTS CULPRIT [OPTION …]``.

The readers, and the reference parsers beside them, are instrumented: the columnar parsers do their work inside NumPy
and Arrow, where no branch is seen, so it is the reference's branches that lead the fuzzer on.
"""

from __future__ import annotations

import sys
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

    def checked(data: bytes) -> None:
        try:
            target.check(data)
        except BaseException:
            # libFuzzer writes it too, but not always.
            Path(culprit).write_bytes(data)
            raise

    options.append(f"-max_len={target.size_max_bytes}")
    atheris.Setup([sys.argv[0], inputs, *options], checked, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
