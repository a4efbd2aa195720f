"""What all tests share: where nothing may be missing, a skipped test is a failed one."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

# Servers are wanted in several folders, and only the topmost conftest may name plugins.
pytest_plugins = ("tests.kafka.fixtures", "tests.nginx.fixtures", "tests.s3.fixtures", "tests.spreading")

# A busy machine is no error: no example has a deadline, and generating one may take its time.
# In CI the examples are the same each time: what a new one finds belongs to the developer who ran it.
DERANDOMIZE = os.environ.get("CI") == "true"
settings.register_profile(
    "drainlake", deadline=None, derandomize=DERANDOMIZE, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("drainlake")

# Some environments keep Python from writing what it compiled. Hundreds of processes of the tests would each compile all
# that they import, and each process of pytest all tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

FAIL_ON_SKIP = os.environ.get("DRAINLAKE_FAIL_ON_SKIP") == "1"


def pytest_configure(config: pytest.Config) -> None:
    """Make Ctrl-C work in the tests of it: a shell starts what runs in its background with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("numprocesses", None) and config.args_source is config.ArgsSource.TESTPATHS:
        _fetch_servers_meanwhile()


def pytest_collection_finish() -> None:
    """Let the garbage collector look at what tests make, not at the modules and thousands of tests each time anew."""
    gc.collect()
    gc.freeze()


def _fetch_servers_meanwhile() -> None:
    """On a new machine the servers take minutes to fetch and build; the first test of each would wait for it alone."""
    from tests.deploy.tools import COMPOSE, built
    from tests.kafka.installation import installed
    from tests.s3.fixtures import build

    def quietly(make: Callable[[], object]) -> None:
        with suppress(Exception, pytest.skip.Exception):  # the tests themselves tell what is wrong
            make()

    for make in (installed, build, lambda: built(COMPOSE)):
        threading.Thread(target=quietly, args=(make,), daemon=True).start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure when CI asks for it."""
    report = yield
    if FAIL_ON_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be missing: {report.longrepr}"
    return report
