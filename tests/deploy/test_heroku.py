"""The files for Heroku under a real process manager, with a Kafka that forbids as Heroku's does, and an S3."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drainlake.setting_table import TABLE
from ingest.eventlog.kafka.topics import PARTITIONS
from ingest.scanner import building
from ingest.schema import TABLES
from tests.deploy.pages import DEPLOY, ROOT
from tests.drainlake.receivers import free_port
from tests.kafka.access import USER
from tests.kafka.fixtures import broker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.kafka.broker import Broker
    from tests.s3.fixtures import S3Server

HEROKU = DEPLOY / "heroku"
PAGE = (HEROKU / "README.md").read_text("utf-8")
APP = json.loads((HEROKU / "app.json").read_text("utf-8"))
PROCESSES = dict(re.findall(r"^(\w+): (.*)$", (HEROKU / "Procfile").read_text("utf-8"), re.MULTILINE))
SAVED = ROOT / "tests/drainlake/data/saved.log"
COPIED = ("Procfile", "app.json", ".python-version", ".slugignore")
PREFIX = "prefix-1234."
WAIT_SECONDS = 90.0


def test_the_manifest_names_the_processes_and_settings_that_there_are() -> None:
    """Formation and Procfile agree; each name of `env` is a setting or one of Amazon's."""
    assert APP["formation"].keys() == PROCESSES.keys() == {"web", "worker", "clock"}
    ours = {name for name in APP["env"] if not name.startswith("AWS_")}
    assert ours <= {setting.name for setting in TABLE}
    assert set(APP["env"]) - ours == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"}


def test_the_manifest_has_the_form_that_heroku_publishes() -> None:
    """Keys and kinds of devcenter.heroku.com/articles/app-json-schema, as far as they are used here."""
    kinds = {
        "name": str, "description": str, "keywords": list, "stack": str, "buildpacks": list, "formation": dict,
        "addons": list, "env": dict,
    }  # fmt: skip
    assert {key: type(value) for key, value in APP.items()} == kinds
    assert all(one.keys() <= {"description", "value", "required", "generator"} for one in APP["env"].values())
    assert all(isinstance(one.get("value", ""), str) for one in APP["env"].values())
    assert all(one.keys() == {"quantity", "size"} for one in APP["formation"].values())
    assert all(one.keys() == {"url"} for one in APP["buildpacks"])


def test_the_page_makes_all_topics_and_copies_all_files() -> None:
    """Heroku lets no app make topics, and reads its files at the root of what is pushed."""
    loop = re.search(r"for table in ([a-z ]+); do", PAGE)
    assert loop
    assert loop[1].split() == list(TABLES)
    assert f"--partitions {PARTITIONS} " in PAGE
    for name in (*COPIED, "bin"):
        assert (HEROKU / name).exists()
        assert f"deploy/heroku/{name}" in PAGE
    ignored = (HEROKU / ".slugignore").read_text("utf-8").split()
    assert not {"/drainlake", "/ingest", "/transforms", "/queries"} & set(ignored)


def test_the_hook_of_the_buildpack_compiles_the_scanner(tmp_path: Path) -> None:
    """Nothing installs drainlake there, so nothing else would."""
    shutil.copytree(
        ROOT / "ingest", tmp_path / "ingest", ignore=shutil.ignore_patterns(building.LIBRARY, "__pycache__")
    )
    subprocess.run([HEROKU / "bin/post_compile"], cwd=tmp_path, check=True)
    assert (tmp_path / "ingest/scanner" / building.LIBRARY).is_file()


@contextmanager
def dynos(folder: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """All processes of the Procfile under honcho, in a folder that holds what a slug does; gives the port of `web`."""
    port = free_port()
    command = [sys.executable, "-m", "honcho", "start", "-p", str(port)]
    with (folder / "dynos.log").open("w") as log:
        manager = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, process_group=0)
        try:
            yield port
        finally:
            manager.send_signal(signal.SIGTERM)
            try:
                manager.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(manager.pid, signal.SIGKILL)
                manager.wait(30)


