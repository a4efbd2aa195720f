"""Benchmarks: each checks its answer and prints ratios against a baseline measured in the same run."""
