"""Routes over landings: learned in memory, kept in the lake, used by every lander."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tests.transforms.lines import NOON, entry
from tests.transforms.memory_log import MemoryLog
from transforms import parquet
from transforms.lake import NOTE_BYTES_MAX
from transforms.landing import land_once
from transforms.locallake import LocalLake
from transforms.route_book import NOTE, RouteBook
from transforms.route_learning import APP_ROUTES_MAX
from transforms.route_pins import NO_PINS, Pins
from transforms.route_rules import from_json

if TYPE_CHECKING:
    from pathlib import Path

TAGS = [f"/tag/word{'abcdefghijklmnopqrstuvwxyz'[number]}" for number in range(26)]


@pytest.fixture
def log() -> MemoryLog:
    """An empty log."""
    return MemoryLog()


@pytest.fixture
def lake(tmp_path: Path) -> LocalLake:
    """A lake whose folder does not exist yet."""
    return LocalLake(tmp_path / "lake")


def append(log: MemoryLog, paths: list[str], *, status: int = 200, table: str = "router") -> None:
    """Append one entry of requests."""
    log.append([entry(table, [{"timestamp": NOON, "path": path, "status": status} for path in paths])])


def land(log: MemoryLog, lake: LocalLake, book: RouteBook | None = None, *, file_rows: int = 1000) -> tuple[str, ...]:
    """Land, and give the notices; without a book it is a lander that has just started."""
    return land_once(log, lake, file_rows=file_rows, book=book).notices


def routes(lake: LocalLake, table: str = "router") -> dict[str, str]:
    """Path and route of all rows."""
    rows = pl.concat([parquet.read(file) for file in sorted(lake.path.glob(f"{table}/date=2*/*.parquet"))])
    return dict(rows.select("path", "route").sort("path").iter_rows())


def test_one_large_landing_is_named_as_a_whole(log: MemoryLog, lake: LocalLake) -> None:
    """All paths are learned from before the first is named: an import needs no second run."""
    append(log, TAGS)
    land(log, lake)
    assert set(routes(lake).values()) == {"/tag/{slug}"}


def test_small_landings_add_up_and_the_tail_is_named_anew(log: MemoryLog, lake: LocalLake) -> None:
    """What no landing shows alone is learned over many; rows in the tail get the route that the next ones have."""
    book = RouteBook()
    for path in TAGS[:19]:
        append(log, [path])
        land(log, lake, book)
    assert routes(lake) == {path: path for path in TAGS[:19]}
    append(log, TAGS[19:20])
    land(log, lake, book)
    assert set(routes(lake).values()) == {"/tag/{slug}"}
    footer = lake.footer(lake.files("router", "2026-11-20", "e0")[0])
    assert footer.metadata["drainlake.routes"] == book.fingerprint != ""


def test_files_that_are_full_keep_their_routes(log: MemoryLog, lake: LocalLake) -> None:
    """Only the tail is rewritten; older files say in their footer that they knew other rules."""
    book = RouteBook()
    for paths in (TAGS[:10], TAGS[10:]):
        append(log, paths)
        land(log, lake, book, file_rows=16)
    found = routes(lake)
    assert {found[path] for path in TAGS[10:]} == {"/tag/{slug}"}
    assert [found[path] for path in TAGS[:10]] == TAGS[:10]


def test_a_lander_that_starts_anew_uses_what_was_learned(log: MemoryLog, lake: LocalLake) -> None:
    """One path is enough for a process that has counted nothing, in any table and however it is encoded."""
    append(log, TAGS)
    land(log, lake)
    for table in ("router", "access", "php"):
        rows = [{"timestamp": NOON, "path": path} for path in ("/tag/n%C3%A4he", "/tag/nähe", "/tag/x?y=1")]
        log.append([entry(table, rows)])
        land(log, LocalLake(lake.path))
        found = routes(lake, table)
        assert {found[row["path"]] for row in rows} == {"/tag/{slug}"}, table


def test_what_scanners_ask_for_teaches_nothing(log: MemoryLog, lake: LocalLake) -> None:
    """Paths answered with an error are no names of the site."""
    append(log, TAGS, status=404)
    append(log, TAGS, status=301)
    land(log, lake)
    assert routes(lake) == {path: path for path in TAGS}
    assert lake.note(NOTE) is None


def test_rules_are_in_the_lake_before_rows_named_by_them(log: MemoryLog, lake: LocalLake) -> None:
    """A kill right before the first file leaves rules without rows, never rows that the next lander names otherwise."""
    append(log, TAGS)

    def die(point: str) -> None:
        if point == "temporary written":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        land_once(log, lake, file_rows=10, fault=die)
    assert [rule.pattern for rule in from_json(lake.note(NOTE) or b"").rules] == ["/tag/{slug}"]
    land(log, LocalLake(lake.path))
    assert set(routes(lake).values()) == {"/tag/{slug}"}


RULE = '{"app": "shop", "under": "/tag", "extension": "", "compound": false, "leaf": false, "keep": []}'


@pytest.mark.parametrize(
    "note",
    [
        "{ half",
        '{"version": 2, "rules": []}',
        f'{{"version": 1, "rules": [{RULE}]}}'.replace("/tag", r"\ud800"),
        f'{{"version": 1, "rules": [{RULE}]}}'.replace("/tag", "/a" * 90),
        f'{{"version": 1, "rules": [{RULE}]}}' + " " * NOTE_BYTES_MAX,
        None,
    ],
    ids=["damaged", "of a newer version", "no text", "too deep", "too long", "a folder"],
)
def test_a_note_that_cannot_be_read_is_told_and_left(log: MemoryLog, lake: LocalLake, note: str | None) -> None:
    """Landing goes on, says so and writes nothing over it; without the note it learns what it counted."""
    lake.prepare()
    place, book = lake.path / NOTE, RouteBook()
    place.mkdir() if note is None else place.write_text(note)
    append(log, TAGS)
    (notice,) = land(log, lake, book)
    assert notice.startswith(f"{place} is not used for routes, since it ")
    assert routes(lake) == {path: path for path in TAGS}
    if note is None:
        place.rmdir()
    else:
        assert place.read_text() == note
        place.unlink()
    append(log, ["/tag/wordz/"])
    assert land(log, lake, book) == ()
    assert set(routes(lake).values()) == {"/tag/{slug}", "/tag/{slug}/"}


def test_a_note_replaced_by_a_newer_version_meanwhile_is_left(log: MemoryLog, lake: LocalLake) -> None:
    """What this landing learned is not kept then, its rows are in the lake, and the next landing tells."""
    newer = b'{"version": 2, "rules": []}'
    append(log, TAGS)

    def write(point: str) -> None:
        if point == "read":
            (lake.path / NOTE).write_bytes(newer)

    land_once(log, lake, file_rows=1000, fault=write)
    assert lake.note(NOTE) == newer
    assert routes(lake) == {path: path for path in TAGS}
    assert len(land(log, lake)) == 1


def test_a_flood_of_made_up_paths_does_not_end_learning(lake: LocalLake) -> None:
    """When all that can be counted is full, what is asked for more often still takes a place and is learned from."""
    lake.prepare()
    book = RouteBook()
    flood = pl.select(path=pl.format("/x{}/y", pl.int_range(2 * APP_ROUTES_MAX)))
    tags = pl.DataFrame({"path": TAGS * 9})
    for paths in (flood, tags):
        book.learn(paths.with_columns(app=pl.lit("shop"), route=pl.lit(None, pl.String), status=pl.lit(200)), lake)
    assert "/tag/{slug}" in [rule.pattern for rule in book.rules.rules]


def test_two_landers_keep_what_each_has_learned(lake: LocalLake) -> None:
    """Neither overwrites the other, and both name alike from the next landing on."""
    logs, books = (MemoryLog(partition="e0"), MemoryLog(partition="e1")), (RouteBook(), RouteBook())
    for log, book, prefix in zip(logs, books, ("/tag", "/user"), strict=True):
        book.read(lake)
        append(log, [path.replace("/tag", prefix) for path in TAGS])
    threads = [
        threading.Thread(target=land, args=(log, LocalLake(lake.path), book))
        for log, book in zip(logs, books, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for book in books:
        book.read(lake)
        assert [rule.pattern for rule in book.rules.rules] == ["/tag/{slug}", "/user/{slug}"]
    assert books[0].fingerprint == books[1].fingerprint


def test_a_lake_that_refuses_the_note_loses_nothing(
    log: MemoryLog, lake: LocalLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends the landing; the next one lands the rows once and learns what was counted already."""
    book = RouteBook()
    append(log, TAGS)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", _no_space)
        with pytest.raises(OSError, match="No space"):
            land(log, lake, book)
    land(log, lake, book)
    assert routes(lake) == dict.fromkeys(TAGS, "/tag/{slug}")


