"""Finds IP addresses in text, in every spelling, and hashes them under a key. Pure.

The hash of an address is HMAC-SHA256 of its one canonical spelling, cut to 128 bits and written ``ip-`` and 32
hexadecimal digits. So an address has the same hash wherever and however it is written, nobody can tell it without
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

import hmac
import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address
from typing import Final

Token = Callable[[str], str | None]

HASH_BYTES: Final = 16
PREFIX: Final = "ip-"
KNOWN_MAX: Final = 50_000  # some 15 MB
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
# For the regular expressions of polars, which know no look-around: they let some texts without an address through.
SIX_SIEVE: Final = rf"(?i){_BLOCK}(?:{_GROUP}{{0,6}}{_COLON}{{2}}|{_GROUP}{{7}})|{_BEFORE_FOUR}{_COLON}"
SIEVE: Final = f"{SIX_SIEVE}|{_QUAD}"

_SIX: Final = re.compile(
    # The bytes of a percent escape, or the letter of an escaped line end, are not a part of the address behind them.
    r"(?:(?<![0-9a-z_])(?!(?<=%)[0-9a-f]{2})(?<!%[0-9a-f])|(?<=%[0-9a-f]{2})|(?<=\\[nrt]))"
    rf"((?:{_BLOCK}|{_BEFORE_FOUR})(?:{_COLON}[0-9a-f]{{0,4}}){{1,8}}(?:\.[0-9]{{1,3}}){{0,3}})",
    re.IGNORECASE,
)
# It begins with a class of characters, which the engine looks for quickly; what stands before is looked at afterwards.
_FOUR: Final = re.compile(rf"{_QUAD}(?![0-9])(?!\.[0-9])")
_NUMBER_BEFORE: Final = re.compile(r"[0-9]\.?\Z")
_ESCAPE_BEFORE: Final = re.compile(r"%[0-9a-fA-F]{0,2}\Z")
_NEEDS_LOOK: Final = frozenset("0123456789.%abcdefABCDEFvV/")
_PLAIN_FOUR: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}")
_VERSION_BEFORE: Final = re.compile(
    r"(?:(?:^|[^A-Za-z0-9])[vV]|(?:^|[\s\"'(;,])[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?/)\Z"
)
_LOOK_BACK: Final = 64
_PORT_BEHIND: Final = re.compile(r":[0-9]")
_WORD: Final = re.compile(r"[0-9A-Za-z_]")
_ENTRY: Final = re.compile(r"[^,\s](?:[^,]*[^,\s])?")
_WHOLE_QUAD: Final = re.compile(_QUAD)
_ALONE: Final = re.compile(rf"(\[?)({_QUAD}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)(?:%[^\]\s]*)?(\]?)(:[0-9]{{1,5}})?")


class Hasher:
    """Hashes addresses under one key, and remembers the latest :data:`KNOWN_MAX` texts."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, str | None] = {}
        self._entries: dict[str, str] = {}

    def token(self, text: str) -> str:
        """The hash of an address, in any spelling, or of any other text."""
        return self.address_token(text) or self._hash(text)

    def address_token(self, text: str) -> str | None:
        """The hash of an address, in any spelling; None if the text is none."""
        if text not in self._known:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            address = canonical(text)
            self._known[text] = address and self._hash(address)
        return self._known[text]

    def entries(self, text: str) -> str:
        """A list of addresses between commas, each entry hashed, also one that is no address: it can hold anything."""
        return _ENTRY.sub(lambda match: self._entry(match[0]), text)

    def in_text(self, text: str, *, has_six: bool = True) -> str:
        """Free text, the addresses in it hashed. Without ``has_six`` the caller knows that :data:`SIX_SIEVE` fails."""
        return _in_text(text, self.address_token, has_six=has_six)

    def _entry(self, entry: str) -> str:
        found = self._entries.get(entry)
        if found is None:
            match = _ALONE.fullmatch(entry)
            address = self.address_token(match[2]) if match and bool(match[1]) == bool(match[3]) else None
            found = f"{match[1]}{address}{match[3]}{match[4] or ''}" if match and address else self._hash(entry)
            if len(self._entries) >= KNOWN_MAX:
                self._entries.clear()
            self._entries[entry] = found
        return found

    def _hash(self, text: str) -> str:
        if text in NOBODY:
            return text
        return PREFIX + hmac.digest(self._key, text.encode(), "sha256")[:HASH_BYTES].hex()


def canonical(text: str) -> str | None:
    """The one spelling of an address, or None if the text is none. A zone (``%eth0``) is no part of it."""
    if ":" not in text:
        if _PLAIN_FOUR.fullmatch(text):
            return text
        parts = text.split(".")
        if not _WHOLE_QUAD.fullmatch(text) or max(map(int, parts)) > _OCTET_MAX:
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

    def note(spelling: str) -> str | None:
        address = canonical(spelling)
        found.update([address] if address else [])
        return address and "-"

    _in_text(text, note, has_six=True)
    return found


def listed_in(text: str) -> set[str]:
    """The canonical addresses of a list between commas."""
    alone = (_ALONE.fullmatch(entry[0]) for entry in _ENTRY.finditer(text))
    return {address for match in alone if match and (address := canonical(match[2]))}


def _in_text(text: str, token: Token, *, has_six: bool) -> str:
    before = ""
    while has_six and text != before:  # an address can begin in what one before it left over; each round takes colons
        before, text = text, _in_rest(text, token)
    return _FOUR.sub(lambda match: _four_replaced(match, token), text)


def _four_replaced(match: re.Match[str], token: Token) -> str:
    written, text, start = match[0], match.string, match.start()
    if start and text[start - 1] not in _NEEDS_LOOK:
        return token(written) or written
    before = text[max(0, start - _LOOK_BACK) : start]
    escape = _ESCAPE_BEFORE.search(before[-3:])
    if escape:  # of %2010.1.1.7 the address begins behind the %20
        rest = written[3 - len(escape[0]) :]
        head = written[: -len(rest)] if _WHOLE_QUAD.fullmatch(rest) else ""
        return head + (token(written[len(head) :]) or written[len(head) :])
    is_part = _NUMBER_BEFORE.search(before[-2:]) or _is_version(match, before)
    return written if is_part else token(written) or written


def _is_version(match: re.Match[str], before: str) -> bool:
    may_be = before[-1:] in {"v", "V"} or (before[-1:] == "/" and before[-2:-1].isalnum())
    return may_be and bool(_VERSION_BEFORE.search(before)) and not _PORT_BEHIND.match(match.string, match.end())


def _in_rest(text: str, token: Token) -> str:
    return _SIX.sub(lambda match: _six_replaced(match, token), text)


def _six_replaced(match: re.Match[str], token: Token) -> str:
    spelling, written = _six(match), match[0]
    hashed = token(spelling) if spelling else None
    if spelling and hashed:
        # What was left over of the match, such as a port or a colon that ends a clause, stands behind the hash.
        return hashed + _in_rest(_plain(written)[len(spelling) :], token)
    head = re.match(rf".*?{_COLON}", written, re.IGNORECASE)
    end = head.end() if head else len(written)
    return written[:end] + _in_rest(written[end:], token)


def _plain(text: str) -> str:
    return text.replace("%3a", ":").replace("%3A", ":")


def _six(match: re.Match[str]) -> str | None:
    """The IPv6 address that a match begins with: a port without brackets or a word may have been taken for groups."""
    text = _plain(match[0])
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
