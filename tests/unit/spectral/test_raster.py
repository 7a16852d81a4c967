from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from orthoray.errors import NotAnImage, TruncatedImage
from orthoray.spectral.raster import (
    block_windows,
    inspect,
    open_raster,
    read_window,
    windows,
)

WriteTiff = Callable[..., Path]
EditTiff = Callable[[Path], AbstractContextManager[Any]]
Array = npt.NDArray[Any]

UTM_CORNER = Affine(0.5, 0.0, 600_000.0, 0.0, -0.5, 5_200_000.0)
RNG = np.random.default_rng(11)


def read(path: Path, numbers: list[int], alpha: int | None = None) -> tuple[list[Array], Array]:
    """All windows put together again."""
    info = inspect(path)
    arrays = [np.zeros((info.height, info.width), info.dtype) for _ in numbers]
    mask = np.zeros((info.height, info.width), bool)
    with open_raster(path) as dataset:
        for window in windows(info):
            parts, mask[window.toslices()] = read_window(dataset, window, numbers, alpha=alpha)
            for array, part in zip(arrays, parts, strict=True):
                array[window.toslices()] = part
    return arrays, mask


def test_inspect_describes_a_geotiff(write_tiff: WriteTiff) -> None:
    path = write_tiff(
        np.zeros((4, 30, 50), np.uint16),
        colours=("red", "green", "blue", "undefined"),
        descriptions=("red", "green", "blue", "nir"),
        nodata=65535,
        crs="EPSG:32633",
        transform=UTM_CORNER,
        tiled=True,
        blockxsize=16,
        blockysize=32,
    )
    info = inspect(path)
    assert (info.driver, info.media_type) == ("GTiff", "image/tiff")
    assert (info.width, info.height, info.count, info.dtype) == (50, 30, 4, "uint16")
    assert info.descriptions == ("red", "green", "blue", "nir")
    assert info.colours == ("red", "green", "blue", "undefined")
    assert info.nodata == (65535.0,) * 4
    assert (info.block_width, info.block_height) == (16, 30)
    assert info.epsg == 32633
    assert info.transform == (0.5, 0.0, 600_000.0, 0.0, -0.5, 5_200_000.0)
    assert info.gsd_m == (0.5, 0.5)
    assert info.pixel_area_m2 == 0.25
    assert info.georeferenced
    json.dumps(info.to_dict(), allow_nan=False)


def test_inspect_describes_a_photo(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (40, 30)).save(path)
    info = inspect(path)
    assert (info.media_type, info.count, info.colours) == ("image/jpeg", 3, ("red", "green", "blue"))
    assert not info.georeferenced
    assert (info.crs_wkt, info.epsg, info.transform, info.footprint) == (None, None, None, None)
    assert (info.bounds_wgs84, info.gsd_m, info.pixel_area_m2) == (None, None, None)


def test_scale_offset_and_nan_nodata_are_reported(write_tiff: WriteTiff, edit_tiff: EditTiff) -> None:
    path = write_tiff(np.zeros((1, 3, 3), np.float32), nodata=np.nan)
    with edit_tiff(path) as dataset:
        dataset.scales, dataset.offsets = (0.0001,), (-0.1,)
    info = inspect(path)
    assert (info.scales, info.offsets) == ((0.0001,), (-0.1,))
    assert info.to_dict()["nodata"] == ["nan"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 30_000), (30_000, 1)])
@pytest.mark.parametrize("tiled", [False, True])
def test_odd_shapes(write_tiff: WriteTiff, shape: tuple[int, int], tiled: bool) -> None:
    values = RNG.integers(0, 255, shape, dtype=np.uint8)
    layout = {"tiled": True, "blockxsize": 64, "blockysize": 64} if tiled else {}
    path = write_tiff(values, crs="EPSG:32633", transform=UTM_CORNER, **layout)
    info = inspect(path)
    assert info.footprint is not None
    np.testing.assert_array_equal(read(path, [1])[0][0], values)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    block=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    limit=st.integers(1, 20_000),
)
def test_windows_cover_once_and_stay_small(size: tuple[int, int], block: tuple[int, int], limit: int) -> None:
    block = (min(block[0], size[0]), min(block[1], size[1]))
    seen = np.zeros((size[1], size[0]), np.uint8)
    for window in block_windows(*size, *block, limit):
        assert 0 < window.width * window.height <= limit
        seen[window.toslices()] += 1
        if block[0] * block[1] <= limit:
            for start, length, side, whole in (
                (window.col_off, window.width, block[0], size[0]),
                (window.row_off, window.height, block[1], size[1]),
            ):
                assert start % side == 0
                assert length % side == 0 or start + length == whole
    assert (seen == 1).all()


