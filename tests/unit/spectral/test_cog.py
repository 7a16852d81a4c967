from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from pyproj import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from orthoray.spectral import cog
from orthoray.spectral.cog import overview_array, stage
from orthoray.spectral.georeference import Affine6
from orthoray.spectral.raster import block_windows
from orthoray.spectral.statistics import Statistics

Array = npt.NDArray[np.float32]
UTM = CRS.from_epsg(32633).to_wkt()
CORNER = (0.5, 0.0, 600_000.0, 0.0, -0.5, 5_200_000.0)
TURNED = (0.4, 0.3, 600_000.0, 0.3, -0.4, 5_200_000.0)


def statistics(**changes: Any) -> Statistics:
    fields: dict[str, Any] = {
        "valid_pixels": 3, "nodata_pixels": 1, "invalid_pixels": 0,
        "minimum": -0.5, "maximum": 0.5, "mean": 0.25, "std": 0.125, "median": 0.2, "p2": -0.4, "p98": 0.4,
        "histogram_edges": (), "histogram_counts": (), "cuts": (), "class_pixels": (3,),
    }  # fmt: skip
    return Statistics(**(fields | changes))


def values(shape: tuple[int, int]) -> Array:
    rng = np.random.default_rng(9)
    made = rng.normal(0.4, 0.2, shape).astype(np.float32)
    made[rng.random(shape) < 0.2] = np.nan
    made[0, 0] = 0.5
    return made


def publish(path: Path, index: Array, crs_wkt: str | None = None, transform: Affine6 | None = None) -> None:
    height, width = index.shape
    with stage(path, width=width, height=height, crs_wkt=crs_wkt, transform=transform) as staged:
        for window in block_windows(width, height, width, 1, limit=max(width, 7 * width)):
            staged.write(index[window.toslices()], window)
        again = np.concatenate([part.ravel() for part in staged.read()])
        np.testing.assert_array_equal(np.sort(again), np.sort(index.ravel()))
        staged.publish(description="NDVI", provenance={"index": "NDVI", "поле": 1}, statistics=statistics())


def open_quietly(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def is_valid_cog(path: Path, strict: bool = True) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from rio_cogeo import cog_validate

        return bool(cog_validate(path, strict=strict, quiet=True)[0])


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 30_000), (511, 513), (600, 512), (1300, 40), (700, 2), (530, 600)]
)
@pytest.mark.parametrize("place", [(None, None), (UTM, CORNER), (UTM, TURNED)])
def test_a_valid_cog_with_everything_in_it(
    tmp_path: Path, shape: tuple[int, int], place: tuple[str | None, Affine6 | None]
) -> None:
    path = tmp_path / "deep" / "index.tif"
    index = values(shape)
    publish(path, index, *place)
    assert is_valid_cog(path)
    with open_quietly(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), index)
        assert dataset.dtypes == ("float32",)
        assert np.isnan(dataset.nodata)
        assert dataset.descriptions == ("NDVI",)
        assert dataset.compression.name == "zstd"
        assert json.loads(dataset.tags()["ORTHORAY_PROVENANCE"]) == {"index": "NDVI", "поле": 1}
        assert float(dataset.tags(1)["STATISTICS_MEAN"]) == 0.25
        assert float(dataset.tags(1)["STATISTICS_VALID_PERCENT"]) == 75
        if place[1] is None:
            assert dataset.crs is None
        else:
            assert dataset.crs.to_epsg() == 32633
            assert tuple(dataset.transform)[:6] == pytest.approx(place[1])
    assert list(tmp_path.rglob("*")) == [path.parent, path]


def test_a_single_column_is_valid_but_has_no_overviews(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    index = values((3000, 1))
    publish(path, index)
    assert is_valid_cog(path, strict=False)
    with open_quietly(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), index)


def test_without_valid_pixels_there_are_no_statistics_tags(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    with stage(path, width=2, height=2) as staged:
        staged.write(np.full((2, 2), np.nan, np.float32), Window(0, 0, 2, 2))
        nothing = dict.fromkeys(("minimum", "maximum", "mean", "std"))
        staged.publish(
            description="NDVI",
            provenance={},
            statistics=statistics(valid_pixels=0, nodata_pixels=4, **nothing),
        )
    with open_quietly(path) as dataset:
        assert set(dataset.tags(1)) == {"STATISTICS_VALID_PERCENT"}
    assert np.isnan(overview_array(path, 10)).all()


@pytest.mark.parametrize("moment", ["write", "copy"])
def test_an_error_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    path = tmp_path / "index.tif"
    path.write_text("the former result")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    def run() -> None:
        with stage(path, width=4, height=4) as staged:
            staged.write(np.zeros((4, 4), np.float32), Window(0, 0, 4, 4))
            if moment == "write":
                fail()
            monkeypatch.setattr(cog.rasterio.shutil, "copy", fail)
            staged.publish(description="NDVI", provenance={}, statistics=statistics())

    with pytest.raises(OSError, match="disk full"):
        run()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "the former result"


def test_overviews_average_what_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    index = np.full((1024, 1024), 0.25, np.float32)
    index[::2, ::2] = np.nan
    index[:512] = np.nan
    index[:, 512:] += 0.5
    publish(path, index)
    reduced = overview_array(path, 16)
    assert reduced.shape == (16, 16)
    assert reduced.dtype == np.float32
    assert np.isnan(reduced[:8]).all()
    np.testing.assert_allclose(reduced[8:, :8], 0.25)
    np.testing.assert_allclose(reduced[8:, 8:], 0.75)


def test_overview_of_a_narrow_raster(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    publish(path, values((1, 3000)))
    assert overview_array(path, 100).shape == (1, 100)
