"""Statistics of an index map, gathered piece by piece in one pass.

A `Tally` counts pixels, finds range, mean, variance and classes, and, where it is given a scale, fills a
histogram of its bins, from which `finish` reads percentiles within half of one. Where the values
themselves are still at hand `finish` looks into the few bins that matter, and percentiles are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from orthoray.spectral.distribution import Distribution, clipped, counts_beyond
from orthoray.spectral.loops import loops
from orthoray.spectral.scales import Bins

Values = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Range = tuple[float, float]

PERCENTS = (2.0, 50.0, 98.0)


@dataclass(frozen=True)
class Statistics:
    """Statistics of the valid pixels of an index map.

    Every pixel is one of: valid; `nodata_pixels`, masked in the image; `background_pixels`, data that a soil
    mask takes out; `invalid_pixels`, data without a finite index value. `out_of_range_pixels` are valid ones
    outside the range where the index has meaning. `std` is that of the population; percentiles follow NumPy's
    "linear" definition and are off by at most `percentile_error`, 0 where they are exact. Without a valid pixel
    the numbers are None and the histogram is empty. `class_pixels[i]` counts the values above `cuts[i]` but not
    above the cut before it, the last entry those not above the last cut. `area_m2` is that of the valid pixels;
    areas are None where the raster is not georeferenced.
    """

    valid_pixels: int
    nodata_pixels: int
    background_pixels: int
    invalid_pixels: int
    out_of_range_pixels: int
    cuts: tuple[float, ...]
    class_pixels: tuple[int, ...]
    pixel_area_m2: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    p2: float | None = None
    p98: float | None = None
    percentile_error: float | None = None
    histogram_edges: tuple[float, ...] = ()
    histogram_counts: tuple[int, ...] = ()

    @property
    def pixels(self) -> int:
        """All pixels of the raster."""
        return self.valid_pixels + self.nodata_pixels + self.background_pixels + self.invalid_pixels

    @property
    def valid_fraction(self) -> float:
        """Valid pixels of all, 0..1."""
        return self.valid_pixels / self.pixels if self.pixels else 0.0

    @property
    def area_m2(self) -> float | None:
        return None if self.pixel_area_m2 is None else self.valid_pixels * self.pixel_area_m2

    def to_dict(self) -> dict[str, Any]:
        """The `statistics` object of the HTTP contract, but for the rows of classes, which carry labels."""
        return {
            "valid_pixels": self.valid_pixels,
            "nodata_pixels": self.nodata_pixels,
            "background_pixels": self.background_pixels,
            "invalid_pixels": self.invalid_pixels,
            "out_of_range_pixels": self.out_of_range_pixels,
            "min": self.minimum,
            "max": self.maximum,
            "mean": self.mean,
            "std": self.std,
            "median": self.median,
            "p2": self.p2,
            "p98": self.p98,
            "percentile_error": self.percentile_error,
            "histogram": {"edges": list(self.histogram_edges), "counts": list(self.histogram_counts)},
            "area_m2": self.area_m2,
        }


@dataclass
class Tally:
    """Sums over some pixels, to which pieces are added and other tallies of disjoint pixels.

    `cuts` descend; a value on a cut belongs to the worse class: the rule is v > cut, compared in float32, the
    values' own precision, so that 11 against 9 (NDVI 0.1) is not above a cut of 0.1. `m2` is the sum of squared
    differences from `mean`; `odd` counts pixels whose bands are not plausible reflectance.
    """

    cuts: tuple[float, ...]
    value_range: Range | None = None
    scale: Bins | None = None
    pixels: int = 0
    valid: int = 0
    nodata: int = 0
    background: int = 0
    out_of_range: int = 0
    odd: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    mean: float = 0.0
    m2: float = 0.0
    above: list[int] = field(default_factory=list)
    fine: Counts | None = None
    outside: Counts | None = None

    def __post_init__(self) -> None:
        self.above = self.above or [0] * len(self.cuts)
        self._cuts32 = np.array(self.cuts, np.float32)
        if self.scale is not None and self.fine is None:
            self.fine = np.zeros(self.scale.size, dtype=np.int64)

    def fresh(self) -> Tally:
        """An empty tally of the same cuts, range and scale."""
        return Tally(self.cuts, self.value_range, self.scale)

    def add(self, values: Values, *, nodata: int = 0, background: int = 0, odd: int = 0) -> None:
        """Add a piece: float32 of any shape, NaN where there is no valid value for whatever reason.

        `nodata` and `background` say how many of them are so for these reasons.
        """
        self.pixels += values.size
        self.nodata += nodata
        self.background += background
        self.odd += odd
        if values.size == 0:
            return
        plane = np.ascontiguousarray(np.atleast_2d(values))
        low, high = (-np.inf, np.inf) if self.value_range is None else self.value_range
        above = np.zeros(len(self.cuts), np.int64)
        valid, least, greatest, mean, m2, beyond = loops().tally(
            plane, self._cuts32, np.float32(low), np.float32(high), above
        )
        if valid == 0:
            return
        self.minimum, self.maximum = min(self.minimum, least), max(self.maximum, greatest)
        self.out_of_range += beyond
        self.above = [a + b for a, b in zip(self.above, above.tolist(), strict=True)]
        self._merge_moments(valid, mean, m2)
        if self.scale is not None and self.fine is not None:
            self.scale.count(plane, self.fine)
            if not self.scale.low <= least <= greatest <= self.scale.high:
                outside = counts_beyond(plane, self.scale)
                self.outside = outside if self.outside is None else self.outside + outside

    def merge(self, other: Tally) -> None:
        """Add another tally of the same cuts and scale (Chan, Golub and LeVeque 1979)."""
        for name in ("pixels", "nodata", "background", "out_of_range", "odd"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self.above = [a + b for a, b in zip(self.above, other.above, strict=True)]
        self._merge_moments(other.valid, other.mean, other.m2)
        if self.fine is not None and other.fine is not None:
            self.fine += other.fine
        if other.outside is not None:
            self.outside = other.outside if self.outside is None else self.outside + other.outside

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Valid pixels of each class, the best first."""
        return tuple(np.diff([0, *self.above, self.valid]).tolist())

    def _merge_moments(self, count: int, mean: float, m2: float) -> None:
        if count == 0:
            return
        total = self.valid + count
        delta = mean - self.mean
        share = count / total
        self.m2 += m2 + delta * delta * self.valid * share
        self.mean += delta * share
        self.valid = total


