"""Both ways through a batch: by the compiled scanner with what it leaves, and by column alone. They must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import numpy as np

from ingest import parsing, plain, scanner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from ingest.parsing import Body, Parsed

# What mutations put into bodies and messages.
PIECES = [
    b'"', b"=", b" ", b"  ", b"\n", b"\\", b"ms", b",", b"?token=abc", b'" host=x request_id=y ', b' path="/', b"\xff",
    b"\xc3\xa9", b"sample#a-b=1.5kB", b"83 <40>1 ", b"#", b"[", b"]", b" in /a.php on line 3", b"PHP message: ",
    b"%3Ftoken%3Dabc", b"%26", b"%253d", b"%", b"http://t@",
]  # fmt: skip


def parse(bodies: Sequence[Body], received_at_us: int) -> Parsed:
    """What both ways give: the same rows in the same order, places, parts and counts."""
    parsed = parsing.parse(bodies, received_at_us)
    with by_column():
        assert_same(parsed, parsing.parse(bodies, received_at_us))
    return parsed


def parse_as(form: str, bodies: Sequence[Body], received_at_us: int) -> Parsed:
    """The same of lines of imported files."""
    parsed = plain.parse_as(form, bodies, received_at_us)
    with by_column():
        assert_same(parsed, plain.parse_as(form, bodies, received_at_us))
    return parsed


def by_column() -> AbstractContextManager[object]:
    """As on a machine where nothing was compiled."""
    return mock.patch.object(scanner, "load", return_value=None)


def assert_same(one: Parsed, other: Parsed) -> None:
    """Equal to the letter."""
    assert one.tables.keys() == other.tables.keys()
    for name, table in one.tables.items():
        table.validate(full=True)
        assert table.schema == other.tables[name].schema
        assert table.to_pylist() == other.tables[name].to_pylist(), name
        assert np.array_equal(one.places[name], other.places[name]), name
    for found, wanted in zip(
        (*one.parts, *vars(one.tally).values()), (*other.parts, *vars(other.tally).values()), strict=True
    ):
        assert np.array_equal(found, wanted)
