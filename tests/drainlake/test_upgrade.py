"""A home that an earlier version made is read and extended by this one: nothing lost, nothing twice."""

from __future__ import annotations

import hashlib
import json
import tarfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ingest.batch import store
from ingest.credentials import CredentialStore
from ingest.deliveries import Delivery
from ingest.eventlog.embedded import EmbeddedLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.drainlake.conftest import Cli
    from tests.drainlake.inside import Inside

HOMES = Path(__file__).parent / "homes"
DAY_US = 1_795_651_200_000_000  # 2026-11-26T00:00Z
MESSAGE = b"<158>1 2026-11-25T10:00:00.000000+00:00 host heroku router - at=info method=GET path=/upgrade"
BODY = b"%d %b" % (len(MESSAGE), MESSAGE)
# What the version said it holds when it was packed, landed and waiting.
HELD = {"router": 379, "access": 380, "php": 12, "samples": 1184, "lines": 141, "deliveries": 4}
WITHOUT_TOKEN = {"0.4.0": 2, "0.5.0": 0}  # landed deliveries


@pytest.fixture(params=list(WITHOUT_TOKEN))
def version(request: pytest.FixtureRequest) -> str:
    """An earlier version."""
    return str(request.param)


@pytest.fixture
def home(version: str, tmp_path: Path) -> Path:
    """The home that it made."""
    with tarfile.open(HOMES / f"{version}.tar.xz") as packed:
        packed.extractall(tmp_path / "home", filter="data")
    return tmp_path / "home"


@pytest.fixture
def ask(home: Path, inside: Inside) -> Callable[..., Any]:
    """Run SQL on that home; the first value of the answer."""

    def run(statement: str) -> Any:
        rows = json.loads(inside.good("--home", str(home), "sql", statement, "--format", "json"))
        return next(iter(rows[0].values()))

    return run


def test_lake_is_read_before_anything_is_landed(version: str, ask: Callable[..., Any]) -> None:
    """A new column appears as NULL in its files, and what was there is there."""
    assert ask("SELECT count(*) FROM router") == 187
    assert ask("SELECT count(*) FILTER (drain_token IS NULL) FROM deliveries") == WITHOUT_TOKEN[version]
    assert ask("SELECT max(requests) > 0 FROM minutes") is True


def test_home_is_extended(home: Path, inside: Inside, ask: Callable[..., Any]) -> None:
    """What waited is landed once, new lines are landed beside it, and a second landing adds nothing."""
    with closing(EmbeddedLog(home / "log.db")) as log:
        store(log, [Delivery("shop", BODY, DAY_US, frame_id="new", drain_token="d.new")])
    for _ in range(2):
        inside.good("--home", str(home), "land", "--once")
    counted = " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS rows FROM {table}" for table in HELD)
    counts = ask(f"SELECT json_group_object(name, rows) FROM ({counted})")
    assert json.loads(counts) == {**HELD, "router": HELD["router"] + 1, "deliveries": HELD["deliveries"] + 1}
    assert ask("SELECT string_agg(drain_token) FROM deliveries WHERE frame_id = 'new'") == "d.new"


@pytest.mark.parametrize("version", ["0.4.0"], indirect=True)
def test_files_of_an_older_schema_stay_as_they_are(home: Path, inside: Inside) -> None:
    """They are never rewritten; their rows and the new ones stand in different files."""
    files = sorted((home / "lake/deliveries/date=2026-11-24").iterdir())
    before = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    with closing(EmbeddedLog(home / "log.db")) as log:
        store(log, [Delivery("shop", BODY.replace(b"-25T", b"-24T"), DAY_US, frame_id="new")])
    inside.good("--home", str(home), "land", "--once")
    assert [hashlib.sha256(file.read_bytes()).digest() for file in files] == before
    assert len(list((home / "lake/deliveries/date=2026-11-24").iterdir())) == len(files) + 1


def test_what_the_home_knows_is_still_known(home: Path, inside: Inside, cli: Cli) -> None:
    """Credentials open the door, and schedule, report and status go on from its notes."""
    assert list(CredentialStore(home / "log.db").digests()) == ["blog"]
    with closing(EmbeddedLog(home / "log.db")) as log:  # else the app is silent a day after the home was made
        store(log, [Delivery("shop", BODY, time.time_ns() // 1000, frame_id="of now", drain_token="d.new")])
    inside.good("--home", str(home), "land", "--once")
    cli.good("--home", str(home), "schedule", "--once")
    report = json.loads(
        inside.run(
            "--home", str(home), "report", "--since", "2026-11-24", "--until", "2026-11-26", "--format", "json"
        ).stdout
    )
    assert report["verdict"]
    assert "minutes" in inside.good("--home", str(home), "sql", "SELECT 'minutes' FROM series() LIMIT 1")
    inside.good("--home", str(home), "status")
