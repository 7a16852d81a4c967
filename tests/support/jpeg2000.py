"""JPEG 2000 files for tests."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning


def write_jp2(path: Path, bands: npt.NDArray[Any], **options: Any) -> Path:
    """Write (count, rows, columns) without loss unless `options`, GDAL's, say otherwise."""
    count, height, width = bands.shape
    profile = {
        "driver": "JP2OpenJPEG",
        "count": count,
        "height": height,
        "width": width,
        "dtype": bands.dtype.name,
        "QUALITY": 100,
        "REVERSIBLE": "YES",
        "CODEC": "J2K" if path.suffix == ".j2k" else "JP2",
    }
    with (
        rasterio.Env(GDAL_PAM_ENABLED="NO"),
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(path, "w", **(profile | options)) as dataset,
    ):
        dataset.write(bands)
    return path


def noisy_field(count: int = 3, height: int = 80, width: int = 96, dtype: str = "uint16") -> npt.NDArray[Any]:
    """Plots of different brightness with a little noise, 0..200 above the type's zero."""
    random = np.random.default_rng(5)
    plots = np.kron(random.integers(0, 190, (count, height // 8, width // 8)), np.ones((8, 8), int))
    return (plots + random.integers(0, 10, plots.shape)).astype(dtype)
