"""Good drains while 200 bad clients hammer the receiver, against the same drains alone.

    python -m tests.benchmarks.bench_hostile [seconds]

Over plain HTTP and over TLS. Eight drains deliver 100 lines each, ten times a second each, mostly on a kept
connection, each twentieth time on a new one. The bad clients guess secrets, drip headers and bodies, hold connections
open, flood headers, send garbage and requests ahead, and, with a good secret, bombs; each begins again as soon as it
is thrown out. Checked: every good delivery was answered 204, and its lines are in the log once.

The load of the machine is printed: clients and receiver share its cores, so a busy machine measures itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import psutil
import trustme

from tests.ingest.abuse import POST
from tests.ingest.running import Running, frame, receiver, stored

DRAINS = 8
LINES = 100
PAUSE_SECONDS = 0.1
NEW_CONNECTION_EVERY = 20
BAD_CLIENTS = 200
BAD_PROCESSES = 2


class Replies(NamedTuple):
    """What the good drains saw."""

    seconds: list[float]
    statuses: Counter[str]

    def at_ms(self, share: float) -> float:
        """The reply time that this share stays within."""
        return sorted(self.seconds)[min(int(len(self.seconds) * share), len(self.seconds) - 1)] * 1000


def main(seconds: float) -> None:
    """Measure both ways of serving, print, and fail if a good delivery was not answered 204 or not kept."""
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}, cores: {os.cpu_count()}")
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder) / "plain.db", "", None, seconds)
        authority = trustme.CA()
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        made = authority.issue_cert("localhost")
        cert, key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        cert.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        options = f"tls_cert=Path({str(cert)!r}), tls_key=Path({str(key)!r})"
        _measure(Path(folder) / "tls.db", options, trust, seconds)


def _measure(log_path: Path, options: str, trust: ssl.SSLContext | None, seconds: float) -> None:
    with receiver(log_path, options) as running:
        process = psutil.Process(running.process.pid)
        alone = asyncio.run(_deliver(running.port, trust, seconds, "alone"))
        bad = [_attackers(running, number, seconds + 2) for number in range(BAD_PROCESSES)]
        time.sleep(1)  # until they are all at it
        begun = sum(process.cpu_times()[:2])
        attacked = asyncio.run(_deliver(running.port, trust, seconds, "attacked"))
        cpu_share = (sum(process.cpu_times()[:2]) - begun) / seconds
        done: Counter[str] = Counter()
        for each in bad:
            done.update(json.loads(each.communicate()[0]))
        peak_mb = int(process.memory_info().rss) >> 20
    _say("TLS" if trust else "plain", alone, attacked)
    print(f"  the receiver took {cpu_share:.2f} of a core and holds {peak_mb} MB; load {os.getloadavg()[0]:.1f}")
    print("  bad clients were thrown out, or gave up: " + ", ".join(f"{n} {kind}" for kind, n in sorted(done.items())))
    _check(log_path, len(alone.seconds) + len(attacked.seconds))


def _say(way: str, alone: Replies, attacked: Replies) -> None:
    for name, replies in (("alone", alone), (f"{BAD_CLIENTS} bad clients", attacked)):
        print(
            f"{way:6} {name:16} {len(replies.seconds):6} deliveries  p50 {replies.at_ms(0.5):6.1f} ms"
            f"  p99 {replies.at_ms(0.99):6.1f} ms  max {max(replies.seconds) * 1000:6.1f} ms  {dict(replies.statuses)}"
        )
        assert set(replies.statuses) == {"204"}, replies.statuses


def _check(log_path: Path, deliveries: int) -> None:
    messages = stored(log_path)["lines"]["message"]
    lines = messages.filter(messages.str.starts_with("good "))
    assert len(lines) == lines.n_unique() == deliveries * LINES, (len(lines), deliveries)


def _attackers(running: Running, number: int, seconds: float) -> subprocess.Popen[bytes]:
    arguments = [running.port, seconds, BAD_CLIENTS // BAD_PROCESSES, number + 1]
    way = "tls" if running.scheme == "https" else "plain"
    # They yield to the receiver, as if they had a machine of their own: else their own work would be measured.
    command = ["nice", "-n", "19", sys.executable, "-m", "tests.benchmarks.hostile_clients", *map(str, arguments), way]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


async def _deliver(port: int, trust: ssl.SSLContext | None, seconds: float, name: str) -> Replies:
    replies = Replies([], Counter())
    until = time.monotonic() + seconds
    await asyncio.gather(*(_drain(port, trust, until, f"good {name} {n}", replies) for n in range(DRAINS)))
    return replies


async def _drain(port: int, trust: ssl.SSLContext | None, until: float, name: str, replies: Replies) -> None:
    """Deliver at a steady pace; a reply time includes connecting where a connection is made for it."""
    number = 0
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while time.monotonic() < until:
        body = b"".join(frame(f"{name} {number} {line}") for line in range(LINES))
        begun = time.perf_counter()
        if streams is None:
            streams = await asyncio.open_connection("localhost" if trust else "127.0.0.1", port, ssl=trust)
        reader, writer = streams
        writer.write(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        replies.seconds.append(time.perf_counter() - begun)
        replies.statuses[answer[9:12].decode()] += 1
        number += 1
        if number % NEW_CONNECTION_EVERY == 0:
            writer.close()
            streams = None
        await asyncio.sleep(PAUSE_SECONDS)
    if streams is not None:
        streams[1].close()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
