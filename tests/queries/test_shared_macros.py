"""The macros that questions share, against published figures, exact probabilities and examples."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries import database
from tests.queries.cases import INSTANTS
from tests.queries.lakes import write_lake

Z95 = 1.959964
Z975 = 2.2414


@pytest.fixture(scope="module")
def connection() -> Any:
    """All macros over an empty lake, in memory."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        for statement in database.statements(str(write_lake(Path(folder) / "lake", {}))):
            connection.execute(statement)
        yield connection


def value(connection: duckdb.DuckDBPyConnection, expression: str, *parameters: object) -> Any:
    """What an expression gives."""
    row = connection.execute(f"SELECT {expression}", parameters).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize(("moment", "utc"), INSTANTS)
def test_a_time_without_a_zone_is_utc_wherever_it_is_asked(connection: Any, zone: str, moment: str, utc: str) -> None:
    """A caller's machine has some time zone, which must not decide what a question answers."""
    connection.execute(f"SET TimeZone = '{zone}'")
    assert str(value(connection, f"(instant({moment}) AT TIME ZONE 'UTC')::VARCHAR")) == utc.replace("NULL", "None")


@pytest.mark.parametrize(
    "moment", ["yesterday", "10:00", "2026-13-01", "2026-11-20 25:00", "20261120", "2026-11-20 10", ""]
)
def test_what_is_no_time_is_refused(connection: Any, moment: str) -> None:
    """With what was given in the sentence."""
    with pytest.raises(duckdb.ConversionException, match=re.escape(f'"{moment}')):
        value(connection, "instant(?)", moment)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-20 10:59:59.999999",
        "2026-11-20 10:00:00",
        "1969-12-31 23:30:00",
        "0044-03-15 (BC) 10:30:00",
        "290309-12-22 (BC) 00:30:00",
        "294247-01-10 04:00:54",
        "infinity",
        "-infinity",
        None,
    ],
)
def test_an_hour_is_one_of_utc_wherever_it_is_asked(connection: Any, zone: str, moment: str | None) -> None:
    """As DuckDB cuts a time without a zone, from the first time that it knows to the last."""
    connection.execute(f"SET TimeZone = '{zone}'")
    cut = value(connection, "date_trunc('hour', ?::TIMESTAMP)::VARCHAR", moment)
    assert value(connection, "(utc_hour(?::TIMESTAMP AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')::VARCHAR", moment) == cut


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [  # table II of Newcombe, Statistics in Medicine 17 (1998), method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_gives_the_published_intervals(
    connection: Any, first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    """The interval of a difference of two shares is that of the paper."""
    arguments = (*second, *first, Z95)
    assert value(connection, "newcombe_low(?, ?, ?, ?, ?)", *arguments) == pytest.approx(low, abs=6e-5)
    assert value(connection, "newcombe_high(?, ?, ?, ?, ?)", *arguments) == pytest.approx(high, abs=6e-5)


def test_without_trials_there_is_no_interval(connection: Any) -> None:
    """Nothing is said of a share of nothing."""
    assert value(connection, "wilson_low(0, 0, 1.96)") is None
    assert value(connection, "newcombe_low(0, 0, 1, 2, 1.96)") is None


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_ranks_hold_the_quantile_as_often_as_promised(connection: Any, q: float) -> None:
    """The exact binomial probability that the true quantile lies between the two ranks is 97.5 % at least."""
    rows = connection.execute(
        "SELECT n, quantile_rank_low(n, $q, $z), quantile_rank_high(n, $q, $z) FROM range(1, 1500, 7) AS trials (n)",
        {"q": q, "z": Z975},
    ).fetchall()
    bounded = [row for row in rows if None not in row]
    assert len(bounded) > 150
    for n, low, high in bounded:
        k = np.arange(low, high)
        logs = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in k.tolist()]
        probability = np.exp(np.array(logs) + k * math.log(q) + (n - k) * math.log(1 - q)).sum()
        assert 1 <= low <= high <= n
        assert probability >= 0.975, n


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("took 1.5ms, then 12ms, then 3 s and 40kB", "took {n}ms, then {n}ms, then {n} s and {n}kB"),
        ("sha 5d93a97 and 12345678 and 0x7fff12 and deadbeef", "sha {n} and {n} and {n} and {n}"),
        ("can't open 'a b' (the users' data) \"x\"", "can't open '…' (the users' data) \"…\""),
        ('said "cut sho', 'said "…"'),
        ('{"level":"info","ms":12.5,"by":"a\\"b"}', '{"level":"…","ms":{n},"by":"…"}'),
        ("10.1.2.3:80 to 2001:db8::1, not Ad::add", "{ip}:{n} to {ip}, not Ad::add"),
        ("at 2026-11-23 10:00:00.123 UTC and 2026-11-23T10:00:00+01:00", "at {time} and {time}"),
        ("job 8c1f0c3e-1111-4222-8333-123456789abc", "job {uuid}"),
        ("\x1b[31mred\x1b[0m \\xFF\\x00 \t end", "red {bytes} end"),
        ("", ""),
        (None, None),
    ],
)
def test_shape_masks_what_varies(connection: Any, text: str | None, shape: str | None) -> None:
    """Numbers, ids, addresses, times and quoted text are masked, words are kept."""
    assert value(connection, "message_shape(?)", text) == shape


