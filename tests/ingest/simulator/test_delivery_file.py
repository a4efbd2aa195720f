"""What was written to a file of deliveries is read from it again."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.saved_logs import SavedLogError
from ingest.simulator.delivery_file import deliveries, holds_deliveries
from ingest.simulator.framing import Delivery
from ingest.simulator.targets import FileTarget

if TYPE_CHECKING:
    from pathlib import Path


@given(st.lists(st.builds(Delivery, st.from_regex(r"\A[0-9A-F]{32}\Z"), st.integers(0, 9999), st.binary()), min_size=1))
def test_a_file_gives_back_the_deliveries_written_to_it(
    tmp_path_factory: pytest.TempPathFactory, written: list[Delivery]
) -> None:
    """Frame-Ids, counts and octets are the same, whatever the bodies hold."""
    path = tmp_path_factory.mktemp("deliveries") / "day.jsonl"
    target = FileTarget(path)
    for delivery in written:
        target.post(delivery)
    target.close()
    assert holds_deliveries(path)
    assert list(deliveries(path)) == written


def test_a_file_of_deliveries_may_be_packed(tmp_path: Path) -> None:
    """gzip is recognised by its first bytes, as in a saved log."""
    (tmp_path / "day").write_bytes(
        gzip.compress(b'{"headers": {"Logplex-Frame-Id": "A", "Logplex-Msg-Count": "1"}, "text": "3 abc"}\n')
    )
    assert holds_deliveries(tmp_path / "day")
    assert list(deliveries(tmp_path / "day")) == [Delivery("A", 1, b"3 abc")]


@pytest.mark.parametrize(
    "line",
    [
        b'{"headers": {"Logplex-Frame-Id": "A", "Logplex-Msg-',
        b'{"headers": {"Logplex-Frame-Id": "A"}, "text": "3 abc"}',
        b'{"headers": {"Logplex-Frame-Id": "A", "Logplex-Msg-Count": "x"}, "text": "3 abc"}',
        b'{"headers": {"Logplex-Frame-Id": "A", "Logplex-Msg-Count": "1"}, "b64": "?"}',
        b'{"headers": {"Logplex-Frame-Id": "A", "Logplex-Msg-Count": "1"}}',
        b'{"headers": []}',
        b"[]",
        b"\xff",
    ],
)
def test_a_line_that_is_no_delivery_is_told_by_its_number(tmp_path: Path, line: bytes) -> None:
    """A file that was cut off sends what is whole, and says where it ends."""
    whole = b'{"headers": {"Logplex-Frame-Id": "A", "Logplex-Msg-Count": "1"}, "text": "3 abc"}\n'
    (tmp_path / "day").write_bytes(whole + line)
    read = deliveries(tmp_path / "day")
    assert next(read) == Delivery("A", 1, b"3 abc")
    with pytest.raises(SavedLogError, match="Line 2 of day is no delivery"):
        next(read)


def test_a_saved_log_holds_no_deliveries(tmp_path: Path) -> None:
    """It is sent line by line."""
    (tmp_path / "saved.log").write_bytes(b"2020-11-16T08:49:12+00:00 app[web.1]: hi\n")
    (tmp_path / "empty.log").write_bytes(b"")
    assert not holds_deliveries(tmp_path / "saved.log")
    assert not holds_deliveries(tmp_path / "empty.log")
