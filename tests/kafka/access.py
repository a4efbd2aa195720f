"""How clients come in: the kinds of security that a broker can have, and what a client needs for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import trustme
from cryptography.hazmat.primitives import serialization

if TYPE_CHECKING:
    from pathlib import Path

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SecurityName = Literal["plaintext", "ssl", "client_certificate", "heroku", "sasl_plain", "sasl_plain_ssl", "sasl_scram"]

USER = "drainlake"
PASSWORD = "password-of-drainlake"


@dataclass(frozen=True)
class Security:
    """One kind of security of the listener that clients use."""

    protocol: Protocol
    mechanism: Literal["PLAIN", "SCRAM-SHA-512"] | None = None
    client_certificate: bool = False
    certificate_host: str = "127.0.0.1"

    @property
    def encrypted(self) -> bool:
        """Whether clients speak TLS."""
        return self.protocol in {"SSL", "SASL_SSL"}


SECURITY: dict[SecurityName, Security] = {
    "plaintext": Security("PLAINTEXT"),
    "ssl": Security("SSL"),
    "client_certificate": Security("SSL", client_certificate=True),
    # Heroku's brokers carry certificates of a private authority whose names are not the hosts of KAFKA_URL.
    "heroku": Security("SSL", client_certificate=True, certificate_host="kafka.example.com"),
    "sasl_plain": Security("SASL_PLAINTEXT", "PLAIN"),
    "sasl_plain_ssl": Security("SASL_SSL", "PLAIN"),
    "sasl_scram": Security("SASL_SSL", "SCRAM-SHA-512"),
}


@dataclass(frozen=True)
class Access:
    """What a client needs to use a broker; what a broker does not ask for is None."""

    bootstrap: str
    protocol: Protocol = "PLAINTEXT"
    ca_path: Path | None = None
    certificate_path: Path | None = None
    key_path: Path | None = None
    mechanism: str | None = None
    user: str | None = None
    password: str | None = None
    check_host: bool = True

    def options(self) -> dict[str, Any]:
        """The same as keyword arguments of kafka-python's clients."""
        options = {
            "ssl_cafile": self.ca_path and str(self.ca_path),
            "ssl_certfile": self.certificate_path and str(self.certificate_path),
            "ssl_keyfile": self.key_path and str(self.key_path),
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
        }
        given = {name: value for name, value in options.items() if value is not None}
        hosts = {} if self.check_host else {"ssl_check_hostname": False}
        return {"bootstrap_servers": self.bootstrap, "security_protocol": self.protocol, **given, **hosts}


@dataclass(frozen=True)
class Certificates:
    """Files of an authority, of a broker and of a client that it vouches for."""

    ca_path: Path
    broker_path: Path
    client_path: Path
    client_key_path: Path


def certificates(folder: Path, certificate_host: str) -> Certificates:
    """Make an authority and let it sign a broker's and a client's certificate."""
    folder.mkdir(parents=True)
    made = Certificates(*(folder / f"{name}.pem" for name in ("ca", "broker", "client", "client-key")))
    authority = trustme.CA()
    broker = authority.issue_cert(certificate_host)
    client = authority.issue_cert(f"{USER}@example.com", common_name=USER)
    authority.cert_pem.write_to_path(made.ca_path)
    made.broker_path.write_bytes(_pkcs8(broker) + b"".join(blob.bytes() for blob in broker.cert_chain_pems))
    made.client_path.write_bytes(b"".join(blob.bytes() for blob in client.cert_chain_pems))
    made.client_key_path.write_bytes(client.private_key_pem.bytes())
    return made


def _pkcs8(certificate: trustme.LeafCert) -> bytes:
    """The private key in the only form that Kafka reads from a PEM file."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())
