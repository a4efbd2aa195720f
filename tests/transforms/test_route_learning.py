"""What is learned from an app's paths: names where many alike stand, and nothing where developers put routes."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.route_learning import APP_ROUTES_MAX, MANY, MANY_IN_CODE, Tally, learn
from transforms.route_pins import NO_PINS, Pins
from transforms.route_rules import APP_RULES_MAX, JSON_MAX_BYTES, KEEP_MAX, Rule, Rules, apply_rules, from_json, merge

WORDS = [
    a + b for a in ("bo", "ka", "li", "mu", "ne", "pa", "ro", "su") for b in ("ba", "do", "fi", "go", "ke", "lu", "ta")
]
COMPOUNDS = [f"{one}-{other}" for one in WORDS[:10] for other in WORDS[10:17]]


def tally(routes: dict[str, int] | list[str], app: str = "shop") -> Tally:
    """A tally of routes with their hits, or one hit each."""
    hits = routes if isinstance(routes, dict) else dict.fromkeys(routes, 1)
    return Tally().add(pl.DataFrame({"app": app, "route": list(hits), "hits": list(hits.values())}))


def patterns(counted: Tally, known: Rules = Rules()) -> list[str]:  # noqa: B008 - frozen
    """The routes learned."""
    return [rule.pattern for rule in learn(counted, known).rules]


def named(route: str, rules: Rules, pins: Pins = NO_PINS, app: str = "shop") -> str:
    """A typed route by the rules."""
    return str(apply_rules(pl.DataFrame({"app": [app], "route": [route]}), rules, pins).item())


def test_many_alike_are_names() -> None:
    """Twenty single words below one place become one route; nineteen do not."""
    assert patterns(tally([f"/tag/{word}" for word in WORDS[:MANY]])) == ["/tag/{slug}"]
    assert patterns(tally([f"/tag/{word}" for word in WORDS[: MANY - 1]])) == []


def test_a_few_more_beside_slugs_are_names() -> None:
    """Where the look of most children says slug, five that are more than a word are slugs too; words are not."""
    slugs = {"/blog/{slug}": 100}
    assert patterns(tally(slugs | dict.fromkeys([f"/blog/{name}" for name in COMPOUNDS[:5]], 2))) == ["/blog/{slug}"]
    assert patterns(tally(slugs | dict.fromkeys([f"/blog/{name}" for name in WORDS[:12]], 2))) == []


@pytest.mark.parametrize("place", ["", "/api/v1", "/admin", "/en", "/de-at", "/index.php"])
def test_where_developers_put_routes_words_stay(place: str) -> None:
    """At the root, below an API, an administration, a language: words never, other names only if they are very many."""
    assert patterns(tally([f"{place}/{word}" for word in WORDS])) == []
    assert patterns(tally([f"{place}/{name}" for name in COMPOUNDS[: MANY_IN_CODE - 1]])) == []
    (rule,) = learn(tally([f"{place}/{name}" for name in [*COMPOUNDS[:MANY_IN_CODE], *WORDS]]), Rules()).rules
    assert named(f"{place}/new-name/", Rules((rule,))) == f"{place}/{{slug}}/"
    assert named(f"{place}/new-name/feed/", Rules((rule,))) == f"{place}/{{slug}}/feed/"
    assert named(f"{place}/new-name/orders", Rules((rule,))) == f"{place}/new-name/orders"
    assert named(f"{place}/word", Rules((rule,))) == f"{place}/word"


def test_collections_with_numbers_below_stay() -> None:
    """/x/orders/{id} beside /x/users/{id} are routes, wherever they stand."""
    assert patterns(tally([f"/store/{word}/{{id}}" for word in WORDS[:30]])) == []


def test_places_with_unlike_things_below_stay() -> None:
    """Children of which each has its own few words below are no names; with the same words below they are."""
    unlike = [f"/portal/{word}/{WORDS[-1 - number % 30]}" for number, word in enumerate(WORDS[:24])]
    assert patterns(tally(unlike)) == []
    alike = [f"/portal/{word}/{view}" for word in WORDS[:24] for view in ("posts", "likes")]
    assert patterns(tally(alike)) == ["/portal/{slug}"]


def test_code_files_and_words_of_the_code_stay() -> None:
    """Scripts, styles and PHP files are never names, nor are `new` and the like beside names."""
    assert (
        patterns(tally([f"/old/{word}.{ending}" for ending in ("php", "js", "css", "woff2") for word in WORDS])) == []
    )
    rules = learn(tally([f"/users/{word}" for word in WORDS]), Rules())
    assert [named(f"/users/{name}", rules) for name in ("bobby", "sign_in", "new", "{id}")] == [
        "/users/{slug}",
        "/users/sign_in",
        "/users/new",
        "/users/{id}",
    ]


def test_files_of_one_kind_are_names_of_their_own() -> None:
    """Pages and images keep their extension."""
    routes = [f"/guide/{word}.{ending}" for ending in ("html", "jpg") for word in WORDS]
    assert patterns(tally(routes)) == ["/guide/{slug}.html", "/guide/{slug}.jpg"]


def test_what_stands_apart_stays() -> None:
    """A word with far more hits than the next is a route, though it is one of many; a falling row of names is not."""
    routes = {f"/users/{word}": 1 for word in WORDS} | {"/users/overview": 30}
    rules = learn(tally(routes), Rules())
    assert named("/users/overview", rules) == "/users/overview"
    assert named("/users/overview/today", rules) == "/users/overview/today"
    falling = {f"/users/{word}": 1000 // rank for rank, word in enumerate(WORDS, 1)}
    assert learn(tally(falling), Rules()).rules == (Rule("shop", "/users"),)


def test_a_place_among_names_stays() -> None:
    """What has a crowd of its own below, where others have nothing, is no name."""
    routes = [f"/blog/{word}" for word in WORDS] + [f"/blog/rubrik/{word}" for word in WORDS[:10]]
    rules = learn(tally(routes), Rules())
    assert named(f"/blog/rubrik/{WORDS[0]}", rules) == f"/blog/rubrik/{WORDS[0]}"


def test_names_below_names_are_found() -> None:
    """From the root down: once the first is a name, what lies below all of them is looked at as one place."""
    routes = [f"/shop/{one}/{other}" for one, other in zip(WORDS[:25] * 3, COMPOUNDS + COMPOUNDS[:5], strict=True)]
    assert patterns(tally(routes)) == ["/shop/{slug}", "/shop/{slug}/{slug}"]


def test_apps_are_learned_apart() -> None:
    """A site's names say nothing of another's routes."""
    rules = learn(tally([f"/tag/{word}" for word in WORDS], app="blog"), Rules())
    assert (named("/tag/x", rules, app="blog"), named("/tag/x", rules, app="shop")) == ("/tag/{slug}", "/tag/x")


ROUTES = st.lists(
    st.sampled_from([f"/{a}/{b}" for a in ("tag", "u", "x") for b in [*WORDS[:30], "{slug}"]]), max_size=150
)


@settings(max_examples=15)
@given(ROUTES, st.randoms())
def test_the_order_of_rows_does_not_matter(routes: list[str], chance: object) -> None:
    """The same hits give the same rules, counted at once, in pieces or in another order."""
    frame = pl.DataFrame({"app": "shop", "route": routes, "hits": 1}, schema={"app": str, "route": str, "hits": int})
    mixed = frame.sample(fraction=1.0, shuffle=True, seed=chance.randrange(1000))  # type: ignore[attr-defined]
    pieces = Tally().add(mixed[:40]).add(mixed[40:])
    assert learn(Tally().add(frame), Rules()) == learn(pieces, Rules())


def test_a_flood_of_routes_is_bounded() -> None:
    """Of a million routes that somebody makes up the tally keeps so many, and of those the busiest."""
    flood = pl.select(app=pl.lit("shop"), route=pl.format("/{}/x", pl.int_range(100_000)), hits=pl.lit(1))
    counted = tally({f"/tag/{word}": 5 for word in WORDS}).add(flood).add(flood.with_columns(app=pl.lit("other")))
    assert counted.rows.height == 2 * APP_ROUTES_MAX
    assert patterns(counted) == ["/tag/{slug}"]


def test_rules_are_bounded_and_can_be_read_again() -> None:
    """However many rules of however long texts there are, what is written stays readable."""
    many = [
        Rule(f"app{number % 50}", f"/{number}/" + "ü" * 190, keep=frozenset(f"{k}" * 99 for k in range(KEEP_MAX)))
        for number in range(20_000)
    ]
    rules = merge(many)
    text = rules.to_json()
    assert len(text) <= JSON_MAX_BYTES
    assert from_json(text) == rules
    assert len(merge(Rule("shop", f"/{number}") for number in range(APP_RULES_MAX + 5)).rules) == APP_RULES_MAX


def test_made_up_places_never_drive_out_rules() -> None:
    """Neither of the same app nor of another, though their names sort first: what there is stays."""
    real = [Rule("shop", f"/real{number}") for number in range(5)] + [Rule("zoo", "/real", keep=frozenset({"b"}))]
    apps = [f"{letter}{number}" for letter in "as" for number in range(9)] + ["shop"]
    keep = frozenset(f"!{number}" * 60 for number in range(KEEP_MAX))
    fake = [Rule(app, f"/!{number}", keep=keep) for app in apps for number in range(APP_RULES_MAX)]
    joined = merge(real, [*fake, Rule("zoo", "/real", keep=keep)])
    assert set(real[:5]) < set(joined.rules)
    (rule,) = (rule for rule in joined.rules if rule.app == "zoo")
    assert "b" in rule.keep
    assert len(rule.keep) <= KEEP_MAX
    assert (
        Rule("zoo", "/new")
        in merge(merge(real, [rule for rule in fake if rule.app == "shop"]).rules, [Rule("zoo", "/new")]).rules
    )


def test_the_busiest_of_too_many_children_to_keep_are_kept() -> None:
    """Children with a crowd below that anybody can make up do not drive out a word that stands apart."""
    crowded = {f"/blog/a{word}/{view}": 1 for word in WORDS for view in ("x", "y", "z")}
    plain = {f"/blog/{one}{other}": 1 for one in WORDS for other in WORDS[:10]}
    rules = learn(tally(crowded | plain | {"/blog/overview": 900}), Rules())
    (rule,) = (rule for rule in rules.rules if rule.under == "/blog")
    assert len(rule.keep) == KEEP_MAX
    assert "overview" in rule.keep


RULES = st.builds(
    Rule,
    st.sampled_from(["a", "b"]),
    st.sampled_from(["", "/x", '/"\\ü']),
    st.sampled_from(["", ".html"]),
    st.booleans(),
    st.booleans(),
    st.frozensets(st.sampled_from(WORDS[:4])),
)


@given(st.lists(RULES, max_size=6), st.lists(RULES, max_size=6))
def test_landers_that_learn_apart_come_to_the_same_rules(mine: list[Rule], theirs: list[Rule]) -> None:
    """Joining is the same in any order, twice the same as once, and survives being written and read."""
    joined = merge(mine, theirs)
    assert joined == merge(theirs, mine) == merge(joined.rules, mine)
    assert from_json(joined.to_json()) == joined
    assert (joined.fingerprint == merge(mine).fingerprint) == (joined == merge(mine))


@given(st.lists(RULES, max_size=4), st.text('/xü"\\a-.{}', max_size=20))
def test_a_rule_used_twice_is_a_rule_used_once(rules: list[Rule], route: str) -> None:
    """What has its name already keeps it: tails are named again and again."""
    once = named(f"/{route}", merge(rules), app="a")
    assert named(once, merge(rules), app="a") == once


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 2, "rules": []}',
        b'{"version": 1}',
        b'{"version": 1, "rules": [{"app": 1}]}',
        b'{"version":1,"rules":[{"app":"a","under":null,"extension":"","compound":false,"leaf":false,"keep":[]}]}',
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (JSON_MAX_BYTES + 1),
    ],
    ids=range(10),
)
def test_what_holds_no_rules_is_refused(text: bytes) -> None:
    """Each in half a sentence that can follow the name of the file."""
    with pytest.raises(ValueError, match=r"^(holds|is|has) .*[^.]$"):
        from_json(text)


def test_the_file_can_be_read_by_people() -> None:
    """It names app and route of each rule."""
    found = json.loads(merge([Rule("shop", "/blog", keep=frozenset({"b", "a"}))]).to_json())
    assert found["rules"][0]["route"] == "/blog/{slug}"
    assert found["rules"][0]["keep"] == ["a", "b"]


def test_what_the_user_says_is_left_alone() -> None:
    """No rule touches a pinned route, nor a kept path and what lies below it."""
    rules, pins = Rules((Rule("shop", "/blog"),)), Pins(pins=("/blog/about", "/blog/{x}/y"), keep=("/blog/archive",))
    routes = ["/blog/about", "/blog/archive", "/blog/archive/old", "/blog/other", "/blog/{x}/y"]
    assert [named(route, rules, pins) for route in routes] == [*routes[:3], "/blog/{slug}", routes[4]]
