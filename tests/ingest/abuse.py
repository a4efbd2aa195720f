"""Requests that no drain sends, as bytes, and the status each has to get; every one also closes the connection.

``AUTH`` stands for good credentials: most of these would be stored if their framing were taken as it is.
"""

from __future__ import annotations

import base64

from tests.ingest.running import SECRET

AUTH = b"Authorization: Basic " + base64.b64encode(f"shop:{SECRET}".encode()) + b"\r\n"
POST = b"POST /logs HTTP/1.1\r\nHost: x\r\n" + AUTH
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

CASES: dict[str, tuple[bytes, int]] = {
    "length and chunked": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked and length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "the same length twice": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "a list of lengths": (POST + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "a signed length": (POST + b"Content-Length: +3\r\n\r\nabc", 400),
    "a negative length": (POST + b"Content-Length: -3\r\n\r\nabc", 400),
    "a hexadecimal length": (POST + b"Content-Length: 0x3\r\n\r\nabc", 400),
    "an empty length": (POST + b"Content-Length: \r\n\r\nabc", 400),
    "a length of 23 digits": (POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc", 400),
    "a blank before the colon": (POST + b"Content-Length : 3\r\n\r\nabc", 400),
    "identity": (POST + b"Transfer-Encoding: identity\r\n\r\nabc", 400),
    "gzip, chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked, gzip": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "xchunked": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked behind a vertical tab": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked in HTTP/1.0": (b"POST /logs HTTP/1.0\r\n" + AUTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk size of letters": (CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk size with 0x": (CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    "a negative chunk size": (CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", 400),
    "a blank behind the chunk size": (CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400),
    "a chunk size that overflows": (CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n", 400),
    "no chunk size": (CHUNKED + b"\r\nabc\r\n0\r\n\r\n", 400),
    "a bare line feed behind the chunk size": (CHUNKED + b"3\nabc\r\n0\r\n\r\n", 400),
    "a chunk longer than it says": (CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", 400),
    "a bare line feed in a chunk extension": (CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n", 400),
    "a length in the trailer": (CHUNKED + b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n", 400),
    "a chunk extension without end": (CHUNKED + b"3;" + b"a" * 600_000, 400),
    "a trailer without end": (CHUNKED + b"0\r\nX: " + b"a" * 600_000, 400),
    "a trailer of many lines": (CHUNKED + b"0\r\n" + b"X: y\r\n" * 100, 400),
    "a folded line": (POST + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", 400),
    "a folded length": (POST + b"Content-Length:\r\n 3\r\n\r\nabc", 400),
    "a blank before the first line": (b"POST /logs HTTP/1.1\r\n Host: x\r\n" + AUTH + b"\r\n", 400),
    "a bare line feed": (POST + b"X: a\nContent-Length: 0\r\n\r\n", 400),
    "bare line feeds only": ((POST + b"Content-Length: 0\r\n\r\n").replace(b"\r\n", b"\n"), 400),
    "a bare carriage return": (POST + b"X: a\rY: b\r\nContent-Length: 0\r\n\r\n", 400),
    "two carriage returns": (POST + b"X: a\r\r\nContent-Length: 0\r\n\r\n", 400),
    "NUL in a value": (POST + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n", 400),
    "NUL in a name": (POST + b"X\x00Y: a\r\nContent-Length: 0\r\n\r\n", 400),
    "a line without colon": (POST + b"Xabc\r\nContent-Length: 0\r\n\r\n", 400),
    "an empty name": (POST + b": abc\r\nContent-Length: 0\r\n\r\n", 400),
    "two hosts": (POST + b"Host: y\r\nContent-Length: 0\r\n\r\n", 400),
    "no host": (b"POST /logs HTTP/1.1\r\n" + AUTH + b"Content-Length: 0\r\n\r\n", 400),
    "two credentials": (POST + AUTH + b"Content-Length: 0\r\n\r\n", 400),
    "a body with GET": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 400),
    "chunks with HEAD": (b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /healthz HTTP/0.9\r\n\r\n", 505),
    "HTTP/2.0": (b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    "HTTP/1.2": (b"GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n", 400),
    "the greeting of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "an unknown method": (b"HACK / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "an upgrade": (POST + b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc", 400),
    "an absolute target": (POST.replace(b"/logs", b"http://evil/logs", 1) + b"Content-Length: 0\r\n\r\n", 400),
    "a star as target": (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a fragment": (b"GET /healthz#a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a target that is not ASCII": (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "NUL in the target": (b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a target of 100 KB": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
    "a target without end": (b"GET /" + b"a" * 100_000, 431),
    "a value of 100 KB": (POST + b"X: " + b"a" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n", 431),
    "a value without end": (POST + b"X: " + b"a" * 100_000, 431),
    "a name without end": (POST + b"a" * 100_000, 431),
    "a thousand lines": (POST + b"X: y\r\n" * 1000 + b"Content-Length: 0\r\n\r\n", 431),
    "empty lines without end": (b"\r\n" * 50_000, 431),
    "garbage": (bytes(range(256)) * 8, 400),
    "TLS where it is not spoken": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400),
    "no credentials, and no body": (b"POST /logs HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 401),
    "no credentials, and an invitation wanted": (
        b"POST /logs HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", 401,
    ),
    "no credentials, and a large body": (
        b"POST /logs HTTP/1.1\r\nHost: x\r\nContent-Length: 120000\r\n\r\n" + bytes(120_000), 401,
    ),
    "no credentials, and a body of bad chunks": (
        b"POST /logs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 401,
    ),
    "a request behind one without credentials": (
        b"POST /logs HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + POST + b"Content-Length: 3\r\n\r\nabc", 401,
    ),
    "a body where no path is": (b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 404),
    "requests sent ahead": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000, 200),
    "a request behind a last one": (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + POST + b"Content-Length: 3\r\n\r\nabc", 200,
    ),
    "HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
}  # fmt: skip