@pytest.fixture
def slug(tmp_path: Path) -> Path:
    """What the page pushes, less what `.slugignore` leaves out."""
    folder = tmp_path / "app"
    folder.mkdir()
    for package in ("drainlake", "ingest", "transforms", "queries"):
        (folder / package).symlink_to(ROOT / package)
    for name in COPIED:
        shutil.copy(HEROKU / name, folder)
    return folder


def config_vars(kafka: Broker, s3: S3Server, bucket: str, secret: str) -> dict[str, str]:
    """What the add-on and the page's `config:set` put into the environment of each dyno."""
    access = kafka.access
    assert access.ca_path
    assert access.certificate_path
    assert access.key_path
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DRAINLAKE_", "KAFKA_", "AWS_")) and k != "PORT"}
    return {
        **kept,
        **{name: one["value"] for name, one in APP["env"].items() if "value" in one},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KAFKA_URL": f"kafka+ssl://{access.bootstrap},kafka+ssl://{access.bootstrap}",
        "KAFKA_PREFIX": PREFIX,
        "KAFKA_TRUSTED_CERT": access.ca_path.read_text(),
        "KAFKA_CLIENT_CERT": access.certificate_path.read_text(),
        "KAFKA_CLIENT_CERT_KEY": access.key_path.read_text(),
        "DRAINLAKE_LAKE": f"s3://{bucket}/lake",
        "DRAINLAKE_DRAINS": f"shop:{secret}",
        "DRAINLAKE_LAND_SECONDS": "0.5",
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "DYNO": "web.1",
    }


def drainlake(folder: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command, as on a one-off dyno or at home."""
    command = [sys.executable, "-m", "drainlake", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def answers(port: int) -> bool:
    """Whether the receiver is ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_delivery_to_the_dynos_is_answered_from_the_lake(
    tmp_path: Path, slug: Path, s3: S3Server, bucket: str
) -> None:
    """Topics made beforehand under a prefix, TLS with Heroku's kind of certificates, no right to make anything."""
    secret = secrets.token_urlsafe(32)
    with broker(tmp_path, "heroku", authorised=True) as kafka:
        with kafka.admin() as admin:
            topics = {f"{PREFIX}drainlake.{table}": {"num_partitions": PARTITIONS} for table in TABLES}
            admin.create_topics(topics, wait_for_metadata=True)
        kafka.allow(USER, PREFIX, "DESCRIBE", "READ", "WRITE")
        environment = config_vars(kafka, s3, bucket, secret)
        with dynos(slug, environment) as port:
            wait_for(lambda: answers(port), slug)
            url = f"http://shop:{secret}@127.0.0.1:{port}/logs"
            home = tmp_path / "home"
            home.mkdir()
            here = environment | {"DYNO": ""}
            drainlake(home, here, "simulate", "--to", url, "--from", str(SAVED))
            # Not the file without rows of 1970, which stands for an empty table.
            wait_for(lambda: list((s3.folder / bucket / "lake/router").glob("date=2*/*.parquet")), slug)
            assert timeouts(home, here) == 1
            one_off = drainlake(slug, environment | {"DYNO": "run.1"}, "--home", str(home), "status")
            assert "All is well." in one_off.stderr
    log = (slug / "dynos.log").read_text()
    for process in PROCESSES:
        assert re.search(rf"{process}\.1.* stopped \(rc=0\)", log), log


def timeouts(home: Path, environment: Mapping[str, str]) -> int:
    """How many timeouts the lake knows, asked by somebody who has its address alone."""
    given = {name: text for name, text in environment.items() if not name.startswith("KAFKA_")}
    done = drainlake(home, given, "query", "h12_timeouts", "--app", "shop", "--format", "json")
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    return sum(row["timeouts"] for row in rows)


def wait_for(holds: Any, slug: Path) -> None:
    """Wait for something to become true; the limit only ends a test that has failed."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, (slug / "dynos.log").read_text()
        time.sleep(0.1)
