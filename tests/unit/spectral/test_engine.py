from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from affine import Affine
from PIL import Image

from orthoray.errors import Impossible, MissingBands, TruncatedImage
from orthoray.spectral import raster
from orthoray.spectral.bands import resolve_bands
from orthoray.spectral.engine import ENGINE, IndexResult, analyse_array, analyse_bands
from orthoray.spectral.indices import get_index
from orthoray.spectral.raster import inspect, open_raster

WriteTiff = Callable[..., Path]
Array = npt.NDArray[Any]

UTM_CORNER = Affine(0.5, 0.0, 600_000.0, 0.0, -0.5, 5_200_000.0)
CUTS = (0.6, 0.4, 0.2)
RGBN = ("R", "G", "B", "N")


def ndvi(path: Path, output: Path, bands: str | None = "R,G,B,N", **options: Any) -> IndexResult:
    band_map = resolve_bands(inspect(path), bands=bands)
    return analyse_bands(path, "NDVI", band_map=band_map, cuts=CUTS, index_path=output, **options)


def written(output: Path) -> Array:
    with open_raster(output) as dataset:
        return np.asarray(dataset.read(1))


def expect(result: IndexResult, output: Path, values: Array, nodata: Array) -> None:
    """`values` is the index in float64, NaN where invalid."""
    valid = ~nodata & np.isfinite(values)
    index = written(output)
    np.testing.assert_array_equal(np.isnan(index), ~valid)
    np.testing.assert_allclose(index[valid], values[valid], rtol=0, atol=1e-6)
    stats = result.statistics
    assert stats.valid_pixels == valid.sum()
    assert stats.nodata_pixels == nodata.sum()
    assert stats.invalid_pixels == (~nodata & ~np.isfinite(values)).sum()
    exact = values[valid].astype(np.float32)
    above = [int((exact > np.float32(cut)).sum()) for cut in CUTS]
    assert stats.class_pixels == tuple(np.diff([0, *above, exact.size]))
    if exact.size:
        wide = exact.astype(np.float64)
        assert stats.mean == pytest.approx(wide.mean(), rel=1e-12)
        assert stats.std == pytest.approx(wide.std(), rel=1e-9)
        assert [stats.p2, stats.median, stats.p98] == np.percentile(wide, [2, 50, 98]).tolist()
        assert sum(stats.histogram_counts) == exact.size


def truth(bands: Array) -> Array:
    red, near = bands[0].astype(np.float64), bands[3].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        index = (near - red) / (near + red)
    return np.where(np.isfinite(index), index, np.nan)


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "WINDOW_PIXELS", 5000)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("layout", [{"blockysize": 5}, {"tiled": True, "blockxsize": 64, "blockysize": 32}])
def test_ndvi_with_borders_and_zero_pixels(
    write_tiff: WriteTiff, tmp_path: Path, dtype: str, interleave: str, layout: dict[str, Any]
) -> None:
    rng = np.random.default_rng(1)
    top = 255 if dtype == "uint8" else 20_000
    bands = rng.integers(0, top, (4, 123, 187)).astype(dtype)
    bands[:, 50:60, 50:60] = 0
    bands[:, :7] = bands[:, :, -9:] = top
    path = write_tiff(
        bands,
        nodata=top,
        interleave=interleave,
        compress="lzw",
        crs="EPSG:32633",
        transform=UTM_CORNER,
        **layout,
    )
    result = ndvi(path, tmp_path / "index.tif")
    expect(result, tmp_path / "index.tif", truth(bands), (bands[[0, 3]] == top).any(axis=0))
    assert result.statistics.invalid_pixels >= 100
    assert result.statistics.pixel_area_m2 == 0.25
    assert result.statistics.area_m2 == result.statistics.valid_pixels * 0.25


