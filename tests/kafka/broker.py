"""A broker in a process of its own, and a cluster of them: to start, stop, kill, pause and look into."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import KafkaError

from tests.kafka.access import Access
from tests.kafka.installation import keep
from tests.kafka.properties import (
    ADMINISTRATOR,
    ADMINISTRATOR_PASSWORD,
    Options,
    Place,
    free_places,
    server_properties,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.kafka.installation import Installation

CLUSTER_ID = "ZHJhaW5sYWtlLXRlc3RzLTE"
START_MAX_SECONDS = 60
STOP_MAX_SECONDS = 20

# The broker takes the shell's place and process id. Beside it a watcher waits for a word on a pipe that only the test
# process holds: when that process dies of anything, `kill -9` too, the pipe ends and the watcher kills the broker.
UNDER_WATCH = """
exec 3<&0
{ read -r released <&3 || kill -9 $$; } &
exec "$@" 3<&- </dev/null
"""


class Broker:
    """One node, which keeps its ports, folder and identity over restarts."""

    def __init__(
        self, installation: Installation, folder: Path, place: Place, voters: Sequence[Place], options: Options
    ) -> None:
        self.place = place
        self._installation = installation
        self._folder = folder
        self._options = options
        self._nodes = len(voters)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        properties = server_properties(folder, place, voters, options)
        self._properties_path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))

    @property
    def bootstrap(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.place.client_port}"

    @property
    def access(self) -> Access:
        """What the first of the users needs to come in."""
        return self.access_of(next(iter(self._options.users)))

    @property
    def administrator(self) -> Access:
        """What somebody needs who may do everything, on a listener of their own."""
        bootstrap = f"127.0.0.1:{self.place.internal_port}"
        access = Access(bootstrap, "SASL_PLAINTEXT")
        return replace(access, mechanism="PLAIN", user=ADMINISTRATOR, password=ADMINISTRATOR_PASSWORD)

    @property
    def pid(self) -> int | None:
        """The process id while the broker is meant to run."""
        return self._process.pid if self._process else None

    @property
    def log_path(self) -> Path:
        """What the broker wrote to stderr, over all its starts."""
        return self._folder / "broker.log"

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _properties_path(self) -> Path:
        return self._folder / "server.properties"

    def access_of(self, user: str) -> Access:
        """What that user needs to come in."""
        security, files = self._options.security, self._options.certificates
        access = Access(self.bootstrap, security.protocol, check_host=security.certificate_host == "127.0.0.1")
        if files:
            access = replace(access, ca_path=files.ca_path)
        if files and security.client_certificate:
            access = replace(access, certificate_path=files.client_path, key_path=files.client_key_path)
        if security.mechanism:
            access = replace(access, mechanism=security.mechanism, user=user, password=self._options.users[user])
        return access

    def start(self, *jvm_options: str) -> None:
        """Start and wait until the broker answers."""
        self.launch(*jvm_options)
        self.wait_until_ready()

    def launch(self, *jvm_options: str) -> None:
        """Start without waiting, as the nodes of a cluster must: they answer only when they are a majority."""
        assert self._process is None, "the broker runs already"
        if not (self._data / "meta.properties").exists():
            self._format()
        command = self._installation.command("kafka.Kafka", str(self._properties_path), jvm_options=jvm_options)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", UNDER_WATCH, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the broker in order
            )

    def wait_until_ready(self) -> None:
        """Wait until the broker names all nodes to a client; the end of its log is in the error if it never does."""
        deadline = time.monotonic() + START_MAX_SECONDS
        try:
            self._wait_until_it_listens(deadline)
            with contextlib.closing(KafkaAdminClient(**self.access.options(), bootstrap_timeout_ms=20_000)) as client:
                while len(client.describe_cluster()["brokers"]) < self._nodes:
                    self._check_it_starts(deadline)
                    time.sleep(0.02)
        except (KafkaError, ChildProcessError) as error:
            self.kill()
            raise AssertionError(f"the broker did not start:\n{self.log_path.read_text()[-4000:]}") from error

    def stop(self) -> None:
        """Stop in order; a broker that takes too long is killed."""
        assert self._process is not None, "the broker does not run"
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_MAX_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Sudden death; nothing happens to a broker that does not run."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(STOP_MAX_SECONDS)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as watcher:
            watcher.write(b"released\n")
        self._process = None

    def restart(self) -> None:
        """Stop in order and start on the same ports with the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stand still with all connections open, as a machine does that swaps or is cut off."""
        assert self._process is not None, "the broker does not run"
        self._process.send_signal(signal.SIGSTOP)
        # The signal is only sent: until its last thread stands still, the broker can answer what comes meanwhile.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Go on after a pause."""
        assert self._process is not None, "the broker does not run"
        self._process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still for the length of a block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextlib.contextmanager
    def admin(self, **options: Any) -> Iterator[KafkaAdminClient]:
        """An admin client that may do everything."""
        client = KafkaAdminClient(**{"bootstrap_timeout_ms": 10_000, **self.administrator.options(), **options})
        try:
            yield client
        finally:
            client.close()

    def create_topic(self, name: str, partitions: int = 1, **configs: str) -> None:
        """Make a topic as an administrator and wait until clients can use it; names of configs with underscores."""
        named = {key.replace("_", "."): value for key, value in configs.items()}
        with self.admin() as admin:
            admin.create_topics({name: {"num_partitions": partitions, "configs": named}}, wait_for_metadata=True)

    def allow(self, user: str, prefix: str, *operations: str) -> None:
        """Let a user do these things with all topics and groups whose names begin so."""
        kinds = {ResourceType.TOPIC: operations, ResourceType.GROUP: {"DESCRIBE", "READ"} & set(operations)}
        acls = [_allowed(user, kind, prefix, operation) for kind, names in kinds.items() for operation in names]
        with self.admin() as admin:
            assert admin.create_acls(acls)["failed"] == []

    def _format(self) -> None:
        """Give the data folder its identity; users that log in with SCRAM stand there too, else one is like another."""
        made = self._installation.formatted(self.place.node_id)
        if self._options.security.mechanism == "SCRAM-SHA-512":
            self._run_format()
        elif made.exists():
            shutil.copytree(made, self._data)
        else:
            self._run_format()
            keep(self._data, made)

    def _run_format(self) -> None:
        arguments = ["format", "-t", CLUSTER_ID, "-c", str(self._properties_path)]
        if (mechanism := self._options.security.mechanism) == "SCRAM-SHA-512":
            for user, password in self._options.users.items():
                arguments += ["--add-scram", f"{mechanism}=[name={user},password={password}]"]
        command = self._installation.command("kafka.tools.StorageTool", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_MAX_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _wait_until_it_listens(self, deadline: float) -> None:
        """Keep kafka-python off a closed port: a client that could not connect leaves its thread and sockets behind."""
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.place.client_port), timeout=5).close()
                return
            self._check_it_starts(deadline)
            time.sleep(0.02)

    def _check_it_starts(self, deadline: float) -> None:
        """Raise when waiting for the broker has no sense any more."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise ChildProcessError(f"the broker ended with {self._process.returncode}")
        if time.monotonic() > deadline:
            raise ChildProcessError(f"the broker was not ready after {START_MAX_SECONDS} seconds")


class Cluster:
    """Several nodes that copy what they are given; a majority of them must live."""

    def __init__(self, installation: Installation, folder: Path, nodes: int, options: Options) -> None:
        places = free_places(nodes)
        self.nodes = [
            Broker(installation, folder / f"node-{place.node_id}", place, places, options) for place in places
        ]

    @property
    def bootstrap(self) -> str:
        """Where clients connect: all nodes, separated by commas."""
        return ",".join(node.bootstrap for node in self.nodes)

    @property
    def access(self) -> Access:
        """What the first of the users needs to come in."""
        return replace(self.nodes[0].access, bootstrap=self.bootstrap)

    def start(self) -> None:
        """Start all nodes and wait until each answers."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_until_ready()

    def kill(self) -> None:
        """Sudden death of all nodes."""
        for node in self.nodes:
            node.kill()

    def living(self) -> Broker:
        """A node that runs."""
        return next(node for node in self.nodes if node.pid is not None)

    def leader_of(self, topic: str, partition: int = 0) -> Broker:
        """The node that takes the writes of a partition, after waiting until there is one that runs."""
        deadline = time.monotonic() + START_MAX_SECONDS
        with self.living().admin() as admin:
            while time.monotonic() < deadline:
                leader_id = _partition(admin.describe_topics([topic]), partition)["leader_id"]
                found = [node for node in self.nodes if node.place.node_id == leader_id and node.pid is not None]
                if found:
                    return found[0]
                time.sleep(0.1)
        raise AssertionError(f"{topic} {partition} has no leader after {START_MAX_SECONDS} seconds")


def _partition(topics: list[dict[str, Any]], partition: int) -> dict[str, Any]:
    """One partition out of the description of one topic."""
    return next(found for found in topics[0]["partitions"] if found["partition_index"] == partition)


def _allowed(user: str, kind: ResourceType, prefix: str, operation: str) -> ACL:
    """A rule that lets a user do one thing with what has a prefix, from any host."""
    pattern = ResourcePattern(kind, prefix, ACLResourcePatternType.PREFIXED)
    return ACL(f"User:{user}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, pattern)
