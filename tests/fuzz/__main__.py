"""``python -m tests.fuzz --minutes 30 [--target NAME …] [--keep]``: fuzz all targets in turn, each in its own process.

A wrong answer, a crash of the interpreter, an input that takes too long and memory over the limit are findings. Their
inputs are written to the folder ``--findings``; the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.fuzz import corpus, minimising
from tests.fuzz.targets import TARGETS

MEMORY_MAX_MB: Final = 1500  # resident; libFuzzer ends the process above it
ADDRESS_SPACE_MAX_BYTES: Final = 16 << 30  # Arrow, polars and mimalloc reserve far more than they touch
INPUT_MAX_SECONDS: Final = 10
SLOW_RUNS: Final = 60  # of a target with long inputs in one process: under atheris each leaves some 10 MB behind
FINDINGS_MAX: Final = 5  # of one target; more of the same would only use up its time
_STATUS: Final = re.compile(rb"^#(\d+)\s+(\w+)\s+(?:cov: (\d+) )?", re.MULTILINE)


class Outcome(NamedTuple):
    """What the run of one target came to."""

    name: str
    executions: int
    coverage_before: int
    coverage: int
    new_seeds: int
    findings: list[Path]

    def __str__(self) -> str:
        grown = f"{self.coverage_before} -> {self.coverage}"
        return f"{self.name:14} {self.executions:>10} {grown:>14} {self.new_seeds:>6} {len(self.findings):>9}"


HEADING: Final = f"{'target':14} {'executions':>10} {'coverage':>14} {'seeds':>6} {'findings':>9}"


def main() -> int:
    """Fuzz as the command line says; 1 if something was found."""
    options = _options()
    if options.add:
        return _add(*options.add)
    names = options.target or [*TARGETS]
    options.findings.mkdir(parents=True, exist_ok=True)
    print(HEADING, flush=True)
    outcomes = []
    for name in names:
        outcomes.append(_run(name, options.minutes * 60 / len(names), options.findings, keep=options.keep))
        print(outcomes[-1], flush=True)
    if idle := [outcome.name for outcome in outcomes if not outcome.coverage]:
        raise SystemExit(f"no branch was seen in {', '.join(idle)}: such a run proves nothing; give it more time")
    findings = [path for outcome in outcomes for path in outcome.findings]
    print(f"{sum(outcome.executions for outcome in outcomes)} executions, {len(findings)} findings")
    for path in findings:
        print(f"  {path}  (its report: {path.with_suffix('.txt').name})")
    return 1 if findings else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="for all targets together")
    parser.add_argument("--target", action="append", choices=[*TARGETS], help="only this one (may be repeated)")
    parser.add_argument("--keep", action="store_true", help="merge what reached new code into tests/fuzz/corpus")
    parser.add_argument("--findings", type=Path, default=Path(tempfile.gettempdir()) / "drainlake-findings")
    parser.add_argument("--add", nargs=3, metavar=("TARGET", "FILE", "SENTENCE"), help="keep a finding for ever")
    return parser.parse_args()


def _add(name: str, file: str, sentence: str) -> int:
    """Keep a finding's input; the suite replays it from now on."""
    corpus.save(name, [*corpus.load(name), corpus.Seed(Path(file).read_bytes(), sentence)])
    return 0


def _run(name: str, seconds: float, findings: Path, *, keep: bool) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder)
        begun = {seed.octets for seed in corpus.load(name)} | set(TARGETS[name].starts())
        for number, octets in enumerate(begun):
            (inputs / f"{number:05}").write_bytes(octets)
        before = set(inputs.iterdir())
        logs, found, deadline = [], [], time.monotonic() + seconds
        while (left := int(deadline - time.monotonic())) > 0 and len(found) < FINDINGS_MAX:
            logs.append(_child(name, inputs, left))
            found += _finding(name, logs[-1], findings, len(found))
        new = [path.read_bytes() for path in set(inputs.iterdir()) - before]
        if keep and TARGETS[name].merges:
            corpus.save(name, minimising.smallest(name, corpus.load(name), [*begun, *new]))
        return Outcome(name, *_figures(logs), len(new), found)


class Log(NamedTuple):
    """What a child printed, how it ended, and the input that it tried last."""

    text: bytes
    code: int
    culprit: bytes


def _child(name: str, inputs: Path, seconds: int) -> Log:
    with tempfile.TemporaryDirectory() as folder:
        options = [
            f"-max_total_time={seconds}", f"-timeout={INPUT_MAX_SECONDS}", f"-rss_limit_mb={MEMORY_MAX_MB}",
            f"-artifact_prefix={folder}/", "-print_final_stats=1", "-reduce_inputs=0",
        ]  # fmt: skip
        if not TARGETS[name].merges:
            options.append(f"-runs={SLOW_RUNS + len([*inputs.iterdir()])}")
        command = [sys.executable, "-m", "tests.fuzz.child", name, str(inputs), f"{folder}/culprit", *options]
        try:
            ended = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, preexec_fn=_bounded,
                timeout=seconds + 60 + 10 * INPUT_MAX_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            text = (error.stdout or b"") + b"\nthe process did not end by itself\n"
            return Log(text, -1, _tried_last(Path(folder, "culprit")))
        return Log(ended.stdout, ended.returncode, _tried_last(Path(folder, "culprit")))


def _tried_last(file: Path) -> bytes:
    """The input that a child tried last (``child.Watch`` writes it); nothing if it did not come so far."""
    kept = file.read_bytes() if file.exists() else bytes(4)
    return kept[4 : 4 + int.from_bytes(kept[:4])]


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_MAX_BYTES, ADDRESS_SPACE_MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _finding(name: str, log: Log, folder: Path, number: int) -> list[Path]:
    """The input of a child that ended badly, written down with what the child said."""
    if log.code == 0:
        return []
    path = folder / f"{name}-{number}.bin"
    path.write_bytes(log.culprit)
    path.with_suffix(".txt").write_bytes(log.text[-20_000:])
    return [path]


def _figures(logs: list[Log]) -> tuple[int, int, int]:
    """Executions, and the coverage (edges) of what the target began with and at the end."""
    executions, before, after = 0, 0, 0
    for log in logs:
        states = [(int(count), word, int(edges or 0)) for count, word, edges in _STATUS.findall(log.text)]
        begun = [edges for _, word, edges in states if word == b"INITED"]
        before = before or (begun[0] if begun else 0)
        after = max([after, *(edges for _, _, edges in states)])
        executions += max((count for count, _, _ in states), default=0)
    return executions, before, after


if __name__ == "__main__":
    sys.exit(main())