@pytest.mark.parametrize("kind", ["alpha", "mask", "nan"])
def test_other_ways_to_say_nodata(write_tiff: WriteTiff, tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(2)
    bands = rng.integers(1, 250, (5, 60, 90)).astype(np.float32 if kind == "nan" else np.uint8)
    nodata = np.zeros((60, 90), bool)
    nodata[:, 30:45] = True
    names = "R,G,B,N,-"
    if kind == "alpha":
        bands[4] = np.where(nodata, 0, 255)
        path = write_tiff(bands, colours=("red", "green", "blue", "undefined", "alpha"))
    elif kind == "mask":
        path = write_tiff(bands, mask=nodata)
    else:
        bands[3, nodata] = np.nan
        bands[2] = np.nan
        path = write_tiff(bands)
    result = ndvi(path, tmp_path / "index.tif", names)
    expect(result, tmp_path / "index.tif", truth(bands), nodata)


def test_a_false_alpha_named_by_the_caller_is_data(write_tiff: WriteTiff, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    bands = rng.integers(0, 200, (4, 40, 50), dtype=np.uint8)
    path = write_tiff(bands, photometric="RGB", alpha="YES")
    result = ndvi(path, tmp_path / "index.tif")
    expect(result, tmp_path / "index.tif", truth(bands), np.zeros((40, 50), bool))


def test_an_unlabelled_fourth_band_needs_the_callers_word(write_tiff: WriteTiff, tmp_path: Path) -> None:
    bands = np.random.default_rng(4).integers(1, 200, (4, 30, 30), dtype=np.uint8)
    path = write_tiff(bands, colours=("red", "green", "blue", "undefined"))
    with pytest.raises(MissingBands) as caught:
        ndvi(path, tmp_path / "index.tif", None)
    assert caught.value.fields["missing_bands"] == ["N"]
    assert list(tmp_path.iterdir()) == [path]
    expect(ndvi(path, tmp_path / "index.tif"), tmp_path / "index.tif", truth(bands), np.zeros((30, 30), bool))


def test_integers_do_not_wrap_around(write_tiff: WriteTiff, tmp_path: Path) -> None:
    bands = np.zeros((4, 1, 2), np.uint8)
    bands[0], bands[3] = [[200, 50]], [[100, 250]]
    ndvi(write_tiff(bands), tmp_path / "index.tif")
    np.testing.assert_allclose(written(tmp_path / "index.tif"), [[-100 / 300, 200 / 300]], rtol=1e-6)


def test_all_nodata(write_tiff: WriteTiff, tmp_path: Path) -> None:
    path = write_tiff(np.zeros((4, 20, 20), np.uint8), nodata=0)
    result = ndvi(path, tmp_path / "index.tif")
    expect(result, tmp_path / "index.tif", np.full((20, 20), np.nan), np.ones((20, 20), bool))
    json.dumps(result.statistics.to_dict(), allow_nan=False)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30_000), (30_000, 1)])
def test_odd_shapes(write_tiff: WriteTiff, tmp_path: Path, shape: tuple[int, int]) -> None:
    bands = np.random.default_rng(5).integers(1, 200, (4, *shape), dtype=np.uint8)
    result = ndvi(write_tiff(bands), tmp_path / "index.tif")
    expect(result, tmp_path / "index.tif", truth(bands), np.zeros(shape, bool))


