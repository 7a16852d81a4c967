"""How values are distributed: a fine histogram, and what is read from it (percentiles, shown histogram, cuts)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from orthoray.spectral.scratch import own_scratch

Values = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Edges = npt.NDArray[np.float64]
Range = tuple[float, float]

FINE_BINS = 1 << 13
SHOWN_BINS = 64
_HALF = 1 << 16
_PIECE = 1 << 16  # scratch of this many values stays in the processor's cache
# float32 has room for a difference of values and for bins per unit
_LEAST_SPAN, _GREATEST_SPAN = 1e-30, 1e30
# What float32 may be off by in a place on the scale, in bins: five roundings of 2**-24 in 2**14 bins.
_SLACK = 2.0**-7


@dataclass(frozen=True)
class Scale:
    """8,192 bins of equal width over [low, high]; the last holds `high` too."""

    low: float
    high: float

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

    def holds(self, values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_]:
        """Which values lie on the scale."""
        # in float64: NumPy would round a plain float to the float32 of the values
        return (values >= np.float64(self.low)) & (values <= np.float64(self.high))

    def bins(self, values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.intp]:
        """The bins of values, which all lie on the scale, in memory to be given back to `own_scratch()`."""
        scratch = own_scratch()
        # float64: a value exactly on a round edge such as 0 must not be rounded below it
        places = scratch.take(values.shape, np.float64)
        np.subtract(values, self.low, out=places, dtype=np.float64)
        places *= self._bins_per_unit
        np.clip(places, 0, FINE_BINS - 1, out=places)
        numbers: npt.NDArray[np.intp] = scratch.take(values.shape, np.intp)
        np.copyto(numbers, places, casting="unsafe")
        scratch.give(places)
        return numbers

    def count(self, values: Values, counts: Counts) -> None:
        """Add values to `counts`, int64 (8192,); those beyond the scale are left out.

        In float32, so a value within a rounding error of an edge may count on its other side: within `_SLACK`
        of a bin, where float32 holds `low` exactly.
        """
        if values.size == 0:
            return
        if float(values.min()) < self.low or float(values.max()) > self.high:
            values = values[self.holds(values)]
        scratch = own_scratch()
        if not self._suits_float32:
            bins = self.bins(values)
            counts += np.bincount(bins, minlength=FINE_BINS)
            scratch.give(bins)
            return
        places = scratch.take(values.shape, np.float32)
        np.subtract(values, np.float32(self.low), out=places)
        factor = np.nextafter(np.float32(self._bins_per_unit), np.float32(np.inf))
        np.multiply(places, factor, out=places)
        np.clip(places, 0, FINE_BINS - 1, out=places)
        numbers = scratch.take(values.shape, np.uint16)
        np.copyto(numbers, places, casting="unsafe")
        # two thirds of the time of NumPy's, which would make 64-bit integers of them first; but only by long rows
        found = cv2.calcHist([numbers.reshape(1, -1)], [0], None, [FINE_BINS], [0, FINE_BINS])
        counts += found.reshape(-1).astype(np.int64)
        scratch.give(places)
        scratch.give(numbers)

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
class Distribution:
    """Valid values by bins of `scale`, those beyond it by the upper half of their float32 patterns.

    `fine` is int64 (8192,), `outside` int64 (2, 65536), those below the scale and those above it, or None where
    nothing lies beyond. `values`, float32 with NaN where invalid, are all of them where they are at hand: then
    order statistics are exact.
    """

    scale: Scale
    fine: Counts
    outside: Counts | None = None
    values: Values | None = None

    @classmethod
    def of_values(
        cls, values: Values, least: float, greatest: float, span: Range | None = None
    ) -> Distribution:
        """The distribution of `values`, whose finite ones lie in [least, greatest], over `span` or that range."""
        scale = Scale(*(span or (least, greatest)))
        fine = np.zeros(FINE_BINS, dtype=np.int64)
        outside: Counts | None = None
        for piece in _pieces(values):
            is_whole = scale.low <= least and greatest <= scale.high
            numbers = scale.bins(piece if is_whole else piece[scale.holds(piece)])
            fine += np.bincount(numbers, minlength=FINE_BINS)
            own_scratch().give(numbers)
            if not is_whole:
                beyond = counts_beyond(piece, scale)
                outside = beyond if outside is None else outside + beyond
        return cls(scale, fine, outside, values)

    def percentiles(
        self, percents: Sequence[float], count: int, least: float, greatest: float
    ) -> tuple[tuple[float, ...], float]:
        """NumPy's "linear" percentiles of the `count` values, and the greatest error that they may have."""
        places = [_place(percent, count) for percent in percents]
        ranks = sorted({rank for lower, upper, _ in places for rank in (lower, upper)})
        found = self._order_statistics(ranks, least, greatest)
        results = []
        for lower, upper, share in places:
            a, b = found[lower][0], found[upper][0]
            # the two forms of NumPy's linear interpolation, each exact at its own end
            between = a + (b - a) * share if share < 0.5 else b - (b - a) * (1 - share)
            results.append(between + 0.0)  # which makes 0 of -0
        return tuple(results), max(error for _, error in found.values())

    def breaks(self, least: float, greatest: float) -> tuple[Edges, Counts]:
        """The fine histogram from the bin of `least` to that of `greatest`; what lies beyond is in the end bins."""
        return self._regrouped(least, greatest, FINE_BINS)

    def count_above(self, cut: float) -> int:
        """How many values are above `cut`; without the values, of a cut on an edge (or just below it)."""
        if self.values is not None:
            return sum(int(np.count_nonzero(piece > np.float32(cut))) for piece in _pieces(self.values))
        least = float(np.nextafter(np.float32(cut), np.float32(np.inf)))
        found = int(self.fine[self.scale.bin_of(least) :].sum()) if least <= self.scale.high else 0
        if self.outside is not None:
            below, above = self.outside
            found += int(above[_key(cut) :].sum())
            found += int(below[_key(cut) :].sum()) if cut < self.scale.low else 0
        return found

    def _regrouped(self, least: float, greatest: float, bins: int) -> tuple[Edges, Counts]:
        if not self.scale.width:
            half = max(0.5, abs(least) * 1e-6)
            beyond = 0 if self.outside is None else int(self.outside.sum())
            return np.array([least - half, least + half]), np.array([self.fine.sum() + beyond])
        first, last = self.scale.bin_of(least), self.scale.bin_of(greatest)
        step = -(-(last + 1 - first) // bins)
        groups = -(-(last + 1 - first) // step)
        starts = first + step * np.arange(groups)
        counts = np.add.reduceat(self.fine[: last + 1], starts)
        counts[0] += self.fine[:first].sum()
        counts[-1] += self.fine[last + 1 :].sum()
        if self.outside is not None:
            counts[0] += self.outside[0].sum()
            counts[-1] += self.outside[1].sum()
        edges = np.array([self.scale.edge(min(first + step * k, FINE_BINS)) for k in range(groups + 1)])
        return edges, counts

    def _order_statistics(
        self, ranks: Sequence[int], least: float, greatest: float
    ) -> dict[int, tuple[float, float]]:
        """Rank (from 0) -> (value, greatest error)."""
        split = 0 if self.outside is None else int(self.outside[0].sum())
        upto = np.cumsum(self.fine)
        inside = {rank for rank in ranks if split <= rank < split + int(upto[-1])}
        bins = {rank: int(np.searchsorted(upto, rank - split, side="right")) for rank in inside}
        members = self._members(set(bins.values()))
        found: dict[int, tuple[float, float]] = {}
        for rank in ranks:
            if rank not in inside:
                is_below = rank < split
                found[rank] = self._beyond(rank if is_below else rank - split - int(upto[-1]), is_below)
            elif members:
                number = bins[rank]
                place = rank - split - (int(upto[number - 1]) if number else 0)
                found[rank] = (float(np.partition(members[number], place)[place]), 0.0)
            else:
                middle = self.scale.edge(bins[rank]) + self.scale.width / 2
                error = self.scale.width * (0.5 + _SLACK)
                found[rank] = (min(max(middle, least), greatest), error)
        return found

    def _members(self, wanted: set[int]) -> dict[int, Values]:
        """The values in each wanted bin; nothing where the values are not at hand."""
        if self.values is None or not wanted:
            return {}
        chosen: dict[int, list[Values]] = {number: [] for number in wanted}
        # by the edges first, and generously: the bins of all values would take ten times as long
        room = np.float32(self.scale.width / 2)
        with np.errstate(over="ignore"):
            about = {
                number: (
                    np.float32(self.scale.edge(number)) - room,
                    np.float32(self.scale.edge(number + 1)) + room,
                )
                for number in wanted
            }
        for piece in _pieces(self.values):
            for number, members in chosen.items():
                low, high = about[number]
                near = piece[(piece >= low) & (piece <= high)]
                near = near[self.scale.holds(near)]
                bins = self.scale.bins(near)
                members.append(near[bins == number])
                own_scratch().give(bins)
        return {number: np.concatenate(members) for number, members in chosen.items()}

    def _beyond(self, place: int, below: bool) -> tuple[float, float]:
        """The value at `place` of those below, or else of those above the scale, in ascending order."""
        assert self.outside is not None
        if self.values is not None:
            end = np.float64(self.scale.low if below else self.scale.high)
            is_beyond = np.less if below else np.greater
            chosen = [piece[is_beyond(piece, end)] for piece in _pieces(self.values)]
            return float(np.partition(np.concatenate(chosen), place)[place]), 0.0
        counts = self.outside[0 if below else 1]
        number = int(np.searchsorted(np.cumsum(counts), place, side="right"))
        lower, upper = _value(number << 16), _value((number << 16) | (_HALF - 1))
        if below:
            upper = min(upper, self.scale.low)
        else:
            lower = max(lower, self.scale.high)
        return (lower + upper) / 2, abs(upper - lower) / 2


def counts_beyond(values: Values, scale: Scale) -> Counts:
    """Counts, int64 (2, 65536), of the finite values below and above the scale, by the upper half of their bits."""
    beyond = values[values < np.float64(scale.low)], values[values > np.float64(scale.high)]
    return np.stack([np.bincount(_keys(side) >> 16, minlength=_HALF) for side in beyond])


def shown_histogram(
    distribution: Distribution, least: float, greatest: float, value_range: Range | None
) -> tuple[Edges, Counts]:
    """At most 64 bins of equal width over the data, clipped to `value_range`; end bins take what lies outside."""
    low, high = clipped(least, greatest, value_range)
    return distribution._regrouped(low, high, SHOWN_BINS)


def clipped(least: float, greatest: float, value_range: Range | None) -> Range:
    """[least, greatest] within `value_range`, or as it is where nothing would remain."""
    if value_range is not None and max(least, value_range[0]) < min(greatest, value_range[1]):
        return max(least, value_range[0]), min(greatest, value_range[1])
    return least, greatest


def _pieces(values: Values) -> Iterator[Values]:
    """The valid values, piece by piece."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        piece = flat[start : start + _PIECE]
        valid = ~np.isnan(piece)
        yield piece if valid.all() else piece[valid]


def _keys(values: Values) -> npt.NDArray[np.uint32]:
    """Unsigned integers in the order of the values: negatives inverted, the sign bit of the others set."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def _key(value: float) -> int:
    """The bin of `outside` that a value belongs to."""
    return int(_keys(np.array([value], dtype=np.float32))[0] >> 16)


def _value(key: int) -> float:
    bits = key ^ (0x80000000 if key >> 31 else 0xFFFFFFFF)
    return float(np.array(bits, dtype=np.uint32).view(np.float32))


def _place(percent: float, count: int) -> tuple[int, int, float]:
    """The two ranks (from 0) that a percentile lies between, and how far towards the second."""
    position = (count - 1) * (percent / 100)
    lower = math.floor(position)
    return lower, min(lower + 1, count - 1), position - lower
