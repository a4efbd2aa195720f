"""Names the routes of rows at landing: typed segments, the user's pins, and the rules that the lake has learned.

Each bite is looked at twice: all its paths are counted and learned from, then all its rows are named, so that a large
import is named as a whole. A landing of half a minute shows little of a site; what was counted stays in memory for
the next ones. Rules that are new go into the note ``_routes.json`` of the lake before any row named by them is
written, and every landing begins by reading it: so a lander that starts anew, and others beside it, name alike.

Nothing here is needed for rows to be landed once: a route is no key of anything. A kill loses counts, which come
again. The note is written whole or not at all, and two landers that learn at once both keep what they learned,
because rules only grow. A note that cannot be read, such as one of a newer version, is told and never written over:
until it is gone or right, landing goes on with the rules that it has and learns none.

Rows landed before a rule was learned keep their route in files that are full. The tail, which is rewritten anyway,
is named anew when its footer shows other rules or pins than those of now.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import polars as pl

from transforms.distinct import of_apps
from transforms.route_learning import MANY, Tally, learn
from transforms.route_looks import Looks
from transforms.route_pins import NO_PINS
from transforms.route_rules import Rules, apply_rules, from_json, merge
from transforms.routes import distinct_routes

if TYPE_CHECKING:
    from transforms.distinct import OfApps
    from transforms.lake import Lake
    from transforms.route_pins import Pins

NOTE: Final = "_routes.json"
GROWTH: Final = 0.05
_OK: Final = pl.col("status").is_between(200, 299) | (pl.col("status") == 304)


class RouteBook:
    """What is known of the routes of all apps. For one landing process; a new one starts with an empty tally."""

    def __init__(self, pins: Pins = NO_PINS) -> None:
        self.pins = pins
        self.rules = Rules()
        self._tally = Tally()
        self._looks = Looks()
        self._note: bytes | None = None  # what the rules are read from
        self._can_learn = True

    @property
    def fingerprint(self) -> str:
        """A short name of the pins and rules that rows are named by now; empty without any."""
        texts = [self.rules.fingerprint, *self.pins.keep, "", *self.pins.pins]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12] if any(texts) else ""

    def read(self, lake: Lake) -> str | None:
        """Take over the lake's rules; gives a sentence if they cannot be read. Raises LakeError."""
        try:
            note = lake.note(NOTE)
            if note != self._note or not self._can_learn:
                self.rules, self._note, self._can_learn = _rules(note), note, True
        except (OSError, ValueError) as error:
            self._can_learn = False
            why = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else error
            return f"{lake.place}/{NOTE} is not used for routes, since it {why}; remove it, or update drainlake."
        return None

    def learn(self, rows: pl.DataFrame, lake: Lake) -> pl.DataFrame:
        """Learn from rows, then name them (see :meth:`name`). Rules that are new are in the lake before it returns."""
        if not {"app", "path", "route", "status"} <= set(rows.columns):
            return rows
        paths, typed, found = self._found(rows)
        hits = typed.total(paths.count(rows.select(_OK).to_series()))
        counted = typed.distinct.select("app", route=found, hits=hits).filter(pl.col("hits") > 0)
        self._tally = self._tally.add(counted)
        if self._is_due():
            before = self.rules
            self._keep(learn(self._tally, before, self.pins), lake)
            found = found if self.rules == before else apply_rules(typed.distinct, self.rules, self.pins)
        return _fill(rows, paths.spread(typed.spread(found)))

    def name(self, rows: pl.DataFrame, *, anew: bool = False) -> pl.DataFrame:
        """Fill ``route`` from ``path`` where it is NULL, or everywhere; a table without them comes back as it is."""
        if not {"app", "path", "route"} <= set(rows.columns):
            return rows
        if anew:
            rows = rows.with_columns(route=pl.when(pl.col("path").is_null()).then("route"))
        if not _are_missing(rows):
            return rows
        paths, typed, found = self._found(rows)
        return _fill(rows, paths.spread(typed.spread(found)))

    def _found(self, rows: pl.DataFrame) -> tuple[OfApps, OfApps, pl.Series]:
        """The distinct paths of rows, the distinct typed routes of these paths, and what each of them is by now."""
        paths = of_apps(rows.select("app", "path"))
        routes = distinct_routes(paths.distinct["path"], self.pins, self._looks)
        typed = of_apps(paths.distinct.select("app", route=routes))
        return paths, typed, apply_rules(typed.distinct, self.rules, self.pins)

    def _is_due(self) -> bool:
        """Whether enough routes are new for a look at all that was counted: it costs as much as a small landing."""
        new = self._tally.new
        return self._can_learn and (new >= MANY or new > GROWTH * (self._tally.rows.height - new))

    def _keep(self, wider: Rules, lake: Lake) -> None:
        """Take rules over into the lake and the tally. If the lake refuses, the next bite tries again."""
        if wider != self.rules:
            try:
                self._note = lake.change_note(NOTE, lambda before: merge(_rules(before).rules, wider.rules).to_json())
            except ValueError:  # another version of drainlake was first; the next landing tells
                self._can_learn = False
                return
            self.rules = _rules(self._note)
        self._tally = self._tally.named_by(self.rules, self.pins)


def _fill(rows: pl.DataFrame, found: pl.Series) -> pl.DataFrame:
    held = rows["route"]
    return rows.with_columns(route=found if held.null_count() == held.len() else pl.coalesce("route", found))


def _are_missing(rows: pl.DataFrame) -> bool:
    return bool(rows.select((pl.col("route").is_null() & pl.col("path").is_not_null()).any()).item())


def _rules(note: bytes | None) -> Rules:
    return Rules() if note is None else from_json(note)
