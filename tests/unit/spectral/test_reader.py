"""Bands by our own decoder or by GDAL: whoever reads, the numbers and the mask are the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from rasterio.windows import Window
from rasters import write_bands

from orthoray.errors import TruncatedImage
from orthoray.spectral.raster import inspect, open_raster, read_window
from orthoray.spectral.reader import open_bands

Array = npt.NDArray[Any]
WriteTiff = Callable[..., Path]

HEIGHT, WIDTH = 90, 110
WINDOWS = [Window(0, 0, WIDTH, HEIGHT), Window(33, 17, 50, 61), Window(WIDTH - 1, HEIGHT - 1, 1, 1)]


def bands_of(dtype: str = "uint16", count: int = 4) -> Array:
    rng = np.random.default_rng(2)
    bands = rng.integers(0, 100, (count, HEIGHT, WIDTH)).astype(dtype)
    bands[0, 20:30, 20:40] = 99
    bands[1, 60:] = 0
    return bands


def assert_reads_like_gdal(
    path: Path, numbers: tuple[int, ...], *, alpha: int | None = None, by_gdal: bool
) -> Array:
    """The mask of the whole image."""
    wanted = [(0, number) for number in numbers]
    with open_bands([path], [inspect(path)], wanted, alpha) as reader, open_raster(path) as dataset:
        assert (reader.parts[0].tiles is None) == by_gdal
        for window in WINDOWS:
            arrays, masked = reader.read(window)
            expected, hidden = read_window(dataset, window, numbers, alpha=alpha)
            np.testing.assert_array_equal(arrays, expected)
            assert [array.dtype for array in arrays] == [array.dtype for array in expected]
            np.testing.assert_array_equal(np.zeros_like(hidden) if masked is None else masked, hidden)
            assert masked is None or masked.any(), "no mask where all is data"
        return read_window(dataset, None, numbers, alpha=alpha)[1]


KINDS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "tiles": ("uint16", {"tiled": True, "blockxsize": 64, "blockysize": 32, "compress": "zstd"}, False),
    "strips": ("float32", {"compress": "deflate", "predictor": 3, "interleave": "band"}, False),
    "big-endian": ("int16", {"endianness": "BIG", "compress": "lzw", "predictor": 2}, True),
    "packbits": ("uint8", {"compress": "packbits"}, True),
    "lerc": ("float32", {"compress": "lerc"}, True),
    "12 bits": ("uint16", {"nbits": 12}, True),
    "predictor 3 by pixel": ("float64", {"compress": "zstd", "predictor": 3, "interleave": "pixel"}, True),
    "sparse": ("uint8", {"SPARSE_OK": True, "blockysize": 10, "interleave": "band"}, True),
}


@pytest.mark.parametrize("nodata", [None, 99, 0])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tiff_with_and_without_nodata(
    write_tiff: WriteTiff, kind: str, nodata: int | None
) -> None:
    dtype, options, by_gdal = KINDS[kind]
    bands = bands_of(dtype)
    path = write_tiff(bands, nodata=nodata, **options)
    if kind == "sparse" and nodata == 99:
        by_gdal = False  # zeros are pixels then, and all are written
    masked = assert_reads_like_gdal(path, (3, 1), by_gdal=by_gdal)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    if nodata is not None:
        expected = (bands[[2, 0]] == nodata).any(axis=0)
    np.testing.assert_array_equal(masked, expected)


@pytest.mark.parametrize("kind", ["alpha", "mask", "nan"])
def test_other_masks(write_tiff: WriteTiff, kind: str) -> None:
    bands = bands_of("float32" if kind == "nan" else "uint8")
    hidden = np.zeros((HEIGHT, WIDTH), bool)
    hidden[10:30, 5:50] = True
    if kind == "alpha":
        bands[3] = np.where(hidden, 0, 255)
        path = write_tiff(bands, colours=("red", "green", "blue", "alpha"), compress="lzw")
        masked = assert_reads_like_gdal(path, (2, 1), alpha=4, by_gdal=False)
    elif kind == "mask":
        path = write_tiff(bands, mask=hidden, compress="lzw")
        masked = assert_reads_like_gdal(path, (2, 1), by_gdal=True)
    else:
        bands[0, hidden] = np.nan
        bands[2] = np.nan
        masked = assert_reads_like_gdal(write_tiff(bands), (2, 1), by_gdal=False)
    np.testing.assert_array_equal(masked, hidden)


def test_jpeg_palette_and_png(tmp_path: Path, write_tiff: WriteTiff) -> None:
    ramp = np.stack(np.broadcast_arrays(*np.ogrid[:HEIGHT, :WIDTH], np.uint8(40))).astype(np.uint8)
    jpeg = write_tiff(ramp, "jpeg.tif", compress="jpeg", photometric="RGB", interleave="pixel")
    table, png = tmp_path / "table.tif", tmp_path / "image.png"
    image = Image.fromarray(np.moveaxis(ramp, 0, 2))
    image.convert("P", palette=Image.Palette.ADAPTIVE).save(table)
    image.save(png)
    for path in (jpeg, table, png):
        assert_reads_like_gdal(path, (3, 1), by_gdal=True)


def test_several_files_each_with_its_own_nodata(tmp_path: Path) -> None:
    bands = {name: bands_of("int16", 2) + number for number, name in enumerate("abc")}
    profiles: dict[str, dict[str, Any]] = {
        "a": {"nodata": 99, "compress": "zstd", "tiled": True, "blockxsize": 32, "blockysize": 32},
        "b": {"nodata": 1, "compress": "packbits"},
        "c": {},
    }
    files = [write_bands(tmp_path / f"{name}.tif", bands[name], **profiles[name]) for name in "abc"]
    wanted = [(1, 2), (0, 1), (2, 2), (1, 1)]
    expected = [bands["b"][1], bands["a"][0], bands["c"][1], bands["b"][0]]
    hidden = (bands["b"] == 1).any(axis=0) | (bands["a"][0] == 99)
    with open_bands(files, [inspect(path) for path in files], wanted) as reader:
        for window in WINDOWS:
            arrays, masked = reader.read(window)
            np.testing.assert_array_equal(arrays, [band[window.toslices()] for band in expected])
            place = hidden[window.toslices()]
            np.testing.assert_array_equal(np.zeros_like(place) if masked is None else masked, place)


@pytest.mark.parametrize("tiled", [True, False])
@pytest.mark.parametrize("compress", ["deflate", "packbits"])
@pytest.mark.parametrize("count", [1, 2])
def test_mask_files(tmp_path: Path, tiled: bool, compress: str, count: int) -> None:
    rng = np.random.default_rng(6)
    bands = {name: bands_of(count=2) for name in "ab"}
    shown = rng.random((count, HEIGHT, WIDTH)) > 0.1
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 32} if tiled else {}
    files = [write_bands(tmp_path / f"{name}.tif", bands[name], nodata=99, **tiles) for name in "ab"]
    mask = write_bands(tmp_path / "b.tif.msk", shown.astype(np.uint8) * 255, compress=compress, **tiles)
    infos = [inspect(path) for path in files]
    for wanted in ([(1, 2), (0, 1)], [(0, 1)], [(1, 2), (1, 1)]):
        own = [number for file, number in wanted if file == 1]
        hidden = np.zeros((HEIGHT, WIDTH), bool)
        for file, number in wanted:
            hidden |= bands["ab"[file]][number - 1] == 99
        for number in own:
            hidden |= ~shown[0 if count == 1 else number - 1]
        with open_bands(files, infos, wanted, None, [None, mask]) as reader:
            assert reader.fits_pieces == (tiled and (compress == "deflate" or not own))
            for window in WINDOWS:
                arrays, masked = reader.read(window)
                for array, (file, number) in zip(arrays, wanted, strict=True):
                    np.testing.assert_array_equal(array, bands["ab"[file]][number - 1][window.toslices()])
                place = hidden[window.toslices()]
                np.testing.assert_array_equal(np.zeros_like(place) if masked is None else masked, place)


@pytest.mark.parametrize("compress", ["deflate", "packbits"])
def test_damaged_pixels(write_tiff: WriteTiff, compress: str) -> None:
    noise = np.random.default_rng(4).integers(0, 255, (2, HEIGHT, WIDTH), dtype=np.uint8)
    path = write_tiff(noise, compress=compress, blockysize=10)
    info = inspect(path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(TruncatedImage), open_bands([path], [info], [(0, 1)]) as reader:
        reader.read(WINDOWS[0])


@pytest.mark.parametrize("options", [{"compress": "zstd"}, {"compress": "packbits"}])
def test_from_several_threads(write_tiff: WriteTiff, options: dict[str, Any]) -> None:
    bands = bands_of()
    path = write_tiff(bands, nodata=99, blockysize=16, **options)
    with open_bands([path], [inspect(path)], [(0, 2), (0, 1)]) as reader, ThreadPoolExecutor(4) as pool:

        def check(number: int) -> bool:
            window = WINDOWS[number % len(WINDOWS)]
            arrays, _ = reader.read(window)
            return bool((np.asarray(arrays) == bands[[1, 0]][(slice(None), *window.toslices())]).all())

        assert all(pool.map(check, range(40)))


def test_files_are_closed(write_tiff: WriteTiff) -> None:
    def opened() -> int:
        return sum(path.name in str(link) for link in map(_target, Path("/proc/self/fd").iterdir()))

    path = write_tiff(bands_of(), compress="zstd")
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs Linux to see open files")
    with open_bands([path], [inspect(path)], [(0, 1)]) as reader:
        reader.read(WINDOWS[0])
        assert opened() == 1
    assert opened() == 0


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