def test_windows_shrink_with_the_number_of_bands(write_tiff: WriteTiff) -> None:
    info = inspect(write_tiff(np.zeros((2, 4, 4), np.float64)))
    huge = type(info)(**{**vars(info), "width": 20_000, "height": 20_000, "count": 64, "block_width": 20_000})
    first = next(windows(huge))
    assert first.width * first.height * 64 * 8 <= 96 * 1024 * 1024


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("layout", [{"blockysize": 7}, {"tiled": True, "blockxsize": 32, "blockysize": 16}])
def test_nodata_of_any_band_masks(
    write_tiff: WriteTiff, dtype: str, interleave: str, layout: dict[str, Any]
) -> None:
    bands = RNG.integers(1, 100, (3, 61, 83)).astype(dtype)
    bands[0, :5] = 0
    bands[2, :, -4:] = 0
    path = write_tiff(bands, nodata=0, interleave=interleave, compress="deflate", **layout)
    arrays, mask = read(path, [1, 3])
    np.testing.assert_array_equal(arrays, bands[[0, 2]])
    np.testing.assert_array_equal(mask, (bands[0] == 0) | (bands[2] == 0))
    assert not read(path, [2])[1].any()


def test_nodata_differs_by_band(write_tiff: WriteTiff) -> None:
    """GeoTIFF has one value for all bands, but what reads them must not rely on it."""
    source = write_tiff(np.array([[[1, 2, 3, 4]], [[2, 3, 4, 1]]], np.uint8), crs="EPSG:32633")
    description = f"""<VRTDataset rasterXSize="4" rasterYSize="1">
      <VRTRasterBand dataType="Byte" band="1"><NoDataValue>1</NoDataValue><SimpleSource>
        <SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>
      <VRTRasterBand dataType="Byte" band="2"><NoDataValue>4</NoDataValue><SimpleSource>
        <SourceFilename>{source}</SourceFilename><SourceBand>2</SourceBand></SimpleSource></VRTRasterBand>
    </VRTDataset>"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(description) as dataset:
            assert dataset.nodatavals == (1.0, 4.0)
            _, mask = read_window(dataset, None, [1, 2])
            np.testing.assert_array_equal(mask, [[True, False, True, False]])
            np.testing.assert_array_equal(read_window(dataset, None, [2])[1], [[False, False, True, False]])


def test_nodata_is_compared_in_the_bands_own_type(write_tiff: WriteTiff) -> None:
    lowest = np.finfo(np.float32).min
    values = np.array([[lowest, 0.1, np.nan, np.inf]], np.float32)
    assert read(write_tiff(values, nodata=float(lowest)), [1])[1].tolist() == [[True, False, True, False]]
    tenth = write_tiff(values, "tenth.tif", nodata=0.1)
    assert read(tenth, [1])[1].tolist() == [[False, True, True, False]]


@pytest.mark.parametrize("impossible", [b"-99", b"1.5", b"inf"])
def test_nodata_that_the_type_cannot_hold_masks_nothing(write_tiff: WriteTiff, impossible: bytes) -> None:
    path = write_tiff(np.array([[0, 1, 2, 255]], np.uint8), nodata=200)
    path.write_bytes(path.read_bytes().replace(b"200\0", impossible + b"\0"))
    assert inspect(path).nodata != (200.0,)
    assert not read(path, [1])[1].any()


def test_alpha_masks_and_its_values_do_not(write_tiff: WriteTiff) -> None:
    bands = RNG.integers(1, 255, (4, 9, 8), dtype=np.uint8)
    bands[3, 2:4] = 0
    path = write_tiff(bands, photometric="RGB", alpha="YES")
    assert inspect(path).colours == ("red", "green", "blue", "alpha")
    np.testing.assert_array_equal(read(path, [1, 2], alpha=4)[1], bands[3] == 0)
    arrays, mask = read(path, [4, 1])
    assert not mask.any(), "an alpha band that the caller named is data"
    np.testing.assert_array_equal(arrays[0], bands[3])


def test_internal_mask(write_tiff: WriteTiff) -> None:
    masked = np.zeros((20, 30), bool)
    masked[5:9, 3:28] = True
    bands = RNG.integers(0, 255, (3, 20, 30), dtype=np.uint8)
    path = write_tiff(bands, mask=masked)
    np.testing.assert_array_equal(read(path, [1, 3])[1], masked)


def test_sidecar_files_are_not_read(write_tiff: WriteTiff) -> None:
    path = write_tiff(np.full((1, 4, 4), 7, np.uint8))
    path.with_suffix(".tfw").write_text("1\n0\n0\n-1\n600000\n5200000\n")
    Path(f"{path}.aux.xml").write_text(
        '<PAMDataset><SRS>EPSG:32633</SRS><PAMRasterBand band="1"><NoDataValue>7</NoDataValue>'
        "</PAMRasterBand></PAMDataset>"
    )
    with rasterio.open(path) as known:
        assert known.nodata == 7, "GDAL reads it unless told otherwise"
    Path(f"{path}.msk").write_bytes(write_tiff(np.zeros((1, 4, 4), np.uint8), "mask.tif").read_bytes())
    info = inspect(path)
    assert (info.nodata, info.transform, info.crs_wkt) == ((None,), None, None)
    assert not read(path, [1])[1].any()


def test_colour_key_of_png_masks_only_the_whole_colour(tmp_path: Path) -> None:
    path = tmp_path / "key.png"
    pixels = np.array([[[1, 2, 3], [1, 0, 0], [9, 2, 3]]], np.uint8)
    Image.fromarray(pixels).save(path, transparency=(1, 2, 3))
    assert read(path, [1, 2, 3])[1].tolist() == [[True, False, False]]


def test_grey_with_alpha_png(tmp_path: Path) -> None:
    path = tmp_path / "la.png"
    Image.fromarray(np.array([[[5, 0], [6, 9]]], np.uint8), "LA").save(path)
    assert inspect(path).colours == ("gray", "alpha")
    arrays, mask = read(path, [1], alpha=2)
    assert arrays[0].tolist() == [[5, 6]]
    assert mask.tolist() == [[True, False]]


def test_sixteen_bit_png(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.array([[0, 300, 65535]], np.uint16)).save(path)
    assert inspect(path).dtype == "uint16"
    assert read(path, [1])[0][0].tolist() == [[0, 300, 65535]]


def test_control_points_alone_do_not_georeference(write_tiff: WriteTiff, edit_tiff: EditTiff) -> None:
    path = write_tiff(np.zeros((1, 10, 10), np.uint8))
    points = [GroundControlPoint(r, c, 20 + c / 100, 50 - r / 100) for r, c in ((0, 0), (10, 0), (0, 10))]
    with edit_tiff(path) as dataset:
        dataset.gcps = (points, CRS.from_epsg(4326))
    assert not inspect(path).georeferenced


def test_a_transform_without_crs_does_not_georeference(write_tiff: WriteTiff) -> None:
    info = inspect(write_tiff(np.zeros((1, 4, 4), np.uint8), transform=UTM_CORNER))
    assert (info.transform, info.pixel_area_m2) == (None, None)


def test_rotated_transform(write_tiff: WriteTiff) -> None:
    turned = UTM_CORNER @ Affine.rotation(20)
    info = inspect(write_tiff(np.zeros((1, 40, 60), np.uint8), crs="EPSG:32633", transform=turned))
    assert info.transform == pytest.approx(tuple(turned)[:6])
    assert info.gsd_m == pytest.approx((0.5, 0.5))
    assert info.pixel_area_m2 == pytest.approx(0.25)


def test_real_orthomosaic_with_an_odd_crs(sample: Callable[[str], Path]) -> None:
    info = inspect(sample("rgb_ortho.tif"))
    assert info.epsg == 32414
    assert info.pixel_area_m2 == pytest.approx(0.0108282**2, rel=1e-6)
    assert info.bounds_wgs84 == pytest.approx((-96.2339, 40.5184, -96.2337, 40.5185), abs=1e-3)
    assert info.nodata == (255.0,) * 3


@pytest.mark.parametrize("name", ["wild!#? name:x.tif", "-of VRT.tif", "поле.tif"])
def test_file_names_are_only_names(write_tiff: WriteTiff, name: str) -> None:
    written = write_tiff(np.zeros((1, 2, 3), np.uint8))
    assert inspect(written.rename(written.with_name(name))).width == 3


def test_vrt_is_refused_whatever_its_name(write_tiff: WriteTiff, edit_tiff: EditTiff, tmp_path: Path) -> None:
    source = write_tiff(np.zeros((1, 4, 4), np.uint8))
    disguised = tmp_path / "field.tif"
    disguised.write_text(
        f'<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{source}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with edit_tiff(disguised) as known:
        assert known.driver == "VRT", "GDAL would follow it"
    with pytest.raises(NotAnImage) as caught:
        inspect(disguised)
    assert str(tmp_path) not in caught.value.detail


def test_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "x.bmp"
    path.write_bytes(b"BM, or so says this text, which is long enough to be a header of a bitmap file.")
    with pytest.raises(NotAnImage) as caught:
        inspect(path)
    assert not isinstance(caught.value, TruncatedImage)
    path.touch()
    path.write_bytes(b"")
    with pytest.raises(NotAnImage, match="empty"):
        inspect(path)


@pytest.mark.parametrize("keep", [12, 20])
@pytest.mark.parametrize("suffix", ["tif", "jpg", "png"])
def test_a_cut_header_is_a_truncated_image(tmp_path: Path, suffix: str, keep: int) -> None:
    path = tmp_path / f"cut.{suffix}"
    Image.new("RGB", (50, 50)).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TruncatedImage):
        inspect(path)


@pytest.mark.parametrize("size", [40, 400])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("jpg", {}),
        ("jpg", {"progressive": True}),
        ("png", {}),
        ("bmp", {}),
        ("tif", {}),
        ("tif", {"compression": "tiff_lzw"}),
        ("tif", {"compression": "tiff_adobe_deflate"}),
        ("tif", {"compression": "jpeg"}),
    ],
)
def test_cut_pixels_are_never_numbers(
    tmp_path: Path, suffix: str, options: dict[str, Any], size: int
) -> None:
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(RNG.integers(0, 255, (size, size, 3), dtype=np.uint8)).save(path, **options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(TruncatedImage), open_raster(path) as dataset:
        read_window(dataset, None, [1, 2, 3])


@pytest.mark.parametrize("compress", ["none", "lzw", "zstd", "jpeg"])
def test_a_cut_geotiff_is_a_truncated_image(write_tiff: WriteTiff, compress: str) -> None:
    noise = RNG.integers(0, 255, (3, 300, 300), dtype=np.uint8)
    path = write_tiff(noise, compress=compress, tiled=True, blockxsize=64, blockysize=64)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(TruncatedImage), open_raster(path) as dataset:
        read_window(dataset, None, [1, 2, 3])


def test_damaged_pixels_are_a_truncated_image(write_tiff: WriteTiff) -> None:
    path = write_tiff(RNG.integers(0, 255, (1, 200, 200), dtype=np.uint8), compress="deflate")
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)
    with pytest.raises(TruncatedImage, match="upload it again"):
        read(path, [1])


def test_nothing_is_written_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(RNG.integers(0, 255, (300, 300, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with open_raster(path) as dataset, pytest.raises(TruncatedImage):
        read_window(dataset, None, [1, 2, 3])
    assert capfd.readouterr() == ("", "")
