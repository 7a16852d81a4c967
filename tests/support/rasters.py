"""GeoTIFFs for tests, built from arrays."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

RGBN = ("red", "green", "blue", "nir")
# 10 m pixels near Chișinău
UTM = {"crs": "EPSG:32635", "transform": Affine(10.0, 0.0, 630_000.0, 0.0, -10.0, 5_210_000.0)}


def write_bands(path: Path, bands: npt.NDArray[Any], names: tuple[str, ...] = (), **profile: Any) -> Path:
    """Write (count, rows, columns) with band descriptions; `**UTM` puts it on the map."""
    count, height, width = bands.shape
    options = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": bands.dtype.name,
        "photometric": "MINISBLACK",
    }
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(path, "w", **(options | profile)) as dataset,
    ):
        dataset.write(bands)
        for number, name in enumerate(names, start=1):
            dataset.set_band_description(number, name)
    return path


def fields(height: int = 8, width: int = 6) -> npt.NDArray[np.float32]:
    """Reflectance R, G, B, N: the left half NDVI 0.8, the right half NDVI 0.0."""
    bands = np.empty((4, height, width), dtype=np.float32)
    bands[0], bands[1], bands[2], bands[3] = 0.05, 0.08, 0.04, 0.45
    bands[:, :, width // 2 :] = np.float32(0.2)
    return bands