def _no_space(path: Path, data: bytes) -> None:
    raise OSError(28, "No space left on device")


def test_pins_win_and_change_the_fingerprint(log: MemoryLog, lake: LocalLake) -> None:
    """What the user says holds for new rows and for the tail, over what was learned before."""
    append(log, TAGS)
    land(log, lake)
    pins = Pins(pins=("/tag/{name}",), keep=(TAGS[0],))
    book = RouteBook(pins)
    append(log, ["/tag/wordz/old"])
    land(log, lake, book)
    found = routes(lake)
    assert found[TAGS[0]] == TAGS[0]
    assert {found[path] for path in TAGS[1:]} == {"/tag/{name}"}
    assert found["/tag/wordz/old"] == "/tag/{slug}/old"
    assert len({book.fingerprint, RouteBook(NO_PINS).fingerprint, RouteBook(pins).fingerprint}) == 3


def test_only_missing_routes_are_filled() -> None:
    """A route that is there stays, unless all are named anew; a table without the columns comes back as it is."""
    rows = pl.DataFrame({"app": "a", "path": ["/users/1", "/users/2", None], "route": ["/mine", None, None]})
    assert RouteBook().name(rows)["route"].to_list() == ["/mine", "/users/{id}", None]
    assert RouteBook().name(rows, anew=True)["route"].to_list() == ["/users/{id}", "/users/{id}", None]
    other = pl.DataFrame({"message": ["x"]})
    assert RouteBook().name(other) is other
