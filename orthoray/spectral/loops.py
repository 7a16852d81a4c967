"""The innermost loops over pixels, in two equal ways: NumPy's, and machine code that is several times as fast.

The machine code (`orthoray.spectral.compiled`) takes half a second to load. Processes that live long, and those with
a large raster before them, call `load_compiled`; until then every loop is NumPy's (`orthoray.spectral.plain`). Both
do the same operations in the same order and precision, so results are equal bit by bit.
"""

from __future__ import annotations

import importlib
import threading
import warnings
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from orthoray.spectral import plain

Values = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

# From here on loading the machine code costs less than it saves.
PAYING_PIXELS = 150_000_000

_LOADING = threading.Lock()
_best: Loops | None = None


class Loops(Protocol):
    """All arrays are (rows, columns), of one shape where nothing else is said, and may be views with strides."""

    def contains(self, array: Array, value: Any) -> bool:
        """Whether any pixel equals `value`, a scalar of its dtype."""

    def undo_differences(self, differences: Array, out: Array) -> None:
        """TIFF's horizontal predictor undone: running sums of each row, integers that wrap around as `out` does."""

    def normalised_difference(self, first: Array, second: Array, out: Values) -> None:
        """`(first - second) / (first + second)` in float32, NaN where that is not finite."""

    def count_above(self, values: Values, cuts: Values, above: Counts) -> int:
        """Add to `above`, (cuts,), how many values are above each of `cuts`, and tell how many are not NaN."""

    def tally(
        self, values: Values, cuts: Values, low: np.float32, high: np.float32, above: Counts
    ) -> tuple[int, float, float, float, float, int]:
        """Count and sum what is not NaN; adds to `above` how many are above each of `cuts`, (cuts,).

        Returns how many there are, the least, the greatest, their mean, the sum of their squared differences from
        it, and how many lie below `low` or above `high`. Of none the least is infinite, the greatest its negative.
        Sums are float64, by columns.
        """

    def count_bins(
        self,
        values: Values,
        low: np.float32,
        high: np.float32,
        origin: np.float32,
        factor: np.float32,
        counts: Counts,
    ) -> None:
        """Add the values in [low, high] to the bins `(value - origin) * factor`, in float32, rounded down, at most
        the last; NaN is in none. `counts` is (bins,)."""

    def place_bins(
        self,
        values: Values,
        low: np.float32,
        high: np.float32,
        origin: float,
        factor: float,
        counts: Counts,
    ) -> None:
        """The same in float64."""

    def gather(
        self,
        values: Values,
        low: np.float32,
        high: np.float32,
        origin: float,
        factor: float,
        wanted: Counts,
        out: Values,
    ) -> None:
        """Copy the values in [low, high] to `out`, (as many as these are,), whose bins by `place_bins` are not 0 in
        `wanted`, (bins,)."""

    def halve(self, values: Values, sums: Values, counts: Bytes) -> None:
        """Sums and counts of what is not NaN by squares of 2 x 2; an odd last row or column stands alone.

        `sums` and `counts` are half as high and wide, rounded up.
        """

    def average(self, sums: Values, counts: Array, out: Values) -> None:
        """`sums / counts` in float32, of unsigned counts; NaN where that is not finite."""

    def predict(self, values: Values, out: Bytes) -> None:
        """TIFF's floating-point predictor: the bytes of a row by significance, the highest first, then differences of
        neighbours. `out` is (rows, 4 * columns); both are contiguous."""

    def look_up(self, first: Bytes, second: Bytes, table: Values, out: Values) -> None:
        """`table[second, first]`, of a table (256, 256)."""

    def shade(self, values: Values, low: np.float32, span: np.float32, out: Bytes) -> None:
        """`(value - low) / span * 254 + 1.5` in float32, within 1..255 and rounded down; 0 of NaN."""

    def shade_plainly(self, values: Values, low: np.float32, divisor: np.float32, out: Bytes) -> None:
        """`(value - low) / divisor * 255` in float32, rounded down, from 0 to 255; 0 where that is not finite."""


def loops() -> Loops:
    """The best loops that this process has loaded."""
    return cast(Loops, plain) if _best is None else _best


def load_compiled() -> Loops:
    """Load the machine code into this process, once; from then on `loops` gives it, in all threads.

    Where it cannot be had, a warning says why, and NumPy's loops stay.
    """
    global _best  # noqa: PLW0603  # what a process has loaded is a fact about the process
    with _LOADING:
        if _best is None:
            try:
                compiled = cast(Loops, importlib.import_module("orthoray.spectral.compiled"))
                warm_up(compiled)
            except Exception as error:  # a full disk, an odd processor: slower is better than not at all
                warnings.warn(f"without compiled loops: {error}", RuntimeWarning, stacklevel=2)
                compiled = cast(Loops, plain)
            _best = compiled
    return _best


def warm_up(compiled: Loops) -> None:
    """Call every loop with the usual dtypes, so that none is compiled or loaded in the middle of work."""
    values, counts = np.zeros((2, 2), np.float32), np.zeros(4, np.int64)
    zero, one, few = np.float32(0), np.float32(1), np.zeros(1, np.float32)
    bytes_, sums = np.zeros((2, 2), np.uint8), np.zeros((1, 1), np.float32)
    for dtype in (np.uint8, np.uint16):
        whole = np.zeros((2, 2, 2), dtype)
        for band in (whole[0], whole[:, :, 0]):
            compiled.contains(band, dtype(1))
            compiled.undo_differences(band, whole[0].copy())
        for target in (values.copy(), np.zeros((2, 3), np.float32)[:, 1:]):
            compiled.normalised_difference(whole[0], whole[0], target)
    compiled.count_above(values, few, np.zeros(1, np.int64))
    compiled.tally(values, few, zero, one, np.zeros(1, np.int64))
    compiled.count_bins(values, zero, one, zero, one, counts)
    compiled.place_bins(values, zero, one, 0.0, 1.0, counts)
    compiled.gather(values, zero, one, 0.0, 1.0, counts, np.zeros(4, np.float32))
    compiled.halve(values, sums, np.zeros((1, 1), np.uint8))
    for kind in (np.uint8, np.uint32):
        compiled.average(sums, np.ones((1, 1), kind), sums.copy())
    compiled.predict(values, np.zeros((2, 8), np.uint8))
    of_photo = np.zeros((2, 2, 3), np.uint8)[..., 0]
    compiled.look_up(of_photo, of_photo, np.zeros((256, 256), np.float32), values.copy())
    row_of_png = np.zeros((2, 3), np.uint8)[:, 1:]
    for out in (bytes_, row_of_png):
        compiled.shade(values, zero, one, out)
        compiled.shade_plainly(values, zero, one, out)
