"""How the places of a queue are shared among those whom its jobs talk to: nobody who is slow has all of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from orthoray.queue import PutOff

LONGEST_S = 600.0
# Of what a place is held for, the part that the last time counts.
_NEWEST = 0.3
_UNKNOWN_S = 1.0
# How many names are remembered, the latest.
_KNOWN = 1000


class Shares:
    """For one event loop. Who finds no place is put off until, as things stand, it is their turn: they come back once or twice,
    however many they are."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._held_s: dict[str, float] = {}
        self._next: dict[str, float] = {}

    @contextmanager
    def place(self, sizes: Mapping[str, int]) -> Iterator[None]:
        """A place of each of these names, of which there are so many at once.

        Raises:
            PutOff: one of them has none left.
        """
        for name, size in sizes.items():
            if self._under_way[name] >= size:
                raise PutOff(self._turn(name, size))
        self._under_way.update(sizes.keys())
        began = time.monotonic()
        try:
            yield
        finally:
            for name in sizes:
                self._leave(name, time.monotonic() - began)

    def _turn(self, name: str, size: int) -> float:
        """Seconds until the next place that nobody has been told of."""
        now = time.monotonic()
        at = max(now, self._next.get(name, 0.0)) + self._held_s.get(name, _UNKNOWN_S) / size
        self._next[name] = at
        return min(at - now, LONGEST_S)

    def _leave(self, name: str, held_s: float) -> None:
        before = self._held_s.pop(name, _UNKNOWN_S)
        self._held_s[name] = (1 - _NEWEST) * before + _NEWEST * held_s
        if len(self._held_s) > _KNOWN:
            del self._held_s[next(iter(self._held_s))]
        self._under_way[name] -= 1
        if not self._under_way[name]:
            del self._under_way[name]
        if self._next.get(name, 0.0) <= time.monotonic():
            self._next.pop(name, None)
