"""Every name that dashboard, alerts and the runbook use is one that real processes show."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from prometheus_client.parser import text_string_to_metric_families

from drainlake.figures.land import LandFigures, land_figures
from ingest.eventlog.spooled import SpoolState
from ingest.figures.board import Board, make_memory
from ingest.figures.colleagues import Colleagues
from ingest.metrics import Metrics
from tests.drainlake.conftest import Cli
from tests.drainlake.receivers import free_port
from tests.ingest.running import frame, post

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric

ROOT = Path(__file__).parents[2]
ALERTS = (ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8")
PAGE = (ROOT / "docs/operations.md").read_text("utf-8")
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/drainlake.json").read_text("utf-8"))
NAME = re.compile(r"\b(?:drainlake|process)_[a-z0-9_]+\b")
TOKEN = "a-token-for-metrics"


@dataclass
class Running:
    """A receiver, a lander and a schedule of one home, each a process; ``shown`` is ``/metrics`` after a round."""

    cli: Cli
    ports: dict[str, int]
    processes: dict[str, subprocess.Popen[str]]
    trust: ssl.SSLContext
    shown: str = ""

    def get(self, name: str, path: str, token: str = TOKEN) -> tuple[int, str]:
        """Ask a process."""
        port, headers = self.ports[name], {"Authorization": f"Bearer {token}"}
        connection = (
            http.client.HTTPSConnection("localhost", port, timeout=20, context=self.trust)
            if name == "serve"
            else http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        )
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait; the limit only ends a test that has failed."""
        deadline = time.monotonic() + 90
        while not holds():
            assert time.monotonic() < deadline, f"never: {what}"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All of it, once for the module."""
    folder = tmp_path_factory.mktemp("exposed")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    cli = Cli(
        folder,
        {
            "DRAINLAKE_LAND_SECONDS": "0.2", "DRAINLAKE_DRAINS": "shop:s3cret", "DRAINLAKE_METRICS_TOKEN": TOKEN,
            "DRAINLAKE_NOTIFY": str(folder / "sent"), "DRAINLAKE_REPORT_AT": "* * * * *",
        },
    )  # fmt: skip
    ports = {name: free_port() for name in ("serve", "land", "schedule")}
    tls = {"DRAINLAKE_TLS_CERT": "cert.pem", "DRAINLAKE_TLS_KEY": "key.pem"}
    processes = {"serve": cli.start("serve", PORT=str(ports["serve"]), **tls)}
    running = Running(cli, ports, processes, trust)
    try:
        running.until(lambda: running.get("serve", "/readyz")[0] == 200, "the receiver answers")
        connection = http.client.HTTPSConnection("localhost", ports["serve"], timeout=20, context=trust)
        assert post(connection, frame("hello"), secret="s3cret") == 204
        connection.close()
        for name in ("land", "schedule"):
            processes[name] = cli.start(name, DRAINLAKE_METRICS_PORT=str(ports[name]))
        running.until(lambda: _has_all(running), "all have done a round")
        yield running
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def _has_all(running: Running) -> bool:
    running.shown = running.get("serve", "/metrics")[1]
    wanted = ("drainlake_report_findings{", 'drainlake_rounds_total{process="land"}', 'process="schedule"')
    return all(each in running.shown for each in wanted)


def _families(text: str) -> dict[str, Metric]:
    return {each.name: each for each in text_string_to_metric_families(text)}


@pytest.fixture(scope="module")
def families(running: Running) -> dict[str, Metric]:
    """All families: of the processes, and those that only a spool before Kafka, or several workers show."""
    more = Metrics(colleagues=Colleagues(Board(make_memory(1), 1), 1, ""))
    more.watch_spool(lambda: SpoolState(True, 0, 0, None, 0, None))
    others = _families(more.exposition()[0].decode())
    landers = _families(running.get("land", "/metrics")[1])
    return {**others, **landers, **_families(running.shown)}


@pytest.fixture(scope="module")
def samples(families: dict[str, Metric]) -> set[str]:
    """The names of all samples."""
    return {sample.name for each in families.values() for sample in each.samples}


def test_each_name_in_dashboard_and_alerts_is_shown_by_a_process(samples: set[str]) -> None:
    """A panel or an alert on a name that nobody shows is blind, and nothing says so."""
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    rules = re.findall(r"expr: >-\n((?: {10}.*\n)+)", ALERTS)
    assert len(rules) == len(re.findall(r"- alert:", ALERTS))
    used = {name for text in (*expressions, *rules) for name in NAME.findall(text)}
    assert used - samples == set()
    assert len(used) > 30


def test_lander_and_schedule_show_themselves_too(running: Running) -> None:
    """Where the receiver is on another host; the token guards figures, health is for everyone."""
    for name in ("land", "schedule"):
        status, text = running.get(name, "/metrics")
        assert status == 200
        assert f'drainlake_rounds_total{{process="{name}"}}' in text
        assert running.get(name, "/metrics", token="another")[0] == 401
        assert running.get(name, "/healthz", token="")[0] == 200
    assert "drainlake_report_findings{" in running.get("schedule", "/metrics")[1]


def test_every_metric_stands_in_the_runbook_with_its_sentence(families: dict[str, Metric]) -> None:
    """The sentence is the one that /metrics gives."""
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| .*? \| (.*) \|$", PAGE, re.MULTILINE))
    shown = {each.name + ("_total" if each.type == "counter" else ""): each.documentation for each in families.values()}
    assert rows == shown


def test_a_killed_lander_stays_visible_and_one_that_ends_goes(running: Running) -> None:
    """Its last figures say until when it wanted to be heard of; a lander in its place takes the name over."""
    running.processes["land"].kill()
    running.processes["land"].communicate()
    shown = _families(running.get("serve", "/metrics")[1])
    stuck_after = {s.labels["process"]: s.value for s in shown["drainlake_stuck_after_timestamp_seconds"].samples}
    assert time.time() < stuck_after["land"] < time.time() + 400
    again = running.cli.start("land")
    running.processes["land"] = again
    figures = running.cli.folder / "drainlake-data/metrics"
    running.until(lambda: f"{again.pid}" in _holders(figures / ".land.lock"), "the new one has the name")
    again.terminate()
    assert again.wait(60) == 0
    again.communicate()
    assert sorted(path.name for path in figures.glob("*.prom")) == ["reports.prom", "schedule.prom"]


def _holders(lock: Path) -> str:
    inode = lock.stat().st_ino
    return " ".join(line.split()[4] for line in Path("/proc/locks").read_text().splitlines() if f":{inode} " in line)


def test_each_panel_has_title_unit_description_and_place() -> None:
    """No two of them overlap, every one asks the chosen data source, and rows come in the order of a line's way."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Receiving", "Replies", "Loss", "Landing", "Reports", "Process"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert DASHBOARD["schemaVersion"] >= 39
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["datasource", "instance"]


