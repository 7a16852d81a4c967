"""Nobody who is slow has all places of a queue."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from actors import shares
from actors.shares import LONGEST_S, Shares
from orthoray.queue import PutOff


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(shares.time, "monotonic", clock)
    return clock


def put_off(shared: Shares, sizes: dict[str, int]) -> float:
    with pytest.raises(PutOff) as told, shared.place(sizes):
        pass
    return told.value.wait_s


def test_each_name_has_its_share_and_gets_it_back(clock: Clock) -> None:
    shared = Shares()
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(shared.place({"tenant a": 3, "host x": 2}))
        assert put_off(shared, {"tenant a": 3, "host x": 2}) > 0
        held.enter_context(shared.place({"tenant a": 3, "host y": 2}))
        assert put_off(shared, {"tenant a": 3, "host z": 2}) > 0
        with shared.place({"tenant b": 3, "host z": 2}):
            pass
    clock.now += 60
    for _ in range(3):
        with shared.place({"tenant a": 3, "host x": 2}):
            pass
    for number in range(2000):
        with shared.place({f"host {number}": 1}):
            pass
    assert not shared._under_way
    assert not shared._next
    assert len(shared._held_s) == 1000


def test_those_who_wait_come_back_one_after_another_as_fast_as_places_are_given_up(clock: Clock) -> None:
    shared, sizes = Shares(), {"host x": 2}
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(shared.place(sizes))
        quick = [put_off(shared, sizes) for _ in range(4)]
        assert quick == pytest.approx([0.5, 1.0, 1.5, 2.0])
        clock.now += 15
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(shared.place(sizes))
        slow = [put_off(shared, sizes) for _ in range(4)]
        assert slow[1] - slow[0] > 2 * (quick[1] - quick[0])
        assert max(put_off(shared, sizes) for _ in range(1000)) == LONGEST_S


def test_a_place_is_given_back_when_its_holder_fails(clock: Clock) -> None:
    shared = Shares()
    for _ in range(3):
        with pytest.raises(RuntimeError), shared.place({"host x": 1}):
            raise RuntimeError
