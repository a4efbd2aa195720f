"""Whether the receiver could listen as the settings say; asked before a process starts that would die."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from drainlake.errors import Failure, WrongUse

if TYPE_CHECKING:
    from drainlake.settings import Settings


def check(settings: Settings) -> None:
    """Raise :class:`WrongUse` for certificate files that do not fit, :class:`Failure` for a taken port."""
    _check_tls(settings)
    _check_port(settings.host, settings.port)


def _check_tls(settings: Settings) -> None:
    if settings.tls_cert is None or settings.tls_key is None:
        return
    for name, path in (("DRAINLAKE_TLS_CERT", settings.tls_cert), ("DRAINLAKE_TLS_KEY", settings.tls_key)):
        if not path.is_file():
            raise WrongUse(f"{name}={path}: there is no such file.", "the path of a PEM file")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.tls_cert, settings.tls_key, password=""
        )
    except OSError as error:  # ssl.SSLError is one
        raise WrongUse(
            f"DRAINLAKE_TLS_CERT={settings.tls_cert} and DRAINLAKE_TLS_KEY={settings.tls_key} cannot be used:"
            f" {error.strerror or error}.",
            "a PEM certificate chain and its unencrypted key",
        ) from None


def _check_port(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise taken(host, port, error) from None


def taken(host: str, port: int, error: OSError) -> Failure:
    """That the address cannot be listened on."""
    sentence = f"{host}:{port} cannot be listened on: {error.strerror or error}."
    return Failure(sentence, "another PORT or DRAINLAKE_HOST")


def free_port() -> int:
    """A free port of the loopback address, for a receiver that starts at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
