"""From the bands of a piece of a raster to its index values: the innermost step of an analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from orthoray.spectral.indices import Index
from orthoray.spectral.loops import loops
from orthoray.spectral.raster import Mask
from orthoray.spectral.scratch import Array, Scratch, compute_in, own_scratch
from orthoray.spectral.terms import Band, Binary, Term

Values = npt.NDArray[np.float32]

PIECE_SIDE = 512
# plausible reflectance, as a fraction
REFLECTANCE_RANGE = (0.001, 1.5)
# bands that hold temperatures
_THERMAL = frozenset({"T", "T1", "T2"})


@dataclass(frozen=True)
class Background:
    """What a soil mask keeps: pixels whose `index` is above `above`."""

    index: Index
    above: float


@dataclass(frozen=True)
class Recipe:
    """What is computed of each pixel: `index` from the bands called `names`, in the order in which they are read.

    A band's value is `pixel * scale + offset`, one of each per name, in arithmetic of `dtype`. `background` takes
    pixels out. `plausible` is the range of stored pixels that are plausible reflectance, one for each name, or
    empty where the pixels are no reflectance.
    """

    index: Index
    names: tuple[str, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    dtype: np.dtype[Any]
    background: Background | None = None
    plausible: tuple[tuple[float, float], ...] = ()

    @property
    def pair(self) -> tuple[int, int] | None:
        """The places of the only two bands of a normalised difference of pixels as stored, in float32; else None."""
        match self.index.expression.term:
            case Binary("/", Binary("-", Band(first), Band(second)), Binary("+", Band(third), Band(fourth))):
                is_pair = {first, second} == {third, fourth} and first != second
            case _:
                is_pair = False
        is_plain = set(self.scales) == {1.0} and set(self.offsets) == {0.0} and self.dtype == np.float32
        if not is_pair or not is_plain or self.background is not None:
            return None
        return self.names.index(first), self.names.index(second)


def recipe_for(
    index: Index,
    dtypes: Mapping[str, str],
    calibration: Mapping[str, tuple[float, float]],
    *,
    is_reflectance: bool,
    background: Background | None = None,
) -> Recipe:
    """The recipe of an index from bands of these dtypes, of which `calibration` holds (scale, offset).

    A factor that all bands share is left out where it changes nothing, so that the arithmetic of whole numbers
    stays exact.
    """
    formulas = [index, *([background.index] if background else [])]
    names = tuple(dict.fromkeys(name for formula in formulas for name in formula.bands))
    pairs = [calibration.get(name, (1.0, 0.0)) for name in names]
    plausible = tuple(map(_stored_range, names, pairs)) if is_reflectance else ()
    is_shared = len(set(pairs)) == 1 and pairs[0][0] > 0 and pairs[0][1] == 0
    if is_shared and all(formula.expression.scale_free for formula in formulas):
        pairs = [(1.0, 0.0)] * len(names)
    is_plain = all(pair == (1.0, 0.0) for pair in pairs)
    kinds = [dtypes[name] if is_plain else "float64" for name in names]
    dtype = np.result_type(*(formula.working_dtype(*kinds) for formula in formulas))
    scales, offsets = zip(*pairs, strict=True)
    return Recipe(index, names, scales, offsets, dtype, background, plausible)


def _stored_range(name: str, pair: tuple[float, float]) -> tuple[float, float]:
    if name in _THERMAL:
        return -math.inf, math.inf
    scale, offset = pair
    ends = [(end - offset) / scale for end in REFLECTANCE_RANGE]
    return min(ends), max(ends)


@dataclass(frozen=True)
class Piece:
    """Index values float32 (rows, columns), NaN where there is none; how many are so because they are masked
    or background; and at how many some band is no plausible reflectance."""

    values: Values
    nodata: int
    background: int
    odd: int


def compute(recipe: Recipe, bands: Sequence[Array], masked: Mask | None, out: Values) -> Piece:
    """Compute a piece of at most 512 x 512 pixels into `out`, float32 (rows, columns).

    `bands` are arrays of that shape and of any real dtype in the order of `recipe.names`; `masked` is True where
    there is no data, or None where there is everywhere.
    """
    if recipe.pair is not None:
        first, second = (np.ascontiguousarray(bands[place]) for place in recipe.pair)
        loops().normalised_difference(first, second, out)
        odd = _count_odd(bands, recipe.plausible, masked)
        return Piece(out, _hide(masked, out), 0, odd)
    scratch = own_scratch()
    taken = [scratch.take(out.shape, recipe.dtype) for _ in recipe.names]
    values = dict(zip(recipe.names, taken, strict=True))
    with np.errstate(all="ignore"):
        for target, band, scale, offset in zip(taken, bands, recipe.scales, recipe.offsets, strict=True):
            np.copyto(target, band, casting="unsafe")
            if scale != 1.0:
                np.multiply(target, scale, out=target)
            if offset != 0.0:
                np.add(target, offset, out=target)
        odd = _count_odd(bands, recipe.plausible, masked)
        _into(out, scratch, recipe.index.expression.term, values)
        for name, band in zip(recipe.names, bands, strict=True):
            # no value comes from an infinite band, though a quotient by it would be 0
            if (
                name in recipe.index.bands
                and band.dtype.kind == "f"
                and not np.isfinite(band.min() - band.max())
            ):
                out[~np.isfinite(band)] = np.nan
        nodata, background = _hide(masked, out), 0
        if recipe.background is not None:
            background = _take_out(recipe.background, scratch, values, masked, out)
    for target in taken:
        scratch.give(target)
    return Piece(out, nodata, background, odd)


def _hide(masked: Mask | None, out: Values) -> int:
    """Make NaN of masked pixels, and tell how many they are."""
    if masked is None:
        return 0
    out[masked] = np.nan
    return int(np.count_nonzero(masked))


def _into(out: Values, scratch: Scratch, term: Term, values: Mapping[str, Array]) -> None:
    result = compute_in(scratch, term, values)
    np.copyto(out, result, casting="same_kind")
    scratch.give(result)
    # NaN passes through both, and infinity through one
    if not np.isfinite(out.min() - out.max()):
        out[~np.isfinite(out)] = np.nan


def _take_out(
    background: Background, scratch: Scratch, values: Mapping[str, Array], masked: Mask | None, out: Values
) -> int:
    """Make NaN of the pixels that are background, and tell how many; those without data are none."""
    result = compute_in(scratch, background.index.expression.term, values)
    # in float32, as class cuts are compared; a value that is not finite is above nothing
    values32 = result.astype(np.float32, copy=False)
    gone = ~(values32 > np.float32(background.above)) | np.isinf(values32)
    scratch.give(result)
    if masked is not None:
        gone &= ~masked
    out[gone] = np.nan
    return int(np.count_nonzero(gone))


def _count_odd(bands: Sequence[Array], plausible: Sequence[tuple[float, float]], masked: Mask | None) -> int:
    """Pixels with data at which any band is no plausible reflectance."""
    odd: Mask | None = None
    for band, (low, high) in zip(bands, plausible, strict=False):
        if band.min() >= low and band.max() <= high:
            continue
        beyond = ~((band >= low) & (band <= high))
        odd = beyond if odd is None else odd | beyond
    if odd is None:
        return 0
    return int(np.count_nonzero(odd if masked is None else odd & ~masked))
