"""Addresses of Kafka as users and Heroku write them: ``kafka://host:9092,…`` or ``kafka+ssl://host:9096,…``.

A user name and a password before the host mean SASL; ``?mechanism=SCRAM-SHA-512`` behind the last host says which kind.
Pure; the messages are half sentences that follow the name and the text, and never quote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from drainlake.values import Secret

SCHEMES: Final = {"kafka": False, "kafka+ssl": True}
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
DEFAULT_PORT: Final = 9092
_SHAPE: Final = "must be kafka://host:9092,host:9092 or kafka+ssl://host:9096"


@dataclass(frozen=True)
class KafkaUrl:
    """Servers as ``host:port``, whether they speak TLS, and the user, if they ask for one."""

    servers: tuple[str, ...]
    is_tls: bool
    user: str | None = None
    password: Secret | None = None
    mechanism: str = "PLAIN"

    def __str__(self) -> str:
        return f"{'kafka+ssl' if self.is_tls else 'kafka'}://{','.join(self.servers)}"


def parse(text: str) -> KafkaUrl:
    """The address that a text means; raises ValueError."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError(_SHAPE)
    hosts, _, query = rest.partition("?")
    parts = [urlsplit(f"//{host.rpartition('://')[2]}") for host in hosts.split(",")]
    try:
        ports = [DEFAULT_PORT if part.port is None else part.port for part in parts]
    except ValueError:
        raise ValueError(_SHAPE) from None
    if not all(ports) or not all(part.hostname for part in parts) or any(part.path.strip("/") for part in parts):
        raise ValueError(_SHAPE)
    servers = tuple(f"{_bracketed(part.hostname or '')}:{port}" for part, port in zip(parts, ports, strict=True))
    named = next((part for part in parts if part.username), parts[0])
    if named.username and named.password is None:
        raise ValueError("has a user but no password; write user:password@host")
    password = Secret(unquote(named.password)) if named.password is not None else None
    user = unquote(named.username) if named.username else None
    return KafkaUrl(servers, SCHEMES[scheme], user, password, _mechanism(query))


def _mechanism(query: str) -> str:
    given = parse_qs(query, keep_blank_values=True)
    mechanism = given.pop("mechanism", ["PLAIN"])[0].upper()
    if given or mechanism not in MECHANISMS:
        raise ValueError(f"may end with ?mechanism= and one of {', '.join(MECHANISMS)}, nothing else")
    return mechanism


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
