"""The loops of `orthoray.spectral.loops` in NumPy and OpenCV; what they do is told there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt

from orthoray.spectral.scratch import own_scratch

Values = npt.NDArray[np.float32]
Wide = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]

_PIECE = 1 << 16  # scratch of this many values stays in the processor's cache


def contains(array: Array, value: Any) -> bool:
    return bool((array == value).any())


def undo_differences(differences: Array, out: Array) -> None:
    np.copyto(out, differences)
    imagecodecs.delta_decode(out, axis=1, out=out)


def normalised_difference(first: Array, second: Array, out: Values) -> None:
    scratch = own_scratch()
    a, b = scratch.take(out.shape, np.float32), scratch.take(out.shape, np.float32)
    np.copyto(a, first, casting="unsafe")
    np.copyto(b, second, casting="unsafe")
    with np.errstate(all="ignore"):
        np.subtract(a, b, out=out)
        np.add(a, b, out=a)
        np.divide(out, a, out=out)
        # NaN passes through both, and infinity through one
        if not np.isfinite(out.min() - out.max()):
            out[~np.isfinite(out)] = np.nan
    scratch.give(a)
    scratch.give(b)


def count_above(values: Values, cuts: Values, above: Counts) -> int:
    for place, cut in enumerate(cuts):
        above[place] += int(np.count_nonzero(values > cut))
    return values.size - int(np.count_nonzero(np.isnan(values)))


def tally(
    values: Values, cuts: Values, low: np.float32, high: np.float32, above: Counts
) -> tuple[int, float, float, float, float, int]:
    # the lowest passes NaN on, so it tells whether there is any
    least = values.min()
    valid = ~np.isnan(values) if math.isnan(least) else None
    count = values.size if valid is None else int(np.count_nonzero(valid))
    if count == 0:
        return 0, np.inf, -np.inf, 0.0, 0.0, 0
    if valid is None:
        greatest = values.max()
    else:
        least, greatest = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    outside = 0
    if least < low or greatest > high:
        outside = int(np.count_nonzero((values < low) | (values > high)))
    scratch = own_scratch()
    is_above = scratch.take(values.shape, np.bool_)
    for place, cut in enumerate(cuts):
        np.greater(values, cut, out=is_above)
        above[place] += int(np.count_nonzero(is_above))
    scratch.give(is_above)
    wide = scratch.take(values.shape, np.float64)
    np.copyto(wide, values)
    if valid is not None:
        wide[~valid] = 0.0
    mean = _by_columns(wide) / count
    wide -= mean
    wide *= wide
    if valid is not None:
        wide[~valid] = 0.0
    squares = _by_columns(wide)
    scratch.give(wide)
    return count, float(least), float(greatest), mean, squares, outside


def _by_columns(wide: Wide) -> float:
    """The sum of each column from the top, and of these from the left."""
    # NumPy adds the values of a single column in pairs
    sums = np.add.accumulate(wide)[-1] if wide.shape[1] == 1 else np.add.reduce(wide, axis=0)
    total = 0.0
    for column in sums.tolist():
        total += column
    return total


def count_bins(
    values: Values, low: np.float32, high: np.float32, origin: np.float32, factor: np.float32, counts: Counts
) -> None:
    scratch = own_scratch()
    inside = _inside(values.reshape(-1), low, high)
    if inside.size == 0:
        return
    places = scratch.take(inside.shape, np.float32)
    np.subtract(inside, origin, out=places)
    np.multiply(places, factor, out=places)
    np.clip(places, 0, counts.size - 1, out=places)
    numbers = scratch.take(inside.shape, np.uint16)
    np.copyto(numbers, places, casting="unsafe")
    # two thirds of the time of NumPy's, which would make 64-bit integers of them first; but only by long rows
    found = cv2.calcHist([numbers.reshape(1, -1)], [0], None, [counts.size], [0, counts.size])
    counts += found.reshape(-1).astype(np.int64)
    scratch.give(numbers)
    scratch.give(places)


def place_bins(
    values: Values, low: np.float32, high: np.float32, origin: float, factor: float, counts: Counts
) -> None:
    for piece in _pieces(values):
        numbers = _places(_inside(piece, low, high), origin, factor, counts.size)
        counts += np.bincount(numbers, minlength=counts.size)
        own_scratch().give(numbers)


def gather(
    values: Values,
    low: np.float32,
    high: np.float32,
    origin: float,
    factor: float,
    wanted: Counts,
    out: Values,
) -> None:
    found = 0
    for piece in _pieces(values):
        inside = _inside(piece, low, high)
        for number in np.flatnonzero(wanted):
            near = inside
            if factor:
                # by the edges first, and generously: the bins of all values would take ten times as long
                with np.errstate(over="ignore"):
                    edges = (
                        np.float32(origin + (number - 0.5) / factor),
                        np.float32(origin + (number + 1.5) / factor),
                    )
                near = _inside(inside, *edges)
            numbers = _places(near, origin, factor, wanted.size)
            chosen = near[numbers == number]
            own_scratch().give(numbers)
            out[found : found + chosen.size] = chosen
            found += chosen.size


def _pieces(values: Values) -> Iterator[Values]:
    flat = values.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        yield flat[start : start + _PIECE]


def _inside(values: Values, low: np.float32, high: np.float32) -> Values:
    """The values in [low, high], without NaN."""
    if values.size == 0 or (values.min() >= low and values.max() <= high):
        return values
    return values[(values >= low) & (values <= high)]


def _places(values: Values, origin: float, factor: float, bins: int) -> npt.NDArray[np.intp]:
    """The bins of values, in memory to be given back to `own_scratch()`."""
    scratch = own_scratch()
    places = scratch.take(values.shape, np.float64)
    np.subtract(values, origin, out=places, dtype=np.float64)
    places *= factor
    np.clip(places, 0, bins - 1, out=places)
    numbers: npt.NDArray[np.intp] = scratch.take(values.shape, np.intp)
    np.copyto(numbers, places, casting="unsafe")
    scratch.give(places)
    return numbers


def halve(values: Values, sums: Values, counts: Bytes) -> None:
    valid = ~np.isnan(values)
    known = values if valid.all() else np.where(valid, values, np.float32(0))
    below, right = (side % 2 for side in values.shape)
    if below or right:
        known, valid = (np.pad(array, ((0, below), (0, right))) for array in (known, valid))
    ones = valid.view(np.uint8)
    # in this order: OpenCV's resize, which would be faster, has another at the end of each row
    with np.errstate(over="ignore", invalid="ignore"):
        pairs = known[:, 0::2] + known[:, 1::2]
        np.add(pairs[0::2], pairs[1::2], out=sums)
    few = ones[:, 0::2] + ones[:, 1::2]
    np.add(few[0::2], few[1::2], out=counts)


def average(sums: Values, counts: Array, out: Values) -> None:
    with np.errstate(invalid="ignore", divide="ignore"):
        np.divide(sums, counts, dtype=np.float32, out=out)
    out[~np.isfinite(out)] = np.nan


def predict(values: Values, out: Bytes) -> None:
    rows, columns = values.shape
    parts = cv2.split(values.view(np.uint8).reshape(rows, columns, 4))
    planes = np.stack(parts[::-1], axis=1).astype(np.uint8, copy=False).reshape(rows, 4 * columns)
    out[:, 0] = planes[:, 0]
    np.subtract(planes[:, 1:], planes[:, :-1], out=out[:, 1:])


def look_up(first: Bytes, second: Bytes, table: Values, out: Values) -> None:
    pairs = np.empty((*out.shape, 2), dtype=np.uint8)
    pairs[..., 0], pairs[..., 1] = first, second
    cv2.LUT(pairs.view("<u2")[..., 0], table.reshape(1, -1), out)


def shade(values: Values, low: np.float32, span: np.float32, out: Bytes) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        places = values - low
        places /= span
        places *= 254
        places += 1.5
        np.clip(places, 1.0, 255.5, out=places)
        # fmax takes 0 where the other side is NaN: the invalid index, without a mask
        np.fmax(places, 0.0, out=places)
        out[...] = places


def shade_plainly(values: Values, low: np.float32, divisor: np.float32, out: Bytes) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        places = values - low
        places /= divisor
        places *= 255
        if not np.isfinite(places.min() - places.max()):
            places[~np.isfinite(places)] = 0
        out[...] = places
