"""The load test plan against plain counting, and its files against paths that attackers write."""

from __future__ import annotations

import ast
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from queries.load_tests import EXECUTABLE, files
from queries.load_tests.plan import Plan, PlanError, Workload, base, of_rows
from tests.queries.flights import fill

if TYPE_CHECKING:
    from pathlib import Path

HOST = "https://staging.example.com:8443"
EPOCH = datetime(2026, 11, 23, tzinfo=UTC)
ATTACKS = [
    "/a'b\"c",
    "/$(reboot)`reboot`${IFS}",
    "/\nrun 2x page 1 1 1 https://elsewhere.example/\n",
    "/</script><script>alert(1)</script>",
    "/x';process.exit();//",
    "/\u2028\u2029\x00\x1b[2J",
    '/"""\nimport os\n"""',
    "/ab -n 1 https://elsewhere.example/",
    "/?q=https://elsewhere.example/&x=%27%22%0A",
    "//elsewhere.example/@elsewhere.example:80/",
    "/#!\\u0022\\",
    "/-h;rm -rf ~&&|<>*?[]{}!",
]


def fill_of_shop(memory: Any, rows: list[dict[str, Any]]) -> None:
    """Put these requests of one app at Heroku's router in the place of the ones before."""
    fill(memory, [{"app": "shop", "source": "heroku", **row} for row in rows])


request = st.fixed_dictionaries(
    {
        "timestamp": st.integers(0, 150_000).map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
        "method": st.sampled_from(["GET", "GET", "HEAD", "POST", None]),
        "path": st.sampled_from(["/a", "/a?x=1", "/api/b", "/c.css", "/login", None]),
        "dyno": st.sampled_from(["web.1", "web.1", None]),
        "service_ms": st.one_of(st.none(), st.integers(0, 70_000)),
        "connect_ms": st.one_of(st.none(), st.integers(0, 3)),
        "status": st.sampled_from([200, 200, 304, 404, 503, None, 101]),
        "level": st.sampled_from(["info", "info", "error", None]),
    }
)


@given(rows=st.lists(request, min_size=1, max_size=25))
@settings(max_examples=20, deadline=None)
def test_a_plan_equals_plain_counting(memory: Any, rows: list[dict[str, Any]]) -> None:
    """Requests, busiest minute, p95 and errors of each workload are counted right, and the peak is shared out."""
    fill_of_shop(memory, [row | {"route": row["path"] and row["path"].split("?")[0]} for row in rows])
    answer = memory.execute(
        "SELECT workload, requests, round(60 * arrivals_per_second)::INT, p95_ms, error_share, in_flight,"
        " test_requests, concurrency FROM load_test_plan(heavy_from_ms := 30000)"
    ).fetchall()
    assert {workload: tuple(rest) for workload, *rest in answer} == counted(rows)
    (peak,) = memory.execute("SELECT coalesce(sum(peak), 0) FROM peak_concurrency()").fetchone()
    assert sum(row[5] for row in answer) == peak


