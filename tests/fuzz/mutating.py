"""Mutators that know the structure: bodies of frames with right and wrong counts, messages, files, packed bytes.

Each takes the input, a source of chance and libFuzzer's own mutator of bytes, and gives the next input. Without
structure a fuzzer hardly gets past the octet count of the first frame, or the checksum of a packed body.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tests.fuzz.inputs import SEPARATOR
from tests.ingest.reference import framing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    Bytes = Callable[[bytes], bytes]
    Mutator = Callable[[bytes, Random, Bytes], bytes]

PIECES: Final = (
    b'"', b"=", b" ", b"  ", b"\n", b"\r\n", b"\\", b'\\"', b"'", b"`", b",", b", ", b";", b"?", b"&", b"#", b"@",
    b":", b"-", b"--", b"- ", b".", b"[", b"]", b"(", b")", b"<1>1 ", b"\0", b"\xff", b"\xc3\xa9", b"\xc3",
    b"\xe2\x84\xaa", b"\xc5\xbf", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"0", b"9", b"1" * 19, b"9" * 310, b"-1",
    b"1e308", b"1.5", b"ms", b"%", b"?token=abc", b"&auth=x", b"author=", b"authorization=", b"x://u:p@h", b"session",
    b"key=", b" password=", b"'x y'", b"Bearer abc", b" --token ", b"Starting process with command ",
    b'" host=x request_id=y ', b' path="/', b' fwd="', b'" dyno=', b" host=", b" at=", b"at=info ", b"code=H12",
    b"connect=1ms", b"service=", b"status=200", b"bytes=", b"tls=true", b"sock=client", b'desc="a b"', b"method=GET",
    b"protocol=http1.1", b"sample#a-b=1.5kB", b" measure#x=", b"count#", b"source=", b"sample#load_avg_1m=",
    b"sample#tmp_disk_used=1GB", b" in /a.php on line 3", b" in /a:4", b" in ", b" on line ", b"PHP message: ",
    b"PHP Warning:  ", b"PHP Fatal error: ", b"Stack trace:", b"#0 /", b"  thrown in ", b'" while reading ',
    b'FastCGI sent in stderr: "PHP message: ', b"[23-Nov-2026 13:15:33 UTC] ", b"[23-Nov-2026 13:15:33] ",
    b"WARNING: [pool www] ", b" script '", b"' (request: \"", b'") executing', b"(3.0 sec)",
    b"2026/11/23 13:15:47 [error] 1#1: ", b', request: "', b", client: ", b', referrer: "', b"AH01071: Got error '",
    b"[client ", b"Allowed memory size of ", b" bytes exhausted", b"\\n", b"; ",
    b"[Mon Nov 23 13:15:33.123456 2026] ", b"nginx_access v=1 ", b"\\x22", b"\\u0022", b"\\ud800", b"\\x3f",
    b" HTTP/1.1", b"GET /", b"[23/Nov/2026:13:15:47 +0000]", b"ts=1.5", b'ua="', b"request_time=0.1, 0.2 : -",
    b'xff="1.1.1.1, 2.2.2.2"', b"gzip_ratio=", b"upstream_time=",
    b"Error L10 (output buffer overflow): 13 messages dropped", b"Error R14 (Memory quota exceeded)",
    b"Process exited with status ", b"State changed from up to down", b"Process running mem=903M(176.1%)", b"L10 -> ",
    b" messages", b"Release v9 created by user a@b.c", b" by ", b"Rollback to v", b"Set A config vars", b"Add ",
    b"Deploy ", b"2026-11-23T13:15:33.512345+00:00", b"Z", b"Z+00:00", b"-23:59", b"0001-01-01T00:00:00",
    b"9999-12-31T23:59:59", b"d.x", b"host", b"app", b"heroku", b"web.1", b"router", b"logplex", b"log-shuttle",
    b"api", b"app[web.1]: ", b"heroku[router]: ", b"\x1b[31m", b"https://h:443/",
    b"https 2020-01-01T00:00:00.000000Z ", b' "x" - - ', b"TLSv1.2", b"arn:aws", b"- - - ", b"83 <40>1 ",
    b"9999999 <1>1 ", b"00007 <1>1 ", b"0 <1>1 ",
)  # fmt: skip


def insert(data: bytes, rng: Random, pieces: Sequence[bytes] = PIECES) -> bytes:
    """The bytes with a piece put in, or in place of a few bytes; sometimes many times."""
    place = rng.randint(0, len(data))
    piece = rng.choice(pieces) * (1 if rng.random() < 0.95 else rng.choice((2, 3, 64)))
    return data[:place] + piece + data[place + (rng.randint(0, 6) if rng.random() < 0.4 else 0) :]


def move(data: bytes, rng: Random) -> bytes:
    """The bytes with a stretch dropped, doubled, or put elsewhere, cut at blanks and quotes where there are any."""
    marks = [place for place, octet in enumerate(data) if octet in b' "=,:[]\n'] or [*range(len(data) + 1)]
    low, high = sorted((rng.choice(marks), rng.choice(marks)))
    stretch, way = data[low:high], rng.randrange(4)
    if way == 0:
        return data[:low] + data[high:]
    if way == 1:
        return data[:high] + stretch + data[high:]
    rest = data if way == 2 else data[:low] + data[high:]
    place = rng.choice(marks) if rng.random() < 0.7 else rng.randint(0, len(rest))
    return rest[:place] + stretch + rest[place:]


def text(data: bytes, rng: Random, spare: Bytes) -> bytes:
    """A line with one to three changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        way = rng.random()
        data = insert(data, rng) if way < 0.45 else move(data, rng) if way < 0.75 else spare(data)
    return data