def test_a_photo_by_its_own_colours(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    pixels = np.kron(
        np.random.default_rng(6).integers(0, 255, (12, 16, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8)
    )
    Image.fromarray(pixels).save(path, quality=95)
    band_map = resolve_bands(inspect(path))
    result = analyse_bands(
        path, get_index("VARI"), band_map=band_map, cuts=CUTS, index_path=tmp_path / "index.tif"
    )
    with open_raster(path) as dataset:
        decoded = dataset.read()
    expected = get_index("VARI").compute(dict(zip("RGB", decoded, strict=True)))
    np.testing.assert_array_equal(written(tmp_path / "index.tif"), expected)
    assert result.statistics.area_m2 is None
    assert result.band_map == band_map


def test_progress_rises_from_zero_to_one(write_tiff: WriteTiff, tmp_path: Path) -> None:
    seen: list[float] = []
    bands = np.ones((4, 200, 200), np.uint8)
    ndvi(write_tiff(bands, blockysize=8), tmp_path / "index.tif", progress=seen.append)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert len(seen) > 8
    assert seen == sorted(seen)


def test_provenance_says_how(write_tiff: WriteTiff, tmp_path: Path) -> None:
    path = write_tiff(np.ones((4, 5, 5), np.uint16))
    made = ndvi(path, tmp_path / "index.tif").provenance
    assert made["index"] == "NDVI"
    assert made["formula"] == "(N - R) / (N + R)"
    assert made["band_map"] == {"bands": {"R": 1, "G": 2, "B": 3, "N": 4}, "source": "caller", "alpha": None}
    assert made["engine"] == ENGINE
    with open_raster(tmp_path / "index.tif") as dataset:
        assert json.loads(dataset.tags()["ORTHORAY_PROVENANCE"]) == made


def test_a_damaged_file_leaves_no_result(write_tiff: WriteTiff, tmp_path: Path) -> None:
    noise = np.random.default_rng(8).integers(0, 255, (4, 200, 200), dtype=np.uint8)
    path = write_tiff(noise, compress="deflate")
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(TruncatedImage):
        ndvi(path, tmp_path / "index.tif")
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_listener_leaves_no_result(write_tiff: WriteTiff, tmp_path: Path) -> None:
    path = write_tiff(np.ones((4, 200, 200), np.uint8))

    def cancel(fraction: float) -> None:
        if fraction > 0.1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        ndvi(path, tmp_path / "index.tif", progress=cancel)
    assert list(tmp_path.iterdir()) == [path]


def test_a_ready_map_gives_the_same(write_tiff: WriteTiff, tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    bands = rng.integers(0, 255, (3, 150, 130), dtype=np.uint8)
    path = write_tiff(
        bands, colours=("red", "green", "blue"), nodata=9, crs="EPSG:32633", transform=UTM_CORNER
    )
    info = inspect(path)
    band_map = resolve_bands(info)
    first = analyse_bands(path, "GLI", band_map=band_map, cuts=CUTS, index_path=tmp_path / "first.tif")
    index = get_index("GLI").compute(dict(zip("RGB", bands, strict=True)))
    second = analyse_array(
        index,
        (bands == 9).any(axis=0),
        index_name="GLI",
        cuts=CUTS,
        like=info,
        index_path=tmp_path / "second.tif",
    )
    assert second.statistics.to_dict()["area_m2"] == first.statistics.area_m2
    for name in ("valid_pixels", "nodata_pixels", "class_pixels", "p2", "median", "p98", "histogram_counts"):
        assert getattr(second.statistics, name) == getattr(first.statistics, name)
    assert second.statistics.mean == pytest.approx(first.statistics.mean, rel=1e-12)
    np.testing.assert_array_equal(written(tmp_path / "second.tif"), written(tmp_path / "first.tif"))
    assert second.band_map is None
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
    assert (result.provenance["index"], result.provenance["formula"]) == ("MyIndex", None)
    np.testing.assert_array_equal(index, before)


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


def test_threads_do_not_disturb_each_other(write_tiff: WriteTiff, tmp_path: Path) -> None:
    bands = np.random.default_rng(12).integers(1, 200, (4, 90, 90), dtype=np.uint8)
    path = write_tiff(bands)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: ndvi(path, tmp_path / f"{i}.tif"), range(12)))
    assert len({result.statistics for result in results}) == 1


def test_memory_does_not_grow_with_the_raster(write_tiff: WriteTiff, tmp_path: Path) -> None:
    path = write_tiff(np.ones((4, 512, 512), np.uint8), tiled=True, blockxsize=64, blockysize=64)
    ndvi(path, tmp_path / "warm.tif")
    tracemalloc.start()
    try:
        ndvi(path, tmp_path / "index.tif")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000, "a float64 band of the whole raster has 2 MB, a handful of histograms 3"


def test_real_multispectral_image(sample: Callable[[str], Path], tmp_path: Path) -> None:
    path = sample("rgbn.tif")
    result = ndvi(path, tmp_path / "index.tif")
    with open_raster(path) as dataset:
        bands = dataset.read()
    expect(result, tmp_path / "index.tif", truth(bands), np.zeros(bands.shape[1:], bool))
    assert result.statistics.area_m2 == 515 * 403 * 25
