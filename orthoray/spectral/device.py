"""Indices on a GPU: the same formulas through the array API, on CuPy where it and a device are there.

`compute_on` is for programs that hold bands on a device; `map_on` computes blocks of large rasters there, on clusters
that have GPUs.

CuPy is imported in one function of this module and nowhere else.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from orthoray.spectral.indices import Index
from orthoray.spectral.kernel import Background, Recipe
from orthoray.spectral.masks import Mask

GPU_LIBRARY = "cupy"


def best_namespace() -> Any:
    """CuPy where it can be imported and sees a device, else NumPy."""
    try:
        cupy = importlib.import_module(GPU_LIBRARY)
        return cupy if cupy.cuda.runtime.getDeviceCount() > 0 else np
    except Exception:
        # Without a driver, its libraries or a device CuPy fails in many ways, and each means the same here.
        return np


def compute_on(index: Index, bands: Mapping[str, Any], xp: Any) -> Any:
    """Compute `index` in the array library `xp`: what `Index.compute` does, on another device.

    Args:
        index: any index that can be computed from bands.
        bands: one array per band, of one shape and any real dtype, from NumPy or from `xp`; NumPy's are copied to
            the device.
        xp: a namespace of the array API, for instance what `best_namespace` gives.

    Returns:
        An array of `xp`, float32 of the bands' shape, NaN where a value is not finite.

    Raises:
        KeyError: a band is not in `bands`.
        Impossible: the index needs what no band gives.
    """
    index.require_computable()
    given = {name: bands[name] for name in index.bands}
    working = index.working_dtype(*(_dtype(array) for array in given.values()))
    # The CPU warns of 0/0 where devices are silent.
    with np.errstate(all="ignore"):
        cast = {name: xp.asarray(array, dtype=getattr(xp, working.name)) for name, array in given.items()}
        values = xp.asarray(index.evaluate(cast), dtype=xp.float32)
        return xp.where(xp.isfinite(values), values, xp.full_like(values, xp.nan))


@dataclass(frozen=True)
class IndexMap:
    """Index values float32 (rows, columns), NaN where there is none; where there is no data and where data is
    background, bool of that shape or None for nowhere; and at how many pixels some band is no plausible reflectance."""

    values: npt.NDArray[np.float32]
    masked: Mask | None
    background: Mask | None
    odd: int


def map_on(recipe: Recipe, bands: Sequence[npt.NDArray[Any]], masked: Mask | None, xp: Any) -> IndexMap:
    """What `orthoray.spectral.kernel.compute` does, in the array library `xp` and of any shape.

    `bands` and `masked` are NumPy's, as there; so are the results. Values are the same bit by bit where the library
    divides and rounds as IEEE 754 says and the formula has no more than the four operations and square roots.
    """
    hidden = None if masked is None else xp.asarray(masked)
    with np.errstate(all="ignore"):
        values: dict[str, Any] = {}
        for name, band, scale, offset in zip(recipe.names, bands, recipe.scales, recipe.offsets, strict=True):
            value = xp.asarray(band, dtype=getattr(xp, recipe.dtype.name))
            value = value * scale if scale != 1.0 else value
            values[name] = value + offset if offset != 0.0 else value
        found = xp.asarray(recipe.index.expression(values), dtype=xp.float32)
        usable = xp.isfinite(found)
        for name, band in zip(recipe.names, bands, strict=True):
            # no value comes from an infinite band, though a quotient by it would be 0
            if name in recipe.index.bands and band.dtype.kind == "f":
                usable = usable & xp.isfinite(xp.asarray(band))
        background = _background_on(recipe.background, values, hidden, xp)
        for gone in (hidden, background):
            usable = usable if gone is None else usable & ~gone
        found = xp.where(usable, found, xp.full_like(found, xp.nan))
        odd = _count_odd_on(recipe, bands, hidden, xp)
    return IndexMap(_to_numpy(found), masked, None if background is None else _to_numpy(background), odd)


def _background_on(background: Background | None, values: Mapping[str, Any], hidden: Any, xp: Any) -> Any:
    """Where data is background, or None without a soil mask."""
    if background is None:
        return None
    found = xp.asarray(background.index.expression(values), dtype=xp.float32)
    gone = ~(found > float(np.float32(background.above))) | xp.isinf(found)
    return gone if hidden is None else gone & ~hidden


def _count_odd_on(recipe: Recipe, bands: Sequence[npt.NDArray[Any]], hidden: Any, xp: Any) -> int:
    odd = None
    for band, (low, high) in zip(bands, recipe.plausible, strict=False):
        # whole numbers are compared in float64, others in their own type
        wide = xp.asarray(band) if band.dtype.kind == "f" else xp.asarray(band, dtype=xp.float64)
        beyond = ~((wide >= low) & (wide <= high))
        odd = beyond if odd is None else odd | beyond
    if odd is None:
        return 0
    return int(xp.sum(xp.asarray(odd if hidden is None else odd & ~hidden, dtype=xp.int64)))


def _to_numpy(array: Any) -> npt.NDArray[Any]:
    # CuPy's arrays want to be asked for the copy
    return np.asarray(array.get() if hasattr(array, "get") else array)


def _dtype(array: Any) -> np.dtype[Any]:
    """NumPy's dtype of the same name: other libraries have classes of their own for dtypes."""
    return np.dtype(str(array.dtype).rpartition(".")[-1])
