"""Credentials of drains: an app has one or several secrets; only their hashes are kept.

A secret is 32 random bytes in URL-safe letters, so a plain SHA-256 cannot be searched back, and Logplex, which
splits the URL at ``:`` and may not undo percent-encoding, carries it unharmed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from ingest.eventlog.embedded import connect

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

SECRET_BYTES: Final = 32
REFRESH_SECONDS: Final = 10.0  # a retired secret opens the door no longer than this
UNKNOWN_REFRESH_SECONDS: Final = 1.0  # how often an unknown secret may make the receiver look for new ones


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


class CredentialStore:
    """The hashes that ``attach`` keeps, in the log's file."""

    def __init__(self, log_path: Path) -> None:
        self._path = log_path

    def add(self, app: str) -> str:
        """Make one more secret for an app and return it; it cannot be shown again."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        with closing(connect(self._path)) as connection:
            connection.execute("INSERT INTO credentials VALUES (?, ?, ?)", (app, digest(secret), time.time()))
        return secret

    def retire_older(self, app: str) -> int:
        """Forget all secrets of an app but the newest; how many were forgotten."""
        with closing(connect(self._path)) as connection:
            return connection.execute(
                "DELETE FROM credentials WHERE app = ?1 AND created_at <"
                " (SELECT max(created_at) FROM credentials WHERE app = ?1)",
                (app,),
            ).rowcount

    def dated(self, app: str) -> dict[bytes, float]:
        """The hashes of an app, and when each was made (seconds since 1970)."""
        with closing(connect(self._path)) as connection:
            return dict(connection.execute("SELECT digest, created_at FROM credentials WHERE app = ?", (app,)))

    def forget(self, app: str, forgotten: Collection[bytes]) -> int:
        """Forget some secrets of an app, given by their hashes; how many there were. One transaction."""
        with closing(connect(self._path)) as connection:
            marks = ", ".join("?" * len(forgotten))
            return connection.execute(
                f"DELETE FROM credentials WHERE app = ? AND digest IN ({marks})",  # noqa: S608 - question marks
                (app, *forgotten),
            ).rowcount

    def digests(self) -> dict[str, list[bytes]]:
        """All hashes by app."""
        with closing(connect(self._path)) as connection:
            found: dict[str, list[bytes]] = {}
            for app, kept in connection.execute("SELECT app, digest FROM credentials"):
                found.setdefault(app, []).append(kept)
            return found


class Doorkeeper:
    """Says whether a user name and a secret open the door. Secrets that ``attach`` adds later are found."""

    def __init__(self, store: CredentialStore, drains: Mapping[str, Sequence[str]]) -> None:
        self._store = store
        self._configured = {app: [digest(secret) for secret in known] for app, known in drains.items()}
        self._stored: dict[str, list[bytes]] = {}
        self._read_at = float("-inf")

    def admits(self, app: str, secret: str) -> bool:
        """Whether the secret is one of the app's."""
        given = digest(secret)
        self._refresh(REFRESH_SECONDS)
        if self._known(app, given):
            return True
        return self._refresh(UNKNOWN_REFRESH_SECONDS) and self._known(app, given)

    def _refresh(self, age_max_seconds: float) -> bool:
        """Read the hashes again if what is known is older than that; whether they were read."""
        now = time.monotonic()
        if now - self._read_at < age_max_seconds:
            return False
        self._read_at = now
        self._stored = self._store.digests()
        return True

    def _known(self, app: str, given: bytes) -> bool:
        # Every hash is compared, in constant time: neither the number nor the place of a match shows outside.
        kept = [*self._configured.get(app, ()), *self._stored.get(app, ())]
        return sum([hmac.compare_digest(given, each) for each in kept]) > 0
