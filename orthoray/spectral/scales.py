"""Scales: into which bins values are counted, where all of them cannot be kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from orthoray.spectral.loops import loops

Values = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Edges = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint32]

FINE_BINS = 1 << 13
# float32 has room for a difference of values and for bins per unit
_LEAST_SPAN, _GREATEST_SPAN = 1e-30, 1e30
# What float32 may be off by in a place on the scale, in bins: five roundings of 2**-24 in 2**14 bins.
_SLACK = 2.0**-7
# Of a float32 pattern these bits are left out: 1,024 bins for each power of two.
_DROPPED = 13
_LARGEST = float(np.finfo(np.float32).max)


class Bins(Protocol):
    """What counting needs of a scale."""

    @property
    def low(self) -> float:
        """No value below is on the scale."""

    @property
    def high(self) -> float:
        """No value above is on the scale."""

    @property
    def size(self) -> int:
        """Bins."""

    def edge(self, number: int) -> float:
        """The lower edge of a bin; of the number after the last, its upper edge."""

    def bin_of(self, value: float) -> int:
        """The bin of a value; of one beyond the scale the nearest."""

    def error(self, number: int) -> float:
        """How far a value that was counted in a bin may lie from the middle of it."""

    def count(self, values: Values, counts: Counts) -> None:
        """Add values to `counts`, int64 (size,); NaN and those beyond the scale are left out."""

    def firsts(self, start: int, stop: int) -> Edges:
        """The least value that is counted in each of some bins: of bins that hold values, where they begin."""


@dataclass(frozen=True)
class Scale:
    """8,192 bins of equal width over [low, high]; the last holds `high` too."""

    low: float
    high: float

    @property
    def size(self) -> int:
        return FINE_BINS

    @property
    def width(self) -> float:
        return (self.high - self.low) / FINE_BINS

    def edge(self, number: int) -> float:
        """The lower edge of a bin; of 8,192, `high`."""
        return self.high if number == FINE_BINS else self.low + (self.high - self.low) * (number / FINE_BINS)

    def bin_of(self, value: float) -> int:
        """The bin of a value; of one beyond the scale the nearest."""
        on_scale = min(max(value, self.low), self.high)
        return min(int((on_scale - self.low) * self._bins_per_unit), FINE_BINS - 1)

    @property
    def ends(self) -> tuple[np.float32, np.float32]:
        """The least and the greatest float32 on the scale."""
        low, high = np.float32(self.low), np.float32(self.high)
        if float(low) < self.low:
            low = np.nextafter(low, np.float32(np.inf))
        if float(high) > self.high:
            high = np.nextafter(high, np.float32(-np.inf))
        return low, high

    def bins(self, values: Values) -> npt.NDArray[np.intp]:
        """The bins of values, which all lie on the scale, as `place` counts them."""
        # float64: a value exactly on a round edge such as 0 must not be rounded below it
        return _rounded_down((values.astype(np.float64) - self.low) * self._bins_per_unit)

    def place(self, values: Values, counts: Counts) -> None:
        """As `count`, but to the bins that `bin_of` tells, edges included."""
        loops().place_bins(np.atleast_2d(values), *self.ends, self.low, self._bins_per_unit, counts)

    def members(self, values: Values, counts: Counts, wanted: set[int]) -> dict[int, Values]:
        """The values in each wanted bin, of which `place` has counted so many."""
        chosen = np.zeros(self.size, np.int64)
        chosen[list(wanted)] = 1
        found = np.empty(int(counts[chosen != 0].sum()), np.float32)
        loops().gather(np.atleast_2d(values), *self.ends, self.low, self._bins_per_unit, chosen, found)
        numbers = self.bins(found)
        return {number: found[numbers == number] for number in wanted}

    def error(self, number: int) -> float:
        """Half a bin, and what float32 adds."""
        return self.width * (0.5 + _SLACK)

    def count(self, values: Values, counts: Counts) -> None:
        """See `Bins`. In float32 where that tells the bins apart, so a value within a rounding error of an edge may
        count on its other side: `firsts` tells."""
        if not self._suits_float32:
            self.place(values, counts)
            return
        plane = np.atleast_2d(values)
        loops().count_bins(plane, *self.ends, np.float32(self.low), self._bins_per_unit32, counts)

    def firsts(self, start: int, stop: int) -> Edges:
        """See `Bins`."""
        return _firsts(self._numbers, start, stop, self.low, self.high)

    def _numbers(self, values: Values) -> npt.NDArray[np.intp]:
        """The bins that values on the scale are counted in."""
        if not self._suits_float32:
            return self.bins(values)
        return _rounded_down((values - np.float32(self.low)) * self._bins_per_unit32)

    @property
    def _bins_per_unit32(self) -> np.float32:
        return np.float32(np.nextafter(np.float32(self._bins_per_unit), np.float32(np.inf)))

    @property
    def _suits_float32(self) -> bool:
        """Whether float32 tells the bins apart, and neither their span nor its inverse overflows."""
        if not _LEAST_SPAN < self.high - self.low < _GREATEST_SPAN:
            return False
        return self.width > float(np.spacing(np.float32(max(abs(self.low), abs(self.high))))) / _SLACK

    @property
    def _bins_per_unit(self) -> float:
        # rounded up: a value exactly on an edge must not come out just below it
        return math.nextafter(FINE_BINS / (self.high - self.low), math.inf) if self.high > self.low else 0.0


@dataclass(frozen=True)
class Patterns:
    """524,288 bins by the upper bits of float32 patterns: wherever values lie, a bin is a thousandth of them wide."""

    @property
    def low(self) -> float:
        return -math.inf

    @property
    def high(self) -> float:
        return math.inf

    @property
    def size(self) -> int:
        return 1 << (32 - _DROPPED)

    def edge(self, number: int) -> float:
        """See `Bins`."""
        return float(self.firsts(number, number + 1)[0])

    def bin_of(self, value: float) -> int:
        """See `Bins`."""
        return int(keys_of(np.array([value], np.float32))[0] >> _DROPPED)

    def error(self, number: int) -> float:
        """Half a bin."""
        return (self.edge(number + 1) - self.edge(number)) / 2

    def count(self, values: Values, counts: Counts) -> None:
        """See `Bins`."""
        np.add.at(counts, keys_of(values[~np.isnan(values)]) >> _DROPPED, 1)

    def firsts(self, start: int, stop: int) -> Edges:
        """See `Bins`; those of infinities and of what is no number are the greatest float32."""
        numbers = np.arange(start, stop, dtype=np.uint64)
        patterns = np.minimum(numbers << _DROPPED, 0xFFFFFFFF).astype(np.uint32)
        with np.errstate(invalid="ignore"):  # some patterns are signalling NaN
            found = value_of(patterns).astype(np.float64)
        found = np.where(np.isnan(found), np.where(numbers < self.size // 2, -np.inf, np.inf), found)
        return np.clip(found, -_LARGEST, _LARGEST)


def keys_of(values: Values) -> Keys:
    """Unsigned integers in the order of the values: negatives inverted, the sign bit of the others set."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def value_of(keys: Keys) -> Values:
    """The values of `keys_of`."""
    bits = keys ^ np.where(keys >> 31, np.uint32(0x80000000), np.uint32(0xFFFFFFFF))
    return bits.view(np.float32)


def _rounded_down(places: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.intp]:
    """Places on a scale as the numbers of its bins."""
    numbers: npt.NDArray[np.intp] = np.clip(places, 0, FINE_BINS - 1).astype(np.intp)
    return numbers


def _firsts(
    bins: Callable[[Values], npt.NDArray[np.intp]], start: int, stop: int, low: float, high: float
) -> Edges:
    """For each number the least float32 in [low, high] with at least this bin, `high` where there is none."""
    wanted = np.arange(start, stop)
    ends = keys_of(np.array([low, high], np.float32)).astype(np.int64)
    below = np.full(wanted.shape, ends[0] - 1)
    above = np.full(wanted.shape, ends[1])
    # halving the patterns between them: bins rise with values, and patterns are in their order
    while (above - below > 1).any():
        middle = (above + below) // 2
        reached = bins(value_of(middle.astype(np.uint32))) >= wanted
        above, below = np.where(reached, middle, above), np.where(reached, below, middle)
    return value_of(above.astype(np.uint32)).astype(np.float64)
