"""The made-up day: the same for a seed, well framed, and its truth agrees with an independent count."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.simulator.framing import Delivery, split
from ingest.simulator.shop import ShopDay, Truth
from ingest.simulator.shop.truth import peak

DAY = date(2026, 11, 22)
LINES = 30_000
HEAD = re.compile(r"<(\d+)>1 (\S+) host (\S+) (\S+) - (.*)", re.DOTALL)
ROUTER = re.compile(
    r'at=(\w+)(?: code=(H\d+) desc="[^"]*")? method=(\S+) path="(.*)" host=\S+ '
    r'request_id=[0-9a-f-]{36} fwd="(.*?)" '
    r"dyno=(\S+) connect=(\d+)ms service=(\d+)ms status=(\d+) bytes=(\d*) protocol="
)
CONTINUATION = r"Stack trace:|#\d+ |  thrown in |script_filename = |\[0x[0-9a-f]{16}\] "
PHP = r"\[\d\d-Nov-2026|\d{4}/\d\d/\d\d |" + CONTINUATION


@dataclass
class Line:
    at: datetime
    app: str
    process: str
    message: str


@dataclass
class Made:
    deliveries: list[Delivery]
    truth: Truth
    lines: list[Line] = field(default_factory=list)


def _line(frame: bytes) -> Line:
    match = HEAD.fullmatch(frame.partition(b" ")[2].decode())
    assert match
    _, stamp, app, process, message = match.groups()
    return Line(datetime.fromisoformat(stamp), app, process, message.removesuffix("\n"))


@pytest.fixture(scope="module")
def made() -> Made:
    """A small day, read again from its bytes; a Frame-Id seen before adds only the notice in front."""
    day = ShopDay(11, DAY, LINES)
    found = Made(list(day.deliveries()), day.truth)
    seen: set[str] = set()
    for delivery in found.deliveries:
        frames = split(delivery.body)
        again = delivery.frame_id in seen
        seen.add(delivery.frame_id)
        for frame in frames[:1] if again else frames:
            found.lines.append(_line(frame))
    return found


@pytest.fixture(scope="module")
def routed(made: Made) -> list[tuple[Line, re.Match[str]]]:
    """The router's lines, taken apart by a plain pattern."""
    found = [(line, ROUTER.search(line.message)) for line in made.lines if line.process == "router"]
    assert all(match for _, match in found)
    return [(line, match) for line, match in found if match]


def table(line: Line) -> str:
    """The table of a line, by the simplest rule that fits this day."""
    message = line.message
    if line.process == "router":
        return "router"
    if "sample#" in message:
        return "samples"
    if line.process == "api":
        return "releases"
    if line.app == "heroku":
        return "platform"
    if re.match(r"10\.1\.\d+\.\d+ - - \[|nginx_access v=1 ", message):
        return "access"
    return "php" if line.process.startswith("web.") and re.match(PHP, message) else "lines"


def rows(line: Line) -> int:
    """How many rows a line becomes: a metrics line several, a continuation none."""
    if table(line) == "samples":
        return line.message.count("sample#")
    return not re.match(CONTINUATION, line.message)