def test_every_alert_has_its_section_in_the_runbook() -> None:
    """Its link leads there, and no section is of an alert that is no more."""
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    assert re.findall(r"^### (Drainlake\w+)$", PAGE, re.MULTILINE) == alerts
    assert re.findall(r"runbook_url: docs/operations.md#(\w+)", ALERTS) == [name.lower() for name in alerts]
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        for question in ("**Means**", "**Look**", "**Do**"):
            assert question in section, section.splitlines()[0]


def test_each_counter_of_a_limit_is_explained(families: dict[str, Metric]) -> None:
    """The labels that say why something was left out or refused."""
    for name in ("drainlake_refusals", "drainlake_scrape_errors", "drainlake_connections_closed"):
        for sample in families[name].samples:
            if sample.name.endswith("_total"):
                (value,) = sample.labels.values()
                assert f"`{value}`" in PAGE, (name, value)


def test_the_figures_of_a_lander_that_knows_no_lag_have_none() -> None:
    """Nought would say that nothing waits."""
    assert not [
        sample for each in land_figures(LandFigures(), "land") for sample in each.samples if "lag" in sample.name
    ]


def test_every_part_of_status_has_its_section_in_the_runbook() -> None:
    """The parts as they stand in the source; those named after processes share one."""
    sources = ("drainlake/health.py", "drainlake/host.py", "drainlake/silence.py", "queries/delivery/standing.py")
    text = "".join((ROOT / source).read_text("utf-8") for source in sources)
    parts = set(re.findall(r'(?:Part|Standing)\("([a-z ]+)"', text)) | {"report", "alarm check", "process"}
    assert len(parts) > 15
    assert set(re.findall(r"^### status: (.+)$", PAGE, re.MULTILINE)) == parts
