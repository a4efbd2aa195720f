"""Where Kafka is and how one speaks to it: plain, TLS, SASL; and what its errors mean in a sentence."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import kafka.errors as refusals
from kafka.net.compat import KafkaNetClient

from ingest.eventlog.contract import LogUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONNECT_SECONDS: Final = 5.0
REQUEST_SECONDS: Final = 10.0
Client = TypeVar("Client")

_NO_ANSWER: Final = "does not answer; check its address and whether it runs"
# kafka-python does not tell a refused password or certificate from a broker that is away.
_NO_ANSWER_OR_REFUSED: Final = (
    "does not answer, or accepts neither user nor certificate; check its address, whether it runs, and the credentials"
)
_MEANINGS: Final[Sequence[tuple[tuple[type[refusals.KafkaError], ...], str]]] = (
    (
        (refusals.TopicAuthorizationFailedError, refusals.ClusterAuthorizationFailedError),
        "refuses access to a topic; allow this user to describe, read and write the topics {prefix}drainlake.*",
    ),
    (
        (refusals.GroupAuthorizationFailedError,),
        "refuses access to the consumer group; allow this user to read the group {prefix}drainlake",
    ),
    (
        (refusals.SaslAuthenticationFailedError, refusals.UnsupportedSaslMechanismError),
        "does not accept user name and password; check them and the mechanism",
    ),
    (
        (refusals.UnknownTopicOrPartitionError,),
        "does not have the topics {prefix}drainlake.*; run `drainlake land --once` where they may be made",
    ),
    (
        (refusals.NotEnoughReplicasError, refusals.NotEnoughReplicasAfterAppendError),
        "has too few replicas in sync to keep what is written; bring its brokers back",
    ),
    (
        (refusals.MessageSizeTooLargeError, refusals.RecordListTooLargeError),
        "takes no entry this large; raise max.message.bytes of the topics {prefix}drainlake.*",
    ),
    ((refusals.KafkaTimeoutError, refusals.KafkaConnectionError), _NO_ANSWER),
)


@dataclass(frozen=True)
class Tls:
    """Certificates as PEM texts. Without ``ca`` the system's authorities count.

    ``check_host`` is off for Heroku, whose certificates name no host: the private authority alone is checked.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)
    check_host: bool = True

    def context(self) -> ssl.SSLContext:
        """The TLS context of a client. Raises ``ssl.SSLError`` for a PEM text that is none."""
        context = ssl.create_default_context(cadata=self.ca)
        context.check_hostname = self.check_host
        # Python 3.13 checks authorities more strictly than the one of Heroku stands.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if self.certificate and self.key:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # ssl reads keys from files only; mode 0600
                file.write(f"{self.certificate.strip()}\n{self.key.strip()}\n")
                file.flush()
                context.load_cert_chain(file.name)
        return context


@dataclass(frozen=True)
class Sasl:
    """User name and password. ``mechanism`` is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""

    user: str
    password: str = field(repr=False)
    mechanism: str = "PLAIN"


@dataclass(frozen=True)
class KafkaConnection:
    """Servers as ``host:port``; ``prefix`` stands before the names of topics and of the consumer group."""

    servers: tuple[str, ...]
    prefix: str = ""
    tls: Tls | None = None
    sasl: Sasl | None = None

    def topic(self, table: str) -> str:
        """The topic of a table."""
        return f"{self.prefix}drainlake.{table}"

    @property
    def group(self) -> str:
        """The consumer group of the landers."""
        return f"{self.prefix}drainlake"

    def options(self) -> dict[str, Any]:
        """What every client of kafka-python is given."""
        protocol = ("SASL_" if self.sasl else "") + ("SSL" if self.tls else "PLAINTEXT")
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "client_id": "drainlake",
            "security_protocol": protocol,
            "bootstrap_timeout_ms": int(CONNECT_SECONDS * 1000),
            "request_timeout_ms": int(REQUEST_SECONDS * 1000),
            "reconnect_backoff_max_ms": 1000,
        }
        if self.tls:
            options["ssl_context"] = self.tls.context()
        if self.sasl:
            options["sasl_mechanism"] = self.sasl.mechanism
            options["sasl_plain_username"] = self.sasl.user
            options["sasl_plain_password"] = self.sasl.password
        return options

    def client(self, kind: Callable[..., Client], **options: Any) -> Client:
        """A connected client of kafka-python. Raises :class:`LogUnavailable`.

        One that does not come to be leaves nothing behind: kafka-python itself forgets the thread and the sockets of a
        client whose first connection fails, and a receiver tries again for hours while a broker is away.
        """
        networks: list[KafkaNetClient] = []

        def network(**given: Any) -> KafkaNetClient:
            networks.append(KafkaNetClient(**given))
            return networks[-1]

        try:
            return kind(**self.options(), **options, kafka_client=network)
        except (refusals.KafkaError, OSError) as error:
            for left in networks:
                left.close()
            raise self.unavailable(error) from error

    def unavailable(self, error: Exception) -> LogUnavailable:
        """What an error of kafka-python means: a sentence that says what to do."""
        meaning = next((text for kinds, text in _MEANINGS if isinstance(error, kinds)), None)
        if meaning is None and "AuthorizationFailed" in str(error):  # kafka-python tells some in words only
            meaning = _MEANINGS[0][1]
        if meaning == _NO_ANSWER and (self.tls or self.sasl):
            meaning = _NO_ANSWER_OR_REFUSED
        said = meaning.format(prefix=self.prefix) if meaning else f"refuses ({error})"
        return LogUnavailable(f"Kafka at {','.join(self.servers)} {said}")
