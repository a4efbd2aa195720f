"""The reference parser: one frame at a time, plain Python, the specification of drainlake's parsers.

The columnar parser must agree with it on every case. Clarity comes before speed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ingest import schema
from tests.ingest.reference import (
    access,
    classify,
    framing,
    header,
    php,
    platform,
    redaction,
    releases,
    router,
    samples,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ingest.reference.framing import Piece
    from tests.ingest.reference.header import Line

Row = dict[str, Any]

PARSERS: dict[str, Callable[[Line], Row]] = {
    "router": router.parse,
    "access": access.parse,
    "php": php.parse,
    "platform": platform.parse,
    "releases": releases.parse,
}


class Found(NamedTuple):
    """A row, its table, the app of the delivery, and the line it was read from (None for a defect)."""

    table: str
    row: Row
    app: str
    line: Line | None


def parse(deliveries: list[tuple[str, bytes]], received_at_us: int) -> dict[str, list[Row]]:
    """The rows of a batch of deliveries (app, body) for each table, in the order of the bytes.

    Times are microseconds since the epoch, UTC. Bytes that are no frame become rows of ``lines`` with a
    ``defect`` and the time received. ``php`` rows carry ``continues`` beside the table's columns.
    """
    found: list[Found] = []
    for app, body in deliveries:
        for piece in framing.split(body):
            found += _read(app, piece, received_at_us)
    rows: dict[str, list[Row]] = {name: [] for name in schema.TABLES if name != "deliveries"}
    for table, row, _, _ in _continued(found):
        rows[table].append(_complete(table, row))
    return rows


def _read(app: str, piece: Piece, received_at_us: int) -> list[Found]:
    read = header.read(piece.counted) if piece.defect is None else piece.defect
    if isinstance(read, str):
        message = redaction.redact(header.text(piece.raw))
        row = {"timestamp": received_at_us, "app": app, "process": None, "message": message, "defect": read}
        return [Found("lines", row, app, None)]
    line = _redacted(read)
    table = classify.table(line)
    shared = {"timestamp": line.timestamp, "app": app}
    if table != "samples":
        return [Found(table, shared | PARSERS.get(table, _line)(line), app, line)]
    found = [Found(table, shared | row, app, line) for row in samples.parse(line)]
    if samples.measures(line.message) > len(found):
        found.append(Found("lines", shared | _line(line) | {"defect": "unreadable measures"}, app, line))
    return found


def _redacted(line: Line) -> Line:
    message = redaction.redact(line.message)
    if line.app == "heroku" or (line.app == "app" and line.process == "api"):
        message = redaction.redact_command(message)
    return line._replace(process=redaction.redact(line.process), message=message)


def _line(line: Line) -> Row:
    return {"process": line.process, "message": line.message, "defect": None}


def _continued(found: list[Found]) -> list[Found]:
    """Turns the lines between the head of a PHP error and the line that closes it into its continuations.

    They stay lines when another error of the same dyno comes first or nothing closes it within the batch.
    """
    found = list(found)
    open_heads: dict[tuple[str, str], list[int]] = {}
    for index, (table, row, app, line) in enumerate(found):
        if line is None or not classify.is_dyno_output(line) or table not in ("php", "lines"):
            continue
        dyno = (app, line.process)
        if table == "php" and not row["continues"]:
            open_heads.pop(dyno, None)
            if php.opens(line.message):
                open_heads[dyno] = []
        elif dyno in open_heads:
            open_heads[dyno] += [index] if table == "lines" else []
            if php.closes(line.message):
                for at in open_heads.pop(dyno):
                    found[at] = _as_continuation(found[at])
    return found


def _as_continuation(found: Found) -> Found:
    assert found.line is not None
    shared = {"timestamp": found.row["timestamp"], "app": found.app}
    return found._replace(table="php", row={**shared, **php.continued(found.line, "php")})


def _complete(table: str, row: Row) -> Row:
    """The row with every column of its table, absent ones None."""
    names = [column.name for column in schema.TABLES[table].columns] + ["continues"] * (table == "php")
    assert set(row) <= set(names), set(row) - set(names)
    return {name: row.get(name) for name in names}
