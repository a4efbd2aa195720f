"""One address has one hash, however and wherever it is written, and is nowhere to be read afterwards."""

from __future__ import annotations

import re
import subprocess
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.addresses import NOBODY, SIEVE, SIX_SIEVE, Hasher, canonical, found_in, listed_in

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = b"a key of the tests"
FOUR = "203.0.113.7"
SIX = "2001:db8::1"

# What is written in free text, with {4} and {6} where the address of that kind is hashed.
FOUND = (
    "{4}",
    "client: {4}, server: _",
    "{4}:51234",
    "{4}/24",
    "at {4}. Then",
    "http://{4}:80/x",
    "GET /ip/{4} HTTP/1.1",
    '{"ip":"{4}"}',
    "ip={4}&b=%20{4}",
    "%3D{4}",
    r"a\n{4}",
    "host.example.com/{4}:443",
    "router/{4}:443",
    "ip{4}x",
    "[{6}]:443",
    "{6}: refused",
    "client:{6}",
    "26 Nov 2026:{4}",
    "2026:12:{4}",
    "{6}.443",
    "{6}%eth0",
    "%3D{6}x",
    "{4}, {6}",
    "'{6}'",
)
# What looks like an address and is none.
KEPT = (
    "PHP 8.3.1.2.5 is out",
    "v1.2.3.4 of it",
    "(v1.2.3.4)",
    "Mozilla/5.0 (X11) Chrome/120.0.0.0 Safari/537.36",
    "999.1.1.1",
    "1.2.3",
    "26/Nov/2026:10:00:00 +0000",
    "2026-11-26T10:00:00.123Z 12:34:56",
    "Db::add(1)",
    "Year2026::add1()",
    "2026::added",
    "aa:bb:cc:dd:ee:ff",
    "connect to 127.0.0.1:9000 and [::1]:80",
    "0x7f3c2a1b00",
    "at=2026%3A12%3A31",
)
SPELLINGS = (
    (FOUR, "203.0.113.7"),
    (FOUR, "203.000.113.007"),
    (FOUR, "::ffff:203.0.113.7"),
    (FOUR, "::FFFF:cb00:7107"),
    (FOUR, "0:0:0:0:0:ffff:cb00:7107"),
    (SIX, "2001:db8::1"),
    (SIX, "2001:DB8::1"),
    (SIX, "2001:0db8:0000:0000:0000:0000:0000:0001"),
    (SIX, "2001:db8::0.0.0.1"),
    (SIX, "2001%3Adb8%3a%3A1"),
)
ENTRIES = (
    ("203.0.113.7", "{4}"),
    ("203.0.113.7:80", "{4}:80"),
    ("[2001:db8::1]:80", "[{6}]:80"),
    ("2001:DB8::1%jane", "{6}"),
    (" 203.0.113.7 ,2001:db8::1,, ", " {4} ,{6},, "),
    ("127.0.0.1, ::1", "127.0.0.1, ::1"),
    ("", ""),
)
GARBAGE = ("jane@example.com", "unknown", "[203.0.113.7", "203.0.113.7:port", "1.2.3.4.5", "9" * 6000, "ip-" + "a" * 32)

four = st.integers(0, 2**32 - 1).map(IPv4Address).map(str)
six = st.integers(0, 2**125 - 1).map(lambda number: str(IPv6Address((1 << 125) + number | 1)))
address = st.one_of(four, six).filter(lambda text: text not in NOBODY)
spelling: list[Callable[[str], str]] = [
    str,
    str.upper,
    lambda text: f"::ffff:{text}" if "." in text else IPv6Address(text).exploded,
    lambda text: text.replace(":", "%3A"),
]


@pytest.fixture
def hasher() -> Hasher:
    """Under the key of the tests."""
    return Hasher(KEY)


def filled(text: str, four: str, six: str) -> str:
    """A pattern of the tables above with addresses or hashes put in."""
    return text.replace("{4}", four).replace("{6}", six)


@pytest.mark.parametrize("pattern", FOUND)
def test_addresses_in_text_are_hashed_and_what_is_beside_them_stays(hasher: Hasher, pattern: str) -> None:
    """Ports, brackets, masks and escapes are not the address."""
    text = filled(pattern, FOUR, SIX)
    assert hasher.in_text(text) == filled(pattern, hasher.token(FOUR), hasher.token(SIX))
    assert pl.Series([text]).str.contains(SIEVE).all()


