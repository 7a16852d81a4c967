"""Images whose analysis has a known answer."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

NODATA = 65535
BORDER = 7
PIXEL_M = 10.0


@dataclass(frozen=True)
class Scene:
    """A GeoTIFF and its NDVI in float64, NaN where there is none."""

    path: Path
    ndvi: npt.NDArray[np.float64]
    nodata_pixels: int
    invalid_pixels: int


def multispectral_scene(path: Path, width: int = 320, height: int = 210, seed: int = 7) -> Scene:
    """uint16 in the order red, green, blue, near infrared, UTM, 10 m: a border without data and a pond of zeros inside."""
    random = np.random.default_rng(seed)
    bands = random.integers(1, 9000, (4, height, width), dtype=np.uint16)
    # Vegetation from left to right: NDVI covers its whole range, so every class has its pixels.
    bands[3] = (bands[3] * np.linspace(0.2, 3.0, width)).astype(np.uint16)
    bands[:, 40:52, 100:117] = 0
    inside = np.zeros((height, width), dtype=np.bool_)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    bands[:, ~inside] = NODATA
    write_tiff(path, bands, nodata=NODATA, names=("red", "green", "blue", "nir"), georeferenced=True)
    red, near_infrared = bands[0].astype(np.float64), bands[3].astype(np.float64)
    with np.errstate(invalid="ignore"):
        ndvi = (near_infrared - red) / (near_infrared + red)
    ndvi[~inside] = np.nan
    return Scene(path, ndvi, int((~inside).sum()), 12 * 17)


def write_tiff(
    path: Path,
    bands: npt.NDArray[np.generic],
    *,
    nodata: float | None = None,
    names: tuple[str, ...] = (),
    georeferenced: bool = False,
    **profile: object,
) -> Path:
    """(bands, rows, columns) as a GeoTIFF; without `names` its bands say nothing of what they are."""
    count, height, width = bands.shape
    place = {"crs": CRS.from_epsg(32635), "transform": Affine(PIXEL_M, 0, 500_000, 0, -PIXEL_M, 5_200_000)}
    options = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": bands.dtype,
        "nodata": nodata,
    }
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
        target = rasterio.open(path, "w", **options, **(place if georeferenced else {}), **profile)
    with target:
        target.write(bands)
        for number, name in enumerate(names, start=1):
            target.set_band_description(number, name)
    return path


def photo(width: int = 96, height: int = 64, seed: int = 0, kind: str = "JPEG") -> bytes:
    """An RGB photo of noise that is greener to the right."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 120, (height, width, 3), dtype=np.uint8)
    pixels[..., 1] += np.linspace(0, 120, width).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()
