"""Fixtures and factories of Kafka brokers, for the tests of any folder.

``kafka`` is one plain broker for all tests of a process, which keep apart by ``kafka_prefix``. A test that stops, kills
or secures its broker makes one of its own: ``with broker(tmp_path) as b``, ``with cluster(tmp_path, 3) as c``.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import secrets
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaAdminClient

from tests.kafka.access import PASSWORD, SECURITY, USER, Access, SecurityName, certificates
from tests.kafka.broker import Broker, Cluster
from tests.kafka.installation import Installation, alone, installed, what_is_missing
from tests.kafka.properties import Options, free_places

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ANONYMOUS = "ANONYMOUS"
# For a broker that nobody kills and that mostly waits: half of the work of one that must be missed soon.
CALM = {
    "broker.heartbeat.interval.ms": "2000",
    "broker.session.timeout.ms": "9000",
    "metadata.max.idle.interval.ms": "5000",
}
# The parameters of ``secured``; tests with the same one share a broker, in whatever file they are.
SECURED: tuple[SecurityName, ...] = tuple(name for name in SECURITY if name != "plaintext")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """One plain broker for all tests of this process; ``DRAINLAKE_TEST_KAFKA=host:port`` names another one."""
    if elsewhere := os.environ.get("DRAINLAKE_TEST_KAFKA"):
        yield Access(elsewhere)
        return
    # Not by way of `broker`: warnings that are forgiven here would be forgiven in every test of the process.
    [place] = free_places(1)
    folder = tmp_path_factory.mktemp("kafka") / "node-1"
    options = Options(SECURITY["plaintext"], properties=CALM)
    shared = Broker(_quick_installation(), folder, place, [place], options)
    with _running(shared):
        yield shared.access


@pytest.fixture
def kafka_prefix(kafka: Access) -> Iterator[str]:
    """A prefix for the topics and groups of one test, whose topics are deleted after it."""
    prefix = f"test-{secrets.token_hex(6)}."
    yield prefix
    with contextlib.closing(KafkaAdminClient(**kafka.options())) as admin:
        if mine := [topic for topic in admin.list_topics() if topic.startswith(prefix)]:
            admin.delete_topics(mine)
    gc.collect()  # sockets that this test's clients left open are not the next test's


@pytest.fixture(scope="session")
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker with the kind of security that is the parameter, for tests that use topics of their own."""
    home = tmp_path_factory.mktemp(request.param)
    [place] = free_places(1)
    options = _options(home, request.param, CALM, None)
    made = Broker(_quick_installation(), home / "node-1", place, [place], options)
    with _running(made):
        yield made


@contextlib.contextmanager
def broker(
    folder: Path,
    security: SecurityName = "plaintext",
    properties: Mapping[str, str] | None = None,
    users: Mapping[str, str] | None = None,
    *,
    authorised: bool = False,
) -> Iterator[Broker]:
    """Run a broker until the block ends. With ``authorised`` nobody may do what ``Broker.allow`` did not allow."""
    home = Path(tempfile.mkdtemp(prefix="broker-", dir=folder))
    options = _options(home, security, properties, users, authorised=authorised)
    [place] = free_places(1)
    made = Broker(_quick_installation(), home / "node-1", place, [place], options)
    with forgotten_connections(), _running(made):
        yield made


@contextlib.contextmanager
def restricted_broker(folder: Path, prefix: str, *operations: str) -> Iterator[Broker]:
    """Run a broker without passwords where clients may use topics and groups of a prefix but create none."""
    with broker(folder, authorised=True) as running:
        running.allow(ANONYMOUS, prefix, *(operations or ("DESCRIBE", "READ", "WRITE")))
        yield running


@contextlib.contextmanager
def cluster(
    folder: Path,
    nodes: int = 3,
    security: SecurityName = "plaintext",
    properties: Mapping[str, str] | None = None,
    users: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Run a cluster until the block ends."""
    home = Path(tempfile.mkdtemp(prefix="cluster-", dir=folder))
    made = Cluster(_quick_installation(), home, nodes, _options(home, security, properties, users))
    with forgotten_connections(), _running(made):
        yield made


@contextlib.contextmanager
def forgotten_connections() -> Iterator[None]:
    """Let no test fail for the sockets that kafka-python leaves open for the garbage collector.

    It does so whenever a connection or a handshake is refused. Collecting at the end keeps them from later tests.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"unclosed <(ssl\.SSLSocket|socket\.socket) ", ResourceWarning)
        try:
            yield
        finally:
            gc.collect()


@contextlib.contextmanager
def _running(made: Broker | Cluster) -> Iterator[None]:
    """Start and, whatever happens, kill."""
    try:
        made.start()
        yield
    finally:
        made.kill()


def _options(
    home: Path,
    security: SecurityName,
    properties: Mapping[str, str] | None,
    users: Mapping[str, str] | None,
    *,
    authorised: bool = False,
) -> Options:
    """The options of a broker, with certificates made for it where its kind of security has some."""
    kind = SECURITY[security]
    files = certificates(home / "certificates", kind.certificate_host) if kind.encrypted else None
    return Options(kind, files, users or {USER: PASSWORD}, authorised=authorised, properties=properties or {})


@functools.cache
def _quick_installation() -> Installation:
    """The installation; on its first use a broker records the classes that it loads, and all later ones start fast."""
    if reason := what_is_missing():
        pytest.skip(reason)
    installation = installed()
    with alone():
        if not installation.shared_classes.exists():
            _record_classes(installation)
    return installation


def _record_classes(installation: Installation) -> None:
    """Run a broker whose JVM writes the archive when it ends; the rename at last lets no kill leave half of it."""
    with tempfile.TemporaryDirectory(dir=installation.folder.parent, prefix="recording-") as temporary:
        archive = Path(temporary) / "classes.jsa"
        [place] = free_places(1)
        recorder = Broker(installation, Path(temporary) / "node-1", place, [place], Options(SECURITY["plaintext"]))
        try:
            recorder.start(f"-XX:ArchiveClassesAtExit={archive}")
            recorder.create_topic("recorded")
            recorder.stop()
        finally:
            recorder.kill()
        archive.rename(installation.shared_classes)
