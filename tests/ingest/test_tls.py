"""TLS as real clients meet it: versions, renewal under load, pairs that do not fit."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import socket
import ssl
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.ingest.running import frame, post, receiver, stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ingest.running import Running

Pair = tuple[bytes, bytes]


class Site:
    """A certificate authority, and the two files that the receiver reads."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.trust = ssl.create_default_context()
        self.authority.configure_trust(self.trust)
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        self.log_path = folder / "log.db"
        self.write(self.issue())

    def issue(self, expires_at: datetime | None = None) -> Pair:
        """A new pair, not written yet."""
        made = self.authority.issue_cert("localhost", not_after=expires_at)
        return b"".join(pem.bytes() for pem in made.cert_chain_pems), made.private_key_pem.bytes()

    def write(self, pair: Pair) -> None:
        """Both files, one after the other."""
        self.cert.write_bytes(pair[0])
        self.key.write_bytes(pair[1])

    @contextlib.contextmanager
    def running(self, setup: str = "") -> Iterator[Running]:
        """A receiver that serves HTTPS."""
        options = f"tls_cert=Path({str(self.cert)!r}), tls_key=Path({str(self.key)!r})"
        with receiver(self.log_path, options, setup) as running:
            yield running

    def served(self, port: int) -> bytes:
        """The certificate that a new connection gets, in DER."""
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        with self.trust.wrap_socket(plain, server_hostname="localhost") as secure:
            found = secure.getpeercert(binary_form=True)
            assert found is not None
            return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with a good pair."""
    return Site(tmp_path)


def der(pair: Pair) -> bytes:
    """The certificate of a pair as a connection shows it."""
    return ssl.PEM_cert_to_DER_cert(
        pair[0].decode().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"
    )


def until(site: Site, running: Running, wanted: bytes) -> None:
    """Wait until new connections get this certificate; the test's own limit ends a wait in vain."""
    while site.served(running.port) != wanted:
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("version", "is_spoken"), [("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)]
)
def test_only_current_versions_of_tls_are_spoken(site: Site, version: str, is_spoken: bool) -> None:
    """A client that insists on an old version does not get in, even one that takes the weakest ciphers."""
    with pytest.warns(DeprecationWarning, match="deprecated") if not is_spoken else contextlib.nullcontext():
        site.trust.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        site.trust.maximum_version = ssl.TLSVersion[version]
    site.trust.set_ciphers("ALL:@SECLEVEL=0")
    with site.running() as running:
        if is_spoken:
            assert running.post(frame("x"), trust=site.trust) == 204
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                running.post(frame("x"), trust=site.trust)


def test_a_certificate_is_renewed_under_load_and_nothing_is_lost(site: Site) -> None:
    """Renewals while drains deliver, on new and on kept connections: each gets 204, each line is in the log."""
    with site.running("import ingest.server; ingest.server.WATCH_SECONDS = 0.05") as running:
        stop = threading.Event()
        acknowledged: list[str] = []
        drains = [
            threading.Thread(target=_deliver, args=(site, running, f"drain {number}", stop, acknowledged))
            for number in range(4)
        ]
        kept = running.connect(site.trust)
        assert post(kept, frame("kept")) == 204
        for drain in drains:
            drain.start()
        for _ in range(3):
            pair = site.issue()
            site.cert.write_bytes(pair[0])
            time.sleep(0.2)  # between the two files the pair does not fit, and is looked at
            site.key.write_bytes(pair[1])
            until(site, running, der(pair))
        stop.set()
        for drain in drains:
            drain.join()
        assert post(kept, frame("kept")) == 204
        kept.close()
    assert len(acknowledged) > 8
    assert sorted(stored(site.log_path)["lines"]["message"]) == sorted([*acknowledged, "kept", "kept"])


def _deliver(site: Site, running: Running, name: str, stop: threading.Event, acknowledged: list[str]) -> None:
    """Deliver until told to stop; even drains keep their connection, odd ones make one for each delivery."""
    connection = running.connect(site.trust)
    number = 0
    while not stop.is_set():
        if number % 2 and name[-1] in "13":
            connection.close()  # the next request opens another
        assert post(connection, frame(f"{name} {number}")) == 204
        acknowledged.append(f"{name} {number}")
        number += 1
    connection.close()


def test_links_that_are_changed_are_followed(tmp_path: Path) -> None:
    """certbot and Kubernetes replace what a link points to; the file's own name stays."""
    site = Site(tmp_path)
    for number, pair in enumerate((site.issue(), site.issue())):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "cert.pem").write_bytes(pair[0])
        (tmp_path / f"v{number}" / "key.pem").write_bytes(pair[1])
    (tmp_path / "live").symlink_to("v0")
    site.cert, site.key = tmp_path / "live" / "cert.pem", tmp_path / "live" / "key.pem"
    with site.running("import ingest.server; ingest.server.WATCH_SECONDS = 0.05") as running:
        (tmp_path / "next").symlink_to("v1")
        (tmp_path / "next").rename(tmp_path / "live")
        until(site, running, der(pair))


BROKEN = {
    "half a certificate": lambda pair: (pair[0][:300], pair[1]),
    "another key": lambda pair: (pair[0], trustme.CA().issue_cert("x").private_key_pem.bytes()),
    "empty files": lambda pair: (b"", b""),
    "no PEM": lambda pair: (b"\xff" * 100, pair[1]),
}


def test_what_cannot_be_used_is_said_and_the_old_one_stays(site: Site) -> None:
    """On SIGHUP the answer comes at once; without, once it is certain that the files are not just being written."""
    before = site.served
    with site.running("import ingest.server; ingest.server.WATCH_SECONDS = 0.05") as running:
        first = before(running.port)
        for broken in BROKEN.values():
            site.write(broken(site.issue()))
            running.process.send_signal(signal.SIGHUP)
            assert _next_words(running, "certificate").startswith("The new certificate cannot be used (")
            assert site.served(running.port) == first
        site.cert.unlink()
        assert "cannot be used" in _next_words(running, "certificate")
        assert running.post(frame("x"), trust=site.trust) == 204
        good = site.issue()
        site.write(good)
        until(site, running, der(good))


def _next_words(running: Running, part: str) -> str:
    assert running.process.stderr is not None
    return next(line for line in running.process.stderr if part in line)


def test_the_expiry_of_the_certificate_is_a_metric(site: Site) -> None:
    """An alarm can ring before the day."""
    expires_at = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
    site.write(site.issue(expires_at))
    with site.running() as running:
        connection = running.connect(site.trust)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
    (found,) = re.findall(r"^drainlake_certificate_expiry_timestamp_seconds (\S+)$", text, re.MULTILINE)
    assert float(found) == expires_at.timestamp()


def test_a_client_that_never_shakes_hands_is_closed(site: Site) -> None:
    """Neither silence nor plain HTTP holds a place, and a drain is served meanwhile."""
    with site.running("from ingest.http import connections; connections.HANDSHAKE_SECONDS = 0.5") as running:
        silent = socket.create_connection(("127.0.0.1", running.port), timeout=20)
        plain = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
        plain.request("GET", "/healthz")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            plain.getresponse()
        plain.close()
        assert running.post(frame("x"), trust=site.trust) == 204
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(1) == b""
        silent.close()
