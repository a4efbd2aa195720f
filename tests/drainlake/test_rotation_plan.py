"""What is next in a rotation, from what Heroku and the store show; and what a drain's URL is to us."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drainlake.drains.platform_api import Drain
from drainlake.drains.rotation_plan import Secrets, plan
from drainlake.drains.states import sort_out, target_of
from drainlake.errors import Failure
from drainlake.values import Secret
from ingest.credentials import digest

HERE = "https://logs.example.com/logs"
START = datetime(2026, 11, 23, tzinfo=UTC)

# Secrets of drains that point here in the order of their making; stored ones in the order of theirs; configured ones.
# Then what is kept, what goes, whether a new drain has to be added.
PLANS = {
    "one drain, one secret": ("a", "a", "", "a", "", True),
    "killed before the new drain was added": ("a", "ab", "", "a", "", True),
    "killed after the new drain was added": ("ab", "ab", "", "b", "a", False),
    "killed twice, before and after": ("ac", "abc", "", "c", "a", False),
    "killed after the old drain was removed": ("b", "ab", "", "b", "", False),
    "newer drain, older secret": ("ba", "ab", "", "b", "a", False),
    "one secret in two drains": ("aa", "a", "", "a", "a", False),
    "beside one that is refused": ("ax", "a", "", "a", "x", False),
    "another secret is configured": ("a", "", "ab", "a", "", True),
    "the drain has it, the old one is still configured": ("b", "", "ab", "b", "", False),
    "from the store into the settings": ("a", "a", "b", "a", "", True),
    "from the store into the settings, both attached": ("ab", "a", "b", "b", "a", False),
}


def _drains(secrets: str) -> list[Drain]:
    return [
        Drain(f"id-{n}", f"d.{n}", Secret(f"https://shop:{secret}@logs.example.com/logs"), START + timedelta(n), False)
        for n, secret in enumerate(secrets)
    ]


def _secrets(stored: str, configured: str) -> Secrets:
    return Secrets([digest(each) for each in configured], {digest(each): float(n) for n, each in enumerate(stored)})


@pytest.mark.parametrize("case", PLANS.values(), ids=PLANS)
def test_where_a_rotation_stands_is_seen_from_drains_and_secrets(case: tuple[str, str, str, str, str, bool]) -> None:
    """No state of its own: whoever was killed is found where he was."""
    drains, stored, configured, kept, old, begins = case
    known = {"shop": [digest(each) for each in stored + configured]}
    found = plan("shop", sort_out(_drains(drains), HERE, known), _secrets(stored, configured))
    assert found.kept.target.digest == digest(kept)
    assert [each.target.digest for each in found.old] == [digest(each) for each in old]
    assert found.begins is begins
    assert found.kept not in found.old


REFUSALS = {
    "no drain": ("", "a", "", "No drain of shop delivers here"),
    "only one that is refused": ("x", "a", "", "No drain of shop delivers here"),
    "one secret, in the settings": ("a", "", "a", "one secret in DRAINLAKE_DRAINS"),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_rotated_is_said(case: tuple[str, str, str, str]) -> None:
    """With one thing to try."""
    drains, stored, configured, says = case
    known = {"shop": [digest(each) for each in stored + configured]}
    with pytest.raises(Failure, match=says):
        plan("shop", sort_out(_drains(drains), HERE, known), _secrets(stored, configured))


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("https://shop:a@logs.example.com/logs", True),
        ("https://shop:a@LOGS.example.com:443/logs/", True),
        ("https://shop:a@logs.example.com/logs?label=x", True),
        ("http://shop:a@logs.example.com:443/logs", True),
        ("http://shop:a@logs.example.com/logs", False),
        ("https://shop:a@logs.example.com/", False),
        ("https://shop:a@logs.example.com:8443/logs", False),
        ("https://shop:a@logs.example.com.evil.example/logs", False),
        ("https://logs.example.com/logs@evil.example", False),
        ("syslog+tls://logs.example.com:443", False),
    ],
)
def test_a_drain_points_here_by_host_port_and_path(url: str, is_here: bool) -> None:
    """Upper case, the scheme's own port, a final slash and a query do not matter."""
    drain = Drain("id", "d.0", Secret(url), START, False)
    [found] = sort_out([drain], HERE, {"shop": [digest("a")]})
    assert found.is_ours is is_here


@settings(max_examples=40)
@given(st.text() | st.from_regex(r"\A(https?|syslog)://[^/]{0,20}(:[^/]{0,9}@)?[^/]{0,20}/.{0,9}\Z"))
def test_any_url_is_taken_apart(url: str) -> None:
    """What others attached can be any text."""
    assert isinstance(target_of(url).host, str)


@settings(max_examples=40)
@given(st.text("abcXYZ019_-", min_size=1), st.text("abcXYZ019_-", min_size=1))
def test_what_is_shown_of_a_url_has_no_secret(user: str, secret: str) -> None:
    """The host is all that is shown; the hash is that of the store."""
    found = target_of(f"https://{user}:{secret}@logs.example.com/key/{secret}?key={secret}")
    assert (found.host, found.user, found.digest) == ("https://logs.example.com", user, digest(secret))
