from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from jpeg2000 import noisy_field, write_jp2
from PIL import Image
from rasters import UTM

from orthoray.errors import Impossible, NotAnImage, OrthoRayError, TooLarge, TruncatedImage
from orthoray.spectral import jp2
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.jp2 import Header, check_parts, read_header
from orthoray.spectral.raster import inspect, open_raster, read_window, windows
from orthoray.spectral.thumbnail import thumbnail_png

TILES = {"blockxsize": 32, "blockysize": 32}


def pixels_of(path: Path) -> npt.NDArray[Any]:
    info = inspect(path)
    found = np.zeros((info.count, info.height, info.width), info.dtype)
    with open_raster(path) as dataset:
        for window in windows(info):
            arrays, masked = read_window(dataset, window, range(1, info.count + 1))
            found[(slice(None), *window.toslices())] = arrays
            assert not masked.any()
    return found


def header_of(content: bytes) -> Header:
    return read_header(io.BytesIO(content), len(content))


def codestream(folder: Path, **options: Any) -> bytearray:
    return bytearray(write_jp2(folder / "image.j2k", noisy_field(), **options).read_bytes())


def patched(content: bytearray, marker: int, offset: int, codes: str, *values: int) -> bytes:
    """`content` with `values` at `offset` behind the length of the first segment of this marker."""
    struct.pack_into(codes, content, content.index(struct.pack(">H", marker)) + 4 + offset, *values)
    return bytes(content)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
@pytest.mark.parametrize("count", [1, 2, 4, 5])
@pytest.mark.parametrize("suffix", ["jp2", "j2k"])
@pytest.mark.parametrize("layout", [{}, TILES])
def test_pixels_as_written(
    tmp_path: Path, dtype: str, count: int, suffix: str, layout: dict[str, Any]
) -> None:
    bands = noisy_field(count, dtype=dtype)
    if dtype == "int16":
        bands -= 50
    path = write_jp2(tmp_path / f"image.{suffix}", bands, **layout)
    check_complete(path)
    info = inspect(path)
    assert (info.driver, info.width, info.height, info.count) == ("JP2OpenJPEG", 96, 80, count)
    assert info.media_type == {"jp2": "image/jp2", "j2k": "image/j2c"}[suffix]
    assert (info.dtype, info.interleave, info.tiled) == (dtype, "pixel", bool(layout))
    assert (info.block_width, info.block_height) == ((32, 32) if layout else (96, 80))
    np.testing.assert_array_equal(pixels_of(path), bands)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
def test_odd_shapes(tmp_path: Path, shape: tuple[int, int]) -> None:
    bands = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(1, *shape)
    path = write_jp2(tmp_path / "image.jp2", bands)
    check_complete(path)
    np.testing.assert_array_equal(pixels_of(path), bands)


def test_georeferencing_lies_in_the_file(tmp_path: Path) -> None:
    path = write_jp2(tmp_path / "image.jp2", noisy_field(1), **UTM)
    info = inspect(path)
    assert info.epsg == 32635
    assert info.transform == (10.0, 0.0, 630_000.0, 0.0, -10.0, 5_210_000.0)


def test_sidecar_files_are_not_read(tmp_path: Path) -> None:
    path = write_jp2(tmp_path / "image.jp2", noisy_field(1))
    (tmp_path / "image.j2w").write_text("1\n0\n0\n-1\n600000\n5200000\n")
    Path(f"{path}.aux.xml").write_text("<PAMDataset><SRS>EPSG:32633</SRS></PAMDataset>")
    info = inspect(path)
    assert (info.crs_wkt, info.transform) == (None, None)


@pytest.mark.parametrize(
    ("mode", "colours"),
    [("L", ("gray",)), ("RGB", ("red", "green", "blue")), ("RGBA", ("red", "green", "blue", "alpha"))],
)
def test_photos_name_their_colours(tmp_path: Path, mode: str, colours: tuple[str, ...]) -> None:
    path = tmp_path / "photo.jp2"
    pixels = np.moveaxis(noisy_field(4, dtype="uint8"), 0, -1)
    Image.fromarray(pixels, "RGBA").convert(mode).save(path)
    assert inspect(path).colours == colours
    assert Image.open(io.BytesIO(thumbnail_png(path, max_side=48))).size == (48, 40)


