"""Two real sample images, made from the Sentinel-2 scene that the package spyndex carries (MIT licence).

A piece of hills, fields and forest, 300 x 300 pixels of 10 m: surface reflectance times 10000 of the blue, green, red and near
infrared bands. The package does not say where it lies, so it is not georeferenced. The photo is the scene's true-colour picture,
as a camera without near infrared would take it.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from orthoray.errors import ConfigurationError

SCENE = "hills-sentinel2.tif"
PHOTO = "hills-truecolour.jpg"
BANDS = ("blue", "green", "red", "near infrared")


def make_samples(folder: Path) -> tuple[Path, Path]:
    """Write the multispectral scene (GeoTIFF) and the RGB photo (JPEG) into `folder`, the same bytes every time.

    Raises:
        ConfigurationError: the package that carries the data is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bands = _read_bands()
    scene, photo = folder / SCENE, folder / PHOTO
    count, height, width = bands.shape
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(
            scene,
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=count,
            dtype="uint16",
            compress="deflate",
        ) as target,
    ):
        target.write(bands)
        for number, name in enumerate(BANDS, start=1):
            target.set_band_description(number, name)
    blue, green, red, _ = bands.astype(np.float64)
    rgb = np.stack([red, green, blue], axis=-1)
    low, high = np.percentile(rgb, [1, 99])
    Image.fromarray(np.clip((rgb - low) / (high - low) * 255, 0, 255).astype(np.uint8)).save(
        photo, quality=95
    )
    return scene, photo


def _read_bands() -> npt.NDArray[np.uint16]:
    """uint16 (4, 300, 300) in the order of BANDS."""
    package = importlib.util.find_spec("spyndex")
    if package is None or package.origin is None:
        raise ConfigurationError(
            "The sample data is not installed: `uv sync --group samples`, or leave out --demo."
        )
    data = Path(package.origin).parent / "data" / "S2_10m.json"
    return np.array(json.loads(data.read_text()), dtype=np.uint16)