@settings(max_examples=40, deadline=None)
@given(
    number=st.integers(0, 10**18),
    text=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\"'\\"), max_size=40),
)
def test_shape_hides_numbers_and_quoted_text(connection: Any, number: int, text: str) -> None:
    """Lines that differ in a number and a quoted text have one shape."""
    shape = value(connection, "message_shape(?)", f"job {number} of \"{text}\" and '{text}' done")
    assert shape == "job {n} of \"…\" and '…' done"


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=400))
def test_shape_of_any_text_is_short_and_without_digits(connection: Any, text: str) -> None:
    """Whatever is logged, its shape is a short text of one line that holds no number."""
    shape = value(connection, "message_shape(?)", text.replace("\x00", ""))
    assert len(shape) <= 300
    assert not re.search(r"[0-9\n]", shape)


def test_every_known_crawler_is_found_by_its_name(connection: Any) -> None:
    """A user agent that holds a crawler's name gives that crawler: no name hides another."""
    rows = connection.execute(
        "SELECT entry.value, crawler_of('Mozilla/5.0 (compatible; ' || upper(entry.key) || '/2.1)')"
        " FROM (SELECT unnest(map_entries(known_crawlers())) AS entry)"
    ).fetchall()
    assert len(rows) > 80
    assert [found for _, found in rows] == [known for known, _ in rows]


@pytest.mark.parametrize(
    "agent", [None, "-", "Mozilla/5.0 (Linux; Android 9; CUBOT X19)", "Mr. Abbott's browser", "updownxio"]
)
def test_others_are_no_crawlers(connection: Any, agent: str | None) -> None:
    """Missing agents, people's browsers and telephones are no crawlers."""
    assert value(connection, "crawler_of(?)", agent) is None


def test_prices_are_dated_and_positive(connection: Any) -> None:
    """Each dyno type is listed once, with the date of its price, and no memory size stands for two types."""
    types, quotas, unpriced = connection.execute(
        "SELECT count(DISTINCT lower(type)) = count(*), count(DISTINCT quota_mb) = count(quota_mb),"
        " count(*) FILTER (WHERE month_dollars > 0 AND listed_on IS NOT NULL) <> count(*) FROM dyno_prices()"
    ).fetchone()
    assert (types, quotas, unpriced) == (True, True, False)


def test_table_and_question_may_share_a_name(connection: Any) -> None:
    """`releases` is a table and `releases()` a question; each keeps its own columns."""
    table = [row[0] for row in connection.execute("DESCRIBE FROM releases").fetchall()]
    question = [row[0] for row in connection.execute("DESCRIBE FROM releases()").fetchall()]
    assert table[:3] == ["timestamp", "app", "event"]
    assert question[:3] == ["app", "changed_at", "change"]
