"""``attach --apply`` and ``drains`` as a user calls them, against a stand-in for Heroku and with a real log."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from drainlake.drains import traffic as drain_traffic
from ingest.batch import store
from ingest.credentials import CredentialStore, digest
from ingest.deliveries import Delivery
from ingest.eventlog.embedded import EmbeddedLog, connect
from ingest.eventlog.kafka.connection import KafkaConnection
from ingest.eventlog.kafka.log import KafkaLog
from tests.drainlake.heroku_api import TOKEN, Fault, HerokuApi, heroku_api
from tests.ingest.running import frame
from tests.queries.lakes import write_file, write_lake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.drainlake.inside import Inside
    from tests.kafka.access import Access

TOKEN_COLUMN = "drain_token"
AGED = timedelta(days=2)


@pytest.fixture
def heroku(inside: Inside) -> Iterator[HerokuApi]:
    """A stand-in that the command asks."""
    with heroku_api() as running:
        running.drains["shop"] = []
        inside.environment |= {
            **running.environment,
            "DRAINLAKE_URL": "https://Logs.example.com",
            "DRAINLAKE_HOME": "h",
        }
        yield running


def _secret(inside: Inside, app: str) -> str:
    return CredentialStore(inside.folder / "h" / "log.db").add(app)


def _deliver(inside: Inside, app: str, token: str | None, ago: timedelta) -> None:
    log = EmbeddedLog(inside.folder / "h" / "log.db")
    at_us = time.time_ns() // 1000 - int(ago.total_seconds() * 1e6)
    store(log, [Delivery(app, frame("line"), at_us, drain_token=token)])
    log.close()


def _digests(inside: Inside, app: str) -> set[bytes]:
    return set(CredentialStore(inside.folder / "h" / "log.db").dated(app))


def _secret_of(url: str) -> str:
    match = re.fullmatch(r"https://shop:([A-Za-z0-9_-]+)@logs\.example\.com/logs", url)
    assert match, url
    return match[1]


def test_apply_attaches_once_and_shows_no_secret(inside: Inside, heroku: HerokuApi) -> None:
    """The drain carries a secret that opens the door; called again nothing is added."""
    first = inside.run("attach", "shop", "--apply")
    again = inside.run("attach", "shop", "--apply")
    [drain] = heroku.drains["shop"]
    secret = _secret_of(drain["url"].replace("Logs.", "logs."))
    assert _digests(inside, "shop") == {digest(secret)}
    assert f"Added drain {drain['token']} to shop" in first.stderr
    assert "attached already" in again.stderr
    assert first.returncode == again.returncode == 0
    for text in (first.stdout, first.stderr, again.stdout, again.stderr):
        assert secret not in text
        assert TOKEN not in text


def test_without_apply_the_line_goes_by_the_setting(inside: Inside, heroku: HerokuApi) -> None:
    """DRAINLAKE_URL is the default of --url, and Heroku is not asked."""
    assert re.search(r"shop:[\w-]+@Logs.example.com/logs\" --app shop$", inside.good("attach", "shop").strip())
    assert heroku.calls == []


def test_a_drain_that_was_refused_leaves_no_secret(inside: Inside, heroku: HerokuApi) -> None:
    """A plain no forgets the secret made for it; an app that Heroku does not know gets none."""
    heroku.faults.append(Fault("POST", 422))
    done = inside.run("attach", "shop", "--apply")
    assert (done.returncode, _digests(inside, "shop")) == (1, set())
    assert "s3cret" not in done.stderr
    done = inside.run("attach", "nobody", "--apply")
    assert "knows no app nobody" in done.stderr
    assert _digests(inside, "nobody") == set()


def test_configured_secrets_are_used(inside: Inside, heroku: HerokuApi) -> None:
    """With several receivers the secrets stand in DRAINLAKE_DRAINS; the last one is for new drains."""
    inside.good("attach", "shop", "--apply", DRAINLAKE_DRAINS="shop:older,shop:newer")
    assert heroku.drains["shop"][0]["url"] == "https://shop:newer@Logs.example.com/logs"
    done = inside.run("attach", "blog", "--apply", DRAINLAKE_DRAINS="blog:a/b")
    assert "a/b" not in done.stderr


@pytest.fixture
def world(inside: Inside, heroku: HerokuApi) -> dict[str, str]:
    """One app in each state; gives the token of its drain."""

    def ours(app: str) -> str:
        return f"https://{app}:{_secret(inside, app)}@logs.example.com:443/logs/"

    tokens = {
        "attached": heroku.add("attached", ours("attached"), AGED),
        "silent": heroku.add("silent", ours("silent"), AGED),
        "never": heroku.add("never", ours("never"), AGED),
        "new": heroku.add("new", ours("new")),
        "doubled": heroku.add("doubled", ours("doubled"), AGED),
        "unknown": heroku.add("unknown", "https://unknown:guess@logs.example.com/logs", AGED),
        "renamed": heroku.add("renamed", ours("other-name"), AGED),
        "untold": heroku.add("untold", ours("untold"), AGED),
    }
    heroku.add("doubled", ours("doubled"), AGED)
    heroku.add("attached", "syslog+tls://logs2.example.org:6514", AGED)
    heroku.add("attached", "https://intake.example.net/v1/KEY?key=KEY", AGED)
    heroku.add("missing", "https://[half:x@old.example.com/logs", AGED)
    for app in ("missing", "gone", "unknown"):
        _secret(inside, app)
    heroku.drains["stranger"] = []
    _deliver(inside, "attached", tokens["attached"], timedelta(minutes=5))
    _deliver(inside, "silent", tokens["silent"], timedelta(hours=5))
    _deliver(inside, "other-name", tokens["renamed"], timedelta(minutes=1))
    _deliver(inside, "untold", None, timedelta(minutes=1))
    return tokens


def _states(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["app"], []).append(row["state"])
    return found


EXPECTED = {
    "attached": ["attached", "elsewhere", "elsewhere"],
    "silent": ["silent"],
    "never": ["silent"],
    "new": ["new"],
    "doubled": ["doubled", "doubled"],
    "unknown": ["unknown credentials"],
    "untold": ["attached"],
    "missing": ["elsewhere", "missing"],
    "gone": ["no app"],
    "other-name": ["no app"],
}


def test_each_state_is_told_and_trouble_is_exit_code_1(
    inside: Inside, heroku: HerokuApi, world: dict[str, str]
) -> None:
    """The rows come all the same, and the worst trouble names its remedy; no row or message has a secret."""
    done = inside.run("drains", "--format", "json")
    rows = json.loads(done.stdout)
    assert _states(rows) == EXPECTED
    assert done.returncode == 1
    assert "unknown (unknown credentials)" in done.stderr
    assert f"drains remove unknown {world['unknown']}" in done.stderr
    shown = done.stdout + done.stderr
    assert not any(secret in shown for secret in (TOKEN, "KEY", "guess", "half:x"))
    [silent] = [row for row in rows if row["app"] == "silent"]
    hours = datetime.now(UTC) - datetime.fromisoformat(silent["last_delivery"])
    assert timedelta(hours=5) <= hours < timedelta(hours=5, minutes=5)
    assert silent["host"] == "https://logs.example.com:443"


def test_apps_can_be_chosen_and_patience_set(inside: Inside, heroku: HerokuApi, world: dict[str, str]) -> None:
    """--app looks at one, --all also at those without credentials; --silent-after says how long is silent."""
    assert json.loads(inside.good("drains", "--app", "silent", "--silent-after", "6h", "--format", "json"))
    assert json.loads(inside.good("drains", "--app", "renamed", "--format", "json"))[0]["state"] == "attached"
    found = _states(json.loads(inside.run("drains", "--all", "--format", "json").stdout))
    # The stranger has no drain, so no row; other-name is what the drain of renamed goes by.
    assert found == {app: states for app, states in EXPECTED.items() if app != "other-name"} | {"renamed": ["attached"]}


def test_what_has_landed_counts(inside: Inside, heroku: HerokuApi) -> None:
    """The last delivery is found in the lake as in the log; files of before 0.5 do not name the drain."""
    now = datetime.now(UTC)
    token = heroku.add("shop", f"https://shop:{_secret(inside, 'shop')}@logs.example.com/logs", AGED)
    heroku.add("blog", f"https://blog:{_secret(inside, 'blog')}@logs.example.com/logs", AGED)
    row = {"timestamp": now, "app": "shop", "drain_token": token, "received_at": now - timedelta(hours=5)}
    imported = row | {"frame_id": "import:1", "received_at": now}
    lake = write_lake(inside.folder / "h" / "lake", {"deliveries": [row, imported]})
    old = {"timestamp": now, "app": "blog", "received_at": now - timedelta(minutes=5)}
    write_file(lake / "deliveries" / f"date={now.date()}" / "e0-000002.parquet", "deliveries", [old], TOKEN_COLUMN)
    done = inside.run("drains", "--format", "json")
    assert _states(json.loads(done.stdout)) == {"blog": ["attached"], "shop": ["silent"]}
    found = datetime.fromisoformat(json.loads(done.stdout)[1]["last_delivery"])
    assert found == row["received_at"]


def test_where_nothing_is_received_no_drain_is_called_silent(inside: Inside, heroku: HerokuApi) -> None:
    """On another machine than the receiver's the list works, says what it cannot know, and makes no files."""
    heroku.add("shop", "https://shop:s3cret-of-all@logs.example.com/logs", AGED)
    done = inside.run("drains", DRAINLAKE_DRAINS="shop:s3cret-of-all")
    assert done.returncode == 0, done.stderr
    assert "which drain is silent is not known" in done.stderr
    assert "attached" in done.stdout
    assert not list(inside.folder.iterdir())


