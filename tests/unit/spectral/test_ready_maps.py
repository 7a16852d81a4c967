"""Index maps that come ready, such as those of a user's own package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from affine import Affine

from orthoray.errors import Impossible
from orthoray.spectral.bands import BandMap, resolve_bands
from orthoray.spectral.calibration import calibrate
from orthoray.spectral.engine import analyse_array, analyse_bands, background_mask
from orthoray.spectral.indices import get_index
from orthoray.spectral.kernel import Background
from orthoray.spectral.raster import inspect, open_raster
from orthoray.spectral.stack import inspect_stack

WriteTiff = Callable[..., Path]
Array = npt.NDArray[Any]

UTM_CORNER = Affine(0.5, 0.0, 600_000.0, 0.0, -0.5, 5_200_000.0)
CUTS = (0.6, 0.4, 0.2)
RGBN = BandMap(("R", "G", "B", "N"), "caller")


def written(output: Path) -> Array:
    with open_raster(output) as dataset:
        return np.asarray(dataset.read(1))


def test_a_ready_map_gives_the_same(write_tiff: WriteTiff, tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    bands = rng.integers(0, 255, (3, 150, 130), dtype=np.uint8)
    path = write_tiff(
        bands, colours=("red", "green", "blue"), nodata=9, crs="EPSG:32633", transform=UTM_CORNER
    )
    info = inspect(path)
    band_map = resolve_bands(info)
    soil = Background(get_index("ExG"), 20.0)
    first = analyse_bands(
        path, "GLI", band_map=band_map, cuts=CUTS, index_path=tmp_path / "first.tif", background=soil
    )
    index = get_index("GLI").compute(dict(zip("RGB", bands, strict=True)))
    second = analyse_array(
        index,
        (bands == 9).any(axis=0),
        index_name="GLI",
        cuts=CUTS,
        like=info,
        index_path=tmp_path / "second.tif",
        value_range=get_index("GLI").value_range,
        background_mask=background_mask(
            inspect_stack([path]), soil, band_map=band_map, calibration=calibrate(info)
        ),
    )
    assert second.statistics == first.statistics
    assert first.statistics.background_pixels > 1000
    np.testing.assert_array_equal(second.picture, first.picture)
    np.testing.assert_array_equal(written(tmp_path / "second.tif"), written(tmp_path / "first.tif"))
    with open_raster(tmp_path / "second.tif") as dataset:
        assert dataset.crs.to_epsg() == 32633


def test_a_ready_map_of_an_unknown_index(write_tiff: WriteTiff, tmp_path: Path) -> None:
    info = inspect(write_tiff(np.zeros((3, 2, 3), np.uint8)))
    index = np.array([[1.0, -np.inf, np.nan], [1e300, 2.0, 3.0]])
    before = index.copy()
    result = analyse_array(
        index, None, index_name="MyIndex", cuts=CUTS, like=info, index_path=tmp_path / "index.tif"
    )
    assert (result.statistics.valid_pixels, result.statistics.invalid_pixels) == (3, 3)
    np.testing.assert_array_equal(index, before)
    with open_raster(tmp_path / "index.tif") as dataset:
        assert dataset.descriptions == ("MyIndex",)


def test_shapes_of_a_ready_map(write_tiff: WriteTiff, tmp_path: Path) -> None:
    output = tmp_path / "index.tif"
    photo = inspect(write_tiff(np.zeros((3, 2, 3), np.uint8)))
    ortho = inspect(write_tiff(np.zeros((3, 2, 3), np.uint8), crs="EPSG:32633", transform=UTM_CORNER))
    upright = np.zeros((3, 2), np.float32)
    analyse_array(upright, None, index_name="GLI", cuts=CUTS, like=photo, index_path=output)
    assert written(output).shape == (3, 2)
    for index, mask, like in (
        (upright, None, ortho),
        (upright, np.zeros((2, 3), bool), photo),
        (np.zeros((2, 3, 1)), None, photo),
        (np.zeros((0, 3)), None, photo),
    ):
        with pytest.raises(Impossible):
            analyse_array(index, mask, index_name="GLI", cuts=CUTS, like=like, index_path=output)
