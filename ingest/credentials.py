"""Credentials of drains: an app has one or several secrets; only their hashes are kept.

A secret is 32 random bytes in URL-safe letters, so a plain SHA-256 cannot be searched back, and Logplex, which
splits the URL at ``:`` and may not undo percent-encoding, carries it unharmed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from ingest.eventlog.embedded import BUSY_SECONDS, connect
from ingest.oplog import tell

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

SECRET_BYTES: Final = 32
REFRESH_SECONDS: Final = 10.0  # a retired secret opens the door no longer than this
UNKNOWN_REFRESH_SECONDS: Final = 1.0  # how often an unknown secret may make the receiver look for new ones
UNKNOWN_MAX: Final = 32  # that wait for it at a time: each may hold what came of its body, up to 256 KB
_NOBODYS: Final = bytes(32)  # compared for an app that does not exist, which takes the same time as one that does


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
        """All hashes by app. Raises ``sqlite3.Error`` where there is no file: an empty one would lock everybody out."""
        address = f"{self._path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection:
            found: dict[str, list[bytes]] = {}
            for app, kept in connection.execute("SELECT app, digest FROM credentials"):
                found.setdefault(app, []).append(kept)
            return found


class Claim(NamedTuple):
    """Who a request says it comes from, and the hash of the secret it shows."""

    app: str
    given: bytes


def claim(authorization: bytes) -> Claim | None:
    """What a header of Basic authentication claims; None if it is none."""
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        app, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Claim(app, digest(secret)) if colon else None


class Doorkeeper:
    """Says whether a claim opens the door. Secrets that ``attach`` adds later are found, retired ones forgotten.

    :meth:`admits` looks only at what is in memory. Reading the hashes anew takes the disk, so it is done in a thread,
    and not more often than once a second however many strangers knock. An unknown secret waits for the next reading:
    Heroku takes a 401 as final, and the first delivery after ``attach`` must not meet one. Use it from one event loop.
    """

    def __init__(self, store: CredentialStore, drains: Mapping[str, Sequence[str]]) -> None:
        self._store = store
        self._configured = {app: [digest(secret) for secret in known] for app, known in drains.items()}
        self._stored = store.digests()
        self._read_at = float("-inf")
        self._reading: asyncio.Future[None] | None = None
        self._waiting = 0

    def admits(self, claimed: Claim) -> bool:
        """Whether the secret is one of the app's, as far as is known."""
        # Every hash is compared, in constant time: neither the number nor the place of a match shows outside.
        kept = [*self._configured.get(claimed.app, ()), *self._stored.get(claimed.app, ())] or [_NOBODYS]
        return sum([hmac.compare_digest(claimed.given, each) for each in kept]) > 0

    def knows(self, app: str) -> bool:
        """Whether there is such an app."""
        return app in self._configured or app in self._stored

    def enter(self) -> bool:
        """Whether one more may wait for :meth:`learn`; then :meth:`leave` has to follow."""
        if self._waiting >= UNKNOWN_MAX:
            return False
        self._waiting += 1
        return True

    def leave(self) -> None:
        """One does not wait any more."""
        self._waiting -= 1

    async def learn(self) -> None:
        """Read the hashes anew, a second after the last time; all who ask meanwhile wait for the same reading.

        Raises ``sqlite3.Error``.
        """
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
        await asyncio.shield(self._reading)

    async def keep_learning(self) -> None:
        """Read the hashes every few seconds, until cancelled; while that fails the door opens as it did before."""
        failing = False
        while True:
            await asyncio.sleep(REFRESH_SECONDS / 2)
            try:
                await self.learn()
                failing = False
            except sqlite3.Error as error:
                if not failing:
                    sentence = f"The credentials cannot be read ({error}); those known before stay valid."
                    tell("serve", "credentials_unreadable", sentence, level=logging.WARNING)
                failing = True

    async def _read(self) -> None:
        await asyncio.sleep(self._read_at + UNKNOWN_REFRESH_SECONDS - time.monotonic())
        try:
            self._stored = await asyncio.to_thread(self._store.digests)
        finally:
            self._read_at = time.monotonic()
            self._reading = None