def digest(day: ShopDay) -> str:
    """One value for all bytes and ids of a day."""
    whole = hashlib.sha256()
    for delivery in day.deliveries():
        whole.update(f"{delivery.frame_id} {delivery.messages} ".encode() + delivery.body)
    return whole.hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_any_process(made: Made) -> None:
    """Also under another hash seed; and another seed or day gives another one."""
    code = (
        "import datetime; from ingest.simulator.shop import ShopDay; "
        "from tests.ingest.simulator.test_shop_day import digest; "
        f"print(digest(ShopDay(11, datetime.date(2026, 11, 22), {LINES})))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert other == digest(ShopDay(11, DAY, LINES))
    assert other != digest(ShopDay(12, DAY, LINES))
    assert other != digest(ShopDay(11, DAY + timedelta(days=1), LINES))


def test_deliveries_are_well_framed_and_not_too_large(made: Made) -> None:
    """The announced count is the number of frames; the notice may add a little to one body."""
    for delivery in made.deliveries:
        assert len(split(delivery.body)) == delivery.messages
        assert len(delivery.body) <= 102_400 + 200


def test_lines_come_in_order_of_time_within_the_day(made: Made) -> None:
    """All but the notices, which tell of the past."""
    times = [line.at for line in made.lines if line.process != "logplex"]
    assert times == sorted(times)
    assert {time.date() for time in times} == {DAY}


def test_the_number_of_lines_is_about_what_was_asked_for() -> None:
    """Within two percent for a quarter of a million."""
    lines = ShopDay(3, DAY, 250_000).truth.lines
    assert abs(lines - 250_000) < 5000


def test_too_few_lines_are_refused() -> None:
    """The incidents alone need some thousands."""
    with pytest.raises(ValueError, match="at least 20,000"):
        ShopDay(1, DAY, 19_999)


def test_the_truth_counts_lines_and_rows_by_table(made: Made) -> None:
    """Against a count over the bytes by patterns."""
    lines, expected = Counter(map(table, made.lines)), Counter[str]()
    for line in made.lines:
        expected[table(line)] += rows(line)
    assert made.truth.lines == len(made.lines)
    assert made.truth.lines_by_table == dict(lines)
    assert made.truth.rows_by_table == dict(expected)


def test_the_truth_about_repeat_and_gap(made: Made) -> None:
    """One delivery stands there twice, then with a notice in front; two notices tell of the losses."""
    ids = Counter(delivery.frame_id for delivery in made.deliveries)
    (repeated,) = [frame_id for frame_id, count in ids.items() if count > 1]
    first, again = (one for one in made.deliveries if one.frame_id == repeated)
    assert split(again.body)[1:] == split(first.body)
    notices = [line for line in made.lines if line.process == "logplex"]
    dropped = [int(one) for line in notices for one in re.findall(r": (\d+) messages dropped since", line.message)]
    truth = made.truth
    assert (truth.repeated_deliveries, truth.repeated_lines) == (1, first.messages)
    assert (truth.l10_notices, truth.dropped_lines) == (len(notices), sum(dropped))
    assert truth.deliveries == len(made.deliveries)


def test_the_truth_about_timeouts(made: Made, routed: list[tuple[Line, re.Match[str]]]) -> None:
    """Count, first and last instant, the culprit's share; service 30 s, status 503 with Heroku's own page."""
    late = [(line, match) for line, match in routed if match[2] == "H12"]
    truth = made.truth.timeouts
    assert truth.count == len(late) == sum(truth.by_route.values())
    assert (truth.first_at, truth.last_at) == (
        min(line.at for line, _ in late),
        max(line.at for line, _ in late),
    )
    assert truth.by_route[truth.culprit] == sum(match[4].startswith("/reports/export") for _, match in late) > 20
    assert truth.count > truth.by_route[truth.culprit]
    assert all((match[9], match[10]) == ("503", "567") and match[8] in {"30000", "30001"} for _, match in late)


def test_the_truth_about_statuses(made: Made, routed: list[tuple[Line, re.Match[str]]]) -> None:
    """The router's own statuses."""
    assert made.truth.statuses == Counter(int(match[9]) for _, match in routed)


def test_the_truth_about_memory(made: Made) -> None:
    """Every R14 follows a memory line of the same dyno; the peak is the highest reported."""
    errors = [line for line in made.lines if line.message == "Error R14 (Memory quota exceeded)"]
    reports = [re.fullmatch(r"Process running mem=(\d+)M\(([\d.]+)%\)", line.message) for line in made.lines]
    truth = made.truth.memory
    assert {line.process for line in errors} == {truth.dyno}
    assert (truth.errors, truth.first_at, truth.last_at) == (len(errors), errors[0].at, errors[-1].at)
    assert truth.peak_memory_mb == max(float(match[1]) for match in reports if match)
    assert truth.peak_percent == max(float(match[2]) for match in reports if match)
    gaps = {(later.at - one.at).total_seconds() for one, later in pairwise(errors)}
    assert 20 <= min(gaps) <= max(gaps) <= 21


def test_the_truth_about_uncompressed_assets(made: Made, routed: list[tuple[Line, re.Match[str]]]) -> None:
    """Scripts and styles have one size all day; after the deploy nginx itself says they are not packed."""
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for _, match in routed:
        path = match[4].partition("?")[0]
        if path.endswith((".js", ".css")) and match[9] == "200":
            sizes[path].append(int(match[10]))
    kept = re.compile(r'uri="([^"?]+)[^"]*" status=200 .* content_encoding="" .*accept_encoding="gzip')
    proofs = Counter(proof[1] for line in made.lines if (proof := kept.search(line.message)))
    for asset in made.truth.assets:
        assert set(sizes[asset.path]) <= {asset.bytes_each}
        assert (asset.requests, asset.bytes_sent) == (len(sizes[asset.path]), sum(sizes[asset.path]))
        assert asset.proofs == proofs[asset.path]
    assert set(sizes) <= {asset.path for asset in made.truth.assets}
    assert sum(asset.proofs for asset in made.truth.assets) > 20


def test_access_lines_change_their_format_with_the_deploy(made: Made) -> None:
    """Before it combined without the last quote, after it the extended format: both evidences exist."""
    access = [line for line in made.lines if table(line) == "access"]
    extended = [line.message.startswith("nginx_access") for line in access]
    (deployed,) = made.truth.deployed_at
    assert any(extended)
    assert all(line.at < deployed + timedelta(seconds=40) or new for line, new in zip(access, extended, strict=True))
    assert all(line.at > deployed or not new for line, new in zip(access, extended, strict=True))
    assert all(line.message.endswith(" end=1") or not line.message.endswith('"') for line in access)


def test_the_truth_about_the_memory_limit(made: Made) -> None:
    """Counted by PHP's own lines."""
    hit = "Allowed memory size of 33554432 bytes exhausted"
    truth = made.truth.memory_limit
    assert truth.errors == sum(hit in line.message for line in made.lines) > 50
    assert (truth.route, truth.limit_bytes) == ("/tools/price-list", 33_554_432)


def test_the_truth_about_the_cold_cache(made: Made, routed: list[tuple[Line, re.Match[str]]]) -> None:
    """The first product page after each start of a web dyno takes two seconds longer, and no dyno shares its cache."""
    up = [
        (line.at, line.process)
        for line in made.lines
        if line.process.startswith("web.") and line.message == "State changed from starting to up"
    ]
    pages = [
        (line.at - timedelta(milliseconds=int(match[7]) + int(match[8])), match[6], int(match[8]))
        for line, match in routed
        if match[4].startswith("/product/")
    ]
    first = [min(page for page in pages if page[0] > at and page[1] == dyno) for at, dyno in up]
    truth = made.truth.cold_cache
    assert truth.route == "/product/{slug}"
    assert truth.lives == len(first) == 9
    assert all(service_ms >= 2100 for _, _, service_ms in first)


def test_the_truth_about_the_database(made: Made) -> None:
    """The connections reach the plan's limit, and PHP and the server both tell of those refused."""
    name = r"sample#%s-connections=(\d+)"
    samples = re.compile(" ".join(name % each for each in ("active", "waiting", "max")))
    found = [(line, match) for line in made.lines if (match := samples.search(line.message))]
    highest = max(int(match[1]) for _, match in found)
    truth = made.truth.pile_up
    assert truth.max_connections == highest == int(found[0][1][3])
    assert truth.reached_at == next(line.at for line, match in found if int(match[1]) == highest)
    assert truth.waiting_peak == max(int(match[2]) for _, match in found)
    assert truth.refused == sum("sql_error_code = 53300 FATAL" in line.message for line in made.lines) > 0


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5)), min_size=1, max_size=30))
def test_at_a_tie_the_request_that_ends_goes_first(spans: list[tuple[int, int]]) -> None:
    """Requests that follow each other without a gap are never two at once; with small numbers ties abound."""
    begins = np.array([begin for begin, _ in spans])
    ends = begins + np.array([length for _, length in spans])
    assert peak(begins, ends) == plain_peak(list(zip(begins.tolist(), ends.tolist(), strict=True)))