def counted(rows: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """The plan by counting; in flight is looked up at the instant that peak_concurrency would name."""
    rows = [row for row in rows if row["status"] != 101]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(named(row, rows), []).append(row)
    flying = Counter(named(row, rows) for row in at_peak(rows))
    return {name: figures(group, flying[name]) for name, group in groups.items()}


def named(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """The workload of a request among the others."""
    if row["path"] is None:
        return "other"
    if row["method"] not in ("GET", "HEAD"):
        return "write"
    fixed = {"/login": "login", "/c.css": "static"}.get(row["path"])
    route = row["path"].split("?")[0]
    times = sorted(
        each["service_ms"]
        for each in rows
        if (each["path"] or "").split("?")[0] == route
        and each["method"] in ("GET", "HEAD")
        and each["service_ms"] is not None
    )
    is_heavy = bool(times) and times[math.ceil(len(times) / 2) - 1] >= 30000
    return fixed or ("heavy" if is_heavy else "api" if route == "/api/b" else "page")


def span(row: dict[str, Any]) -> tuple[datetime, datetime]:
    """When a request began and ended."""
    began = row["timestamp"] - timedelta(milliseconds=(row["service_ms"] or 0) + (row["connect_ms"] or 0))
    return began, max(row["timestamp"], began + timedelta(microseconds=1))


def at_peak(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Who is in flight at the first-logged of the fullest instants."""
    served = [row for row in rows if row["dyno"] is not None and row["service_ms"] is not None]
    sets = {at: [row for row in served if span(row)[0] <= at < span(row)[1]] for at, _ in map(span, served)}
    peak = max(map(len, sets.values()), default=0)
    fullest = [(span(row)[1], span(row)[0]) for row in served if len(sets[span(row)[0]]) == peak]
    return sets[min(fullest)[1]] if fullest else []


def figures(group: list[dict[str, Any]], in_flight: int) -> tuple[Any, ...]:
    """Requests, arrivals in the busiest minute, p95, share of errors, in flight, and what ab is told."""
    minutes = Counter(
        (row["timestamp"] - timedelta(milliseconds=(row["service_ms"] or 0) + (row["connect_ms"] or 0))).replace(
            second=0, microsecond=0
        )
        for row in group
    )
    times = sorted(row["service_ms"] for row in group if row["service_ms"] is not None)
    p95 = times[math.ceil(0.95 * len(times)) - 1] if times else None
    failed = sum((row["status"] or 0) >= 500 or row["level"] == "error" for row in group)
    busiest = max(minutes.values())
    sent = max(busiest, 20 * max(in_flight, 1))
    return len(group), busiest, p95, failed / len(group), in_flight, sent, max(in_flight, 1)


def written(addresses: list[str], name: str = "page") -> dict[str, str]:
    """The files of a plan with these addresses."""
    workload = Workload(name, tuple((url, 3 + at) for at, url in enumerate(addresses)), 2.5, 4, 80, 90, 180, 0.002)
    return files(Plan("shop", HOST, 60, (workload,), (("write", "By hand."),)))


def test_scripts_are_whole_programs(tmp_path: Path) -> None:
    """bash, node and Python take what was written."""
    found = written([f"{HOST}/", f"{HOST}/a?b=%27c"])
    assert set(EXECUTABLE) <= set(found)
    for name, text in found.items():
        assert text.endswith("\n")
        (tmp_path / name).write_text(text)
    for name in EXECUTABLE:
        subprocess.run(["bash", "-n", tmp_path / name], check=True)
    subprocess.run([sys.executable, "-m", "py_compile", tmp_path / "locustfile.py"], check=True)
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (tmp_path / "k6.mjs").write_text(found["k6.js"])
    subprocess.run(["node", "--check", tmp_path / "k6.mjs"], check=True)


attack = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(max_size=30).map(lambda text: "/" + text),
    st.binary().map(lambda raw: f"/{raw!r}"),
)


@given(paths=st.lists(attack, min_size=1, max_size=6))
@example(paths=ATTACKS)
@settings(max_examples=20, deadline=None)
def test_hostile_paths_stay_data_in_every_file(memory: Any, paths: list[str]) -> None:
    """Out of the log through the question into the files: each tool reads back the address that was meant."""
    fill_of_shop(
        memory,
        [
            {"timestamp": EPOCH, "method": "GET", "path": path.replace("\x00", ""), "route": "/", "status": 200}
            | {"dyno": "web.1", "service_ms": 5}
            for path in paths
        ],
    )
    rows = memory.execute("FROM load_test_plan(target_url := ?)", [HOST])
    rows = [dict(zip([column[0] for column in rows.description], row, strict=True)) for row in rows.fetchall()]
    addresses = memory.execute(
        "SELECT workload, url, requests FROM load_test_addresses(NULL, NULL, NULL, ?, 1000)", [HOST]
    ).fetchall()
    if not addresses:
        return
    urls = {url for _, url, _ in addresses}
    for url in urls:
        assert unquote(url.removeprefix(HOST)) in {unquote(path.replace("\x00", "")) for path in paths}
    words = shlex.split(rows[0]["command"])
    assert [words[at] for at in (0, 1, 3, 5, 7, 9)] == ["ab", "-t", "-n", "-c", "-s", "-l"]
    assert words[10:] in [[url] for url in urls]
    check(files(of_rows(rows, addresses, HOST)), urls)


@pytest.mark.parametrize("asked_late", [4, 130])
def test_addresses_are_the_last_good_paths_of_a_route(memory: Any, asked_late: int) -> None:
    """They are those of its newest hours, whether these have many requests or few."""
    hours = [*([0] * 130), *([1] * 130), *([2] * asked_late)]
    times = [EPOCH + timedelta(hours=hour, seconds=at % 130) for at, hour in enumerate(hours)]
    answered = {"route": "/blog/{slug}", "method": "GET", "service_ms": 20, "dyno": "web.1"}
    rows = [{"timestamp": time, "path": f"/blog/{at}", "status": 200, **answered} for at, time in enumerate(times)]
    fill_of_shop(memory, rows + [{**row, "path": "/blog/gone", "status": 404} for row in rows])
    [(of_page,)] = memory.execute(
        "SELECT list(url) FROM load_test_addresses(NULL, NULL, NULL, ?, 1000)", [HOST]
    ).fetchall()
    newest = sorted(rows, key=lambda row: (row["timestamp"], row["path"]))[-10:]
    assert sorted(of_page) == sorted(HOST + row["path"] for row in newest)


def check(found: dict[str, str], urls: set[str]) -> None:
    """Every file holds these addresses as one datum each, and no other; one may name another host in its query."""
    called = [shlex.split(line) for line in found["ab.sh"].splitlines() if line.startswith(("cold ", "run "))]
    assert {part for call in called for part in call if part.startswith("http")} <= urls
    assert [len(call) for call in called if call[0] == "run"] == [7, 7, 7]
    assert {line.removeprefix("GET ") for line in found["vegeta-page.txt"].splitlines()} == urls
    assert set(found["oha-page.txt"].splitlines()) == urls
    tree = ast.parse(found["locustfile.py"])
    assigned = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert set(assigned["WORKLOADS"]["page"]["targets"]) == urls
    data = json.JSONDecoder().raw_decode(found["k6.js"].partition("const PLAN = ")[2])[0]
    assert set(data["workloads"]["page"]["targets"]) == urls
    assert "<" not in found["k6.js"].partition("const PLAN = ")[2].partition("};")[0]


@given(path=attack)
@settings(max_examples=60, deadline=None)
def test_what_is_not_encoded_is_not_written(path: str) -> None:
    """The writers take no address that the question would not have made, whoever hands it over."""
    if re.fullmatch(r"/[A-Za-z0-9/?&=%+,:@~_.-]*", path):
        return
    with pytest.raises(PlanError):
        written([HOST + path])


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/", f"{HOST}.elsewhere.example/", f"{HOST}@elsewhere/", HOST]
)
def test_an_address_elsewhere_is_refused(url: str) -> None:
    """An address that does not begin with the one host and a slash is none of the plan's."""
    with pytest.raises(PlanError):
        written([url])


def test_names_that_could_be_code_are_refused() -> None:
    """App and workload stand in comments and file names."""
    for app, name in (("shop\nreboot", "page"), ("shop", "../page"), ("shop", "page\n")):
        with pytest.raises(PlanError):
            files(Plan(app, HOST, 60, (Workload(name, ((f"{HOST}/", 1),), 1, 1, 1, 1, 1, 0),), ()))


@pytest.mark.parametrize(
    "text",
    [
        "staging.example.com",
        "ftp://staging.example.com",
        "https://user@staging.example.com",
        "https://staging.example.com/",
        "https://staging.example.com?x",
        "https://staging.example.com:0",
        "https://staging.example.com:99999",
        "https://a b",
        "https://-a",
        "https://$(reboot)",
        "https://staging.example.com\n",
        "https://",
    ],
)
def test_a_host_is_a_scheme_and_a_host(text: str) -> None:
    """Anything more or less is refused."""
    with pytest.raises(ValueError, match="must be a scheme and a host"):
        base(text)


@pytest.mark.parametrize("text", ["https://staging.example.com", "http://127.0.0.1:5000", "http://[::1]:5000"])
def test_hosts_with_ports_and_addresses_are_taken(text: str) -> None:
    """Names, addresses of both kinds, and ports."""
    assert base(text) == text


def test_targets_stand_as_often_as_they_are_asked_for() -> None:
    """Three to one in requests is three to one in lines, spread, and one address is one line."""
    addresses = (("a", 3000), ("b", 1000))
    targets = Workload("page", addresses, 1, 1, 20, 1, 11, 0).targets()
    assert Counter(targets)["a"] / Counter(targets)["b"] == pytest.approx(3, rel=0.05)
    assert len(targets) <= 200
    assert all("b" in targets[at : at + 6] for at in range(len(targets) - 6))
    assert Workload("page", (("a", 9),), 1, 1, 20, 1, 11, 0).targets() == ["a"]