def finish(
    tally: Tally,
    distribution: Distribution,
    *,
    cuts: Sequence[float] | None = None,
    class_pixels: Sequence[int] | None = None,
    pixel_area_m2: float | None = None,
) -> Statistics:
    """The statistics of a whole raster from the merged `tally` of its pieces.

    `cuts` and `class_pixels` replace those of the tally where cuts were found in the data afterwards.
    The histogram has 64 bins of equal width from the data's least to its greatest value, both clipped to the
    range of the index where it has one, lest a few outliers squeeze the rest into one bin. A value on an inner
    edge belongs to the bin above it; values outside go into the end bins, so the counts sum to the valid pixels.
    """
    shown = tally.cuts if cuts is None else cuts
    counted = tally.class_counts if class_pixels is None else class_pixels
    empty = Statistics(
        valid_pixels=tally.valid,
        nodata_pixels=tally.nodata,
        background_pixels=tally.background,
        invalid_pixels=tally.pixels - tally.nodata - tally.background - tally.valid,
        out_of_range_pixels=tally.out_of_range,
        cuts=tuple(float(cut) for cut in shown),
        class_pixels=tuple(int(pixels) for pixels in counted),
        pixel_area_m2=pixel_area_m2,
    )
    if tally.valid == 0:
        return empty
    (p2, median, p98), error = distribution.percentiles(PERCENTS, tally.valid, tally.minimum, tally.maximum)
    edges, counts = distribution.shown(*clipped(tally.minimum, tally.maximum, tally.value_range))
    return replace(
        empty,
        minimum=tally.minimum + 0.0,  # which makes 0 of -0
        maximum=tally.maximum + 0.0,
        mean=tally.mean + 0.0,
        std=math.sqrt(tally.m2 / tally.valid),
        median=median,
        p2=p2,
        p98=p98,
        percentile_error=error,
        histogram_edges=tuple(edges.tolist()),
        histogram_counts=tuple(counts.tolist()),
    )
