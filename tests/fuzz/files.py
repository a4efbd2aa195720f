"""Targets of imported files: load balancers' and web servers' lines, saved ``heroku logs``."""

from __future__ import annotations

from typing import Any, Final

from ingest import plain
from ingest.parsers import elb_line
from ingest.parsing import Body, parse
from ingest.redaction import redact
from ingest.rewriting import printable
from ingest.saved_logs import reframed
from tests.fuzz.deliveries import RECEIVED_AT_US, rows, sound
from tests.ingest import ways
from tests.ingest.reference import access as reference_access
from tests.ingest.reference import framing
from tests.ingest.reference.header import Line

LINES_MAX: Final = 16


def elb(data: bytes) -> None:
    """Lines by column are those of the reader of single lines; all others are kept as they are."""
    lines, tables = _read(plain.ELB, data)
    read = [(line, elb_line.parse(redact(printable(line)))) for line in lines]
    wanted = [row for _, row in read if row is not None]
    found = tables.get("router", [])
    assert found == [dict.fromkeys(found[0]) | {"app": "shop"} | row for row in wanted]
    _assert_kept([line for line, row in read if row is None], tables)


def access(data: bytes) -> None:
    """Lines together give what each gives alone, combined ones what the reference gives."""
    lines, tables = _read(plain.ACCESS, data)
    found: list[dict[str, Any]] = []
    others = []
    for line in lines:
        alone = _read(plain.ACCESS, line + b"\n")[1].get("access", [])
        assert len(alone) <= 1
        message = redact(printable(line))
        if reference_access.COMBINED.fullmatch(message):
            row = reference_access.parse(Line(0, "", "", message))
            expected = [row | {"dyno": None, "timestamp": row["logged_at"]}] if row["logged_at"] is not None else []
            assert [{name: row[name] for name in expected[0]} for row in alone] == expected
        found += alone
        others += [] if alone else [line]
    assert tables.get("access", []) == found
    _assert_kept(others, tables)


def _read(form: str, data: bytes) -> tuple[list[bytes], dict[str, list[dict[str, Any]]]]:
    """The lines of a file without their ends, and the rows it gives."""
    data = b"\n".join(data.split(b"\n")[:LINES_MAX])
    parsed = ways.parse_as(form, [Body("shop", data)], RECEIVED_AT_US)
    for table in parsed.tables.values():
        sound(table)
    tables = {name: rows(table) for name, table in parsed.tables.items()}
    lines = data.split(b"\n")
    ended = [line.removesuffix(b"\r") for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    assert parsed.tally.lines.tolist() == [len(ended)]
    assert sum(map(len, tables.values())) == len(ended)
    return ended, tables


def _assert_kept(lines: list[bytes], tables: dict[str, list[dict[str, Any]]]) -> None:
    assert [row["message"] for row in tables.get("lines", [])] == [redact(printable(line)) for line in lines]


def saved(data: bytes) -> None:
    """Each line of saved logs is one frame or stands in the body as it is; the body is a delivery like any other."""
    octets = reframed(data)
    place = 0
    for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if not line.strip():
            continue
        if octets.startswith(line, place):  # a frame begins with its count, and no line with a head does
            place += len(line)
            place += octets[place : place + 1] == b"\n"
            continue
        count = int(octets[place:].partition(b" ")[0])
        start = place + len(b"%d " % count)
        place = start + count
        message = octets[start:place].partition(b" - ")[2]
        # The command line client colours the fields of Heroku's own lines; those colours are left out.
        assert line.removesuffix(b"\r").endswith(message) or b"\x1b" in line
    assert place == len(octets)
    parsed = parse([Body("shop", octets)], RECEIVED_AT_US)
    assert int(parsed.tally.lines.sum()) == len(framing.split(octets))