def test_alpha_masks(tmp_path: Path) -> None:
    pixels = np.full((40, 40, 4), 200, np.uint8)
    pixels[:9, :, 3] = 0
    Image.fromarray(pixels, "RGBA").save(tmp_path / "photo.jp2")
    with open_raster(tmp_path / "photo.jp2") as dataset:
        masked = read_window(dataset, None, [1], alpha=4)[1]
    np.testing.assert_array_equal(masked, pixels[..., 3] == 0)


@pytest.mark.parametrize(
    "write",
    [
        partial(write_jp2, bands=noisy_field()),
        partial(write_jp2, bands=noisy_field(), **TILES),
        partial(write_jp2, bands=noisy_field(), QUALITY=30, REVERSIBLE="NO"),
        partial(write_jp2, bands=noisy_field(), PROGRESSION="RPCL", SOP="YES", EPH="YES", PLT="YES"),
        partial(write_jp2, bands=noisy_field(), TLM="YES", **TILES),
    ],
)
@pytest.mark.parametrize("suffix", ["jp2", "j2k"])
def test_a_cut_file_is_refused_and_never_gives_wrong_numbers(
    tmp_path: Path, write: Callable[..., Path], suffix: str
) -> None:
    path = write(tmp_path / f"image.{suffix}")
    content, whole = path.read_bytes(), pixels_of(path)
    check_complete(path)
    path.write_bytes(content + b"\0\0trailing")
    check_complete(path)
    for cut in (*range(1, 9), *range(9, len(content) - 12, len(content) // 15)):
        path.write_bytes(content[:-cut])
        with pytest.raises(TruncatedImage):
            check_complete(path)
        try:
            found = pixels_of(path)
        except NotAnImage:
            continue
        np.testing.assert_array_equal(found, whole, f"{cut} bytes cut off")


@pytest.mark.parametrize("layout", [{}, TILES])
def test_a_cut_that_was_mended_is_found_by_decoding(tmp_path: Path, layout: dict[str, Any]) -> None:
    content = codestream(tmp_path, **layout)
    path = tmp_path / "image.j2k"
    whole = pixels_of(path)
    last = content.rindex(b"\xff\x90\0\x0a")
    struct.pack_into(">I", content, last + 6, 0)  # the last tile-part goes up to the end, wherever that is
    path.write_bytes(content)
    check_complete(path)
    np.testing.assert_array_equal(pixels_of(path), whole)
    for keep in range(last + 20, len(content) - 3, max(1, (len(content) - last) // 15)):
        path.write_bytes(content[:keep] + b"\xff\xd9")
        check_complete(path)
        with pytest.raises(TruncatedImage):
            pixels_of(path)


def test_a_box_behind_the_pixels_is_checked(tmp_path: Path) -> None:
    content = write_jp2(tmp_path / "image.jp2", noisy_field(1)).read_bytes()
    box = struct.pack(">I4s", 100, b"uuid") + bytes(92)
    header_of(content + box)
    with pytest.raises(TruncatedImage):
        header_of(content + box[:-1])


def test_a_tile_that_is_missing(tmp_path: Path) -> None:
    content = codestream(tmp_path, **TILES)
    last = content.rindex(b"\xff\x90\0\x0a")
    with pytest.raises(TruncatedImage):
        check_parts(io.BytesIO(content[:last] + b"\xff\xd9"), last + 2)


def test_a_part_that_is_missing(tmp_path: Path) -> None:
    content = codestream(tmp_path)
    content[content.index(b"\xff\x90\0\x0a") + 11] = 2  # TNsot
    with pytest.raises(TruncatedImage):
        check_parts(io.BytesIO(content), len(content))


def test_the_header(tmp_path: Path) -> None:
    assert header_of(codestream(tmp_path)) == Header(96, 80, 96, 80, 3, 1, None)
    assert header_of(codestream(tmp_path, **TILES)) == Header(96, 80, 32, 32, 3, 9, None)
    Image.new("RGB", (10, 20)).save(tmp_path / "photo.jp2")
    assert header_of((tmp_path / "photo.jp2").read_bytes()) == Header(10, 20, 10, 20, 3, 1, 16)


def test_limits_are_told_by_the_header(tmp_path: Path) -> None:
    path = tmp_path / "image.j2k"
    content = codestream(tmp_path)
    with pytest.raises(TooLarge, match="7,680 pixels, the limit is 7,679"):
        inspect(path, max_pixels=7679)
    path.write_bytes(patched(content, 0xFF51, 2, ">IIIIII", 40_000, 40_000, 0, 0, 1024, 1024))
    with pytest.raises(TooLarge, match="1,600,000,000 pixels"):
        inspect(path)
    write_jp2(path, np.zeros((65, 4, 4), np.uint8))
    with pytest.raises(TooLarge, match="65 bands"):
        inspect(path)


@pytest.mark.parametrize(
    ("marker", "offset", "codes", "values", "words"),
    [
        (0xFF51, 2, ">IIIIII", (12_000, 12_000, 0, 0, 12_000, 12_000), "one huge tile"),
        (0xFF51, 2, ">IIIIII", (9_000, 9_000, 0, 0, 16, 16), "too many tiles"),
        (0xFF51, 34, ">H", (65_535,), None),
        (0xFF52, 2, ">H", (60_000,), "too many small blocks"),
    ],
)
def test_what_would_need_too_much_memory(
    tmp_path: Path, marker: int, offset: int, codes: str, values: tuple[int, ...], words: str | None
) -> None:
    content = patched(codestream(tmp_path), marker, offset, codes, *values)
    with pytest.raises(TooLarge if words else TruncatedImage, match=words):
        header_of(content)


@pytest.mark.parametrize(
    ("block", "precinct", "is_refused"), [((4, 4), None, False), ((0, 0), None, True), ((4, 4), 1, True)]
)
def test_small_code_blocks_and_precincts(
    tmp_path: Path, block: tuple[int, int], precinct: int | None, is_refused: bool
) -> None:
    content = codestream(tmp_path)
    patched(content, 0xFF51, 2, ">IIIIII", 5_000, 5_000, 0, 0, 5_000, 5_000)
    at = content.index(b"\xff\x52") + 4
    content[at + 6 : at + 8] = bytes(block)
    if precinct is not None:
        levels = content[at + 5]
        content[at] |= 1
        content[at + 10 : at + 10] = bytes([precinct * 17] * (levels + 1))
        struct.pack_into(">H", content, at - 2, 12 + levels + 1)
    if is_refused:
        with pytest.raises(TooLarge, match="code-blocks of 64 x 64"):
            header_of(content)
    else:
        assert header_of(content).width == 5_000


def test_coding_of_one_component_or_tile_counts_too(tmp_path: Path) -> None:
    content = codestream(tmp_path)
    patched(content, 0xFF51, 2, ">IIIIII", 5_000, 5_000, 0, 0, 5_000, 5_000)
    coding = struct.pack(">HHBBBBBBB", 0xFF53, 9, 0, 0, 5, 0, 0, 0, 1)
    main = content.index(b"\xff\x90\0\x0a")
    for at in (main, content.index(b"\xff\x93", main)):
        with pytest.raises(TooLarge, match="small blocks"):
            header_of(bytes(content[:at] + coding + content[at:]))


def test_a_tile_of_too_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = codestream(tmp_path)
    monkeypatch.setattr(jp2, "_MAX_TILE_BYTES", 1000)
    with pytest.raises(TooLarge, match="huge tile"):
        header_of(content)


@pytest.mark.parametrize(("space", "words"), [(12, "CMYK"), (18, "red, green and blue"), (14, "red, green")])
def test_other_colour_spaces_are_refused(tmp_path: Path, space: int, words: str) -> None:
    path = tmp_path / "photo.jp2"
    Image.new("RGB", (10, 20)).save(path)
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, content.index(b"colr") + 7, space)
    path.write_bytes(content)
    with pytest.raises(Impossible, match=words):
        inspect(path)


def test_bands_of_different_sizes_are_refused(tmp_path: Path) -> None:
    content = patched(codestream(tmp_path), 0xFF51, 36 + 3, ">BBB", 15, 2, 2)
    with pytest.raises(Impossible, match="of one size"):
        header_of(content)


def test_several_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.jp2"
    Image.new("RGB", (10, 20)).save(path)
    content = bytearray(path.read_bytes())
    box = content.index(b"jp2c") - 4
    struct.pack_into(">I", content, box, len(content) - box)
    path.write_bytes(content + content[box:])
    with pytest.raises(Impossible, match="2 images"):
        inspect(path)


def test_garbage_never_breaks_the_reader(tmp_path: Path) -> None:
    write_jp2(tmp_path / "image.jp2", noisy_field(1, 24, 32))
    content = (tmp_path / "image.jp2").read_bytes()
    random = np.random.default_rng(7)
    for _ in range(400):
        broken = bytearray(content)
        for place in random.integers(0, min(300, len(content)), 3):
            broken[place] = random.integers(0, 256)
        for read in (read_header, check_parts):
            try:
                read(io.BytesIO(broken), len(broken))
            except OrthoRayError:
                continue
