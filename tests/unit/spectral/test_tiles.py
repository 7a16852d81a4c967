"""Our own decoder of TIFF blocks against GDAL's, over everything that it takes upon itself."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.windows import Window
from rasters import write_bands

from orthoray.errors import TruncatedImage
from orthoray.spectral import tiles
from orthoray.spectral.raster import inspect, open_raster
from orthoray.spectral.tiles import Layout, TileReader, open_tiles, read_layout

Array = npt.NDArray[Any]
WriteTiff = Callable[..., Path]

HEIGHT, WIDTH = 83, 101
DTYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")
# rows of 7 meet in windows of 512; one strip may hold the image; tiles may be larger than it
SHAPES: tuple[dict[str, Any], ...] = (
    {"blockysize": 7},
    {"blockysize": HEIGHT},
    {"blockysize": 64},
    {"tiled": True, "blockxsize": 16, "blockysize": 16},
    {"tiled": True, "blockxsize": 64, "blockysize": 48},
    {"tiled": True, "blockxsize": 128, "blockysize": 112},
)


def bands_of(dtype: str, count: int = 3, height: int = HEIGHT, width: int = WIDTH) -> Array:
    """Smooth enough to compress, noisy enough to tell, with the extremes of the type."""
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[:height, :width]
    ramp = np.stack([(rows * (band + 1) + columns) % 120 for band in range(count)])
    bands = (ramp + rng.integers(0, 3, ramp.shape)).astype(dtype)
    limits = np.iinfo(dtype) if bands.dtype.kind in "iu" else np.finfo(dtype)
    bands[:, 0, 0], bands[:, -1, -1] = limits.max, limits.min
    if bands.dtype.kind == "f":
        bands *= bands.dtype.type(0.37)
        bands[0, 5, 5], bands[-1, 6, 6] = np.nan, -0.0
    return bands


def layout_of(path: Path) -> Layout:
    layout = read_layout(path, inspect(path))
    assert layout is not None, "this layout is one of ours"
    return layout


def read(path: Path, window: Window | None = None, numbers: Sequence[int] | None = None) -> list[Array]:
    layout = layout_of(path)
    with open_tiles(path, layout) as reader:
        return reader.read(
            window or Window(0, 0, layout.width, layout.height), numbers or range(1, layout.samples + 1)
        )


def choices() -> list[tuple[str, int]]:
    return [("none", 1), *itertools.product(("lzw", "deflate", "zstd"), (1, 2, 3))]


@pytest.mark.parametrize(("compress", "predictor"), choices())
def test_every_way_to_store_bands_gives_the_bands_that_gdal_gives(
    tmp_path: Path, compress: str, predictor: int
) -> None:
    ways = itertools.product(DTYPES, ("pixel", "band"), SHAPES)
    for number, (dtype, interleave, shape) in enumerate(ways):
        if predictor == (2 if dtype[0] == "f" else 3):
            continue  # libtiff writes none such, or we leave it to GDAL
        if predictor == 3 and interleave == "pixel":
            continue
        if dtype not in {"uint16", "float32"} and shape not in SHAPES[::4]:
            continue  # the cut does not depend on the type
        options = {} if compress == "none" else {"compress": compress, "predictor": predictor}
        bands = bands_of(dtype)
        path = write_bands(
            tmp_path / f"{number}.tif",
            bands,
            interleave=interleave,
            bigtiff="YES" if number % 2 else "NO",
            **options,
            **shape,
        )
        where = f"{dtype} {interleave} {shape}"
        layout = layout_of(path)
        assert (layout.separate, layout.predictor) == (interleave == "band", predictor), where
        found = read(path, numbers=[3, 1])
        np.testing.assert_array_equal(found, bands[[2, 0]], err_msg=where)
        assert {array.dtype for array in found} == {np.dtype(dtype)}
        np.testing.assert_array_equal(np.signbit(found[0]), np.signbit(bands[2]), err_msg=where)
        with open_raster(path) as dataset:
            np.testing.assert_array_equal(found, dataset.read([3, 1]), err_msg=where)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_any_window_is_the_same_cut_of_the_whole(
    tmp_path: Path, interleave: str, shape: dict[str, Any]
) -> None:
    bands = bands_of("uint16")
    path = write_bands(
        tmp_path / "image.tif", bands, interleave=interleave, compress="zstd", predictor=2, **shape
    )
    with open_tiles(path, layout_of(path)) as reader:

        @settings(max_examples=25, deadline=None)
        @given(data=st.data())
        def check(data: st.DataObject) -> None:
            top, left = data.draw(st.integers(0, HEIGHT - 1)), data.draw(st.integers(0, WIDTH - 1))
            height = data.draw(st.integers(1, HEIGHT - top))
            width = data.draw(st.integers(1, WIDTH - left))
            numbers = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True))
            window = Window(left, top, width, height)
            wanted = bands[[number - 1 for number in numbers]][(slice(None), *window.toslices())]
            np.testing.assert_array_equal(reader.read(window, numbers), wanted)

        check()


@pytest.mark.parametrize("side", [512, 1024])
def test_large_tiles_that_do_not_divide_the_image(tmp_path: Path, side: int) -> None:
    bands = bands_of("uint8", 2, 700, 1100)
    path = write_bands(
        tmp_path / "image.tif",
        bands,
        tiled=True,
        blockxsize=side,
        blockysize=side,
        compress="lzw",
        predictor=2,
    )
    window = Window(400, 300, 650, 395)
    np.testing.assert_array_equal(read(path, window), bands[(slice(None), *window.toslices())])


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize(("height", "strip"), [(1500, 1500), (1500, 640), (1300, 1024)])
def test_a_giant_strip_without_compression_is_read_in_thin_ones(
    tmp_path: Path, interleave: str, height: int, strip: int
) -> None:
    bands = bands_of("int16", 2, height, 31)
    path = write_bands(tmp_path / "image.tif", bands, interleave=interleave, blockysize=strip)
    layout = layout_of(path)
    assert layout.block_height == 64
    assert layout.offsets.size == layout.blocks
    np.testing.assert_array_equal(read(path), bands)
    window = Window(3, 1201, 20, 80)
    np.testing.assert_array_equal(read(path, window, [2])[0], bands[1][window.toslices()])


def test_a_giant_strip_with_compression_is_left_to_gdal(tmp_path: Path) -> None:
    path = write_bands(
        tmp_path / "image.tif", bands_of("uint8", 1, 1500, 20), blockysize=1500, compress="deflate"
    )
    assert read_layout(path, inspect(path)) is None


@pytest.mark.parametrize("compress", ["none", "lzw", "deflate", "zstd"])
def test_a_last_strip_written_as_high_as_the_others(tmp_path: Path, compress: str) -> None:
    pixels = bands_of("uint16", 1, 37, 53)[0]
    padded = np.zeros((48, 53), np.uint16)
    padded[:37] = pixels
    encode: dict[str, tuple[int, Callable[[bytes], Any]]] = {
        "none": (1, bytes),
        "lzw": (5, imagecodecs.lzw_encode),
        "deflate": (8, zlib.compress),
        "zstd": (50000, imagecodecs.zstd_encode),
    }
    code, encoder = encode[compress]
    path = tmp_path / "image.tif"
    by_hand(
        path,
        [bytes(encoder(padded[row : row + 16].tobytes())) for row in (0, 16, 32)],
        {259: code, 278: 16},
        (37, 53),
    )
    with open_raster(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), pixels)
    np.testing.assert_array_equal(read(path)[0], pixels)


def test_a_predictor_without_a_codec_has_no_meaning(tmp_path: Path) -> None:
    pixels = bands_of("uint16", 1, 37, 53)[0]
    path = tmp_path / "image.tif"
    by_hand(path, [pixels.tobytes()], {259: 1, 278: 37, 317: 2}, pixels.shape)
    with open_raster(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), pixels)
    np.testing.assert_array_equal(read(path)[0], pixels)


def by_hand(path: Path, strips: list[bytes], tags: dict[int, int], shape: tuple[int, int]) -> None:
    """A TIFF of one uint16 band in strips, with what no writer at hand would write."""
    fields: dict[int, tuple[int, ...]] = {
        256: (shape[1],),
        257: (shape[0],),
        258: (16,),
        262: (1,),
        277: (1,),
    }
    fields |= {tag: (value,) for tag, value in tags.items()}
    start = 8 + 2 + 12 * (len(fields) + 2) + 4
    pixels_at = start + 8 * len(strips)
    offsets = [pixels_at + sum(map(len, strips[:number])) for number in range(len(strips))]
    arrays = {273: offsets, 279: list(map(len, strips))}
    head, body = struct.pack("<2sHIH", b"II", 42, 8, len(fields) + 2), b""
    for tag in sorted(fields | arrays):
        if tag in fields:
            head += struct.pack("<HHII", tag, 4, 1, *fields[tag])
            continue
        values = arrays[tag]
        at = values[0] if len(values) == 1 else start + len(body)
        head += struct.pack("<HHII", tag, 4, len(values), at)
        body += struct.pack(f"<{len(values)}I", *values)
    path.write_bytes(head + b"\0\0\0\0" + body.ljust(8 * len(strips), b"\0") + b"".join(strips))


GDALS_OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "big-endian": ("uint16", {"endianness": "BIG", "compress": "lzw"}),
    "jpeg": ("uint8", {"compress": "jpeg", "interleave": "pixel", "photometric": "RGB"}),
    "packbits": ("uint8", {"compress": "packbits"}),
    "lerc": ("float32", {"compress": "lerc"}),
    "12 bits": ("uint16", {"nbits": 12}),
    "half precision": ("float32", {"nbits": 16}),
    "predictor 3 by pixel": ("float32", {"compress": "zstd", "predictor": 3, "interleave": "pixel"}),
    "predictor 2 of floats": ("float32", {"compress": "zstd", "predictor": 2}),
    "huge tiles": ("uint8", {"tiled": True, "blockxsize": 2048, "blockysize": 16, "compress": "lzw"}),
}


@pytest.mark.parametrize("kind", GDALS_OWN)
def test_what_is_left_to_gdal(tmp_path: Path, kind: str) -> None:
    dtype, options = GDALS_OWN[kind]
    bands = np.clip(np.nan_to_num(bands_of(dtype)), 0, 100).astype(dtype)
    path = write_bands(tmp_path / "image.tif", bands, **options)
    assert read_layout(path, inspect(path)) is None


def test_other_files_are_left_to_gdal(tmp_path: Path, write_tiff: WriteTiff) -> None:
    blank = np.zeros((1, 64, 64), np.uint8)
    sparse = write_tiff(blank, "sparse.tif", SPARSE_OK=True, tiled=True, blockxsize=16, blockysize=16)
    bits = write_tiff(blank, "bits.tif", nbits=1)
    png, table = tmp_path / "image.png", tmp_path / "table.tif"
    Image.fromarray(blank[0]).save(png)
    Image.fromarray(blank[0]).convert("P").save(table)
    for path in (sparse, bits, png, table):
        assert read_layout(path, inspect(path)) is None, path.name
    reversed_bits = tmp_path / "reversed.tif"
    by_hand(reversed_bits, [bytes(8)], {259: 1, 266: 2, 278: 2}, (2, 2))
    assert read_layout(reversed_bits, inspect(reversed_bits)) is None


def test_bands_of_different_types_are_left_to_gdal(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    by_hand(path, [bytes(16)], {259: 1, 278: 2, 339: 2}, (2, 2))
    info = inspect(path)
    assert read_layout(path, info) is not None
    # what `inspect` says of an image of uint16 and int16
    assert read_layout(path, replace(info, dtype="int32")) is None


@pytest.mark.parametrize("way", ["cut short", "zeros", "ones", "text"])
@pytest.mark.parametrize("compress", ["none", "lzw", "deflate", "zstd"])
@pytest.mark.parametrize("tiled", [False, True])
def test_a_damaged_block_gives_no_numbers(tmp_path: Path, compress: str, way: str, tiled: bool) -> None:
    if compress == "none" and way != "cut short":
        return  # any bytes are pixels
    shape = {"tiled": True, "blockxsize": 32, "blockysize": 32} if tiled else {"blockysize": 24}
    bands = bands_of("uint16", 2)
    path = write_bands(tmp_path / "image.tif", bands, compress=compress, interleave="band", **shape)
    layout = layout_of(path)
    whole = path.read_bytes()
    for block in range(layout.blocks):
        offset, size = int(layout.offsets[block]), int(layout.sizes[block])
        sizes = layout.sizes.copy()
        if way == "cut short":
            sizes[block] = size // 2
        else:
            garbage = {"zeros": b"\0", "ones": b"\xff", "text": b"no pixels "}[way] * size
            path.write_bytes(whole[:offset] + garbage[:size] + whole[offset + size :])
        with open_tiles(path, replace(layout, sizes=sizes)) as reader:
            with pytest.raises(TruncatedImage):
                reader.read(Window(0, 0, WIDTH, HEIGHT), [1, 2])
            path.write_bytes(whole)


def test_a_block_beyond_the_end_of_the_file(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "image.tif", bands_of("uint16"), blockysize=20)
    info = inspect(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(TruncatedImage):
        read_layout(path, info)
    # a size of 2**64 - 1 must not ask for so much memory, nor wrap around
    path = write_bands(tmp_path / "big.tif", bands_of("uint16", 1), blockysize=20, bigtiff="YES")
    with tifffile.TiffFile(path, mode="r+") as file:
        tag = file.pages.first.tags["StripByteCounts"]
        width = {3: 2, 4: 4, 16: 8}[int(tag.dtype)]
        content = bytearray(path.read_bytes())
        content[tag.valueoffset : tag.valueoffset + width] = b"\xff" * width
    path.write_bytes(content)
    with pytest.raises(TruncatedImage):
        read_layout(path, inspect(path))


def test_short_strips_without_compression(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    rows = np.zeros((130, 5), np.uint16)
    by_hand(path, [rows.tobytes()[:-2], b"next"], {259: 1, 278: 130}, rows.shape)
    layout = read_layout(path, inspect(path))
    assert layout is None, "two strips where one was announced"
    by_hand(path, [rows.tobytes()[:-2]], {259: 1, 278: 130}, rows.shape)
    path.write_bytes(path.read_bytes() + bytes(100))
    with pytest.raises(TruncatedImage):
        read(path)


def test_threads_share_a_reader(tmp_path: Path) -> None:
    bands = bands_of("uint16")
    for number, shape in enumerate(SHAPES):
        path = write_bands(tmp_path / f"{number}.tif", bands, compress="deflate", **shape)
        with open_tiles(path, layout_of(path)) as reader, ThreadPoolExecutor(4) as pool:
            # arrays are valid until the thread reads again
            places = [Window(x, y, 30, 40) for y in (0, 20, 43) for x in (0, 35, 71)] * 4
            found = pool.map(lambda window, reader=reader: np.array(reader.read(window, [3, 2])), places)
            for window, arrays in zip(places, found, strict=True):
                np.testing.assert_array_equal(arrays, bands[[2, 1]][(slice(None), *window.toslices())])


def test_no_more_blocks_are_kept_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bands = bands_of("uint16", 1)
    path = write_bands(tmp_path / "image.tif", bands, compress="deflate", blockysize=7)
    layout = layout_of(path)
    monkeypatch.setattr(tiles, "_KEPT_BYTES", 3 * 7 * WIDTH * 2)
    with path.open("rb") as file:
        reader = TileReader(file.fileno(), layout)
        for _ in range(2):
            np.testing.assert_array_equal(reader.read(Window(0, 0, WIDTH, HEIGHT), [1])[0], bands[0])
        assert len(reader._scratch.kept) <= 3
