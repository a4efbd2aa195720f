"""One target under atheris, in a process of its own: ``python -m tests.fuzz.child NAME FOLDER [libFuzzer's options]``.

The readers, and the reference parsers beside them, are instrumented: the columnar parsers do their work inside NumPy
and Arrow, where no branch is seen, so it is the reference's branches that lead the fuzzer on.
"""

from __future__ import annotations

import sys
from random import Random

import atheris

INSTRUMENTED = [
    "ingest.frames", "ingest.headers", "ingest.parsing", "ingest.plain", "ingest.redaction", "ingest.keyvalue", "ingest.text",
    "ingest.times", "ingest.classify", "ingest.rewriting", "ingest.records", "ingest.parsers", "ingest.saved_logs",
    "ingest.requestbody", "ingest.receiver", "ingest.credentials", "ingest.eventlog.entry", "transforms.bites",
    "drainlake.values", "drainlake.kafka_url", "drainlake.objectives", "queries.delivery.cron", "cronsim",
    "tests.ingest.reference", "tests.fuzz.survivors",
]  # fmt: skip


def main() -> None:
    """Fuzz until libFuzzer's limits end it or something is found."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]

    def mutated(data: bytes, size_max_bytes: int, seed: int) -> bytes:
        def spare(octets: bytes) -> bytes:
            return bytes(atheris.Mutate(octets, max(len(octets) + 16, 16)))

        return target.mutate(bytes(data), Random(seed), spare)[:size_max_bytes]

    atheris.Setup([sys.argv[0], *options, f"-max_len={target.size_max_bytes}"], target.check, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
