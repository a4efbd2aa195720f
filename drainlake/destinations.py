"""Where reports and alarms go: the text of ``DRAINLAKE_NOTIFY``, parsed without the library that sends.

Entries are separated by whitespace, or by commas before the next address. Each is a notification URL of apprise, an
``https://`` webhook, a folder, or an ``.html`` file that the newest report replaces; ``reports=`` or ``alarms=`` before
it sends only these there. An address is a secret as a whole (tokens stand in paths), so a destination goes by a name:
its scheme, numbered where there are several of one. The name is all that the ledger, logs and messages know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from drainlake.values import Secret, path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROLES: Final = ("reports", "alarms")
ENTRIES_MAX: Final = 20
TEXT_MAX_CHARS: Final = 20_000
_START: Final = r"(?:(?:reports|alarms)=)?(?:[A-Za-z][A-Za-z0-9+.-]*://|~?/|\./)"
_BETWEEN: Final = re.compile(rf"\s+|,\s*(?={_START})")
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\S+)")
_RECIPIENTS: Final = re.compile(r"(?<=[?&]to=)[^&]*")


@dataclass(frozen=True)
class Destination:
    """One place, with the roles it has: an address (``url``), or a folder or ``.html`` file (``path``)."""

    name: str
    roles: frozenset[str]
    url: Secret | None = None
    path: Path | None = None


def parse(text: str) -> tuple[Destination, ...]:
    """The destinations in a text; raises ValueError with half a sentence that quotes nothing of it."""
    if len(text) > TEXT_MAX_CHARS:
        raise ValueError(f"has more than {TEXT_MAX_CHARS:,} characters")
    entries = [entry for number, part in enumerate(_parts(text), 1) for entry in _entries(part, number)]
    if not 0 < len(entries) <= ENTRIES_MAX:
        raise ValueError(f"must have from 1 to {ENTRIES_MAX} addresses")
    count: dict[str, int] = {}
    named = []
    for name, roles, address in entries:
        count[name] = count.get(name, 0) + 1
        own = name if count[name] == 1 else f"{name}-{count[name]}"
        url, place = (address, None) if isinstance(address, Secret) else (None, address)
        named.append(Destination(own, roles, url, place))
    return tuple(named)


def _parts(text: str) -> list[str]:
    return [part.rstrip(",") for part in _BETWEEN.split(text.strip()) if part.strip(",")]


def _entries(part: str, number: int) -> Iterator[tuple[str, frozenset[str], Secret | Path]]:
    """Name, roles and address of an entry. A mail to several is one for each: one refused would double the others."""
    role, separator, address = part.partition("=")
    is_role = bool(separator) and role in ROLES
    roles = frozenset({role} if is_role else ROLES)
    address = address if is_role else part
    match = _URL.fullmatch(address)
    if match is None or match[1].lower() == "file":
        yield _file(address if match is None else match[0], roles, number, is_role=is_role)
        return
    scheme = match[1].lower()
    for each in _single_recipients(scheme, address):
        yield scheme, roles, Secret(each)


def _single_recipients(scheme: str, address: str) -> list[str]:
    found = _RECIPIENTS.search(address) if scheme in {"mailto", "mailtos"} else None
    if found is None:
        return [address]
    each = [part for part in re.split(r",|%2C", found[0], flags=re.IGNORECASE) if part]
    return [address[: found.start()] + part + address[found.end() :] for part in each] or [address]


def _file(
    address: str, roles: frozenset[str], number: int, *, is_role: bool
) -> tuple[str, frozenset[str], Secret | Path]:
    url = urlsplit(address)
    text = unquote(url.path) if url.scheme else address
    if url.netloc not in {"", "localhost"} or not re.match(r"~?/|\./", text):
        raise ValueError(f"must be addresses such as mailto://… slack://… https://… /folder; entry {number} is not")
    place = path(text)
    if place.suffix == ".html":
        if is_role and "alarms" in roles:
            raise ValueError(f"entry {number} is an .html file, which takes reports only")
        return "file", frozenset({"reports"}), place
    if place.suffix and not place.is_dir():
        raise ValueError(f"entry {number} must be a folder or an .html file")
    return "folder", roles, place
