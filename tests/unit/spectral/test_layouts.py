"""Every way in which a TIFF may store its bands gives the same bands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from orthoray.errors import TooLarge, TruncatedImage
from orthoray.spectral import raster
from orthoray.spectral.formats import TIFF, detect_format
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.raster import inspect, open_raster, read_window, windows

WriteTiff = Callable[..., Path]

HEIGHT, WIDTH = 37, 53
STRIPS = {"blockysize": 5}
TILES = {"tiled": True, "blockxsize": 32, "blockysize": 16}
DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64", "float32", "float64")
COMPRESSIONS = (
    "none", "lzw", "deflate", "zstd", "packbits", "lerc", "lerc_zstd", "lerc_deflate", "lzma",
)  # fmt: skip  # they fit one line


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that every raster has several, also within a row of blocks."""
    monkeypatch.setattr(raster, "WINDOW_PIXELS", 700)


def some_bands(count: int, dtype: str) -> npt.NDArray[Any]:
    """Smooth enough to compress, with the type's extremes, and with halves where it has them."""
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    bands = np.stack([(rows * (number + 1) + columns) % 120 for number in range(count)]).astype(dtype)
    limits = np.iinfo(dtype) if bands.dtype.kind in "iu" else np.finfo(dtype)
    bands[:, 3, 4:6] = limits.max, limits.min
    if bands.dtype.kind == "f":
        bands[:, 7:] += bands.dtype.type(0.5)
    return bands


def assert_reads_as(path: Path, bands: npt.NDArray[Any], **expected: object) -> None:
    check_complete(path)
    info = inspect(path)
    assert (info.count, info.height, info.width, info.dtype) == (*bands.shape, bands.dtype.name)
    assert {name: getattr(info, name) for name in expected} == expected
    numbers = [*range(info.count, 0, -2), 1]
    with open_raster(path) as dataset:
        for window in windows(info):
            arrays, masked = read_window(dataset, window, numbers)
            assert {array.dtype for array in arrays} == {bands.dtype}
            wanted = bands[[number - 1 for number in numbers]][(slice(None), *window.toslices())]
            np.testing.assert_array_equal(arrays, wanted)
            assert masked.shape == wanted.shape[1:]
            assert not masked.any()


@pytest.mark.parametrize("layout", [STRIPS, TILES])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_types(write_tiff: WriteTiff, dtype: str, interleave: str, layout: dict[str, Any]) -> None:
    bands = some_bands(5, dtype)
    path = write_tiff(bands, interleave=interleave, compress="deflate", **layout)
    assert_reads_as(
        path,
        bands,
        interleave=interleave,
        compression="DEFLATE",
        tiled=layout is TILES,
        media_type="image/tiff",
    )


@pytest.mark.parametrize("layout", [STRIPS, TILES])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_compressions(
    write_tiff: WriteTiff, compress: str, dtype: str, interleave: str, layout: dict[str, Any]
) -> None:
    bands = some_bands(4, dtype)
    path = write_tiff(bands, interleave=interleave, compress=compress, **layout)
    assert_reads_as(path, bands, compression=None if compress == "none" else compress.upper())


@pytest.mark.parametrize("bigtiff", ["YES", "NO"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 10, 64])
def test_numbers_of_bands(write_tiff: WriteTiff, count: int, interleave: str, bigtiff: str) -> None:
    bands = some_bands(count, "uint16")
    path = write_tiff(bands, interleave=interleave, bigtiff=bigtiff, **TILES)
    assert path.read_bytes()[2] == (43 if bigtiff == "YES" else 42)
    assert detect_format(path) is TIFF
    # of one band there is but one order
    assert_reads_as(path, bands, interleave="band" if count == 1 else interleave)


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("uint16", {"compress": "lzw", "predictor": 2}),
        ("uint16", {"compress": "zstd", "predictor": 2, "interleave": "band"}),
        ("float32", {"compress": "deflate", "predictor": 3}),
        ("float64", {"compress": "zstd", "predictor": 3}),
        ("int16", {"endianness": "BIG", "compress": "lzw", "predictor": 2}),
        ("float32", {"endianness": "BIG"}),
    ],
)
def test_predictors_and_byte_orders(write_tiff: WriteTiff, dtype: str, options: dict[str, Any]) -> None:
    bands = some_bands(3, dtype)
    assert_reads_as(write_tiff(bands, **TILES, **options), bands)


@pytest.mark.parametrize(("dtype", "bits"), [("uint8", 1), ("uint8", 4), ("uint16", 12), ("float32", 16)])
def test_samples_of_fewer_bits(write_tiff: WriteTiff, dtype: str, bits: int) -> None:
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    bands = np.stack([(rows + columns) % 2, rows * columns % 2]).astype(dtype)
    assert_reads_as(write_tiff(bands, nbits=bits), bands)


def test_webp_without_loss(write_tiff: WriteTiff) -> None:
    bands = some_bands(3, "uint8")
    path = write_tiff(bands, compress="webp", WEBP_LOSSLESS="YES", interleave="pixel", **TILES)
    assert_reads_as(path, bands, compression="WEBP")


@pytest.mark.parametrize("photometric", ["RGB", "YCBCR"])
def test_jpeg_in_tiff(write_tiff: WriteTiff, photometric: str) -> None:
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    bands = np.stack([rows * 2, columns * 2, rows + columns]).astype(np.uint8)
    path = write_tiff(
        bands, compress="jpeg", photometric=photometric, JPEG_QUALITY=95, interleave="pixel", **TILES
    )
    check_complete(path)
    assert "JPEG" in str(inspect(path).compression)
    with open_raster(path) as dataset:
        arrays, _ = read_window(dataset, None, [1, 2, 3])
    off = np.abs(np.asarray(arrays, int) - bands)
    assert off.mean() < 3, "lossy, but red, green and blue"


def test_blocks_that_are_not_there_are_zero(write_tiff: WriteTiff) -> None:
    bands = np.zeros((2, HEIGHT, WIDTH), np.uint16)
    bands[:, 20:, :] = 9
    assert_reads_as(write_tiff(bands, SPARSE_OK=True, **TILES), bands)


def test_tiles_larger_than_the_image(write_tiff: WriteTiff) -> None:
    bands = some_bands(2, "uint8")
    path = write_tiff(bands, tiled=True, blockxsize=256, blockysize=256)
    assert_reads_as(path, bands, tiled=True, block_width=WIDTH, block_height=HEIGHT)


def test_millions_of_strips_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "strips.tif"
    tifffile.imwrite(path, np.zeros((200, 4), np.uint8), rowsperstrip=1, metadata=None)
    check_complete(path)
    monkeypatch.setattr("orthoray.spectral.tiff._MAX_VALUES", 199)
    with pytest.raises(TooLarge, match="512 x 512"):
        check_complete(path)


def test_a_directory_of_garbage(tmp_path: Path) -> None:
    path = tmp_path / "garbage.tif"
    path.write_bytes(b"II*\0\x08\0\0\0" + b"\xff" * 2_000_000)
    for read in (inspect, check_complete):
        with pytest.raises(TruncatedImage):
            read(path)