@pytest.mark.parametrize("text", KEPT)
def test_versions_times_and_names_stay(hasher: Hasher, text: str) -> None:
    """A message is still worth something afterwards."""
    assert hasher.in_text(text) == text


@pytest.mark.parametrize(("address", "written"), SPELLINGS)
def test_every_spelling_has_the_same_hash(hasher: Hasher, address: str, written: str) -> None:
    """Else rows of one client would not join."""
    assert hasher.in_text(f"({written})") == f"({hasher.token(address)})"
    assert found_in(f"({written})") == {address}
    assert pl.Series([written]).str.contains(SIEVE).all()


@pytest.mark.parametrize(("entries", "expected"), ENTRIES)
def test_entries_of_a_list_are_hashed_one_by_one(hasher: Hasher, entries: str, expected: str) -> None:
    """The last entry of X-Forwarded-For joins with the column of the client."""
    assert hasher.entries(entries) == filled(expected, hasher.token(FOUR), hasher.token(SIX))


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_entry_that_is_no_address_is_hashed_too(hasher: Hasher, garbage: str) -> None:
    """A client can write anything there, also a name, and also what looks like somebody's hash."""
    entry, last = hasher.entries(f"{garbage}, 203.0.113.7").split(", ")
    assert re.fullmatch("ip-[0-9a-f]{32}", entry)
    assert garbage not in entry
    assert last == hasher.token(FOUR)


def test_the_hash_is_what_any_tool_computes(hasher: Hasher) -> None:
    """Whoever has the key can look for an address without drainlake."""
    command = f"printf %s {FOUR} | openssl dgst -sha256 -hmac '{KEY.decode()}' -r | cut -c 1-32"
    printed = subprocess.run(["sh", "-c", command], capture_output=True, check=True, text=True).stdout
    assert hasher.token(FOUR) == "ip-" + printed.strip()


@given(one=address, other=address, write=st.sampled_from(spelling))
def test_equal_addresses_and_only_they_have_equal_hashes(one: str, other: str, write: Callable[[str], str]) -> None:
    """In a column of addresses and in free text alike."""
    hasher = Hasher(KEY)
    assert (hasher.token(one) == hasher.token(other)) == (one == other)
    text = f"x={write(one)} "
    has_six = bool(pl.Series([text]).str.contains(SIX_SIEVE).all())
    assert hasher.in_text(text, has_six=has_six) == hasher.in_text(text) == f"x={hasher.token(one)} "
    assert hasher.entries(one) == hasher.token(one)
    assert listed_in(one) == {one} == found_in(one)


@given(
    parts=st.lists(
        st.tuples(address, st.sampled_from(spelling[:3]), st.sampled_from(" ,;|\"'()[]{}<>=\n\t&?#!")), min_size=1
    ),
    words=st.text(st.characters(codec="utf-8", exclude_categories=["N"], exclude_characters="abcdefABCDEFvV:.%/\\")),
)
def test_no_address_of_a_text_is_left_in_it(parts: list[tuple[str, Callable[[str], str], str]], words: str) -> None:
    """Whatever stands between them."""
    text = words.join(f"{mark}{write(each)}{mark}" for each, write, mark in parts)
    hashed = Hasher(KEY).in_text(text)
    assert not any(each in hashed or write(each) in hashed for each, write, _ in parts)
    assert not (found_in(hashed) - NOBODY)


pieces = st.sampled_from(
    [*"0123456789afF:.%[]/v,- ", "::", "2001:", "%3A", "fe80", "::ffff:", "1.2.3.4", "64:ff9b", "0:0:"]
)


@given(st.one_of(st.text(), st.lists(pieces, max_size=40).map("".join)))
def test_any_text_can_be_hashed_and_the_sieve_lets_every_address_through(text: str) -> None:
    """Log lines are written by attackers: none may stop the landing, or pass with an address."""
    hasher = Hasher(KEY)
    hasher.entries(text)
    hashed = hasher.in_text(text)
    assert hashed == text or pl.Series([text]).str.contains(SIEVE).all()
    assert found_in(hashed) <= NOBODY


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1..2.3", "a.b.c.d", "²1.2.3.4", ":", "1:2", "g::"]
)
def test_what_is_no_address_has_no_canonical_spelling(text: str) -> None:
    """Not even for what only looks like numbers."""
    assert canonical(text) is None
