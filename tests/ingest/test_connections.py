"""The rules of the edge, without a network: who goes first, how late a refusal is, what is said of it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.http import slowdown
from ingest.http.body_memory import SMALL_MAX_BYTES, BodiesFull, BodyMemory, Reservation
from ingest.http.connections import STRANGERS_MAX, Connections, Guest, neighbourhood
from ingest.http.slowdown import Slowdown
from ingest.http.unauthorized import TELL_EVERY_SECONDS, Unauthorized


def guest(address: str = "a", deadline: float = 0.0) -> Guest:
    """A connection that nothing is closed of."""
    return Guest(address, deadline, "late", lambda reason: None)


def test_the_oldest_stranger_goes_first() -> None:
    """Where all come from one address, age decides."""
    held = Connections(3)
    guests = [guest() for _ in range(5)]
    assert [held.arrive(each) for each in guests] == [None, None, None, guests[0], guests[1]]


def test_an_address_with_many_strangers_displaces_its_own() -> None:
    """A flood from one place does not push out the handshake of a drain from another."""
    held = Connections(10)
    drain = guest("drain")
    flood = [guest("flood") for _ in range(100)]
    held.arrive(drain)
    ousted = [held.arrive(each) for each in flood]
    assert drain not in ousted
    assert held.strangers == 10


def test_strangers_are_bounded_apart() -> None:
    """Each can make the receiver hold buffers: places for many drains are not places for as many strangers."""
    held = Connections(100_000)
    for number in range(STRANGERS_MAX + 50):
        held.arrive(guest(str(number)))
    assert held.strangers == STRANGERS_MAX


def test_a_known_connection_is_never_displaced_by_a_stranger() -> None:
    """When all places are taken by known ones, the newcomer goes."""
    held = Connections(10)
    for _ in range(10):
        known = guest()
        held.arrive(known)
        held.admit(known)
    newcomer = guest()
    assert held.arrive(newcomer) is newcomer
    assert (held.known, held.strangers) == (10, 0)


def test_known_connections_leave_places_for_newcomers() -> None:
    """Every drain begins as a stranger: the known one that has been idle the longest makes room."""
    held = Connections(10)
    drains = [guest(deadline=float(number)) for number in (5, 3, 4, 6, 7, 8, 9, 10, 11, 12)]
    ousted = []
    for drain in drains:
        held.arrive(drain)
        drain.is_idle = True
        ousted.append(held.admit(drain))
    assert ousted == [None] * 9 + [drains[1]]
    assert held.arrive(guest()) is None


ACTIONS = st.lists(st.tuples(st.sampled_from(["arrive", "admit", "leave"]), st.integers(0, 30), st.integers(0, 3)))


@given(ACTIONS, st.integers(2, 8))
def test_connections_are_counted_right_whatever_happens(actions: list[tuple[str, int, int]], count_max: int) -> None:
    """Never more than the limit; who is ousted is here no more; strangers and known ones add up."""
    held = Connections(count_max)
    here: list[Guest] = []
    for action, number, address in actions:
        if action == "arrive":
            one = guest(str(address))
            ousted = held.arrive(one)
            here.append(one)
        elif here:
            one = here[number % len(here)]
            one.is_idle = True
            ousted = held.admit(one) if action == "admit" else one
            held.leave(one) if action == "leave" else None
        else:
            continue
        if ousted is not None:
            here.remove(ousted)
        assert held.known + held.strangers == len(here) <= count_max
        assert held.known == sum(each.is_known for each in here)
    assert held.overdue(1.0) == here


ADDRESSES = {
    "192.0.2.7": "192.0.2.7",
    "::ffff:192.0.2.7": "192.0.2.7",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "fe80::1%eth0": "fe80::/64",
    "": "",
}


@pytest.mark.parametrize("host", ADDRESSES)
def test_what_one_host_can_choose_from_is_one_address(host: str) -> None:
    """An IPv6 host has 2^64 addresses: they count as one."""
    assert neighbourhood(host) == ADDRESSES[host]


def test_refusals_wait_longer_with_each_failure_up_to_a_limit() -> None:
    """The first is quick, for whoever mistyped; other addresses do not pay for it; time heals."""
    slow = Slowdown(1000)
    waits = [slow.enter("a", 0.0) for _ in range(50)]
    assert waits[:3] == [0.05, 0.1, 0.2]
    assert waits[-1] == slowdown.DELAY_MAX_SECONDS
    assert slow.enter("b", 0.0) == 0.05
    assert slow.enter("a", 3600.0) == pytest.approx(0.05)


def test_the_number_of_waiting_refusals_is_bounded() -> None:
    """Beyond the limit nobody waits; each that is done makes room for one."""
    slow = Slowdown(2)
    assert [slow.enter("a", 0.0) is None for _ in range(3)] == [False, False, True]
    slow.leave()
    assert slow.enter("b", 0.0) is not None


def test_remembered_addresses_are_bounded() -> None:
    """The address that failed the longest ago is forgotten first."""
    slow = Slowdown(10**9)
    for number in range(slowdown.ADDRESSES_MAX + 1):
        slow.enter(str(number), 0.0)
    assert slow.enter("1", 0.0) == 0.1
    assert slow.enter("0", 0.0) == 0.05


def test_what_is_said_of_refusals_names_apps_that_exist_and_nothing_else() -> None:
    """One line at once, then one a minute with all that came between; a stranger's words are never in it."""
    refused = Unauthorized()
    assert refused.due(0.0) is None
    refused.note("wrong_secret", "shop")
    first = refused.due(0.0)
    assert first is not None
    assert "1 request" in first.sentence
    assert "shop" in first.sentence
    for _ in range(500):
        refused.note("unknown_app", None)
    assert refused.due(TELL_EVERY_SECONDS - 1) is None
    second = refused.due(TELL_EVERY_SECONDS)
    assert second is not None
    assert second.fields == {"count": 500, "apps": [], "unknown_app": 500}
    assert refused.due(10 * TELL_EVERY_SECONDS) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["take", "use", "release"]), st.integers(0, 3 << 20))))
def test_bodies_never_hold_more_than_they_may(steps: list[tuple[int, str, int]]) -> None:
    """What is refused changes nothing; what is released is free, once."""
    memory = BodyMemory(8 << 20)
    shares = [Reservation(memory) for _ in range(6)]
    for number, step, count in steps:
        with contextlib.suppress(BodiesFull):
            shares[number].release() if step == "release" else getattr(shares[number], step)(count)
        assert 0 <= memory.held_bytes <= memory.bytes_max
    for share in shares:
        share.release()
    assert memory.held_bytes == 0


def test_large_bodies_leave_room_for_ordinary_deliveries() -> None:
    """The last quarter is for small ones; bytes that were announced are not counted twice."""
    memory = BodyMemory(8 << 20)
    large = Reservation(memory)
    large.take(6 << 20)
    large.use(6 << 20)
    with pytest.raises(BodiesFull):
        Reservation(memory).take(SMALL_MAX_BYTES + 1)
    Reservation(memory).take(SMALL_MAX_BYTES)
    assert memory.held_bytes == (6 << 20) + SMALL_MAX_BYTES