def test_one_drain_is_removed_if_it_points_here(inside: Inside, heroku: HerokuApi) -> None:
    """Drains of others are not touched, nor are credentials."""
    ours = heroku.add("shop", f"https://shop:{_secret(inside, 'shop')}@logs.example.com/logs")
    other = heroku.add("shop", "https://elsewhere.example.org/logs")
    refused = inside.run("drains", "remove", "shop", other)
    assert (refused.returncode, len(heroku.drains["shop"])) == (1, 2)
    assert f"heroku drains:remove {other}" in refused.stderr
    assert inside.run("drains", "remove", "shop", "d.nope").returncode == 1
    inside.good("drains", "remove", "shop", ours)
    assert [drain["token"] for drain in heroku.drains["shop"]] == [other]
    assert len(_digests(inside, "shop")) == 1


@pytest.mark.parametrize(
    ("args", "env", "says"),
    [
        (["drains"], {"HEROKU_API_KEY": ""}, "HEROKU_API_KEY is not set"),
        (["drains"], {"HEROKU_API_URL": "http://api.example.com"}, "would send the token readable"),
        (["attach", "shop", "--apply"], {"DRAINLAKE_URL": ""}, "Where does Heroku reach drainlake"),
        (["attach", "shop", "--apply", "--retire-older"], {}, "two things"),
        (["drains", "rotate"], {}, "Missing argument"),
    ],
)
def test_wrong_use_is_refused(
    inside: Inside, heroku: HerokuApi, args: list[str], env: dict[str, str], says: str
) -> None:
    """Exit code 2, a sentence, one thing to try, and Heroku is not asked."""
    done = inside.run(*args, **env)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Try: " in done.stderr
    assert heroku.calls == []


