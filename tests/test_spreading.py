"""How the tests are spread over processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.spreading import LONG, ROOT, Spreading, needs_brokers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def spreading(request: pytest.FixtureRequest) -> Iterator[Spreading]:
    """The scheduler as xdist makes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request.config.option, "tx", ["popen"])
        yield Spreading(request.config)


@pytest.mark.parametrize(
    ("test", "together"),
    [
        ("tests/ingest/test_spooled.py::test_two", "kafka"),
        ("tests/drainlake/test_scale_out.py::test_a[tests.kafka]", "kafka"),
        ("tests/soak/kafka/test_soak_kafka.py::test_two", "kafka"),
        ("tests/queries/test_questions.py::test_case[a::b.py]", "tests/queries/test_questions.py"),
    ],
)
def test_files_stay_whole_and_those_with_brokers_together(spreading: Spreading, test: str, together: str) -> None:
    """What a process is given at a time."""
    assert spreading._split_scope(test) == together


def test_long_files_are_there_and_need_no_broker() -> None:
    """A file that was renamed would be run last."""
    assert [file for file in LONG if not (ROOT / file).is_file() or needs_brokers(file)] == []
