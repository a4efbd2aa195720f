"""Octet-counted frames and the deliveries made of them, exactly as Logplex posts them.

A frame is ``<count> <PRI>1 TIMESTAMP host APP PROCESS - MESSAGE``; frames follow each other without any
separator, so a message may hold a newline or end without one.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

TARGET_BYTES: Final = 102_400  # Logplex's http_drain_target_bytes; one larger message still goes out alone
COUNT_DIGITS_MAX: Final = 7


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST to make: its Logplex-Frame-Id, how many messages it holds, and its body."""

    frame_id: str
    messages: int
    body: bytes


def counted(message: bytes) -> bytes:
    """The syslog message (from ``<PRI>`` on) as a frame: its octet count and a blank in front."""
    return b"%d %b" % (len(message), message)


def frame(pri: int, timestamp: str, app: str, process: str, message: bytes) -> bytes:
    """A whole frame; ``timestamp`` is ISO 8601 text as it shall appear, ``message`` is sent untouched."""
    return counted(f"<{pri}>1 {timestamp} host {app} {process} - ".encode() + message)


def l10(dropped: int, since: datetime, at: datetime) -> bytes:
    """Logplex's notice that ``dropped`` messages were lost; it has no final newline, as the real one."""
    begun, told = (f"{moment:%Y-%m-%dT%H:%M:%S.%f}+00:00" for moment in (since, at))
    text = f"Error L10 (output buffer overflow): {dropped} messages dropped since {begun}."
    return frame(172, told, "heroku", "logplex", text.encode())


def split(body: bytes) -> list[bytes]:
    """Cuts a well-formed body into its frames. ValueError where a count is missing or does not fit."""
    frames, start = [], 0
    while start < len(body):
        blank = body.find(b" ", start, start + COUNT_DIGITS_MAX + 1)
        if blank < 0 or not body[start:blank].isdigit():
            raise ValueError(f"no octet count at byte {start} of the body; send whole frames")
        end = blank + 1 + int(body[start:blank])
        if end > len(body):
            raise ValueError(f"the frame at byte {start} is longer than the body; send whole frames")
        frames.append(body[start:end])
        start = end
    return frames


def pack(frames: Iterable[bytes], target_bytes: int = TARGET_BYTES) -> Iterator[tuple[int, bytes]]:
    """Gathers frames into bodies up to ``target_bytes`` (a larger frame goes alone): (messages, body)."""
    held: list[bytes] = []
    size = 0
    for one in frames:
        if size + len(one) > target_bytes and held:
            yield len(held), b"".join(held)
            held, size = [], 0
        held.append(one)
        size += len(one)
    if held:
        yield len(held), b"".join(held)


def frame_ids(origin: str) -> Iterator[str]:
    """Endless Logplex-Frame-Ids, 32 upper-case hex digits, the same sequence for the same ``origin``."""
    for number in itertools.count():
        yield hashlib.md5(f"{origin}/{number}".encode(), usedforsecurity=False).hexdigest().upper()


def drain_token(origin: str) -> str:
    """A drain token ``d.<uuid>``, the same for the same ``origin``."""
    text = hashlib.md5(origin.encode(), usedforsecurity=False).hexdigest()
    return f"d.{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def headers(host: str, authorization: str | None, token: str, delivery: Delivery) -> list[tuple[str, str]]:
    """The request headers in Logplex's own order; ``authorization`` only when the drain URL has user-info."""
    basic = [("Authorization", authorization)] if authorization else []
    return [
        ("Host", host),
        *basic,
        ("Content-Type", "application/logplex-1"),
        ("Logplex-Msg-Count", str(delivery.messages)),
        ("Logplex-Frame-Id", delivery.frame_id),
        ("Logplex-Drain-Token", token),
        ("User-Agent", "Logplex/v72"),
        ("Content-Length", str(len(delivery.body))),
    ]
