"""Large bodies are cut into portions: nothing is lost or read differently, and parts stay known apart."""

from __future__ import annotations

from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest import frames, portions
from ingest.batch import prepare
from ingest.deliveries import Delivery
from ingest.eventlog.entry import decode
from ingest.schema import DELIVERIES, PIECE, PIECES
from ingest.text import Spans, Text
from tests.ingest.running import frame

SIZE_MAX = 400
SENT = st.one_of(
    st.integers(0, 600).map(lambda size: frame("x" * size)),
    st.sampled_from([b"junk", b"5 <0>1 ", b"5 <0>1 x", b"9999 <0>1 ", b"12345 <190>1 ", b"0 <1>1 ", b"y" * 900, b"12"]),
    st.binary(max_size=30),
)


def slices(body: bytes) -> list[bytes]:
    """The slices of a body, of a size that a test can reach."""
    with mock.patch.object(portions, "PORTION_BYTES", SIZE_MAX):
        return [body[begin:end] for begin, end in pairwise([*portions.cuts(body), len(body)])]


def read(body: bytes) -> list[bytes]:
    """Its frames, each with its count."""
    found, _ = frames.split(Text(body), Spans(np.array([0]), np.array([len(body)])))
    return [body[start:end] for start, end in zip(found.start.tolist(), found.end.tolist(), strict=True)]


@given(st.lists(st.integers(0, 600).map(lambda size: frame("x" * size)), min_size=1, max_size=20))
def test_a_flawless_body_is_cut_between_frames(sent: list[bytes]) -> None:
    """Its slices hold its frames, and are no larger than allowed but for a frame that is."""
    found = slices(b"".join(sent))
    assert [each for part in found for each in read(part)] == sent
    assert all(len(part) <= SIZE_MAX or read(part) == [part] for part in found)
    assert all(len(one) + len(read(other)[0]) > SIZE_MAX for one, other in pairwise(found))


@given(st.lists(SENT, max_size=20))
@settings(max_examples=300)
def test_any_body_comes_in_slices_that_are_bounded(sent: list[bytes]) -> None:
    """All bytes, in order; only a single frame, in front of another or of the end, makes a slice too large."""
    body = b"".join(sent)
    found = slices(body)
    assert b"".join(found) == body
    assert all(len(part) <= SIZE_MAX or read(part) == [part] for part in found)


@given(st.lists(SENT, max_size=12), st.integers(100, 2000))
@example([b"junk"], 387)
def test_frames_behind_junk_are_found(sent: list[bytes], size: int) -> None:
    """What is no frame costs none of the frames that follow it, unless the body as a whole is read otherwise, too."""
    good = [frame(f"good {number}") for number in range(20)]
    body = b"".join([*sent, b"!" * size, *good])
    assert [each for part in slices(body) for each in read(part)][-20:] in (good, read(body)[-20:])


@pytest.mark.parametrize("odd", [b"", b"5 <0>1 ", b"junk"], ids=["frames alone", "tiny frames", "junk"])
def test_a_delivery_in_portions_is_stored_as_one(odd: bytes) -> None:
    """Each line once and in order, in the ledger one delivery; its parts are known apart, and the same at every try."""
    texts = [f"line {number:04}" + "." * 9_000 for number in range(300)]
    sent = [frame(text) + odd for text in texts]
    deliveries = [Delivery("shop", b"".join(sent[:250]), 7, "a"), Delivery("shop", b"".join(sent[250:]), 7, "b")]
    first, again = ([(each.table, decode(each.payload)) for each in prepare(deliveries).entries] for _ in range(2))
    lines = [table for name, table in first if name == "lines"]
    assert len(lines) == 3
    assert [text for table in lines for text in table["message"] if text.startswith("line")] == texts
    parts = [set(table[PIECE]) for table in lines]
    assert sum(map(len, parts)) == len(set().union(*parts)) > 20
    [ledger] = [table for name, table in first if name == DELIVERIES.name]
    assert ledger["lines"].sum() == sum(table.height for table in lines)
    assert {known["digest"] for each in ledger[PIECES] for known in each} == set().union(*parts)
    assert [table[PIECE].to_list() for name, table in again if name == "lines"] == [
        table[PIECE].to_list() for table in lines
    ]


def test_a_large_delivery_that_comes_again_counts_the_same_lines() -> None:
    """The ledger calls repeated what was stored at the first try, however it was cut."""
    body = b"".join(frame(f"line {number:04}" + "." * 9_000) + b"5 <0>1 !" for number in range(200))
    delivery = Delivery("shop", body, 7, "a")
    held = frozenset(mark.digest for mark in delivery.marks)
    counts = [prepare([each]).counts for each in (delivery, delivery.without(held))]
    assert [(each.lines, each.repeated) for each in counts] == [(600, 0), (600, 600)]
