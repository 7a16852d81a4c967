"""Indices on a GPU: the same formulas through the array API, on CuPy where it and a device are there.

It is the library's entry for GPUs, for programs that hold bands there; nothing else in the product calls it yet, and
an analysis runs on the CPU.

CuPy is imported in one function of this module and nowhere else.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from orthoray.spectral.indices import Index


def best_namespace() -> Any:
    """CuPy where it can be imported and sees a device, else NumPy."""
    try:
        cupy = importlib.import_module("cupy")
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


def _dtype(array: Any) -> np.dtype[Any]:
    """NumPy's dtype of the same name: other libraries have classes of their own for dtypes."""
    return np.dtype(str(array.dtype).rpartition(".")[-1])
