"""What makes a request's head unacceptable, beyond what the parser refuses by itself.

Two parties that read the ends of one request differently let a stranger slip a request into another's connection.
The parser (llhttp in its strict mode) refuses two lengths, a length beside a transfer encoding, folded lines, bare
line feeds, control characters and bad chunk sizes. Closed here: other transfer encodings than ``chunked``, versions
and forms of the target that nobody needs, bodies where none belongs, a missing or second host. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER_MAX_BYTES: Final = 16 << 10
HEADER_LINES_MAX: Final = 64

_METHODS: Final = frozenset({b"GET", b"HEAD", b"POST"})
_ONCE: Final = (b"host", b"content-length", b"transfer-encoding", b"authorization")
_STATUS: Final = {"header_size": 431, "version": 505, "method": 405}


def status(defect: str) -> int:
    """What a defect is answered with."""
    return _STATUS.get(defect, 400)


def defect(method: bytes, version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The reason to refuse a head, or None. Header names are in lower case; reasons are few and fixed."""
    if version not in {"1.1", "1.0"}:
        return "version"
    if method not in _METHODS:
        return "method"
    if not target.startswith(b"/") or b"#" in target:
        return "target"
    names = [name for name, _ in headers]
    if any(names.count(name) > 1 for name in _ONCE) or (version == "1.1" and b"host" not in names):
        return "header"
    return _body_defect(method, version, headers)


def _body_defect(method: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"transfer-encoding" and (version == "1.0" or value.strip().lower() != b"chunked"):
            return "transfer_encoding"
        if name in {b"transfer-encoding", b"content-length"} and method != b"POST" and value.strip(b"0 \t"):
            return "body"
    return None
