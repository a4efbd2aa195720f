"""Finds IP addresses in text, in every spelling, and hashes them under a key. Pure.

The hash of an address is HMAC-SHA256 of its one canonical spelling, cut to 128 bits and written ``ip-`` and 26 letters
and digits (base 32). So an address has the same hash wherever and however it is written, nobody can tell it without
the key, and whoever has the key can compute it with any tool.

Canonical is dotted decimal without leading zeros for IPv4, also where it is mapped into IPv6 (``::ffff:1.2.3.4``), and
the short lower-case form of RFC 5952 for IPv6. Ports and brackets stay beside the hash. Addresses that stand for no
one (:data:`NOBODY`) stay as they are: they say which service on the same host did not answer.

What is an address in free text cannot always be told. Chosen here:

* Four numbers of 0 to 255 between dots are one, a fifth beside them makes a version. ``v1.2.3.4`` and a product with
  its version as in a user agent (``Chrome/120.0.0.0``) are versions, unless a port follows.
* IPv6 must begin as the blocks in use do (2000::/3, fc00::/7, fe80::/10, mapped or translated IPv4): else times and
  names such as ``Db::add`` would be taken for addresses. Percent-encoded colons count as colons.
* Host names made of addresses (``ec2-203-0-113-7.example.com``) are not found.
"""

from __future__ import annotations

import base64
import hmac
import re
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HASH_BYTES: Final = 16
PREFIX: Final = "ip-"
NOBODY: Final = frozenset({"127.0.0.1", "0.0.0.0", "::1", "::"})  # noqa: S104 - nothing is bound to
_OCTET_MAX: Final = 255
_GROUPS_MIN: Final = 2
_GROUPS_SURE: Final = 3  # where a word runs on: `2024::added` is the end of a name

# What begins an IPv6 address: the first group of a block in use, or what stands before a mapped or translated IPv4.
_BLOCK: Final = "(?:[23][0-9a-f]{3}|f[cd][0-9a-f]{2}|fe[89ab][0-9a-f])"
_BEFORE_FOUR: Final = "(?:(?:0{1,4}:){5}ffff|::ffff|(?:00)?64:ff9b)"
_COLON: Final = "(?::|%3a)"
_GROUP: Final = f"(?:{_COLON}[0-9a-f]{{1,4}})"
_QUAD: Final = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
# For the regular expressions of polars, which know no look-around: it lets some texts without an address through.
SIEVE: Final = rf"(?i){_QUAD}|{_BLOCK}(?:{_GROUP}{{0,6}}{_COLON}{{2}}|{_GROUP}{{7}})|{_BEFORE_FOUR}{_COLON}"

# The bytes of a percent escape, or the letter of an escaped line end, are not a part of the address behind them.
_AFTER_ESCAPE: Final = r"(?<=%[0-9a-f]{2})|(?<=\\[nrt])"
_NOT_IN_ESCAPE: Final = r"(?!(?<=%)[0-9a-f]{2})(?<!%[0-9a-f])"
_IN_TEXT: Final = re.compile(
    rf"(?:(?<![0-9a-z_]){_NOT_IN_ESCAPE}|{_AFTER_ESCAPE})"
    rf"(?P<six>(?:{_BLOCK}|{_BEFORE_FOUR})(?:{_COLON}[0-9a-f]{{0,4}}){{1,8}}(?:\.[0-9]{{1,3}}){{0,3}})"
    rf"|(?:(?<![0-9])(?<![0-9]\.){_NOT_IN_ESCAPE}|{_AFTER_ESCAPE})(?P<four>{_QUAD})(?![0-9])(?!\.[0-9])",
    re.IGNORECASE,
)
_VERSION_BEFORE: Final = re.compile(r"(?:(?:^|[^A-Za-z0-9])[vV]|(?:^|[\s\"'(;,])[A-Za-z][A-Za-z0-9_-]*/)\Z")
_VERSION_LOOK_BACK: Final = 64
_PORT_BEHIND: Final = re.compile(r":[0-9]")
_WORD: Final = re.compile(r"[0-9A-Za-z_]")
_ENTRY: Final = re.compile(r"[^,\s](?:[^,]*[^,\s])?")
_FOUR: Final = re.compile(_QUAD)
_ALONE: Final = re.compile(rf"(\[?)({_QUAD}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)(?:%[^\]\s]*)?(\]?)(:[0-9]{{1,5}})?")


