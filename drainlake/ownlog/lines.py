"""An event of the own log as one line: a sentence for people, or a JSON object. Pure.

Whatever a text holds, a line is one line and at most ``LINE_MAX_BYTES`` long: the children of ``up`` write to one pipe,
and what is longer could be torn there by another process's line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from drainlake.hostile import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable

LINE_MAX_BYTES: Final = 4096  # what POSIX writes to a pipe in one piece
DEPTH_MAX: Final = 4
ITEMS_MAX: Final = 50
_CUTS: Final = (3500, 2000, 1000, 500, 200, 60, 10)


@dataclass(frozen=True)
class Event:
    """What happened, when (seconds since 1970), in which process. ``traceback`` is that of an exception, or ''."""

    at: float
    level: str
    part: str
    name: str
    message: str
    pid: int
    fields: Mapping[str, object] = field(default_factory=dict)
    traceback: str = ""


def text_line(event: Event, left_out: int, scrub: Callable[[str], str]) -> str:
    """The sentence as it is; an exception's traceback stands behind it, its lines joined by ``|``."""
    message = clean_line(scrub(event.message))
    if left_out:
        message += f" ({left_out} more like it left out.)"
    trace = " | ".join(clean_line(line).strip() for line in scrub(event.traceback).splitlines() if line.strip())
    for cut in _CUTS:
        line = _cut(message, cut) + (f" | {_cut(trace, cut)}" if trace else "")
        if len(line.encode("utf-8", "backslashreplace")) < LINE_MAX_BYTES:
            break
    return line + "\n"


def json_line(event: Event, left_out: int, scrub: Callable[[str], str]) -> str:
    """An object with ``ts``, ``level``, ``part``, ``event``, ``message``, ``pid`` and the fields; all of it ASCII."""
    own = {
        "ts": datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": event.level,
        "part": event.part,
        "event": event.name,
        "message": event.message.removeprefix(f"{event.part}: "),  # the text form says it in front
        "pid": event.pid,
    }
    more: dict[str, object] = {f"{name}_" if name in own else name: value for name, value in event.fields.items()}
    if left_out:
        more["left_out"] = left_out
    if event.traceback:
        more["traceback"] = event.traceback
    for cut in _CUTS:
        line = json.dumps(_plain({**own, **more}, cut, scrub), allow_nan=False)
        if len(line) < LINE_MAX_BYTES:
            return line + "\n"
    return json.dumps(_plain(own, _CUTS[-1], scrub)) + "\n"


def _plain(value: object, cut: int, scrub: Callable[[str], str], depth: int = 0) -> Any:
    """The value as JSON can say it, with texts of at most ``cut`` characters."""
    if value is None or isinstance(value, bool | int):
        return value if not isinstance(value, int) or abs(value) < 2**63 else str(value)[:cut]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping) and depth < DEPTH_MAX:
        some = list(value.items())[:ITEMS_MAX]
        return {_cut(scrub(str(name)), cut): _plain(each, cut, scrub, depth + 1) for name, each in some}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and depth < DEPTH_MAX:
        return [_plain(each, cut, scrub, depth + 1) for each in value[:ITEMS_MAX]]
    return _cut(scrub(_told(value)), cut)


def _told(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - whatever it is, the event must be told
        return f"{type(value).__name__} ({type(error).__name__})"


def _cut(text: str, length: int) -> str:
    """The text, or its two ends: the last line of a traceback says what was wrong."""
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[:half]}…{text[len(text) - half :]}"
