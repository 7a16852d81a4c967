"""The loops of `orthoray.spectral.loops` as machine code, made by numba; what they do is told there.

numba compiles a loop at its first call and keeps the code beside this file, or where else it may write. Rows are
taken out and walked from their beginning: only then does it know that no index is negative, and works on several
pixels at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_INFINITY, _NAN, _NOTHING = np.float32(np.inf), np.float32(np.nan), np.float32(0)
_ONE = np.int32(1)
# Values that the nearest cache holds while they are compared several times.
_NEAR = 4096


def _compiled(loop: Callable[_P, _R]) -> Callable[_P, _R]:
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(loop)
    with contextlib.suppress(RuntimeError):  # nowhere to keep machine code: every process compiles anew
        dispatcher.enable_caching()
    return dispatcher  # type: ignore[no-any-return]  # it is called as the loop


@_compiled
def contains(array: Array, value: Any) -> bool:
    for y in range(array.shape[0]):
        row = array[y]
        found = np.int32(0)
        for x in range(row.size):
            found += np.int32(row[x] == value)
        if found:
            return True
    return False


@_compiled
def undo_differences(differences: Array, out: Array) -> None:
    for y in range(out.shape[0]):
        steps, row = differences[y], out[y]
        last = np.int64(0)
        for x in range(row.size):
            last += np.int64(steps[x])
            row[x] = last


@_compiled
def normalised_difference(first: Array, second: Array, out: Values) -> None:
    line = np.empty(out.shape[1], np.float32)  # contiguous, which the rows of a part of a tile are not
    for y in range(out.shape[0]):
        ones, others, row = first[y], second[y], out[y]
        for x in range(line.size):
            a, b = np.float32(ones[x]), np.float32(others[x])
            value = (a - b) / (a + b)
            line[x] = value if abs(value) < _INFINITY else _NAN
        for x in range(line.size):
            row[x] = line[x]


@_compiled
def _count_above(row: Values, cuts: Values, above: Counts) -> None:
    for place in range(cuts.size):
        cut, count = cuts[place], np.int32(0)
        for x in range(row.size):
            count += np.int32(row[x] > cut)
        above[place] += count


@_compiled
def count_above(values: Values, cuts: Values, above: Counts) -> Any:
    valid = np.int64(0)
    for y in range(values.shape[0]):
        row = values[y]
        for start in range(0, row.size, _NEAR):
            part, found = row[start : start + _NEAR], np.int32(0)
            for x in range(part.size):
                found += np.int32(part[x] == part[x])
            valid += found
            _count_above(part, cuts, above)
    return valid


@_compiled
def tally(values: Values, cuts: Values, low: np.float32, high: np.float32, above: Counts) -> tuple[Any, ...]:
    rows, columns = values.shape
    # an accumulator for each column: sums that do not wait for one another
    sums = np.zeros(columns, np.float64)
    least, greatest = np.full(columns, _INFINITY), np.full(columns, -_INFINITY)
    valid, outside = np.int64(0), np.int64(0)
    for y in range(rows):
        row = values[y]
        found, beyond = np.int32(0), np.int32(0)
        for x in range(row.size):
            value = row[x]
            found += np.int32(value == value)
            beyond += np.int32((value < low) | (value > high))
        valid += found
        outside += beyond
        for x in range(row.size):
            value = row[x]
            least[x] = value if value < least[x] else least[x]
            greatest[x] = value if value > greatest[x] else greatest[x]
        for x in range(sums.size):
            value = row[x]
            sums[x] += np.float64(value) if value == value else 0.0
        _count_above(row, cuts, above)
    if valid == 0:
        return valid, np.inf, -np.inf, 0.0, 0.0, outside
    total = 0.0
    for x in range(columns):
        total += sums[x]
    mean = total / valid
    sums[:] = 0.0
    for y in range(rows):
        row = values[y]
        for x in range(sums.size):
            value = row[x]
            difference = np.float64(value) - mean
            sums[x] += difference * difference if value == value else 0.0
    squares, lowest, highest = 0.0, _INFINITY, -_INFINITY
    for x in range(columns):
        squares += sums[x]
        lowest, highest = min(lowest, least[x]), max(highest, greatest[x])
    return valid, np.float64(lowest), np.float64(highest), mean, squares, outside


@_compiled
def _count(numbers: npt.NDArray[np.int32], even: npt.NDArray[np.int32], odd: npt.NDArray[np.int32]) -> None:
    # two counts, for neighbours mostly share a bin, and adding to it waits for the addition before
    ones, others = numbers[0::2], numbers[1::2]
    for x in range(ones.size):
        even[ones[x]] += _ONE
        odd[others[x]] += _ONE


@_compiled
def count_bins(
    values: Values, low: np.float32, high: np.float32, origin: np.float32, factor: np.float32, counts: Counts
) -> None:
    bins = counts.size
    last, nowhere = np.float32(bins - 1), np.int32(bins)
    even, odd = np.zeros(bins + 1, np.int32), np.zeros(bins + 1, np.int32)
    columns = values.shape[1]
    numbers = np.full(columns + columns % 2, nowhere)
    for y in range(values.shape[0]):
        row = values[y]
        for x in range(row.size):
            value = row[x]
            place = min(max((value - origin) * factor, _NOTHING), last)
            numbers[x] = np.int32(place) if (low <= value) & (value <= high) else nowhere
        _count(numbers, even, odd)
    for number in range(bins):
        counts[number] += np.int64(even[number]) + np.int64(odd[number])


@_compiled
def halve(values: Values, sums: Values, counts: Bytes) -> None:
    rows, columns = values.shape
    for y in range(sums.shape[0]):
        upper, total, count = values[2 * y], sums[y], counts[y]
        alone = 2 * y + 1 == rows
        lower = upper if alone else values[2 * y + 1]
        for x in range(columns // 2):
            a, b, c, d = upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1]
            up = (a if a == a else _NOTHING) + (b if b == b else _NOTHING)
            down = (c if c == c else _NOTHING) + (d if d == d else _NOTHING)
            ups, downs = np.uint8(a == a) + np.uint8(b == b), np.uint8(c == c) + np.uint8(d == d)
            total[x] = up + (_NOTHING if alone else down)
            count[x] = ups if alone else ups + downs
        if columns % 2 == 1:
            a, c = upper[columns - 1], lower[columns - 1]
            up, down = (a if a == a else _NOTHING) + _NOTHING, (c if c == c else _NOTHING) + _NOTHING
            total[columns // 2] = up + (_NOTHING if alone else down)
            count[columns // 2] = np.uint8(a == a) if alone else np.uint8(a == a) + np.uint8(c == c)


@_compiled
def average(sums: Values, counts: Array, out: Values) -> None:
    for y in range(out.shape[0]):
        totals, numbers, row = sums[y], counts[y], out[y]
        for x in range(row.size):
            value = totals[x] / np.float32(numbers[x])
            row[x] = value if abs(value) < _INFINITY else _NAN


@_compiled
def predict(values: Values, out: Bytes) -> None:
    rows, columns = values.shape
    patterns = values.view(np.uint32)
    for y in range(rows):
        row = patterns[y]
        after, target = row[1:], out[y]
        for plane in range(4):
            shift = np.uint32(24 - 8 * plane)
            part = target[plane * columns + 1 : (plane + 1) * columns]
            for x in range(part.size):
                part[x] = np.uint8(after[x] >> shift) - np.uint8(row[x] >> shift)
            before = np.uint8(0) if plane == 0 else np.uint8(row[columns - 1] >> (shift + np.uint32(8)))
            target[plane * columns] = np.uint8(row[0] >> shift) - before


@_compiled
def look_up(first: Bytes, second: Bytes, table: Values, out: Values) -> None:
    for y in range(out.shape[0]):
        ones, others, row = first[y], second[y], out[y]
        for x in range(row.size):
            row[x] = table[others[x], ones[x]]


@_compiled
def shade(values: Values, low: np.float32, span: np.float32, out: Bytes) -> None:
    scale, half, most = np.float32(254), np.float32(1.5), np.float32(255.5)
    line = np.empty(out.shape[1], np.uint8)
    for y in range(out.shape[0]):
        row, target = values[y], out[y]
        for x in range(line.size):
            value = row[x]
            place = min(max((value - low) / span * scale + half, np.float32(1)), most)
            line[x] = np.uint8(np.int32(place)) if value == value else np.uint8(0)
        for x in range(line.size):
            target[x] = line[x]


@_compiled
def shade_plainly(values: Values, low: np.float32, divisor: np.float32, out: Bytes) -> None:
    scale = np.float32(255)
    line = np.empty(out.shape[1], np.uint8)
    for y in range(out.shape[0]):
        row, target = values[y], out[y]
        for x in range(line.size):
            place = (row[x] - low) / divisor * scale
            line[x] = np.uint8(np.int32(place if abs(place) < _INFINITY else _NOTHING))
        for x in range(line.size):
            target[x] = line[x]


@_compiled
def place_bins(
    values: Values, low: np.float32, high: np.float32, origin: float, factor: float, counts: Counts
) -> None:
    bins, columns = counts.size, values.shape[1]
    last, nowhere = np.float64(bins - 1), np.int32(bins)
    even, odd = np.zeros(bins + 1, np.int32), np.zeros(bins + 1, np.int32)
    numbers = np.full(columns + columns % 2, nowhere)
    for y in range(values.shape[0]):
        row = values[y]
        for x in range(row.size):
            value = row[x]
            place = min(max((np.float64(value) - origin) * factor, 0.0), last)
            numbers[x] = np.int32(place) if (low <= value) & (value <= high) else nowhere
        _count(numbers, even, odd)
    for number in range(bins):
        counts[number] += np.int64(even[number]) + np.int64(odd[number])


@_compiled
def gather(
    values: Values,
    low: np.float32,
    high: np.float32,
    origin: float,
    factor: float,
    wanted: Counts,
    out: Values,
) -> None:
    last, nowhere = np.float64(wanted.size - 1), np.int32(wanted.size)
    # one more, where nothing is wanted
    flags = np.zeros(wanted.size + 1, np.uint8)
    for number in range(wanted.size):
        flags[number] = np.uint8(wanted[number] != 0)
    numbers = np.full(values.shape[1], nowhere)
    found = 0
    for y in range(values.shape[0]):
        row = values[y]
        for x in range(row.size):
            value = row[x]
            place = min(max((np.float64(value) - origin) * factor, 0.0), last)
            numbers[x] = np.int32(place) if (low <= value) & (value <= high) else nowhere
        for x in range(numbers.size):
            if flags[numbers[x]]:
                out[found] = row[x]
                found += 1
