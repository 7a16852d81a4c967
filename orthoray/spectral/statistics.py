"""Statistics of an index map, gathered window by window in any order.

Two passes. The first (`summarise`, `merge`) counts, finds the range, mean, variance and classes, and keeps a
histogram of the upper 16 bits of the values. With it `plan` knows in which few of the 65536 bins the wanted
percentiles lie and the edges of the histogram to show; the second pass (`detail`, `merge_details`) resolves
the lower 16 bits of those bins and fills that histogram. `finish` joins both. Percentiles are thereby exact
in 512 KiB a bin, whatever the size of the raster.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

HISTOGRAM_BINS = 64
_HALF = 1 << 16
_PERCENTS = (2.0, 50.0, 98.0)


@dataclass(frozen=True)
class Summary:
    """The first pass over some pixels; `merge` joins two of disjoint pixels.

    `m2` is the sum of squared differences from `mean`. `class_counts` has one entry more than there are
    cuts. `high` counts, int64 (65536,), the upper halves of the ordered bit patterns.
    """

    valid: int
    nodata: int
    invalid: int
    minimum: float
    maximum: float
    mean: float
    m2: float
    class_counts: tuple[int, ...]
    high: Counts


@dataclass(frozen=True)
class Plan:
    """What the second pass looks for: bins (upper halves) to resolve and the histogram's edges, float64."""

    bins: tuple[int, ...]
    edges: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Detail:
    """The second pass over some pixels: `low` int64 (bins, 65536), `histogram` int64 (64,)."""

    low: Counts
    histogram: Counts


@dataclass(frozen=True)
class Statistics:
    """Statistics of the valid pixels of an index map.

    `nodata_pixels` are masked, `invalid_pixels` are data without a finite index value. `std` is that of the
    population; percentiles follow NumPy's "linear" definition. Without a valid pixel the numbers are None and
    the histogram is empty. `class_pixels[i]` counts the values above `cuts[i]` but not above the cut before
    it, the last entry those not above the last cut. `area_m2` is that of the valid pixels; areas are None
    where the raster is not georeferenced.
    """

    valid_pixels: int
    nodata_pixels: int
    invalid_pixels: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    median: float | None
    p2: float | None
    p98: float | None
    histogram_edges: tuple[float, ...]
    histogram_counts: tuple[int, ...]
    cuts: tuple[float, ...]
    class_pixels: tuple[int, ...]
    pixel_area_m2: float | None = None

    @property
    def area_m2(self) -> float | None:
        return None if self.pixel_area_m2 is None else self.valid_pixels * self.pixel_area_m2

    def to_dict(self) -> dict[str, Any]:
        """The `statistics` object of the HTTP contract, but for the rows of classes, which carry labels."""
        return {
            "valid_pixels": self.valid_pixels,
            "nodata_pixels": self.nodata_pixels,
            "invalid_pixels": self.invalid_pixels,
            "min": self.minimum,
            "max": self.maximum,
            "mean": self.mean,
            "std": self.std,
            "median": self.median,
            "p2": self.p2,
            "p98": self.p98,
            "histogram": {"edges": list(self.histogram_edges), "counts": list(self.histogram_counts)},
            "area_m2": self.area_m2,
        }


def summarise(values: Values, nodata: Mask | None, cuts: Sequence[float]) -> Summary:
    """First pass over `values` float32 of any shape; `nodata` bool of that shape is True where masked.

    `cuts` descend. A value on a cut belongs to the worse class: the rule is v > cut, compared in float32, the
    values' own precision, so that 11 against 9 (NDVI 0.1) is not above a cut of 0.1. NaN and infinite values
    that are not masked count as invalid. Raises `ValueError` where the cuts do not descend.
    """
    if any(not upper > lower for upper, lower in itertools.pairwise(cuts)):
        raise ValueError(f"cuts must descend: {list(cuts)}")
    usable = np.isfinite(values) if nodata is None else np.isfinite(values) & ~nodata
    masked = 0 if nodata is None else int(np.count_nonzero(nodata))
    chosen = _chosen(values, usable)
    count = chosen.size
    above = [int(np.count_nonzero(chosen > np.float32(cut))) for cut in cuts]
    class_counts = tuple(np.diff([0, *above, count]).tolist())
    high = np.bincount(_keys(chosen) >> 16, minlength=_HALF).astype(np.int64)
    if count == 0:
        minimum, maximum, mean, m2 = math.inf, -math.inf, 0.0, 0.0
    else:
        wide = chosen.astype(np.float64)
        mean = float(wide.mean())
        m2 = float(np.square(wide - mean).sum())
        minimum, maximum = float(chosen.min()), float(chosen.max())
    return Summary(
        valid=count,
        nodata=masked,
        invalid=values.size - masked - count,
        minimum=minimum,
        maximum=maximum,
        mean=mean,
        m2=m2,
        class_counts=class_counts,
        high=high,
    )


def merge(first: Summary, second: Summary) -> Summary:
    """Join the first passes over disjoint pixels (Chan, Golub and LeVeque 1979)."""
    count = first.valid + second.valid
    delta = second.mean - first.mean
    share = second.valid / count if count else 0.0
    return Summary(
        valid=count,
        nodata=first.nodata + second.nodata,
        invalid=first.invalid + second.invalid,
        minimum=min(first.minimum, second.minimum),
        maximum=max(first.maximum, second.maximum),
        mean=first.mean + delta * share,
        m2=first.m2 + second.m2 + delta * delta * first.valid * share,
        class_counts=tuple(a + b for a, b in zip(first.class_counts, second.class_counts, strict=True)),
        high=first.high + second.high,
    )


