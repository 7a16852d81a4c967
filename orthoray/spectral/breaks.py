"""Cuts of classes that an image's own values give, from a histogram of its index.

A bin holds the float32 values v with `edges[i] <= v < edges[i + 1]`, the last one its upper edge too; the end
bins may hold outliers. Classes go by `v > cut`, so the cut at an edge is published as the greatest float32
below it: `v > cut` is then exactly `v >= edge`, and counts of bins are counts of classes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Edges = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Cuts = tuple[float, float, float]

CLASSES = 4
MAX_GROUPS = 512
"""Natural breaks are sought between this many groups of bins: the work grows with the square of it."""

# Each narrows the stretches where cuts are sought some sixty times: three do for 65,536 bins.
_ROUNDS = 12
_LARGEST = np.float32(np.finfo(np.float32).max)


def quantile_cuts(edges: Edges, counts: Counts) -> Cuts:
    """Cuts nearest to the quartiles: about a fourth of the pixels lies in each class.

    Wherever at least four bins hold pixels each class gets some, also where one value fills most of the image.
    With three such bins the classes are the best three, with two the middle two; a single value is mild stress
    alone. Cuts that no edge between pixels gives lie beyond the histogram then. Without any pixel the cuts
    are 1, 0 and -1.

    Args:
        edges: float64 (n + 1,), finite, ascending.
        counts: int64 (n,), pixels of each bin.

    Returns:
        three strictly descending float32 values.

    Raises:
        ValueError: the arrays are not as above.
    """
    starts, sizes, _ = _filled(edges, counts)
    if len(starts) < CLASSES:
        return _few(edges, starts)
    below = np.cumsum(sizes)[:-1] / sizes.sum()
    # the middle first, and each in a stretch that leaves room for the others
    middle = _nearest(below, 0.5, 1, len(below) - 1)
    low = _nearest(below, 0.25, 0, middle)
    high = _nearest(below, 0.75, middle + 1, len(below))
    return _cuts(starts[[high + 1, middle + 1, low + 1]])


def jenks_cuts(edges: Edges, counts: Counts) -> Cuts:
    """Natural breaks: the cuts that leave the least sum of squared differences from the classes' own means.

    The optimum is exact (Fisher 1958, On grouping for maximum homogeneity, https://doi.org/10.2307/2281952, by
    dynamic programming; used for maps by Jenks 1977, Optimal data classification for choropleth maps) for
    pixels at the middle of their bins and up to MAX_GROUPS bins that hold pixels. Of more bins equal numbers
    of neighbours are joined first, and then each cut is sought anew among the bins near to it, until no bins
    near a cut are joined. Arguments, result, errors and few bins as `quantile_cuts`.
    """
    starts, sizes, middles = _filled(edges, counts)
    if len(starts) < CLASSES:
        return _few(edges, starts)
    # about the mean, so that the difference of two large sums does not lose the small numbers
    middles = middles - np.average(middles, weights=sizes)
    powers = np.stack([sizes, sizes * middles, sizes * middles**2])
    sums = np.concatenate([np.zeros((3, 1)), np.cumsum(powers, axis=1)], axis=1)
    groups = min(len(starts), MAX_GROUPS)
    places = np.arange(groups) * len(starts) // groups
    for _ in range(_ROUNDS):
        found = _best_starts(sums[:, [*places, len(starts)]])
        after = np.append(places, len(starts))[found + 1]
        before, chosen = places[found - 1], places[found]
        if np.all(after - before <= 2):
            break
        stretches = np.linspace(before, after - 1, MAX_GROUPS // CLASSES).astype(np.intp)
        places = np.unique([0, *chosen, *stretches.ravel()])
    return _cuts(starts[chosen[::-1]])


def _checked(edges: Edges, counts: Counts) -> None:
    if edges.ndim != 1 or counts.ndim != 1 or (edges.size != counts.size + 1 and edges.size + counts.size):
        raise ValueError("a histogram of n bins has n + 1 edges")
    if not np.all(np.isfinite(edges)) or np.any(np.diff(edges) <= 0) or np.any(counts < 0):
        raise ValueError("edges must be finite and ascend, and counts must not be negative")


def _first_at(edges: Edges) -> Floats:
    """The least float32 that is not below an edge."""
    near = np.clip(edges, -_LARGEST, _LARGEST).astype(np.float32)
    return np.where(near < edges, np.nextafter(near, _LARGEST), near)


def _filled(edges: Edges, counts: Counts) -> tuple[Floats, Edges, Edges]:
    """Of the bins that hold pixels: their first value, their pixels, their middle.

    Bins narrower than the step of float32 are one, since no cut can part them.
    """
    _checked(edges, counts)
    at = np.flatnonzero(counts)
    middles = edges[at] + (edges[at + 1] - edges[at]) / 2
    starts, firsts = np.unique(_first_at(edges[at]), return_index=True)
    sizes = counts[at].astype(np.float64)
    return starts, np.add.reduceat(sizes, firsts) if sizes.size else sizes, middles[firsts]


def _nearest(shares: Edges, wanted: float, start: int, stop: int) -> int:
    return start + int(np.argmin(np.abs(shares[start:stop] - wanted)))


def _best_starts(sums: Edges) -> npt.NDArray[np.intp]:
    """The groups with which the classes after the first begin, ascending, at the least sum of spreads.

    `sums` (3, n + 1) are those before each of n groups, and of all, of the weights and of the weighted values
    and their squares.
    """
    spread = _spreads(sums)
    best = spread[0]
    origins = []
    for _ in range(CLASSES - 1):
        # best[i - 1] is of the groups before i; a new class takes the groups from i to j
        totals = best[:-1, None] + spread[1:]
        origins.append(np.argmin(totals, axis=0) + 1)
        best = np.min(totals, axis=0)
    found = []
    last = len(best) - 1
    for origin in reversed(origins):
        found.append(int(origin[last]))
        last = found[-1] - 1
    return np.array(found[::-1])


def _spreads(sums: Edges) -> Edges:
    """(n, n): squared differences from their mean of the groups from i to j, infinite where j < i."""
    weights, firsts, seconds = sums[:, None, 1:] - sums[:, :-1, None]
    inside = np.triu(np.ones(weights.shape, dtype=np.bool_))
    spreads = np.full(weights.shape, np.inf)
    spreads[inside] = np.maximum(seconds[inside] - firsts[inside] ** 2 / weights[inside], 0.0)
    return spreads


def _cuts(starts: Floats) -> Cuts:
    """The published cuts below three values in descending order."""
    first, second, third = (float(np.nextafter(start, -_LARGEST)) for start in starts)
    return first, second, third


def _few(edges: Edges, starts: Floats) -> Cuts:
    """The cuts round fewer groups of pixels than there are classes."""
    if not starts.size:
        return 1.0, 0.0, -1.0
    reach = max(float(edges[-1] - edges[0]), 1e-3 * float(np.abs(edges).max()), 1e-6)
    above, below, lowest = _first_at(np.array([edges[-1] + reach, edges[0] - reach, edges[0] - 2 * reach]))
    wanted = [*starts[:0:-1], below, lowest]
    if len(starts) < CLASSES - 1:
        wanted = [above, *wanted]
    return _cuts(np.array(wanted[: CLASSES - 1], dtype=np.float32))
