"""Benchmarks: each checks its answer and prints ratios against a baseline measured in the same run."""

from drainlake import settings

settings.tune_libraries()  # as each command does