def plan(summary: Summary, value_range: tuple[float, float] | None = None) -> Plan:
    """Decide what the second pass looks for.

    The histogram has 64 bins of equal width from the data's least to its greatest value, both clipped to
    `value_range` where the index has one, lest a few outliers squeeze the rest into one bin. A value on an
    inner edge belongs to the bin above it; values outside go into the end bins, so the counts sum to the
    valid pixels. Where all data lies outside the range the edges go by the data alone; round a single value
    they lie half a unit (a millionth of a huge value) to either side.
    """
    if summary.valid == 0:
        return Plan(bins=(), edges=np.empty(0, dtype=np.float64))
    low, high = summary.minimum, summary.maximum
    if value_range is not None and max(low, value_range[0]) < min(high, value_range[1]):
        low, high = max(low, value_range[0]), min(high, value_range[1])
    if low == high:
        half = max(0.5, abs(low) * 1e-6)
        low, high = low - half, high + half
    below = np.cumsum(summary.high)
    bins = {int(np.searchsorted(below, rank, side="right")) for rank in _ranks(summary.valid)}
    return Plan(bins=tuple(sorted(bins)), edges=np.linspace(low, high, HISTOGRAM_BINS + 1))


def detail(values: Values, nodata: Mask | None, wanted: Plan) -> Detail:
    """Second pass over the same pixels as the first; arguments as in `summarise`."""
    usable = np.isfinite(values) if nodata is None else np.isfinite(values) & ~nodata
    chosen = _chosen(values, usable)
    keys = _keys(chosen)
    high = keys >> 16
    low = np.zeros((len(wanted.bins), _HALF), dtype=np.int64)
    for row, number in enumerate(wanted.bins):
        low[row] = np.bincount(keys[high == number] & (_HALF - 1), minlength=_HALF)
    return Detail(low=low, histogram=_histogram(chosen, wanted.edges))


def merge_details(first: Detail, second: Detail) -> Detail:
    """Join the second passes over disjoint pixels."""
    return Detail(low=first.low + second.low, histogram=first.histogram + second.histogram)


def finish(
    summary: Summary,
    wanted: Plan,
    found: Detail,
    cuts: Sequence[float],
    pixel_area_m2: float | None = None,
) -> Statistics:
    """Join both passes over a whole raster."""
    empty = summary.valid == 0
    p2, median, p98 = (
        None if empty else _percentile(percent, summary, wanted, found) for percent in _PERCENTS
    )
    return Statistics(
        valid_pixels=summary.valid,
        nodata_pixels=summary.nodata,
        invalid_pixels=summary.invalid,
        minimum=None if empty else summary.minimum,
        maximum=None if empty else summary.maximum,
        mean=None if empty else summary.mean,
        std=None if empty else math.sqrt(summary.m2 / summary.valid),
        median=median,
        p2=p2,
        p98=p98,
        histogram_edges=tuple(wanted.edges.tolist()),
        histogram_counts=tuple(found.histogram.tolist()),
        cuts=tuple(float(cut) for cut in cuts),
        class_pixels=summary.class_counts,
        pixel_area_m2=pixel_area_m2,
    )


def _chosen(values: Values, usable: Mask) -> Values:
    # adding zero makes one value of -0.0 and 0.0, which compare equal but differ in their bits
    return np.asarray(values[usable] + np.float32(0.0), dtype=np.float32)


def _keys(values: Values) -> npt.NDArray[np.uint32]:
    """Unsigned integers in the order of the values: negatives inverted, the sign bit of the others set."""
    bits = values.view(np.uint32)
    return bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def _value(key: int) -> float:
    bits = key ^ (0x80000000 if key >> 31 else 0xFFFFFFFF)
    return float(np.array(bits, dtype=np.uint32).view(np.float32))


def _histogram(values: Values, edges: npt.NDArray[np.float64]) -> Counts:
    """Counts of equal bins; a value on an inner edge belongs above it, one outside to the end bin."""
    bins = len(edges) - 1
    if bins < 1:
        return np.zeros(0, dtype=np.int64)
    counts = np.zeros(bins, dtype=np.int64)
    bounds = np.array([-np.inf, *edges[1:-1], np.inf])
    low, scale = edges[0], bins / (edges[-1] - edges[0])
    # pieces that stay in the processor's cache are several times faster than one long array
    for start in range(0, values.size, _HALF):
        piece = values[start : start + _HALF].astype(np.float64)
        guess = np.clip((piece - low) * scale, 0, bins - 1).astype(np.intp)
        # the product may be rounded across an edge, by one bin at most
        guess -= piece < bounds[guess]
        guess += piece >= bounds[guess + 1]
        counts += np.bincount(guess, minlength=bins)
    return counts


def _place(percent: float, count: int) -> tuple[int, int, float]:
    """The two ranks (from 0) that a percentile lies between, and how far towards the second."""
    position = (count - 1) * (percent / 100)
    lower = math.floor(position)
    return lower, min(lower + 1, count - 1), position - lower


def _ranks(count: int) -> set[int]:
    return {rank for percent in _PERCENTS for rank in _place(percent, count)[:2]}


def _percentile(percent: float, summary: Summary, wanted: Plan, found: Detail) -> float:
    lower, upper, share = _place(percent, summary.valid)
    a, b = (_order_statistic(rank, summary, wanted, found) for rank in (lower, upper))
    # the two forms of NumPy's linear interpolation, each exact at its own end
    return a + (b - a) * share if share < 0.5 else b - (b - a) * (1 - share)


def _order_statistic(rank: int, summary: Summary, wanted: Plan, found: Detail) -> float:
    below = np.cumsum(summary.high)
    number = int(np.searchsorted(below, rank, side="right"))
    within = rank - (int(below[number - 1]) if number else 0)
    low = np.cumsum(found.low[wanted.bins.index(number)])
    return _value(number << 16 | int(np.searchsorted(low, within, side="right")))
