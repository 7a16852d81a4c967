"""Ways of computing an index and its statistics from decoded tiles, side by side, in ns a pixel.

    python -m benchmarks.kernels [--site FOLDER]

Every way gets the same 512 x 512 tiles and must find the same: valid pixels, sum, sum of squares, least and
greatest NDVI, pixels above three cuts, and a histogram of 2000 bins. What is not installed is left out;
`--site` names the site-packages of another environment of the same Python that has numexpr.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import site
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numba
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.field import BANDS, NODATA, Field
from orthoray.spectral import plain
from orthoray.spectral.loops import Loops, load_compiled

Band = npt.NDArray[np.uint16]
Values = npt.NDArray[np.float32]
Kernel = Callable[[Band, Band, int], "Sums"]

CUTS = (0.6, 0.4, 0.2)
BINS = 2000
_TILE = 512
_RED, _NIR = BANDS.index("R"), BANDS.index("N")


@dataclass(frozen=True)
class Sums:
    """What a kernel finds in some pixels; `+` joins two of disjoint pixels."""

    valid: int
    total: float
    squares: float
    least: float
    greatest: float
    above: tuple[int, ...]
    histogram: npt.NDArray[np.int64]

    def plus(
        self, valid: int, total: float, squares: float, least: float, greatest: float, above: Sequence[int]
    ) -> Sums:
        """With further pixels, whose histogram is kept elsewhere."""
        return replace(
            self,
            valid=self.valid + valid,
            total=self.total + total,
            squares=self.squares + squares,
            least=min(self.least, least),
            greatest=max(self.greatest, greatest),
            above=tuple(a + b for a, b in zip(self.above, above, strict=True)),
        )

    def with_histogram(self, histogram: npt.NDArray[np.int64]) -> Sums:
        """With the histogram of all its pixels."""
        return replace(self, histogram=histogram)

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.valid + other.valid,
            self.total + other.total,
            self.squares + other.squares,
            min(self.least, other.least),
            max(self.greatest, other.greatest),
            tuple(a + b for a, b in zip(self.above, other.above, strict=True)),
            self.histogram + other.histogram,
        )

    def agrees(self, other: Sums) -> bool:
        """Equal counts, the same moments, and histograms alike but for values within rounding of an edge."""
        moved = int(np.abs(self.histogram - other.histogram).sum()) // 2
        return (
            (self.valid, self.least, self.greatest, self.above)
            == (other.valid, other.least, other.greatest, other.above)
            and abs(self.total - other.total) <= 1e-6 * max(self.valid, 1)
            and abs(self.squares - other.squares) <= 1e-6 * max(self.valid, 1)
            and moved <= 1 + 1e-3 * self.valid
        )


NOTHING = Sums(0, 0.0, 0.0, np.inf, -np.inf, (0,) * len(CUTS), np.zeros(BINS, np.int64))


def _strips(red: Band, nir: Band, rows: int) -> Iterator[tuple[Band, Band]]:
    for top in range(0, red.shape[0], rows):
        yield red[top : top + rows], nir[top : top + rows]


def numpy_kernel(red: Band, nir: Band, strip: int) -> Sums:
    """Plain numpy in float32, sums in float64."""
    sums, histogram = NOTHING, np.zeros(BINS, np.int64)
    for low, high in _strips(red, nir, max(1, strip // red.shape[1])):
        dark, light = low.astype(np.float32), high.astype(np.float32)
        total = light + dark
        usable = (low != NODATA) & (high != NODATA) & (total > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = (light - dark) / total
        sums = _gathered(sums, histogram, ratio, usable)
    return sums.with_histogram(histogram)


def _gathered(
    sums: Sums, histogram: npt.NDArray[np.int64], ratio: Values, usable: npt.NDArray[np.bool_]
) -> Sums:
    """`sums` with the usable values of `ratio`; `histogram` takes them in place."""
    values = ratio.ravel() if usable.all() else ratio[usable]
    if values.size == 0:
        return sums
    bins = np.minimum(((values + np.float32(1)) * np.float32(BINS / 2)).astype(np.intp), BINS - 1)
    histogram += np.bincount(bins, minlength=BINS)
    wide = values.astype(np.float64)
    above = [int(np.count_nonzero(values > np.float32(cut))) for cut in CUTS]
    return sums.plus(
        values.size,
        float(wide.sum()),
        float(np.dot(wide, wide)),
        float(values.min()),
        float(values.max()),
        above,
    )


def _compare(values: Any, limit: float, how: int, into: Any) -> Any:
    # OpenCV compares with a number too, but its stub does not say so
    compare: Any = cv2.compare
    return compare(values, limit, how, into)


def opencv_kernel(red: Band, nir: Band, strip: int) -> Sums:
    """OpenCV's vectorised loops over buffers that are used again; masks only where there is something to mask."""
    columns = red.shape[1]
    rows = max(1, min(strip // columns, red.shape[0]))
    total, ratio = np.empty((rows, columns), np.float32), np.empty((rows, columns), np.float32)
    unusable, other = np.empty((rows, columns), np.uint8), np.empty((rows, columns), np.uint8)
    # one bin more, since OpenCV leaves out what lies on the upper end
    histogram = np.zeros((BINS + 1, 1), np.float32)
    sums = NOTHING
    for dark, light in _strips(red, nir, rows):
        n = dark.shape[0]
        # contiguous first: OpenCV would copy strided input for every call
        low, high = np.ascontiguousarray(dark), np.ascontiguousarray(light)
        cv2.add(high, low, total[:n], dtype=cv2.CV_32F)
        cv2.subtract(high, low, ratio[:n], dtype=cv2.CV_32F)
        cv2.divide(ratio[:n], total[:n], ratio[:n])
        _compare(low, NODATA, cv2.CMP_EQ, unusable[:n])
        cv2.bitwise_or(unusable[:n], _compare(high, NODATA, cv2.CMP_EQ, other[:n]), unusable[:n])
        cv2.bitwise_or(unusable[:n], _compare(total[:n], 0, cv2.CMP_EQ, other[:n]), unusable[:n])
        masked = cv2.countNonZero(unusable[:n])
        count = n * columns - masked
        if not count:
            continue
        values, mask = ratio[:n], None
        if masked:
            mask = cv2.bitwise_not(unusable[:n], other[:n])
            # Below every cut, so that the comparisons need no mask of their own.
            values[unusable[:n].view(np.bool_)] = -2
        mean, deviation = cv2.meanStdDev(values, mask=mask)
        average, spread = float(mean.ravel()[0]), float(deviation.ravel()[0])
        least, greatest, _, _ = cv2.minMaxLoc(values, mask)
        cv2.calcHist([values], [0], mask, [BINS + 1], [-1.0, 1.0 + 2 / BINS], histogram, accumulate=True)
        above = [
            cv2.countNonZero(_compare(values, float(np.float32(cut)), cv2.CMP_GT, unusable[:n]))
            for cut in CUTS
        ]
        squares = (spread * spread + average * average) * count
        sums = sums.plus(count, average * count, squares, least, greatest, above)
    counts = histogram.ravel().astype(np.int64)
    counts[BINS - 1] += counts[BINS]
    return sums.with_histogram(counts[:BINS])


def numexpr_kernel() -> Kernel:
    """numexpr for the index (its own threads), numpy for the statistics."""
    numexpr = importlib.import_module("numexpr")
    numexpr.set_num_threads(2)

    def kernel(red: Band, nir: Band, strip: int) -> Sums:
        sums, histogram = NOTHING, np.zeros(BINS, np.int64)
        for dark, light in _strips(red, nir, max(1, strip // red.shape[1])):
            bands = {"low": dark.astype(np.float32), "high": light.astype(np.float32)}
            ratio = numexpr.evaluate("(high - low) / (high + low)", bands)
            usable = numexpr.evaluate(f"(low != {NODATA}) & (high != {NODATA}) & (high + low > 0)", bands)
            sums = _gathered(sums, histogram, ratio, usable)
        return sums.with_histogram(histogram)

    return kernel


def numba_kernel() -> Kernel:
    """One fused loop, compiled; the index, then reductions over each row, then the counts."""
    cuts = np.array(CUTS, np.float32)

    def fused(red: Any, nir: Any, histogram: Any, above: Any, sums: Any) -> int:
        one, nothing, factor = np.float32(1), np.float32(-9), np.float32(BINS / 2)
        values = np.empty(red.shape[1], np.float32)
        valid = 0
        for row in range(red.shape[0]):
            for column in range(red.shape[1]):
                low, high = np.float32(red[row, column]), np.float32(nir[row, column])
                usable = low < NODATA and high < NODATA and low + high > 0
                values[column] = (high - low) / (high + low) if usable else nothing
            total, squares, count = np.float32(0), np.float32(0), 0
            least, greatest = np.float32(9), nothing
            first, second, third = 0, 0, 0
            for column in range(red.shape[1]):
                value = values[column]
                usable = value > nothing
                kept = value if usable else np.float32(0)
                count += usable
                total += kept
                squares += kept * kept
                least = min(least, value if usable else np.float32(9))
                greatest = max(greatest, value)
                first += value > cuts[0]
                second += value > cuts[1]
                third += value > cuts[2]
            valid += count
            sums[0] += total
            sums[1] += squares
            sums[2] = min(sums[2], least)
            sums[3] = max(sums[3], greatest)
            above[0] += first
            above[1] += second
            above[2] += third
            if count:
                for column in range(red.shape[1]):
                    if values[column] > nothing:
                        # Four histograms: a bin that comes again at once need not wait for itself.
                        place = min(int((values[column] + one) * factor), BINS - 1)
                        histogram[column & 3, place] += 1
        return valid

    compiled = numba.njit(nogil=True, fastmath={"nsz", "arcp", "contract", "reassoc"})(fused)

    def kernel(red: Band, nir: Band, _strip: int) -> Sums:
        histogram, above = np.zeros((4, BINS), np.int64), np.zeros(len(CUTS), np.int64)
        sums = np.array([0.0, 0.0, np.inf, -np.inf])
        valid = compiled(red, nir, histogram, above, sums)
        if not valid:
            return NOTHING
        total, squares, least, greatest = sums.tolist()
        return Sums(valid, total, squares, least, greatest, tuple(above.tolist()), histogram.sum(axis=0))

    return kernel


def our_kernel(loops: Loops) -> Kernel:
    """What OrthoRay does: a loop for each thing to be found, over the tile's values."""
    low, high, factor = np.float32(-1), np.float32(1), np.float32(BINS / 2)
    cuts = np.array(CUTS, np.float32)

    def kernel(red: Band, nir: Band, _strip: int) -> Sums:
        values = np.empty(red.shape, np.float32)
        loops.normalised_difference(np.ascontiguousarray(nir), np.ascontiguousarray(red), values)
        for band in (red, nir):
            if loops.contains(band, np.uint16(NODATA)):
                values[band == NODATA] = np.nan
        above, histogram = np.zeros(len(CUTS), np.int64), np.zeros(BINS, np.int64)
        valid, least, greatest, mean, m2, _ = loops.tally(values, cuts, low, high, above)
        if not valid:
            return NOTHING
        loops.count_bins(values, low, high, low, factor, histogram)
        squares = m2 + valid * mean * mean
        return Sums(valid, mean * valid, squares, least, greatest, tuple(above.tolist()), histogram)

    return kernel


@dataclass(frozen=True)
class Way:
    """A kernel with the size of the strips it is fed, in pixels, and the threads that feed it."""

    name: str
    make: Callable[[], Kernel]
    strip: int
    threads: int = 2
    module: str = "numpy"


def ways() -> Iterator[Way]:
    """All that is compared."""
    whole = _TILE * _TILE
    yield Way("numpy", lambda: numpy_kernel, whole, threads=1)
    for strip in (1 << 13, 1 << 15, 1 << 16, whole):
        yield Way("numpy", lambda: numpy_kernel, strip)
    yield Way("OpenCV", lambda: opencv_kernel, 1 << 15, threads=1)
    for strip in (1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16, whole):
        yield Way("OpenCV", lambda: opencv_kernel, strip)
    yield Way("numexpr", numexpr_kernel, 1 << 16, threads=1, module="numexpr")
    yield Way("numexpr", numexpr_kernel, whole, threads=1, module="numexpr")
    yield Way("numba, fused", numba_kernel, whole, threads=1)
    yield Way("numba, fused", numba_kernel, whole)
    for threads in (1, 2):
        yield Way("OrthoRay, plain", lambda: our_kernel(cast(Loops, plain)), whole, threads=threads)
        yield Way("OrthoRay, compiled", lambda: our_kernel(load_compiled()), whole, threads=threads)


def tiles(count: int, layout: str) -> list[tuple[Band, Band]]:
    """Red and near infrared of `count` tiles as a decoder leaves them: planes, or views into five-band pixels."""
    pixels = Field(_TILE * count, _TILE, border=False).strip(0, _TILE)
    pixels[:, :, : _TILE * count // 5] = NODATA
    found = []
    for tile in np.split(pixels, count, axis=2):
        if layout == "band":
            found.append((np.ascontiguousarray(tile[_RED]), np.ascontiguousarray(tile[_NIR])))
        else:
            together = np.ascontiguousarray(np.moveaxis(tile, 0, -1))
            found.append((together[..., _RED], together[..., _NIR]))
    return found


def measure(way: Way, given: Sequence[tuple[Band, Band]], repeats: int) -> tuple[list[float], float, Sums]:
    """ns a pixel of each repeat, the seconds that the first tile took before, and what was found."""
    began = time.perf_counter()
    kernel = way.make()
    kernel(*given[0], way.strip)
    first = time.perf_counter() - began
    pixels = sum(red.size for red, _ in given)
    times = []
    sums = NOTHING
    with ThreadPoolExecutor(way.threads) as pool:
        for _ in range(repeats):
            began = time.perf_counter()
            parts = list(pool.map(lambda tile: kernel(tile[0], tile[1], way.strip), given))
            times.append((time.perf_counter() - began) / pixels * 1e9)
            sums = sum(parts[1:], parts[0])
    return times, first, sums


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and show a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kernels", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--site", help="site-packages of an environment that has numexpr")
    parser.add_argument("--tiles", type=int, default=40, help="how many tiles of 512 x 512 (default: 40)")
    parser.add_argument("--repeats", type=int, default=5, help="runs to take the median of (default: 5)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args(arguments)
    if given.site:
        site.addsitedir(given.site)
    cv2.setNumThreads(1)
    rows = []
    for layout in ("pixel", "band"):
        decoded = tiles(given.tiles, layout)
        expected = measure(Way("numpy", lambda: numpy_kernel, _TILE * _TILE), decoded, 1)[2]
        for way in ways():
            if importlib.util.find_spec(way.module) is None:
                continue
            times, first, sums = measure(way, decoded, given.repeats)
            rows.append(
                {
                    "interleave": layout,
                    "way": way.name,
                    "strip_pixels": way.strip,
                    "threads": way.threads,
                    "ns_per_pixel": round(statistics.median(times), 2),
                    "least": round(min(times), 2),
                    "greatest": round(max(times), 2),
                    "first_tile_s": round(first, 3),
                    "same": sums.agrees(expected),
                }
            )
    if given.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    table = Table(title="NDVI and statistics of decoded tiles")
    for heading in rows[0]:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
