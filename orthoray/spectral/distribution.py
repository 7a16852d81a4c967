"""How values are distributed: a fine histogram, and what is read from it (percentiles, shown histogram, cuts)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orthoray.spectral.scales import FINE_BINS, Bins, Scale, keys_of, value_of

Values = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Edges = npt.NDArray[np.float64]
Range = tuple[float, float]

SHOWN_BINS = 64
# of values without a range the shown histogram leaves out these ends, in percent
_SHOWN_TAIL = 0.1
_HALF = 1 << 16
_PIECE = 1 << 16  # scratch of this many values stays in the processor's cache


@dataclass(frozen=True)
class Distribution:
    """Valid values by bins of `scale`, those beyond it by the upper half of their float32 patterns.

    `fine` is int64 (scale.size,), `outside` int64 (2, 65536), those below the scale and those above it, or None where
    nothing lies beyond. `values`, float32 with NaN where invalid, are all of them where they are at hand: then
    order statistics are exact.
    """

    scale: Bins
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
        scale.place(values, fine)
        is_whole = scale.low <= least and greatest <= scale.high
        return cls(scale, fine, None if is_whole else counts_beyond(values, scale), values)

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
        """The fine histogram from the bin of `least` to that of `greatest`; what lies beyond is in the end bins.

        Each edge but the last is the least value of the bin above it, so that counts are exact.
        """
        first, last = self.scale.bin_of(least), self.scale.bin_of(greatest)
        counts = self.fine[first : last + 1].copy()
        counts[0] += self.fine[:first].sum()
        counts[-1] += self.fine[last + 1 :].sum()
        if self.outside is not None:
            counts[0] += self.outside[0].sum()
            counts[-1] += self.outside[1].sum()
        # bins narrower than the step of float32 begin with the same value, and so are one
        edges, places = np.unique(self.scale.firsts(first, last + 1), return_index=True)
        end = max(self.scale.edge(last + 1), float(np.nextafter(np.float32(edges[-1]), np.float32(np.inf))))
        return np.append(edges, end), np.add.reduceat(counts, places)

    def count_above(self, cut: float) -> int:
        """How many values are above `cut`; without the values, of a cut just below an edge of `breaks`."""
        if self.values is not None:
            return sum(int(np.count_nonzero(piece > np.float32(cut))) for piece in _pieces(self.values))
        least = float(np.nextafter(np.float32(cut), np.float32(np.inf)))
        found = 0
        if least <= self.scale.high:
            number = self.scale.bin_of(least)
            # the rounding of counting may have put the edge into either of two bins
            number += int(np.searchsorted(self.scale.firsts(number, number + 2), least, side="left"))
            found = int(self.fine[number:].sum())
        if self.outside is not None:
            below, above = self.outside
            found += int(above[_key(cut) :].sum())
            found += int(below[_key(cut) :].sum()) if cut < self.scale.low else 0
        return found

    def shown(self, least: float, greatest: float) -> tuple[Edges, Counts]:
        """At most 64 bins of equal width from `least` to `greatest`; end bins take what lies outside."""
        if not isinstance(self.scale, Scale):
            return self._shown_by_patterns(least, greatest)
        if not self.scale.width:
            half = max(0.5, abs(least) * 1e-6)
            beyond = 0 if self.outside is None else int(self.outside.sum())
            return np.array([least - half, least + half]), np.array([self.fine.sum() + beyond])
        first, last = self.scale.bin_of(least), self.scale.bin_of(greatest)
        step = -(-(last + 1 - first) // SHOWN_BINS)
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

    def _shown_by_patterns(self, least: float, greatest: float) -> tuple[Edges, Counts]:
        tails = (_SHOWN_TAIL, 100 - _SHOWN_TAIL)
        (low, high), _ = self.percentiles(tails, int(self.fine.sum()), least, greatest)
        if not low < high:
            half = max(0.5, abs(low) * 1e-6)
            low, high = low - half, low + half
        edges = np.linspace(low, high, SHOWN_BINS + 1)
        filled = np.flatnonzero(self.fine)
        starts = self.scale.firsts(0, self.scale.size + 1)
        middles = (starts[filled] + starts[filled + 1]) / 2
        places = np.clip(np.searchsorted(edges, middles, side="right") - 1, 0, SHOWN_BINS - 1)
        counts = np.zeros(SHOWN_BINS, np.int64)
        np.add.at(counts, places, self.fine[filled])
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
                middle = (self.scale.edge(bins[rank]) + self.scale.edge(bins[rank] + 1)) / 2
                found[rank] = (min(max(middle, least), greatest), self.scale.error(bins[rank]))
        return found

    def _members(self, wanted: set[int]) -> dict[int, Values]:
        """The values in each wanted bin; nothing where the values are not at hand."""
        if self.values is None or not wanted:
            return {}
        assert isinstance(self.scale, Scale), "values at hand are counted on a scale of their own"
        return self.scale.members(self.values, self.fine, wanted)

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


def counts_beyond(values: Values, scale: Bins) -> Counts:
    """Counts, int64 (2, 65536), of the finite values below and above the scale, by the upper half of their bits."""
    beyond = values[values < np.float64(scale.low)], values[values > np.float64(scale.high)]
    return np.stack([np.bincount(keys_of(side) >> 16, minlength=_HALF) for side in beyond])


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


def _key(value: float) -> int:
    """The bin of `outside` that a value belongs to."""
    return int(keys_of(np.array([value], dtype=np.float32))[0] >> 16)


def _value(key: int) -> float:
    return float(value_of(np.array([key], dtype=np.uint32))[0])


def _place(percent: float, count: int) -> tuple[int, int, float]:
    """The two ranks (from 0) that a percentile lies between, and how far towards the second."""
    position = (count - 1) * (percent / 100)
    lower = math.floor(position)
    return lower, min(lower + 1, count - 1), position - lower
