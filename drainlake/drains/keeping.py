"""The drains of apps as this host knows them: what the API shows beside the credentials that open the door here."""

from __future__ import annotations

import re
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from drainlake.drains.platform_api import DrainRefused, PlatformApi
from drainlake.drains.states import sort_out
from drainlake.errors import Failure, WrongUse
from drainlake.log import log_errors
from drainlake.values import Secret
from ingest.credentials import UNKNOWN_REFRESH_SECONDS, CredentialStore, digest
from ingest.sole import sole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drainlake.drains.platform_api import Drain
    from drainlake.drains.states import Attached
    from drainlake.settings import Settings

_PLAIN_SECRET: Final = re.compile(r"[A-Za-z0-9._~-]+")


class Keeping:
    """What the commands about drains share. All calls raise :class:`Failure`."""

    def __init__(self, settings: Settings, api: PlatformApi, receiver: str | None) -> None:
        """``receiver`` is the URL that Heroku posts to, if it is known."""
        self.api = api
        self.receiver = receiver
        self._settings = settings

    def known(self) -> dict[str, list[bytes]]:
        """The hashes of all secrets by app: those that ``attach`` keeps and those of DRAINLAKE_DRAINS."""
        found = {app: list(map(_digest_of, secrets)) for app, secrets in self._settings.drains.items()}
        if self._settings.log.is_file():  # looking must not make a log
            with log_errors(self._settings):
                for app, kept in CredentialStore(self._settings.log).digests().items():
                    found.setdefault(app, []).extend(kept)
        return found

    def look(self, app: str) -> list[Attached]:
        """The drains of an app, oldest first."""
        return sort_out(self.api.drains(app), self.receiver, self.known())

    def configured(self, name: str) -> list[bytes]:
        """The hashes of an app's secrets in DRAINLAKE_DRAINS, in its order: the last one is meant for new drains."""
        return list(map(_digest_of, self._settings.drains.get(name, ())))

    def stored(self, name: str) -> dict[bytes, float]:
        """The hashes that ``attach`` keeps of an app, and when each was made."""
        if not self._settings.log.is_file():
            return {}
        with log_errors(self._settings):
            return CredentialStore(self._settings.log).dated(name)

    def forget(self, name: str, digests: Sequence[bytes]) -> int:
        """Make stored secrets invalid."""
        if not digests:
            return 0
        with log_errors(self._settings):
            return CredentialStore(self._settings.log).forget(name, digests)

    def add_drain(self, app: str, name: str, base: Secret) -> Drain:
        """Add a drain with DRAINLAKE_DRAINS' last secret for ``name``, or with a new one.

        Killed in here, a new secret can be left that nobody knows and that no drain uses; it is as hard to guess as
        any, and the next rotation retires it. The secret is stored before the drain is there: Heroku drops for good
        what is answered 401.
        """
        if secrets := self._settings.drains.get(name):
            secret, is_new = secrets[-1], False
            if not _PLAIN_SECRET.fullmatch(secret.reveal()):
                raise WrongUse(
                    f"The last secret of {name} in DRAINLAKE_DRAINS has characters that a drain's URL may not carry.",
                    "letters and digits, as `openssl rand -hex 32` prints",
                )
        else:
            with log_errors(self._settings):
                secret, is_new = Secret(CredentialStore(self._settings.log).add(name)), True
            time.sleep(UNKNOWN_REFRESH_SECONDS)  # among many unknown secrets it could not wait for the store to be read
        try:
            return self.api.add_drain(app, _with_credentials(base, name, secret))
        except DrainRefused:
            if is_new:
                self.forget(name, [_digest_of(secret)])
            raise


@contextmanager
def open_keeping(settings: Settings, receiver: str | None = None) -> Iterator[Keeping]:
    """The drains, with a connection to the API; ``receiver`` goes before DRAINLAKE_URL."""
    with closing(PlatformApi(settings.heroku_api_url, settings.heroku_api_key)) as api:
        yield Keeping(settings, api, receiver or settings.url)


@contextmanager
def sole_changer(settings: Settings) -> Iterator[None]:
    """Hold off other processes of this host that change drains: one would retire the secret that another just made."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with sole(settings.home / "drains.lock") as is_ours:
        if not is_ours:
            raise Failure("Another drainlake changes drains on this host.", "again when it has ended")
        yield


def _digest_of(secret: Secret) -> bytes:
    return digest(secret.reveal())


def _with_credentials(base: Secret, name: str, secret: Secret) -> Secret:
    """The base with user and secret; what it carried before is replaced."""
    parts = urlsplit(base.reveal())
    host = parts.netloc.rpartition("@")[2]
    return Secret(urlunsplit(parts._replace(netloc=f"{name}:{secret.reveal()}@{host}")))