def test_a_long_backlog_is_not_read_whole(inside: Inside, heroku: HerokuApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit it goes on with the newest, and says so."""
    monkeypatch.setattr(drain_traffic, "ENTRIES_MAX", 3)
    monkeypatch.setattr(drain_traffic, "ROWS_MAX", 1)
    token = heroku.add("shop", f"https://shop:{_secret(inside, 'shop')}@logs.example.com/logs", AGED)
    for _ in range(8):
        _deliver(inside, "shop", token, timedelta(hours=5))
    with closing(connect(inside.folder / "h" / "log.db")) as connection:
        connection.execute("UPDATE entries SET appended_at = appended_at - 7200")
    _deliver(inside, "shop", token, timedelta(0))
    done = inside.run("drains")
    assert done.returncode == 0, done.stderr
    assert "much waits to be landed; of it the last 900 s are looked at" in done.stderr


@pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")
def test_deliveries_in_kafka_count_and_landers_keep_their_partitions(
    inside: Inside, heroku: HerokuApi, kafka: Access, kafka_prefix: str
) -> None:
    """The list reads the topic beside a lander that owns all of it."""
    connection = KafkaConnection((kafka.bootstrap,), kafka_prefix)
    inside.environment |= {"DRAINLAKE_LOG": f"kafka://{kafka.bootstrap}", "KAFKA_PREFIX": kafka_prefix}
    token = heroku.add("shop", f"https://shop:{_secret(inside, 'shop')}@logs.example.com/logs", AGED)
    with closing(KafkaLog(connection)) as lander:
        owned = lander.partitions("deliveries")
        store(lander, [Delivery("shop", frame("line"), time.time_ns() // 1000, drain_token=token)])
        row = json.loads(inside.good("drains", "--format", "json"))[0]
        assert row["state"] == "attached"
        assert row["last_delivery"] is not None
        assert lander.partitions("deliveries") == owned == lander.all_partitions("deliveries")
