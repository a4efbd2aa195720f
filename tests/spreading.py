"""Which test process runs what: files stay whole, those with Kafka are one process's, and the longest begin."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

ROOT = Path(__file__).parents[1]
BROKERS = re.compile(r"\btests\.(?:\w+\.)*kafka\b")
# Longest first: begun last, one of them would keep one process at work while the others have nothing left to do.
LONG = (
    "tests/queries/test_questions.py",
    "tests/test_wheel.py",
    "tests/queries/test_concurrency.py",
    "tests/drainlake/test_cli.py",
    "tests/drainlake/test_processes.py",
    "tests/transforms/test_minutes.py",
    "tests/report/test_page.py",
    "tests/queries/test_database.py",
    "tests/queries/test_remote.py",
    "tests/ingest/test_receiver.py",
    "tests/prometheus/test_exposed.py",
    "tests/transforms/test_objects.py",
    "tests/ingest/test_parsing.py",
    "tests/ingest/test_http_abuse.py",
    "tests/drainlake/test_upgrade.py",
    "tests/transforms/test_landing_limits.py",
    "tests/transforms/test_landing.py",
    "tests/soak/test_soak.py",
    "tests/test_soak.py",
    "tests/ingest/test_door.py",
    "tests/drainlake/test_drains_rotate.py",
    "tests/drainlake/test_access_report.py",
)


@cache
def needs_brokers(file: str) -> bool:
    """Whether the tests of a file run Kafka: they mostly wait, and share one broker in one process."""
    return BROKERS.search((ROOT / file).read_text("utf-8")) is not None


def by_length(item: pytest.Item) -> int:
    """The place of a test's file in the queue: brokers, long ones, all others."""
    file = item.nodeid.partition("::")[0]
    return -1 if needs_brokers(file) else LONG.index(file) if file in LONG else len(LONG)


class Spreading(LoadScopeScheduling):
    """Gives a file to one process, so that what its tests share is made once, and all files with brokers to one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "kafka" if needs_brokers(file) else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order within a file stays."""
    items.sort(key=by_length)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Spreading | None:
    """Take the place of ``--dist loadfile``; another way that is asked for stays what it is."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # it would put the files with the most tests first
    return Spreading(config, log)
