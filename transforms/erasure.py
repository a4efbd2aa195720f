"""Which rows of the lake hold an address, a request id or a text that is to be erased. Pure.

An address is looked for in every spelling (see ``addresses``); a text, such as the hash of one, without regard to case,
each of its characters as it is or percent-encoded: which ones are, each client decides for itself. A row is found when
one of its text columns holds what is looked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final

import polars as pl

from transforms.addresses import SIX_SIEVE, canonical, found_in, listed_in
from transforms.privacy import ADDRESSES, TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_NEVER: Final = frozenset({"app"})
_ENTRY_SIEVE: Final = f"{SIX_SIEVE}|:.*:"  # a column of addresses also holds those outside the blocks in use


@dataclass(frozen=True)
class Target:
    """What is to be erased: canonical ``addresses``, and ``texts`` such as hashes, request ids and names.

    Only rows of ``app`` and of times from ``since`` to before ``until`` count, where these are given.
    """

    addresses: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    app: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def may_have(self, date: str) -> bool:
        """Whether rows of a UTC day can be meant."""
        after = self.since is None or date >= f"{self.since:%Y-%m-%d}"
        return after and (self.until is None or date <= f"{self.until:%Y-%m-%d}")


def are_meant(table: str, rows: pl.DataFrame, target: Target) -> pl.Series:
    """For each row of a table whether it is to be erased. Columns of text that are not there count as empty."""
    texts = [name for name, dtype in rows.schema.items() if dtype == pl.String and name not in _NEVER]
    found = pl.repeat(value=False, n=rows.height, dtype=pl.Boolean, eager=True)
    for name in texts:
        if target.texts:
            found |= _holds_text(rows[name], target.texts)
        if target.addresses and name in ADDRESSES.get(table, ()):
            found |= _holds_address(rows[name], _ENTRY_SIEVE, listed_in, target.addresses)
        elif target.addresses and name in TEXTS.get(table, ()):
            found |= _holds_address(rows[name], SIX_SIEVE, found_in, target.addresses)
    return found & _is_in_scope(rows, target)


def _is_in_scope(rows: pl.DataFrame, target: Target) -> pl.Series:
    scope = pl.lit(value=True)
    if target.app is not None:
        scope &= pl.col("app") == target.app
    if target.since is not None:
        scope &= pl.col("timestamp") >= target.since
    if target.until is not None:
        scope &= pl.col("timestamp") < target.until
    return rows.select(pl.repeat(value=True, n=pl.len(), dtype=pl.Boolean) & scope.fill_null(value=False)).to_series()


def _holds_text(texts: pl.Series, wanted: frozenset[str]) -> pl.Series:
    pattern = "(?i)" + "|".join("".join(map(_spelled, text)) for text in sorted(wanted))
    return texts.str.contains(pattern).fill_null(value=False)


def _spelled(character: str) -> str:
    """A regular expression for a character in any case, as it is or percent-encoded; a blank also as a plus."""
    cases = {character, character.lower(), character.upper()}
    encoded = ("".join(f"%{octet:02x}" for octet in case.encode(errors="surrogatepass")) for case in sorted(cases))
    plain = sorted(pl.escape_regex(case) for case in cases)
    return f"(?:{'|'.join([*plain, *encoded, *([r'[+]'] if character == ' ' else [])])})"


def _holds_address(
    texts: pl.Series, six_sieve: str, addresses_in: Callable[[str], set[str]], wanted: frozenset[str]
) -> pl.Series:
    """Looks closely only at texts that a sieve in native code lets through."""
    sieve = "|".join([six_sieve, *(_four_sieve(address) for address in wanted if ":" not in address)])
    if all(":" not in address for address in wanted):
        sieve = "(?i)" + "|".join(_four_sieve(address) for address in wanted)
    suspects = texts.str.contains(sieve).fill_null(value=False).arg_true()
    holds = [bool(addresses_in(text) & wanted) for text in texts.gather(suspects)]
    found = pl.repeat(value=False, n=texts.len(), dtype=pl.Boolean, eager=True)
    return found.scatter(suspects, holds) if holds else found


def _four_sieve(address: str) -> str:
    """An IPv4 address in decimal, also with leading zeros, or as the two groups that end its mapped form."""
    high, low = IPv6Address(f"::ffff:{address}").exploded.split(":")[-2:]
    decimal = r"\.".join(f"0*{part}" for part in address.split("."))
    return rf"{decimal}|0*{high.lstrip('0') or '0'}(?::|%3a)0*{low.lstrip('0') or '0'}"


def address_of(text: str) -> str | None:
    """The canonical spelling of an address that a person wrote, brackets allowed; None for what is none."""
    bare = re.fullmatch(r"\s*\[?([0-9A-Fa-f:.]+)(?:%\S*)?\]?\s*", text)
    return canonical(bare[1]) if bare else None
