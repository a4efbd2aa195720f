"""A real S3-compatible server over HTTP: versitygw (Apache-2.0), built once from its Go module.

Its answers to conditional writes, ranges, listings and signatures are its own; nothing here stands in for S3. The
binary is kept in an ignored folder of the repository. The server keeps buckets as folders, listens on loopback only
and ends with the test process, however that one ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.keeper import kept
from tests.s3.faults import FaultProxy
from transforms.objects import S3Options

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "v1.8.0"
MODULE = "github.com/versity/versitygw/cmd/versitygw"
CACHE = Path(__file__).parents[2] / ".cache" / f"versitygw-{VERSION}"
BINARY = CACHE / "versitygw"
BUILD_TIMEOUT_SECONDS = 900
START_TRIES = 5
REGION = "us-east-1"


@dataclass(frozen=True)
class S3Server:
    """A running server: where it is, its root account, and the folder in which it keeps its buckets."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str
    folder: Path

    def make_bucket(self) -> str:
        """A new empty bucket; gives its name."""
        name = f"lake-{uuid.uuid4().hex[:12]}"
        (self.folder / name).mkdir()
        return name


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests time for the first build: pytest-timeout counts fixtures too."""
    if not BINARY.exists():
        for item in items:
            if "s3" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.timeout(BUILD_TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server for the session; skips where there is no Go to build it with."""
    binary = build()
    folder = tmp_path_factory.mktemp("s3")
    for attempt in range(1, START_TRIES + 1):
        with running(binary, folder) as server:
            if server is not None:
                yield server
                return
        assert attempt < START_TRIES, f"the S3 server did not start: {(folder / 'log').read_text()}"


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """The name of a fresh bucket."""
    return s3.make_bucket()


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    """A proxy before the server that makes answers go wrong when told to."""
    with FaultProxy(s3.endpoint) as running_proxy:
        yield running_proxy


def build() -> Path:
    """The server's binary; workers that start together wait for the first one to build it."""
    if BINARY.exists():
        return BINARY
    if shutil.which("go") is None:
        pytest.skip("no Go here to build the S3 server with")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not BINARY.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
                environment = os.environ | {"GOBIN": fresh}
                command = ["go", "install", f"{MODULE}@{VERSION}"]
                subprocess.run(command, env=environment, check=True, timeout=BUILD_TIMEOUT_SECONDS)
                (Path(fresh) / "versitygw").rename(BINARY)
    return BINARY


@contextmanager
def running(binary: Path, folder: Path) -> Iterator[S3Server | None]:
    """Run the server; None if it ends at once, for instance because another process took its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    buckets = folder / "buckets"
    buckets.mkdir(exist_ok=True)
    server = S3Server(f"http://127.0.0.1:{port}", "tester", uuid.uuid4().hex, REGION, buckets)
    command = [str(binary), "--quiet", "--keep-alive", "--region", REGION]
    command += ["--port", f"127.0.0.1:{port}", "posix", str(buckets)]
    environment = os.environ | {"ROOT_ACCESS_KEY": server.access_key, "ROOT_SECRET_KEY": server.secret_key}
    with (folder / "log").open("w") as log, kept(command, port, log, environment) as answers:
        yield server if answers else None


def options_for(s3: S3Server, bucket: str, prefix: str = "lake", endpoint: str | None = None) -> S3Options:
    """How to reach a prefix in a bucket of the server, or of a proxy before it."""
    return S3Options(
        bucket,
        prefix,
        endpoint=endpoint or s3.endpoint,
        region=s3.region,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
    )
