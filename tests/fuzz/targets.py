"""The table of targets: what each checks, how its inputs change, and what it begins with."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingest import batch
from ingest.deliveries import Delivery
from tests.fuzz import deliveries, entries, fields, files, mutating, requests, settings_texts, slowness
from tests.fuzz.inputs import SEPARATOR, framed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.mutating import Mutator

_TESTS: Final = Path(__file__).parents[1] / "ingest"
STAMPS: Final = (
    b"2026-11-23T13:15:33.512345+00:00", b"2026-11-23T13:15:33Z", b"2026-11-23T13:15:33.1-23:59",
    b"2026-11-23T13:15:33.123456789Z+00:00", b"23/Nov/2026:13:15:47 +0000", b"29/Feb/2024:23:59:59 -0130",
    b"0001-01-01T00:00:00+00:01", b"9999-12-31T23:59:59-00:01",
)  # fmt: skip
SETTINGS: Final = (
    b"16MiB", b"10 GB", b"24h", b"2026-11-23T10:00", b"shop:secret,blog:secret", b"https://logs.example.org:443/logs",
    b"kafka+ssl://u:p@a:9096,[::1]:9097?mechanism=SCRAM-SHA-512", b"kafka://a,b:1", b"*/5 * * * *", b"0 7 * * MON#1",
    b"30 2 L MAR,OCT *", b"shop: 99.9% available, 95% under 800ms; *: 99.5% available", b"shop /a: 99% under 1.5s",
    b"1e3",
)  # fmt: skip
AUTHORIZATIONS: Final = tuple(
    b"Basic " + base64.b64encode(plain) for plain in (b"shop:a-secret-of-the-shop", b"shop:wrong", b":", b"shop")
)
SLOW: Final = (
    (b"GET /?", b"a=b&", b" HTTP/1.1"), (b'at=info path="/', b'x" host=', b""), (b"PHP Warning:  a", b" in /a", b":x"),
    (b"[23-Nov-2026 13:15:33] WARNING: [pool www] ", b"script '", b""), (b"Error L10: ", b"1", b""),
    (b"source=web.1 ", b"sample#a=1 ", b""), (b'1.1.1.1 - - [23/Nov/2026:13:15:47 +0000] "', b"a ", b'" 200 1 "-" "-"'),
    (b"Release ", b" by user ", b""), (b"Starting process with command `", b"token=a ", b"`"),
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """``check`` raises where something is wrong; ``starts`` are inputs to begin with, beside the corpus.

    ``merges`` is false where an input takes so long that of the corpus only findings are kept.
    """

    check: Callable[[bytes], None]
    mutate: Mutator
    starts: Callable[[], list[bytes]]
    size_max_bytes: int = 4096
    merges: bool = True


@cache
def _cases() -> dict[str, list[dict[str, Any]]]:
    return {
        path.stem: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for path in (*(_TESTS / "cases").glob("*.jsonl"),)
    }


@cache
def _bodies() -> list[bytes]:
    return [_body(case) for cases in _cases().values() for case in cases]


def _body(case: dict[str, Any]) -> bytes:
    if "body_b64" in case:
        return base64.b64decode(case["body_b64"])
    frames = case.get("frames") or [case.get("frame")]
    return case["body"].encode() if "body" in case else b"".join(framed(_counted(frame)) for frame in frames)


def _counted(frame: dict[str, str]) -> bytes:
    stamp, host = frame.get("timestamp", "2026-11-23T13:15:33.512345+00:00"), frame.get("host", "host")
    return f"<190>1 {stamp} {host} {frame['app']} {frame['proc']} - {frame['message']}".encode()


def _frames(*kinds: str) -> list[dict[str, str]]:
    cases = [case for kind in kinds or _cases() for case in _cases()[kind]]
    return [frame for case in cases for frame in case.get("frames") or ([case["frame"]] if "frame" in case else [])]


def _messages(*kinds: str) -> list[bytes]:
    return [frame["message"].encode() for frame in _frames(*kinds)]


def _several(samples: list[bytes], joint: bytes = SEPARATOR) -> list[bytes]:
    """Each sample alone, and neighbours together."""
    return [*samples, *(joint.join(samples[place : place + 4]) for place in range(0, len(samples), 4))]


def _headers() -> list[bytes]:
    return [_counted(frame).partition(b" ")[2] for frame in _frames()][::8]


def _imported(form: str) -> list[bytes]:
    lines = (_TESTS / "imported" / f"{form}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["line"].encode() for line in lines]


def _saved() -> list[bytes]:
    return [
        f"2026-11-23T13:15:33.512345+00:00 {frame['app']}[{frame['proc']}]: {frame['message']}".encode()
        for frame in _frames()
    ][::6]


def _entries() -> list[bytes]:
    delivery = Delivery("shop", b"".join(_bodies()[::6]), deliveries.RECEIVED_AT_US, frame_id="f")
    numbers = {name: number for number, name in enumerate(entries.NAMES)}
    return [bytes([numbers[entry.table]]) + entry.payload for entry in batch.prepare([delivery]).entries]


def _packed() -> list[bytes]:
    return [gzip.compress(body, mtime=0) for body in (b"", *_bodies()[::90], b"a" * (1 << 20), b"a" * (1 << 20) + b"b")]


def _records(kind: str) -> Target:
    samples = _messages(kind)
    return Target(partial(deliveries.messages, kind), mutating.lists(samples), lambda: _several(samples))


def _lines(check: Callable[[bytes], None], samples: list[bytes], joint: bytes, size_max_bytes: int = 4096) -> Target:
    return Target(check, mutating.lists(samples, joint), lambda: _several(samples, joint), size_max_bytes)


def _table() -> dict[str, Target]:
    slow = [SEPARATOR.join(each) for each in SLOW]
    return {
        "framing": Target(deliveries.split, mutating.bodies(_bodies()), lambda: _several(_bodies()[::5])),
        "header": _lines(deliveries.header, _headers(), SEPARATOR),
        "body": Target(deliveries.body, mutating.bodies(_bodies()), lambda: _several(_bodies()[::5])),
        **{kind: _records(kind) for kind in deliveries.SENDERS},
        "elb": _lines(files.elb, _imported("elb"), b"\n"),
        "access_file": _lines(files.access, [*_imported("access"), *_messages("access")[::3]], b"\n"),
        "saved_logs": _lines(files.saved, _saved(), b"\n"),
        "redaction": _lines(fields.redacted, _messages("redaction"), SEPARATOR, 2048),
        "key_values": _lines(fields.key_values, _messages("router"), SEPARATOR, 2048),
        "times": _lines(fields.times, [*STAMPS], SEPARATOR, 512),
        "gzip": Target(requests.inflated, mutating.packed, _packed, 8192),
        "authorization": Target(requests.authorized, mutating.credentials, lambda: [*AUTHORIZATIONS], 512),
        "settings": _lines(settings_texts.setting, [*SETTINGS], b"\n", 256),
        "entry": Target(entries.entry, mutating.entries, _entries, 16_384),
        "long_lines": Target(slowness.long_lines, mutating.lists(_messages()[::4]), lambda: slow, 1024, merges=False),
        "many_lines": Target(
            slowness.many_lines,
            mutating.lists(_messages()[::4]),
            lambda: _several(_messages()[::16]),
            2048,
            merges=False,
        ),
    }


TARGETS: Final = _table()
