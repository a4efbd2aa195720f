"""The certificate that TLS is served with, and its renewal while connections go on.

Whoever renews a certificate (certbot, Kubernetes) replaces two files at two moments, or the target of a link. A pair
is therefore loaded into a context of its own, from one reading of both files, and used only when it is whole and fits;
until then new connections get the one before. Loading into the context in use would leave it without a key whenever
the second file is late. Connections that are open keep the certificate they began with.
"""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ingest.http.expiry import valid_until
from ingest.oplog import tell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATCH_SECONDS: Final = 5.0
_State = tuple[tuple[int, int, int], ...]


class Certificate:
    """A certificate and key on disk. ``context`` is for the next connection; raises ``OSError`` if the pair is bad."""

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert = cert
        self._key = key
        self._state = self._look()
        self._failed: _State | None = None
        self._told: _State | None = None
        self.context, self.expires_at = _load(cert.read_bytes(), key.read_bytes())

    def renew(self, *, at_once: bool = False) -> None:
        """Take up changed files. What cannot be used is told when it stays so, or ``at_once``."""
        try:
            state = self._look()
            if state == self._state and not at_once:
                return
            self.context, self.expires_at = _load(self._cert.read_bytes(), self._key.read_bytes())
        except (OSError, ValueError) as error:
            self._keep(error, at_once=at_once)
        else:
            self._state, self._failed, self._told = state, None, None
            until = datetime.fromtimestamp(self.expires_at, UTC)
            sentence = f"The certificate was loaded anew; it is valid until {until:%Y-%m-%d %H:%M} UTC."
            tell("serve", "certificate_renewed", sentence, expires_at=until.isoformat())

    def _keep(self, error: Exception, *, at_once: bool) -> None:
        """Between the writing of the two files they do not fit: only what is still wrong at the next look is told."""
        try:
            state = self._look()
        except OSError:
            state = ()
        if at_once or (state == self._failed and state != self._told):
            sentence = (
                f"The new certificate cannot be used ({_words(error)}), the one before stays in use:"
                f" {self._cert} and {self._key} have to be a PEM certificate chain and its unencrypted key."
            )
            tell("serve", "certificate_refused", sentence, level=logging.WARNING)
            self._told = state
        self._failed = state

    def _look(self) -> _State:
        """What changes whenever one of the files, or what it links to, is written or replaced."""
        found = [path.stat() for path in (self._cert, self._key)]
        return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in found)


def _words(error: Exception) -> str:
    return str((error.strerror if isinstance(error, OSError) else None) or error)


def _load(cert: bytes, key: bytes) -> tuple[ssl.SSLContext, float]:
    """A context for a pair, and when its certificate expires. Raises ``OSError``, or ``ValueError`` for no PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0  # a drain keeps its connection for hours; tickets would cost each handshake
    expires_at = valid_until(cert.decode("ascii", "replace")).timestamp()
    with _as_file(cert) as cert_file, _as_file(key) as key_file:
        context.load_cert_chain(cert_file, key_file, password="")  # or OpenSSL would ask at the terminal
    return context, expires_at


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A name under which OpenSSL finds these bytes: in memory where the system can, so that no key is on the disk."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("drainlake"), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:  # only this user may read it
            file.write(content)
            file.flush()
            yield file.name
