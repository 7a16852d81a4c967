"""How often somebody may do something: a token bucket for each key, kept as one number (GCRA, ITU-T I.371)."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import ceil

WINDOW_S = 60
# Keys that are remembered; of more the one that has been quiet for longest is forgotten.
MAX_KEYS = 50_000


@dataclass(frozen=True)
class Standing:
    """Whether it is allowed, how many more are, and in how many seconds all are again."""

    allowed: bool
    left: int
    full_in_s: int
    retry_after_s: int = 0


class Rates:
    """A bucket of `per_minute` tokens for each key, which fills up evenly within a minute. For one thread."""

    def __init__(
        self, per_minute: int, *, max_keys: int = MAX_KEYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_minute = per_minute
        self._token_s = WINDOW_S / per_minute
        self._max_keys = max_keys
        self._clock = clock
        # When each key's bucket will be full; those that have asked most lately are last.
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, key: Hashable) -> Standing:
        """One token, if there is one."""
        now = self._clock()
        full_at = max(self._full_at.pop(key, now), now)
        missing_s = full_at + self._token_s - (now + WINDOW_S)
        # A hair more, so that the last token is not lost to rounding.
        allowed = missing_s <= self._token_s * 1e-6
        if allowed:
            full_at += self._token_s
        self._full_at[key] = full_at
        if len(self._full_at) > self._max_keys:
            self._full_at.popitem(last=False)
        left = int((now + WINDOW_S - full_at) / self._token_s + 1e-6)
        full_in_s = min(WINDOW_S, ceil(full_at - now))
        return Standing(allowed, max(0, left), full_in_s, 0 if allowed else max(1, ceil(missing_s)))

    def give_back(self, key: Hashable) -> None:
        """The token that was taken, where it turns out that it need not have been."""
        if key in self._full_at:
            self._full_at[key] -= self._token_s
