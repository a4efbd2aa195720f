"""Entries larger than the broker takes are cut; every row stays, and what it is known by stays true."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.batch import prepare
from ingest.deliveries import Delivery
from ingest.eventlog.contract import NewEntry
from ingest.eventlog.entry import decode
from ingest.eventlog.kafka.splitting import CUT_OFF, split
from ingest.schema import PIECE

RECEIVED_AT_US = 1_795_000_000_000_000


def frame(message: str) -> str:
    """One framed app line."""
    line = f"<190>1 2026-11-20T12:00:00+00:00 host app web.1 - {message}"
    return f"{len(line.encode())} {line}"


def entries_of(*bodies: str, frame_id: str = "f") -> list[NewEntry]:
    """The entries of ``lines`` that deliveries become."""
    deliveries = [
        Delivery("shop", body.encode(), RECEIVED_AT_US, frame_id=f"{frame_id}{n}") for n, body in enumerate(bodies)
    ]
    return [entry for entry in prepare(deliveries).entries if entry.table == "lines"]


def noise(number: int, size: int) -> str:
    """A text that hardly compresses and is the same for the same number."""
    import random

    return "".join(random.Random(number).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size))


def rows(entries: list[NewEntry]) -> pl.DataFrame:
    """All rows of some entries."""
    return pl.concat([decode(entry.payload) for entry in entries])


def test_a_small_entry_is_left_alone() -> None:
    """What fits is not decoded."""
    entry = NewEntry("lines", "shop", 1, b"not even Arrow")
    assert list(split(entry, 100)) == [entry]


def test_an_entry_is_cut_between_deliveries_first() -> None:
    """Rows keep the part they are known by, and no two entries share one."""
    (entry,) = entries_of(*("".join(frame(noise(n * 10 + k, 400)) for k in range(5)) for n in range(8)))
    parts = list(split(entry, 6_000))
    assert len(parts) > 1
    assert all(len(part.payload) <= 6_000 for part in parts)
    assert sum(part.rows for part in parts) == entry.rows == 40
    assert rows(parts).sort("message").equals(rows([entry]).sort("message"))
    known = [set(decode(part.payload)[PIECE]) for part in parts]
    assert sum(map(len, known)) == len(set().union(*known))


def test_a_part_that_is_too_large_is_cut_between_rows_and_known_anew() -> None:
    """The pieces of one part are known apart, the same on every try whatever is beside them."""
    body = "".join(frame(noise(n, 800)) for n in range(30))
    first = list(split(entries_of(body)[0], 6_000))
    assert len(first) > 3
    assert rows(first)["message"].to_list() == [noise(n, 800) for n in range(30)]
    known = [frozenset(decode(part.payload)[PIECE]) for part in first]
    assert len(set(known)) == len(first)
    again = list(split(entries_of(body, frame(noise(99, 5_000)))[0], 6_000))
    assert set(known) <= {frozenset(decode(part.payload)[PIECE]) for part in again}


def test_a_line_that_is_too_large_is_cut_and_nothing_of_it_lost() -> None:
    """The first piece stays in its row, the rest follows as rows of ``lines`` that say why."""
    text = noise(1, 50_000)
    parts = list(split(entries_of(frame(text))[0], 6_000))
    found = rows(parts)
    assert "".join(found["message"]) == text
    assert found["defect"].to_list() == [None] + [CUT_OFF] * (found.height - 1)
    assert found[PIECE].n_unique() == found.height
    assert all(len(part.payload) <= 6_000 for part in parts)


def test_a_long_path_keeps_its_request() -> None:
    """A row of another table keeps its columns; only the rest of its text goes to ``lines``."""
    line = (
        f'<158>1 2026-11-20T12:00:00+00:00 host heroku router - at=info method=GET path="/{noise(2, 30_000)}" host=a.b '
        'request_id=1 fwd="1.2.3.4" dyno=web.1 connect=1ms service=2ms status=200 bytes=3 protocol=http'
    )
    delivery = Delivery("shop", f"{len(line)} {line}".encode(), RECEIVED_AT_US, frame_id="f")
    (entry,) = [entry for entry in prepare([delivery]).entries if entry.table == "router"]
    parts = list(split(entry, 8_000))
    (request,) = [decode(part.payload) for part in parts if part.table == "router"]
    rest = rows([part for part in parts if part.table == "lines"])
    assert (request["status"][0], request["dyno"][0]) == (200, "web.1")
    assert request["path"][0] + "".join(rest["message"]) == f"/{noise(2, 30_000)}"


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 3_000), min_size=1, max_size=40), limit=st.integers(2_500, 20_000))
def test_no_byte_is_lost_whatever_the_sizes(sizes: list[int], limit: int) -> None:
    """Any mix of lines, cut for any limit, holds the same text in the same order."""
    texts = [f"{number}:" + noise(number, size) for number, size in enumerate(sizes)]
    (entry,) = entries_of("".join(map(frame, texts)))
    parts = list(split(entry, limit))
    assert all(len(part.payload) <= limit for part in parts)
    assert "".join(rows(parts)["message"]) == "".join(texts)


def test_what_cannot_be_cut_is_an_error() -> None:
    """A limit below what a single short row takes is no limit of a broker."""
    with pytest.raises(AssertionError):
        list(split(entries_of(frame("x"))[0], 50))
