"""Token buckets, on a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serve_app.gateway.rates import WINDOW_S, Rates


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_worth_at_once_and_then_one_by_one() -> None:
    clock = Clock()
    rates = Rates(60, clock=clock)
    assert [rates.take("a").left for _ in range(60)] == list(reversed(range(60)))
    refused = rates.take("a")
    assert (refused.allowed, refused.left, refused.retry_after_s, refused.full_in_s) == (False, 0, 1, 60)
    clock.now += 1
    assert rates.take("a").allowed
    assert not rates.take("a").allowed
    clock.now += 3600
    assert rates.take("a").left == 59


def test_keys_do_not_share() -> None:
    rates = Rates(1, clock=Clock())
    assert rates.take("a").allowed
    assert not rates.take("a").allowed
    assert rates.take("b").allowed


def test_what_was_refused_costs_nothing() -> None:
    clock = Clock()
    rates = Rates(60, clock=clock)
    for _ in range(1000):
        rates.take("a")
    clock.now += 1
    assert rates.take("a").allowed


def test_a_token_that_is_given_back_may_be_taken_again() -> None:
    rates = Rates(1, clock=Clock())
    for _ in range(5):
        assert rates.take("a").allowed
        rates.give_back("a")
    rates.give_back("nobody")


def test_not_more_keys_are_remembered_than_there_is_room_for() -> None:
    rates = Rates(1, max_keys=2, clock=Clock())
    for key in "abc":
        rates.take(key)
    assert not rates.take("c").allowed
    assert rates.take("a").allowed, "it was forgotten"


@given(per_minute=st.integers(1, 100_000), waits=st.lists(st.floats(0, 100), max_size=200))
def test_never_more_than_the_bucket_and_what_flows_in(per_minute: int, waits: list[float]) -> None:
    clock = Clock()
    rates = Rates(per_minute, clock=clock)
    began, taken = clock.now, 0
    for wait in waits:
        clock.now += wait
        standing = rates.take("a")
        taken += standing.allowed
        assert 0 <= standing.left < per_minute
        assert 0 <= standing.full_in_s <= WINDOW_S
        assert (standing.retry_after_s > 0) is not standing.allowed
        assert taken <= per_minute * (1 + (clock.now - began) / WINDOW_S) + 1e-3