def plain_peak(intervals: list[tuple[Any, Any]]) -> tuple[int, Any]:
    """The peak by trying every beginning; of several, the one whose request ends first."""
    levels = {at: sum(begin <= at < end for begin, end in intervals) for at in {begin for begin, _ in intervals}}
    peak = max(levels.values())
    return peak, min((end, begin) for begin, end in intervals if levels[begin] == peak)[1]


def test_the_truth_about_concurrency(made: Made, routed: list[tuple[Line, re.Match[str]]]) -> None:
    """The peak and its instant, by a count over the requests of the hours that hold it."""
    hours = [(line, match) for line, match in routed if line.at.hour in {10, 11}]
    spans = defaultdict(list)
    for line, match in hours:
        span = line.at - timedelta(milliseconds=int(match[7]) + int(match[8])), line.at
        spans[match[6]].append(span)
        spans["app"].append(span)
    for key, found in (("app", made.truth.peak), *made.truth.peak_by_dyno.items()):
        if key in {"app", "web.1", "web.2"}:
            assert plain_peak(spans[key]) == (found.requests, found.at)
    assert made.truth.peak.requests > 10


def test_two_dynos_become_four(made: Made, routed: list[tuple[Line, re.Match[str]]]) -> None:
    """Before the scaling only two serve, afterwards all four."""
    before = {match[6] for line, match in routed if line.at < made.truth.scaled_at}
    after = {match[6] for line, match in routed if line.at > made.truth.scaled_at}
    assert (before, after) == ({"web.1", "web.2"}, {"web.1", "web.2", "web.3", "web.4"})


def test_all_addresses_are_from_documentation_or_private_ranges(
    routed: list[tuple[Line, re.Match[str]]],
) -> None:
    """No real person's address stands in a demo."""
    ranges = [
        ipaddress.ip_network(n)
        for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "10.0.0.0/8", "2001:db8::/32")
    ]
    found = {one.strip() for _, match in routed for one in match[5].split(",")}
    assert all(any(ipaddress.ip_address(one) in known for known in ranges) for one in found)


def test_the_day_holds_every_kind_of_line_the_parsers_know(made: Made) -> None:
    """A demo that leaves a parser unused would not show its faults."""
    text = "\n".join(f"{line.app} {line.process} {line.message}" for line in made.lines)
    parts = Path(__file__).with_name("data").joinpath("day_contains.txt").read_text("utf-8").splitlines()
    for part in parts:
        assert part in text, part
