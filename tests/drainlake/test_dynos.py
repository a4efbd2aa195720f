"""On a Heroku dyno nothing that has to last is kept on its disk, and the router reaches the receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drainlake import settings
from drainlake.cli import run
from drainlake.dynos import refuse_scratch
from drainlake.errors import WrongUse

if TYPE_CHECKING:
    from pathlib import Path

KAFKA = {"KAFKA_URL": "kafka+ssl://broker.example:9096"}
S3 = {"DRAINLAKE_LAKE": "s3://bucket/lake"}
LOG, LAKE = "the event log (DRAINLAKE_LOG=", "the lake (DRAINLAKE_LAKE="


@pytest.fixture
def dyno(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without settings, on a dyno, in an empty folder."""
    for name, text in settings.isolated_environment(DYNO="web.1").items():
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("DRAINLAKE_FAIL_ON_SKIP", raising=False)  # no setting, which would be said
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.mark.parametrize(
    ("command", "given", "refused", "remedies"),
    [
        (("serve",), {}, [LOG], ["KAFKA_URL"]),
        (("serve",), {**KAFKA, "DRAINLAKE_LOG": "embedded"}, [LOG], ["KAFKA_URL"]),
        (("land",), KAFKA, [LAKE], ["DRAINLAKE_LAKE=s3://"]),
        (("land", "--once"), S3, [LOG], ["KAFKA_URL"]),
        (("schedule",), KAFKA, [LAKE], ["DRAINLAKE_LAKE=s3://"]),
        (("schedule", "--once"), {}, [LAKE], ["DRAINLAKE_LAKE=s3://"]),
        (("up",), {}, [LOG, LAKE], ["KAFKA_URL", "DRAINLAKE_LAKE=s3://"]),
        (("attach", "shop"), {**KAFKA, **S3}, ["credentials ("], ["DRAINLAKE_DRAINS"]),
        (("import", "access", ".", "--app", "shop"), KAFKA, [LAKE], ["DRAINLAKE_LAKE=s3://"]),
    ],
)
def test_what_would_be_lost_is_refused_before_anything_is_made(
    command: tuple[str, ...],
    given: dict[str, str],
    refused: list[str],
    remedies: list[str],
    dyno: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence says what cannot be kept and why, one line what to set."""
    for name, text in given.items():
        dyno.setenv(name, text)
    assert run(command) == 2
    sentence, remedy = capsys.readouterr().err.splitlines()
    assert all(text in sentence for text in [*refused, "DYNO=web.1", "at least once a day"])
    assert all(text in remedy for text in remedies)
    assert list(tmp_path.iterdir()) == []


def test_kafka_and_s3_are_taken(dyno: pytest.MonkeyPatch) -> None:
    """The spool before Kafka may be on the disk of a dyno; elsewhere everything may."""
    for given in ({**KAFKA, **S3, "DYNO": "web.1"}, {}):
        refuse_scratch(settings.parse(given), log=True, lake=True)
    with pytest.raises(WrongUse):
        refuse_scratch(settings.parse({"DYNO": "web.1"}), log=True)


def test_one_off_commands_work(dyno: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """They keep nothing that has to last."""
    assert run(["status"]) == 0
    assert run(["query"]) == 0


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({"DYNO": "web.1"}, "0.0.0.0"),
        ({"DYNO": "web-12a34b56d-e78f9"}, "::"),  # Fir's router comes by IPv6
        ({"DYNO": "web.1", "DRAINLAKE_HOST": "127.0.0.1"}, "127.0.0.1"),
        ({}, "127.0.0.1"),
    ],
)
def test_the_router_of_heroku_reaches_the_receiver(given: dict[str, str], host: str) -> None:
    """On a dyno every address is listened on, unless one is named."""
    assert settings.parse(given).host == host
