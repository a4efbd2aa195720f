"""Texts are numbered by app, and what is found for each distinct one comes back to its rows."""

from __future__ import annotations

from collections import Counter

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from transforms.distinct import by_distinct, of_apps, rank

TEXTS = st.none() | st.text("ab/é", max_size=3)
ROWS = st.lists(st.tuples(st.sampled_from("xyz"), TEXTS, st.none() | st.integers(0, 5)), max_size=30)
SCHEMA = {"app": pl.String, "path": pl.String, "count": pl.Int64}


@given(ROWS)
def test_each_row_gets_what_was_found_for_its_text(rows: list[tuple[str, str | None, int | None]]) -> None:
    """Of one app or several, with texts or none: equal pairs have one number, NULL has none."""
    frame = pl.DataFrame(rows, SCHEMA, orient="row")
    found = of_apps(frame.select("app", "path"))
    assert sorted(found.distinct.iter_rows()) == sorted({(app, path) for app, path, _ in rows if path is not None})
    named = found.distinct.select(pl.concat_str("app", pl.lit(" "), "path")).to_series()
    assert found.spread(named).to_list() == [None if path is None else f"{app} {path}" for app, path, _ in rows]


@given(ROWS)
def test_counts_add_up_by_text(rows: list[tuple[str, str | None, int | None]]) -> None:
    """Each distinct text has the sum and the number of its rows; one that NULL chooses is not counted."""
    found = of_apps(pl.DataFrame(rows, SCHEMA, orient="row").select("app", "path"))
    sums: Counter[tuple[str, str]] = Counter()
    chosen: Counter[tuple[str, str]] = Counter()
    for app, path, count in rows:
        if path is not None:
            sums[app, path] += count or 0
            chosen[app, path] += bool(count)
    counts = pl.Series([count for _, _, count in rows], dtype=pl.Int64)
    total, count = found.total(counts.fill_null(0)), found.count(counts > 0)
    assert dict(zip(found.distinct.iter_rows(), total, strict=True)) == sums
    assert dict(zip(found.distinct.iter_rows(), count, strict=True)) == chosen


@given(st.lists(TEXTS, max_size=20))
def test_work_is_done_once_for_each_text(texts: list[str | None]) -> None:
    """Work sees no text twice and no NULL; its answers stand where the texts stood."""
    seen: list[str] = []

    def work(distinct: pl.Series) -> pl.Series:
        seen.extend(distinct)
        return distinct.str.len_bytes()

    found = by_distinct(pl.Series(texts, dtype=pl.String), work).to_list()
    assert found == [None if text is None else len(text.encode()) for text in texts]
    assert sorted(seen) == sorted({text for text in texts if text is not None})


@given(st.lists(TEXTS, max_size=20))
def test_ranks_are_in_the_order_of_the_texts(texts: list[str | None]) -> None:
    """Texts sort as their ranks do, NULL first, and equal texts have one rank."""
    column = pl.Series(texts, dtype=pl.String)
    places = {text: place for place, text in enumerate(column.unique().drop_nulls().sort(), 1)}
    assert rank(column).to_list() == [0 if text is None else places[text] for text in texts]
