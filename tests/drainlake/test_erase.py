"""``drainlake erase``: it counts, asks, erases, and says what it did not reach."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from drainlake import cli as command_line
from ingest.eventlog.embedded import EmbeddedLog
from ingest.eventlog.purging import purge_landed
from tests.transforms.lines import entry
from tests.transforms.minute_rows import add, asset
from transforms import erasing, parquet, rewriting, settling
from transforms.addresses import Hasher
from transforms.asset_sizes.keeping import keep as keep_asset_sizes
from transforms.erasure import Target
from transforms.landing import land_once
from transforms.locallake import LocalLake
from transforms.minutes.keeping import keep
from transforms.privacy import Privacy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JANE, OTHER = "203.0.113.7", "203.0.113.8"
KEY = "a key of the tests"
Run = "Callable[..., tuple[int, str, str]]"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Requests of two clients, landed with addresses, then with hashes."""
    with_log(tmp_path, Privacy())
    with_log(tmp_path, Privacy(KEY.encode()))
    return tmp_path


def with_log(home: Path, privacy: Privacy) -> None:
    """Append a request of each client, and land."""
    log = EmbeddedLog(home / "log.db")
    at = datetime.now(UTC) - timedelta(hours=1)
    request = {"timestamp": at, "source": "heroku", "status": 200, "connect_ms": 0, "service_ms": 9}
    rows = [{**request, "client_ip": ip, "path": f"/from/{ip}", "request_id": ip[-1]} for ip in (JANE, OTHER)]
    log.append([entry("router", rows)])
    land_once(log, LocalLake(home / "lake"), file_rows=100, privacy=privacy)
    log.close()


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command on that home, in a world where readers are quick."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("DRAINLAKE_LAND_SECONDS", "1")
    for module in (rewriting, settling):
        monkeypatch.setattr(module, "KEPT_SECONDS", 0.05)

    def erase(*arguments: str, home: Path = home) -> tuple[int, str, str]:
        code = command_line.run(["--home", str(home), "erase", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return erase


def clients(home: Path) -> list[str]:
    """The client of each row in the lake."""
    files = (home / "lake/router").glob("date=2[0-9]*/*.parquet")
    return sorted(ip for file in files for ip in parquet.read(file)["client_ip"])


def test_addresses_and_their_hashes_go_and_others_stay(
    home: Path, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count per table comes first, on stdout."""
    monkeypatch.setenv("DRAINLAKE_ADDRESS_KEY", KEY)
    code, out, err = run("--address", "::ffff:203.0.113.7", "--yes")
    assert (code, dict(line.split() for line in out.splitlines())["router"]) == (0, "2")
    assert clients(home) == sorted([OTHER, Hasher(KEY.encode()).token(OTHER)])
    assert "2 rows erased." in err
    for place in ("log.db", "reports", "backups", "Heroku"):
        assert place in err


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::1"])
def test_an_address_of_no_one_is_no_text_to_erase_by(
    run: Callable[..., tuple[int, str, str]], home: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """It has no hash: looked for as a text, 0.0.0.0 would be found in each `Chrome/120.0.0.0`."""
    monkeypatch.setenv("DRAINLAKE_ADDRESS_KEY", KEY)
    log = EmbeddedLog(home / "log.db")
    row = {"timestamp": datetime.now(UTC), "client_ip": "10.0.0.0", "user_agent": "Chrome/120.0.0.0 127.0.0.11"}
    log.append([entry("router", [row])])
    land_once(log, LocalLake(home / "lake"), file_rows=100)
    log.close()
    code, out, _ = run("--address", address, "--dry-run")
    assert (code, dict(line.split() for line in out.splitlines())["router"]) == (0, "0")


def test_a_hash_can_be_erased_when_the_key_is_thrown_away(home: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Without the key an address finds only itself."""
    assert run("--address", JANE, "--yes")[0] == 0
    assert Hasher(KEY.encode()).token(JANE) in clients(home)
    assert run("--address", Hasher(KEY.encode()).token(JANE), "--yes")[0] == 0
    assert clients(home) == sorted([OTHER, Hasher(KEY.encode()).token(OTHER)])


@pytest.mark.parametrize("arguments", [("--dry-run",), ()], ids=["counts only", "nobody to ask"])
def test_nothing_is_erased_without_a_word(
    home: Path, run: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...]
) -> None:
    """Erasing cannot be undone."""
    before = clients(home)
    code, out, err = run("--address", JANE, *arguments)
    assert "router            1" in out
    assert (code, "--yes" in err) == ((0, False) if arguments else (1, True))
    assert clients(home) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Erase what?"),
        (("--address", "jane"), "no address"),
        (("--text", " a "), "too short"),
        (("--text", "jane", "--since", "when"), "--since"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    run: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], said: str
) -> None:
    """One sentence and one thing to try."""
    code, _, err = run(*arguments)
    assert code == 2
    assert said in err
    assert "Try: " in err


def test_minutes_are_made_anew_also_when_a_run_before_was_killed_behind_the_rows(
    home: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    """The next run finds no rows any more, and the minutes still count them."""
    lake, target = LocalLake(home / "lake"), Target(frozenset({JANE}))

    def requests() -> int:
        days = [lake.read(file) for file in lake.listing("minutes")]
        return sum(day.filter(pl.col("per") == "app")["requests"].sum() for day in days)

    keep(lake, datetime.now(UTC))
    before = requests()
    erasing.erase(lake, [each.file for each in erasing.find(lake, target)], target)
    assert (before, requests()) == (4, 4)
    assert run("--address", JANE, "--yes")[0] == 0
    assert requests() == 3


def test_sizes_of_assets_are_made_anew(home: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """A path that was erased does not stay in them either."""
    lake, at = LocalLake(home / "lake"), datetime.now(UTC) - timedelta(days=2)
    rows = [asset(0, path=path) | {"timestamp": at} for path in ("/jane-doe.json", "/other.json")]
    add(lake, "router", rows, part="import")

    def paths() -> list[str]:
        (file,) = (each for each in lake.listing("asset_sizes") if each.date == at.date().isoformat())
        return lake.read(file)["path"].drop_nulls().to_list()

    keep_asset_sizes(lake, datetime.now(UTC))
    assert paths() == ["/jane-doe.json", "/other.json"]
    assert run("--text", "jane-doe", "--yes")[0] == 0
    assert paths() == ["/other.json"]
    (file,) = (home / f"lake/asset_sizes/date={at.date()}").glob("all-*.parquet")
    before = [file.read_bytes()[region.start : region.end] for region in rewriting.kept_regions(file)]
    assert before == [bytes(len(each)) for each in before] != []


def test_rows_that_have_not_landed_stop_it(
    home: Path, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would land afterwards, and nobody would notice."""
    monkeypatch.setattr("drainlake.erasing.LANDING_MAX_SECONDS", 0.1)
    log = EmbeddedLog(home / "log.db")
    log.append([entry("router", [{"client_ip": JANE}])])
    log.close()
    code, _, err = run("--address", JANE, "--yes")
    assert (code, "drainlake land --once" in err) == (1, True)
    assert JANE in clients(home)
    assert "1 entries" in run("--address", JANE, "--dry-run")[2]


def test_purging_takes_the_bytes_out_of_the_log(home: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Also those that SQLite deleted before and left in its file; what has not landed and later landing stay right."""
    identity = (log := EmbeddedLog(home / "log.db")).identity("router")
    payloads = [each.payload for each in log.read("router", "e0", -1, rows_max=9, bytes_max=1 << 20)]
    log._connection.execute('DELETE FROM entries WHERE "offset" = (SELECT min("offset") FROM entries)')
    assert len(payloads) == 2
    code, _, err = run("--address", JANE, "--yes", "--purge-log")
    assert (code, "log.db: landed" in err) == (0, False)
    data = b"".join(path.read_bytes() for path in home.glob("log.db*"))
    assert not any(payload[at : at + 64] in data for payload in payloads for at in range(64, len(payload) - 64, 64))
    assert log.identity("router") == identity
    log.append([entry("router", [{"client_ip": OTHER}])])
    assert purge_landed(home / "log.db") == 0
    assert land_once(log, LocalLake(home / "lake"), file_rows=100).rows["router"] == 1
    log.close()


def test_a_home_without_log_and_lake_is_no_home(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """To count nothing in a wrong folder would read as if the person were in no row."""
    code, out, err = run("--address", JANE, "--yes", home=tmp_path / "wrong")
    assert (code, out) == (1, "")
    assert "neither a log nor a lake" in err


def test_a_damaged_lake_is_one_sentence(home: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """And the same command goes on once it is mended."""
    (file,) = (home / "lake/router").glob("date=2[0-9]*/*.parquet")
    file.write_bytes(b"PAR1")
    code, _, err = run("--address", JANE, "--yes")
    assert (code, "Traceback" in err, "Try: " in err) == (1, False, True)


def test_the_ledger_of_deliveries_is_not_erased_from() -> None:
    """It holds counts alone, and coverage is computed from it."""
    assert "deliveries" not in erasing.ERASABLE