class Hasher:
    """Hashes addresses under one key; each text is worked on once. For a bounded number of rows, then thrown away."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, str] = {}

    def token(self, text: str) -> str:
        """The hash of an address, in any spelling, or of any other text."""
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._hash(canonical(text) or text)
        return found

    def entries(self, text: str) -> str:
        """A list of addresses between commas, each entry hashed, also one that is no address: it can hold anything."""
        return _ENTRY.sub(lambda match: self._entry(match[0]), text)

    def in_text(self, text: str) -> str:
        """Free text, the addresses in it hashed."""
        return _IN_TEXT.sub(lambda match: _replaced(match, self.token), text)

    def _entry(self, entry: str) -> str:
        match = _ALONE.fullmatch(entry)
        address = canonical(match[2]) if match and bool(match[1]) == bool(match[3]) else None
        if match is None or address is None:
            return self.token(entry)
        return f"{match[1]}{self.token(address)}{match[3]}{match[4] or ''}"

    def _hash(self, text: str) -> str:
        if text in NOBODY:
            return text
        digest = hmac.digest(self._key, text.encode(), "sha256")[:HASH_BYTES]
        return PREFIX + base64.b32encode(digest).decode().rstrip("=").lower()


def canonical(text: str) -> str | None:
    """The one spelling of an address, or None if the text is none. A zone (``%eth0``) is no part of it."""
    if ":" not in text:
        parts = text.split(".")
        if not _FOUR.fullmatch(text) or max(map(int, parts)) > _OCTET_MAX:
            return None
        return ".".join(str(int(part)) for part in parts)
    try:
        address = IPv6Address(text.partition("%")[0])
    except AddressValueError:
        return None
    return str(address.ipv4_mapped or address)


def found_in(text: str) -> set[str]:
    """The canonical addresses that a free text holds."""
    found: set[str] = set()

    def note(spelling: str) -> str:
        found.add(canonical(spelling) or spelling)
        return spelling

    _IN_TEXT.sub(lambda match: _replaced(match, note), text)
    return found


def listed_in(text: str) -> set[str]:
    """The canonical addresses of a list between commas."""
    alone = (_ALONE.fullmatch(entry[0]) for entry in _ENTRY.finditer(text))
    return {address for match in alone if match and (address := canonical(match[2]))}


def _replaced(match: re.Match[str], token: Callable[[str], str]) -> str:
    if match["four"]:
        is_address = canonical(match["four"]) is not None and not _is_version(match)
        return token(match["four"]) if is_address else match[0]
    spelling, written = _six(match), match["six"]
    if spelling is None:
        head = re.match(rf".*?{_COLON}", written, re.IGNORECASE)
        end = head.end() if head else len(written)
        return written[:end] + _in_rest(written[end:], token)
    # What was left over of the match, such as a port or a colon that ends a clause, stands behind the hash.
    return token(spelling) + _in_rest(_plain(written)[len(spelling) :], token)


def _in_rest(rest: str, token: Callable[[str], str]) -> str:
    """What stands behind in a match can hold an address of its own; each time less is left."""
    return _IN_TEXT.sub(lambda match: _replaced(match, token), rest)


def _plain(text: str) -> str:
    return text.replace("%3a", ":").replace("%3A", ":")


def _six(match: re.Match[str]) -> str | None:
    """The IPv6 address that a match begins with: a port without brackets or a word may have been taken for groups."""
    text = _plain(match["six"])
    groups_min = _GROUPS_SURE if _WORD.match(match.string, match.end()) else _GROUPS_MIN
    while text.count(":") > 1:
        if canonical(text) and len([part for part in text.split(":") if part]) >= groups_min:
            return text
        text = _shorter(text)
    return None


def _shorter(text: str) -> str:
    """The text without what may not belong to it any more: a dotted end, a colon at the end, the last group."""
    if "." in text:
        return text.partition(".")[0]
    return text[:-1] if text.endswith(":") else text.rpartition(":")[0]


def _is_version(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - _VERSION_LOOK_BACK) : match.start()]
    return bool(_VERSION_BEFORE.search(before)) and not _PORT_BEHIND.match(match.string, match.end())
