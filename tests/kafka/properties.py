"""The server properties of a broker: one node that is controller and broker at once, on loopback, small and quick."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.kafka.access import PASSWORD, USER, Certificates, Security

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ADMINISTRATOR = "administrator"
ADMINISTRATOR_PASSWORD = "password-of-the-administrator"
PORTS = range(20_000, 32_768)


@dataclass(frozen=True)
class Place:
    """Who a node is and where it listens: for clients, for the other nodes and administrators, for the quorum."""

    node_id: int
    client_port: int
    internal_port: int
    controller_port: int


@dataclass(frozen=True)
class Options:
    """What a test asks of its brokers beyond the defaults."""

    security: Security
    certificates: Certificates | None = None
    users: Mapping[str, str] = field(default_factory=lambda: {USER: PASSWORD})
    authorised: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)


def free_places(nodes: int) -> list[Place]:
    """Places of so many nodes; their ports are free now, and no two of them are the same."""
    ports = set[int]()
    while len(ports) < 3 * nodes:
        ports.add(_free_port())
    return [Place(node_id, ports.pop(), ports.pop(), ports.pop()) for node_id in range(1, nodes + 1)]


def _free_port() -> int:
    """A free port that the system gives to no client.

    A client that keeps calling a dead broker in the range of client ports would one day be given that very port, talk
    to itself, and keep the broker from coming back.
    """
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def server_properties(folder: Path, place: Place, voters: Sequence[Place], options: Options) -> dict[str, str]:
    """Everything that a node is told."""
    return {
        **_network(place, voters, options.security),
        **_storage(folder, nodes=len(voters)),
        **_quick(),
        **_internal_logins(),
        **_client_logins(options),
        **_certificates(options),
        **(_authorisation() if options.authorised else {}),
        **options.properties,
    }


def _network(place: Place, voters: Sequence[Place], security: Security) -> dict[str, str]:
    """Three listeners, so that what clients may do never stands in the way of the nodes among themselves."""
    outside = f"CLIENT://127.0.0.1:{place.client_port},INTERNAL://127.0.0.1:{place.internal_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(place.node_id),
        "controller.quorum.voters": ",".join(f"{v.node_id}@127.0.0.1:{v.controller_port}" for v in voters),
        "listeners": f"{outside},CONTROLLER://127.0.0.1:{place.controller_port}",
        "advertised.listeners": outside,
        "listener.security.protocol.map": (
            f"CLIENT:{security.protocol},INTERNAL:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"
        ),
        "inter.broker.listener.name": "INTERNAL",
        "controller.listener.names": "CONTROLLER",
    }


def _storage(folder: Path, nodes: int) -> dict[str, str]:
    """Kafka's own topics as safe as the number of nodes allows; a topic is there only when somebody made it."""
    copies, in_sync = str(min(3, nodes)), str(min(2, nodes))
    return {
        "log.dirs": str(folder / "data"),
        "num.partitions": "1",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def _quick() -> dict[str, str]:
    """A dead node is missed after two seconds instead of nine, and a group does not wait for more members."""
    return {
        "broker.heartbeat.interval.ms": "250",
        "broker.session.timeout.ms": "2000",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "500",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": "2097152",  # by default half of the small heap
    }


def _internal_logins() -> dict[str, str]:
    """Nodes and administrators log in by password, so that an authorizer can tell them from clients."""
    login = _plain_login({ADMINISTRATOR: ADMINISTRATOR_PASSWORD}, login_as=ADMINISTRATOR)
    return {
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.internal.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.internal.plain.sasl.jaas.config": login,
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": login,
    }


def _client_logins(options: Options) -> dict[str, str]:
    """PLAIN passwords stand in the properties; SCRAM ones are given when the storage is formatted."""
    mechanism = options.security.mechanism
    if mechanism is None:
        return {}
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    login = _plain_login(options.users) if mechanism == "PLAIN" else scram
    return {
        "listener.name.client.sasl.enabled.mechanisms": mechanism,
        f"listener.name.client.{mechanism.lower()}.sasl.jaas.config": login,
    }


def _plain_login(users: Mapping[str, str], login_as: str | None = None) -> str:
    """The users that a listener knows, and whom the broker itself logs in as."""
    own = f' username="{login_as}" password="{users[login_as]}"' if login_as else ""
    known = "".join(f' user_{user}="{password}"' for user, password in users.items())
    return f"org.apache.kafka.common.security.plain.PlainLoginModule required{own}{known};"


def _certificates(options: Options) -> dict[str, str]:
    """A client with a certificate is the user that its common name says."""
    if options.certificates is None:
        return {}
    return {
        "listener.name.client.ssl.keystore.type": "PEM",
        "listener.name.client.ssl.keystore.location": str(options.certificates.broker_path),
        "listener.name.client.ssl.truststore.type": "PEM",
        "listener.name.client.ssl.truststore.location": str(options.certificates.ca_path),
        "listener.name.client.ssl.client.auth": "required" if options.security.client_certificate else "none",
        "listener.name.client.ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/,DEFAULT",
    }


def _authorisation() -> dict[str, str]:
    """Nobody may do anything that was not allowed, except administrators."""
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMINISTRATOR}",
        "allow.everyone.if.no.acl.found": "false",
    }
