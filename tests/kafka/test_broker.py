"""The test brokers themselves: each does what a test will rely on."""

from __future__ import annotations