def lists(samples: Sequence[bytes], joint: bytes = SEPARATOR) -> Mutator:
    """A mutator of several lines: one is changed, or lines are doubled, dropped, swapped or taken from the samples."""

    def mutate(data: bytes, rng: Random, spare: Bytes) -> bytes:
        some = data.split(joint)
        place, way = rng.randrange(len(some)), rng.random()
        if way < 0.7:
            some[place] = text(some[place], rng, spare)
        elif way < 0.8:
            some[place] = rng.choice(samples)
        elif way < 0.88:
            some.insert(rng.randrange(len(some) + 1), rng.choice((some[place], rng.choice(samples))))
        elif way < 0.94 and len(some) > 1:
            del some[place]
        else:
            rng.shuffle(some)
        return joint.join(some)

    return mutate


def bodies(samples: Sequence[bytes]) -> Mutator:
    """A mutator of bodies: frames change inside and get a right count again, most of the time."""

    def mutate(data: bytes, rng: Random, spare: Bytes) -> bytes:
        some = data.split(SEPARATOR)
        place, way = rng.randrange(len(some)), rng.random()
        if way < 0.1:
            some[place] = spare(some[place])
        elif way < 0.2:
            some[place] = text(some[place], rng, spare)
        elif way < 0.25:
            some.insert(place, rng.choice(samples))
        elif way < 0.3 and len(some) > 1:
            del some[place]
        elif way < 0.35:
            some[place] = some[place][: rng.randint(0, len(some[place]))]
        else:
            some[place] = _frames(some[place], rng, spare, samples)
        return SEPARATOR.join(some)

    return mutate


def _frames(body: bytes, rng: Random, spare: Bytes, samples: Sequence[bytes]) -> bytes:
    pieces = framing.split(body) or framing.split(rng.choice(samples))
    changed, way = rng.randrange(len(pieces)), rng.random()
    octets = [piece.raw for piece in pieces]
    counted = pieces[changed].counted
    if way < 0.6 and counted:
        octets[changed] = _counted(text(counted, rng, spare), rng)
    elif way < 0.7:
        octets.insert(changed, rng.choice(samples))
    elif way < 0.8 and len(octets) > 1:
        del octets[changed]
    elif way < 0.9:
        octets.insert(rng.randrange(len(octets)), octets[changed])
    else:
        octets.insert(changed, rng.choice((b"\n", b"1", b"123", b" ", b"junk", b"5 <1>1 ", b"0 ", b"<190>1 ")))
    return b"".join(octets)


def _counted(counted: bytes, rng: Random) -> bytes:
    size, way = len(counted), rng.random()
    if way < 0.12:
        size += rng.choice((-20, -7, -2, -1, 1, 2, 9, 100, 10_000))
    zeros = b"0" * rng.choice((1, 3, 6)) if way > 0.95 else b""
    return zeros + b"%d %b" % (max(size, 0), counted)


def packed(data: bytes, rng: Random, spare: Bytes) -> bytes:
    """gzip files: other contents, levels, several members, bytes behind them, damage."""
    way = rng.random()
    try:
        content = zlib.decompressobj(31).decompress(data, 1 << 16)
    except zlib.error:
        content = data
    if way < 0.3:
        return spare(data)
    if way < 0.5:
        content = spare(content)
    elif way < 0.6:
        content = content * rng.choice((2, 50, 400, 4000))
    member = gzip.compress(content[: 2 << 20], rng.choice((0, 1, 9)), mtime=0)
    if way > 0.9:
        return data + member
    if way > 0.8:
        return member + rng.choice((b"\0" * 9, b"x", b"\x1f\x8b", member[: rng.randint(0, len(member))]))
    return member[: rng.randint(0, len(member))] if way > 0.7 else member


def entries(data: bytes, rng: Random, spare: Bytes) -> bytes:
    """Entries of the log: the table, the compressed bytes, or the Arrow stream within them change."""
    table, payload, way = data[:1], data[1:], rng.random()
    if way < 0.1:
        return bytes([rng.randrange(256)]) + payload
    if way < 0.3:
        return table + spare(payload)
    try:
        with pa.CompressedInputStream(pa.BufferReader(payload), "zstd") as stream:
            octets = bytearray(stream.read(1 << 16))
    except (OSError, MemoryError, pa.ArrowException):
        return table + spare(payload)
    if way < 0.5:
        octets = bytearray(spare(bytes(octets)))
    for _ in range(rng.choice((1, 1, 2, 4)) if octets else 0):
        place = rng.randrange(len(octets))
        octets[place : place + 1] = rng.choice((b"\0", b"\x01", b"\xff", b"\x7f", bytes([rng.randrange(256)])))
    return table + pa.Codec("zstd", 1).compress(bytes(octets), asbytes=True)


def credentials(data: bytes, rng: Random, spare: Bytes) -> bytes:
    """Headers of authorization: what is encoded changes, or the encoding does."""
    scheme, blank, encoded = data.partition(b" ")
    way = rng.random()
    if way < 0.25:
        return spare(data)
    if way < 0.4:
        return insert(data, rng, (b"=", b" ", b"\xe9", b"basic", b"Bearer ", b"\t", b"-", b"_", b":"))
    try:
        plain = base64.b64decode(encoded)
    except (binascii.Error, ValueError):
        plain = b"shop:a-secret-of-the-shop"
    plain = insert(plain, rng, (b":", b"\0", b"\xff", b"shop", b"\xc3\xa9", b"")) if way < 0.7 else spare(plain)
    return scheme + (blank or b" ") + base64.b64encode(plain)
