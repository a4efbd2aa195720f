"""What ``/metrics`` shows: the receiver's own counters, the log, and the files of other processes."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ingest.batch import Counts
from ingest.eventlog.contract import NewEntry
from ingest.eventlog.embedded import EmbeddedLog
from ingest.figures.apps import OTHER, AppFigures
from ingest.figures.exposition import family, merge, render, single
from ingest.figures.files import FILE_BYTES_MAX, FILES_MAX
from ingest.figures.surroundings import KEEP_SECONDS, SOURCES, Place
from ingest.http.expiry import valid_until
from ingest.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
STALE = b"""# TYPE drainlake_landing_lag_seconds gauge
drainlake_landing_lag_seconds{table="lines"} 7
# TYPE drainlake_rounds counter
drainlake_rounds_total{process="land"} 3
"""


def _samples(text: bytes) -> Samples:
    found = [s for each in text_string_to_metric_families(text.decode()) for s in each.samples]
    samples = {(s.name, frozenset(s.labels.items())): s.value for s in found}
    assert len(samples) == len(found), "a series comes twice"
    return samples


def _value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    """An event log with an entry that waits."""
    log = EmbeddedLog(tmp_path / "log.db")
    log.append([NewEntry("lines", "shop", 5, b"x" * 500)])
    yield log
    log.close()


def _shown(tmp_path: Path, *, is_embedded: bool = True) -> Samples:
    place = Place(tmp_path / "log.db", 10_000, is_embedded=is_embedded, folder=tmp_path / "metrics", drains=("blog",))
    return _samples(Metrics(place).exposition()[0])


def _leave(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / "metrics").mkdir(exist_ok=True)
    (tmp_path / "metrics" / name).write_bytes(data)


def test_lag_grows_while_nobody_lands_whatever_a_dead_lander_wrote_last(tmp_path: Path, log: EmbeddedLog) -> None:
    """It is read from the log; what was landed does not count."""
    _leave(tmp_path, "land.prom", STALE)
    first = _shown(tmp_path)
    assert _value(first, "drainlake_landing_waiting_entries", table="lines") == 1
    assert _value(first, "drainlake_landing_lag_seconds", table="router") == 0
    time.sleep(0.05)
    before = _value(first, "drainlake_landing_lag_seconds", table="lines")
    after = _value(_shown(tmp_path), "drainlake_landing_lag_seconds", table="lines")
    assert before is not None
    assert after is not None
    assert before < after < 7
    assert _value(first, "drainlake_rounds_total", process="land") == 3
    log.commit("lines", "e0", log.end("lines", "e0"))
    assert _value(_shown(tmp_path), "drainlake_landing_lag_seconds", table="lines") == 0


def test_where_the_log_is_kafka_the_lag_is_what_landers_measured(tmp_path: Path, log: EmbeddedLog) -> None:
    """The file on this host is the spool then, and no lag of landing."""
    _leave(tmp_path, "land.prom", STALE)
    assert _value(_shown(tmp_path, is_embedded=False), "drainlake_landing_lag_seconds", table="lines") == 7


@pytest.mark.parametrize(
    ("broken", "source"),
    [
        (b"drainlake_x{ 1\n", "file_broken"),
        (b"drainlake_rounds_total{process", "file_broken"),
        (b"\xff\xfe\n", "file_broken"),
        (b"up 1\n", "file_broken"),
        (b"# " + b"x" * FILE_BYTES_MAX + b"\n", "file_broken"),
        (b'# TYPE drainlake_rounds counter\ndrainlake_rounds_total{process="land"} 9\n', "series_twice"),
        (b"# TYPE drainlake_lines gauge\ndrainlake_lines 9\n", "series_twice"),
    ],
    ids=["syntax", "cut", "bytes", "another name", "too large", "a series twice", "another kind of a family"],
)
def test_a_broken_file_is_left_out_counted_and_breaks_nothing(
    tmp_path: Path, log: EmbeddedLog, broken: bytes, source: str
) -> None:
    """The rest of the scrape is as it was."""
    _leave(tmp_path, "land.prom", STALE)
    _leave(tmp_path, "other.prom", broken)
    place = Place(tmp_path / "log.db", 10_000, is_embedded=True, folder=tmp_path / "metrics")
    metrics = Metrics(place)
    samples = _samples(metrics.exposition()[0])
    assert _value(samples, "drainlake_rounds_total", process="land") == 3
    if source == "series_twice":  # what a scrape finds when all is brought together is counted for the next one
        time.sleep(KEEP_SECONDS + 0.01)
        samples = _samples(metrics.exposition()[0])
    assert _value(samples, "drainlake_scrape_errors_total", source=source) == 1


def test_files_beyond_so_many_are_left_out_and_counted(tmp_path: Path, log: EmbeddedLog) -> None:
    """And a folder that is not there is none."""
    assert _value(_shown(tmp_path), "drainlake_scrape_errors_total", source="file_too_many") == 0
    for number in range(FILES_MAX + 2):
        _leave(tmp_path, f"f{number:03}.prom", f'drainlake_x{{n="{number}"}} 1\n'.encode())
    samples = _shown(tmp_path)
    assert sum(name == "drainlake_x" for name, _ in samples) == FILES_MAX
    assert _value(samples, "drainlake_scrape_errors_total", source="file_too_many") == 2


def test_a_log_that_cannot_be_read_is_counted_and_the_rest_is_shown(tmp_path: Path) -> None:
    """Nothing is said of what is not known."""
    (tmp_path / "log.db").write_bytes(b"no database" * 1000)
    samples = _shown(tmp_path)
    assert _value(samples, "drainlake_scrape_errors_total", source="log") == 1
    assert _value(samples, "drainlake_lines_total", fate="received") == 0
    assert not any(name == "drainlake_landing_lag_seconds" for name, _ in samples)
    assert {dict(labels)["source"] for name, labels in samples if name.startswith("drainlake_scrape")} == set(SOURCES)


def test_acknowledged_and_apps_are_counted(tmp_path: Path, log: EmbeddedLog) -> None:
    """What is answered 204 is acknowledged; an app that may send is there before it does."""
    place = Place(tmp_path / "log.db", 10_000, is_embedded=True, drains=("blog",))
    metrics = Metrics(place)
    metrics.stored(Counts(3, 2, 1, 0, 700, {"shop": 3}))
    metrics.answered(204, 0.01)
    metrics.answered(401, 0.01)
    samples = _samples(metrics.exposition()[0])
    assert _value(samples, "drainlake_acknowledged_total") == 1
    assert _value(samples, "drainlake_stored_bytes_total") == 700
    assert _value(samples, "drainlake_app_lines_total", app="shop") == 3
    assert _value(samples, "drainlake_app_lines_total", app="blog") == 0
    assert _value(samples, "drainlake_app_last_delivery_timestamp_seconds", app="shop") is not None
    assert not any(name.endswith("_created") for name, _ in samples)


def test_apps_beyond_so_many_are_counted_together() -> None:
    """The number of series has a limit, the sum is right all the same."""
    figures = AppFigures(apps_max=3)
    for number in range(10):
        figures.stored({f"app{number}": 2, "app0": 1}, float(number))
    lines, last_at = figures.families()
    assert {s.labels["app"]: s.value for s in lines.samples} == {"app0": 10, "app1": 2, "app2": 2, OTHER: 14}
    assert {s.labels["app"]: s.value for s in last_at.samples}[OTHER] == 9


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["gauge", "counter"]), st.sampled_from("xyz"))))
def test_what_is_merged_has_each_series_once_and_can_be_read_again(rows: list[tuple[str, str, str]]) -> None:
    """And what was left out is counted."""
    families = [single(kind, f"drainlake_{name}", "One.", 1.0, label=label) for name, kind, label in rows]  # type: ignore[arg-type]
    merged, left_out = merge(families)
    assert len(_samples(render(merged))) + left_out == len(rows)
    assert len({each.name for each in merged}) == len(merged)


def test_a_value_that_is_not_known_is_no_sample() -> None:
    """Nought would be a figure."""
    assert family("gauge", "drainlake_x", "One.", [({}, None), ({"a": "b"}, 0)]).samples[0].labels == {"a": "b"}


@pytest.mark.parametrize("years", [1, 40])
def test_the_expiry_of_a_certificate_is_read_as_a_library_reads_it(years: int) -> None:
    """In both forms of a time: up to 2049, and beyond."""
    until = (datetime.now(UTC) + timedelta(days=365 * years)).replace(microsecond=0)
    pem = trustme.CA().issue_cert("logs.example.com", not_after=until).cert_chain_pems[0].bytes()
    assert valid_until(f"# comment\n{pem.decode()}") == until
    assert x509.load_pem_x509_certificate(pem).not_valid_after_utc == until


@given(st.binary(max_size=80), st.booleans())
def test_what_is_no_certificate_is_refused_in_one_way(junk: bytes, framed: bool) -> None:
    """ValueError, whatever the bytes are."""
    import base64

    text = base64.b64encode(junk).decode()
    with pytest.raises(ValueError, match="no certificate"):
        valid_until(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n" if framed else text)
