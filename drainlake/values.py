"""Texts that people write as values: sizes, numbers, durations, instants, names of apps, secrets.

Each function takes a text and gives a value, or raises ValueError with half a sentence that follows the
name and the text ("… must be a size such as 16MiB"). All pure; the present is an argument.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

APP_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_NUMBER_END: Final = 1e15  # beyond it a float is no longer exact to one
KEY_MIN_CHARACTERS: Final = 16
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)(B?)")
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_CREDENTIALS: Final = re.compile(r"(?:(?<=//)|^(?!.*//)).*@", re.DOTALL)
_SPAN_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Secret:
    """A text that never shows itself: ``repr``, ``str`` and formatting hide it, ``reveal()`` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def path(text: str) -> Path:
    """An absolute path; ``~`` is the user's home."""
    return Path(text).expanduser().absolute()


def folder(text: str) -> Path:
    """An absolute path where a folder lies or can be made."""
    place = path(text)
    if _is(Path.is_file, place):
        raise ValueError("must be a folder, and there is a file")
    return place


def file(text: str) -> Path:
    """An absolute path where a file lies or can be made."""
    place = path(text)
    if _is(Path.is_dir, place):
        raise ValueError("must be a file, and there is a folder")
    return place


def _is(kind: Callable[[Path], bool], place: Path) -> bool:
    try:
        return kind(place)
    except OSError:  # who may not look there is told so by whoever uses it
        return False


def pem(text: str) -> str:
    """A PEM text, given itself or as the path of its file; the messages never quote it."""
    if text.startswith("-----BEGIN "):
        return text
    place = Path(text).expanduser()
    if "\n" in text or not place.is_file():
        raise ValueError("must be a PEM text, which begins with -----BEGIN, or the path of its file")
    return place.read_text("utf-8")


def size_bytes(text: str) -> int:
    """Bytes from ``1048576``, ``16MiB`` (1,024 each) or ``10 GB`` (1,000 each)."""
    match = _SIZE.fullmatch(text.strip().upper())
    if match is None or ((match[3] or "." in match[1]) and not match[2]):
        raise ValueError("must be a size such as 16MiB, 10GiB or a number of bytes")
    step = 1024 if match[3] or not match[4] else 1000
    value = int(float(match[1]) * step ** " KMGT".index(match[2] or " "))
    if not 1 <= value < 2**63:
        raise ValueError("must be at least one byte and less than 8 EiB")
    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers within both bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def seconds(text: str) -> float:
    """Seconds from 0.1 to a day."""
    value = float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{0,6})?", text) else math.nan
    if not 0.1 <= value <= 86400:
        raise ValueError("must be a number of seconds from 0.1 to 86400")
    return value


def days(text: str) -> int | None:
    """A number of days; ``all`` is None."""
    return None if text == "all" else whole(1, 36500)(text)


def number(text: str) -> int | float:
    """A finite number, whole where its value is: ``1e3`` and ``1000.0`` are 1,000 as ``1000`` is."""
    value = float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text.strip()) else math.nan
    if not abs(value) < _NUMBER_END:
        raise ValueError("must be a number")
    return int(value) if value.is_integer() else value


def one_of(*words: str) -> Callable[[str], str]:
    """A parser of some fixed words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be {' or '.join(words)}")
        return text

    return parse


def long_secret(text: str) -> Secret:
    """A key that cannot be guessed; the message never quotes it."""
    if len(text) < KEY_MIN_CHARACTERS:
        raise ValueError(f"must be at least {KEY_MIN_CHARACTERS} characters, such as `openssl rand -hex 32` prints")
    return Secret(text)


def http_url(text: str) -> str:
    """An address of a server, without user, query or final slash."""
    parts = urlsplit(text)
    try:
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    # `urlsplit` drops newlines, and takes a bare `?` for nothing; the text itself is what is used.
    if not fits or "@" in parts.netloc or not text.isprintable() or set(text) & set("\"'`$\\ ?#"):
        raise ValueError("must be http(s)://host[:port] without user and query")
    return text.rstrip("/")


def without_credentials(text: str) -> str:
    """A URL to quote in an error, also one that is none: what can be user and password is hidden."""
    return _CREDENTIALS.sub("…@", text)


def receiver_url(text: str) -> str:
    """Where Heroku posts to: https is meant where no scheme is given, and ``/logs`` where there is no path."""
    url = http_url(text if "://" in text else f"https://{text}")
    return url if urlsplit(url).path else f"{url}/logs"


def host(text: str) -> str:
    """An address or a host name, without a port."""
    if not re.fullmatch(r"[A-Za-z0-9.:_-]+", text) or (":" in text and not _is_ipv6(text)):
        raise ValueError("must be an address or a host name, without a port")
    return text


def _is_ipv6(text: str) -> bool:
    try:
        return bool(IPv6Address(text))
    except ValueError:
        return False


def app_name(text: str) -> str:
    """A name of an app, as Heroku allows it and somewhat wider."""
    if not APP_NAME.fullmatch(text):
        raise ValueError("must be the name of an app: letters, digits, '-', '_', '.'")
    return text


def drains(text: str) -> dict[str, tuple[Secret, ...]]:
    """Credentials by app from ``app:secret,…``; the messages never quote the text.

    A secret may hold a colon: HTTP allows it, and other senders than Heroku can show it.
    """
    found: dict[str, tuple[Secret, ...]] = {}
    for number, part in enumerate(text.split(","), 1):
        app, _, secret = part.strip().partition(":")
        if not secret or not APP_NAME.fullmatch(app):
            raise ValueError(f"must be app:secret,app:secret …; entry {number} is not")
        found[app] = (*found.get(app, ()), Secret(secret))
    return found


def moment(text: str, now: datetime) -> datetime:
    """An instant in UTC: ISO 8601 (without a zone: UTC), ``now``, or a span before now (30m, 24h, 7d)."""
    text = text.strip()
    span = _SPAN.fullmatch(text)
    try:
        if span is not None:
            return now - timedelta(**{_SPAN_UNITS[span[2]]: float(span[1])})
        if text == "now":
            return now
        read = datetime.fromisoformat(text)
        return (read.replace(tzinfo=UTC) if read.tzinfo is None else read).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a span such as 30m, 24h, 7d, or a time such as 2026-11-23T10:00") from None
