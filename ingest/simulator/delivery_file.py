"""A file of deliveries, one JSON object a line: ``headers`` and ``text``, or ``b64`` if the body is not UTF-8."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

from ingest.saved_logs import SavedLogError, opened
from ingest.simulator.framing import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_BEGINS: Final = b'{"headers": {'


def as_line(headers: Mapping[str, str], body: bytes) -> str:
    """A delivery as a line of the file."""
    record: dict[str, object] = {"headers": headers}
    try:
        record["text"] = body.decode()
    except UnicodeDecodeError:
        record["b64"] = base64.b64encode(body).decode()
    return json.dumps(record, ensure_ascii=False) + "\n"


def holds_deliveries(path: Path) -> bool:
    """Whether the file, packed with gzip or not, begins like one of deliveries. SavedLogError if it cannot be read."""
    with opened(path) as (_, source):
        return source.read(len(_BEGINS)) == _BEGINS


def deliveries(path: Path) -> Iterator[Delivery]:
    """The deliveries of the file, with the Frame-Ids they had. SavedLogError at a line that is none."""
    with opened(path) as (_, source):
        for number, line in enumerate(source, 1):
            try:
                yield _delivery(json.loads(line))
            except (KeyError, TypeError, ValueError):
                raise SavedLogError(f"Line {number} of {path.name} is no delivery") from None


def _delivery(record: Mapping[str, Mapping[str, str] | str]) -> Delivery:
    headers, text = record["headers"], record.get("text")
    if not isinstance(headers, dict):
        raise TypeError
    body = text.encode() if isinstance(text, str) else base64.b64decode(str(record["b64"]), validate=True)
    return Delivery(headers["Logplex-Frame-Id"], int(headers["Logplex-Msg-Count"]), body)
