from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import rasterio.shutil
import tifffile
from PIL import Image
from rasters import UTM

from orthoray.errors import NotAnImage, TruncatedImage
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.raster import inspect, open_raster

WriteTiff = Callable[..., Path]
EditTiff = Callable[[Path], AbstractContextManager[Any]]

RNG = np.random.default_rng(3)
PIXELS: npt.NDArray[Any] = np.kron(
    RNG.integers(0, 255, (20, 30, 3), dtype=np.uint8), np.ones((12, 10, 1), np.uint8)
)
KINDS = ("jpg", "png", "bmp", "tif")


def saved(folder: Path, suffix: str, **options: Any) -> Path:
    path = folder / f"image.{suffix}"
    Image.fromarray(PIXELS).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", KINDS)
def test_a_whole_file_passes_with_bytes_after_its_end(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path, suffix)
    check_complete(path)
    path.write_bytes(path.read_bytes() + b"\0\0trailing")
    check_complete(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("suffix", KINDS)
def test_a_cut_file_fails(tmp_path: Path, suffix: str, share: float) -> None:
    path = saved(tmp_path, suffix)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(TruncatedImage):
        check_complete(path)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_cut_in_half(tmp_path: Path, progressive: bool) -> None:
    path = saved(tmp_path, "jpg", progressive=progressive)
    check_complete(path)
    content = path.read_bytes()
    for end in (b"", b"\xff\xd9"):
        path.write_bytes(content[: len(content) // 2] + end)
        with pytest.raises(TruncatedImage):
            check_complete(path)


def test_damage_inside_a_jpeg(tmp_path: Path) -> None:
    path = saved(tmp_path, "jpg")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = b"\x12" * 40
    path.write_bytes(content)
    with pytest.raises(TruncatedImage):
        check_complete(path)


@pytest.mark.parametrize("thumbnail_side", [None, 100, 125])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("side", [300, 1000, 1030])
def test_photos_that_are_decoded_reduced(
    tmp_path: Path, side: int, progressive: bool, thumbnail_side: int | None
) -> None:
    path = tmp_path / "photo.jpg"
    image = Image.fromarray(PIXELS).resize((side, side // 2))
    options: dict[str, Any] = {"progressive": progressive}
    if thumbnail_side:  # an eighth of a side of 1000: as big as what the decoder itself would offer
        options["exif"] = exif_with_thumbnail(image.resize((thumbnail_side, thumbnail_side // 2)))
    image.save(path, quality=95, **options)
    check_complete(path)
    content = path.read_bytes()
    start = content.rindex(b"\xff\xda")
    for cut in (content[: start + 60], content[: (start + len(content)) // 2], content[:-40]):
        for end in (b"", b"\xff\xd9"):
            path.write_bytes(cut + end)
            with pytest.raises(TruncatedImage):
                check_complete(path)


def exif_with_thumbnail(image: Image.Image) -> bytes:
    """An APP1 segment whose second directory holds a JPEG, as cameras write it."""
    thumbnail = io.BytesIO()
    image.save(thumbnail, "JPEG")
    data = thumbnail.getvalue()
    entries = [(0x0103, 3, 1, 6), (0x0201, 4, 1, 56), (0x0202, 4, 1, len(data))]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<HI", 0, 14)
    return b"Exif\0\0" + start + struct.pack("<H", len(entries)) + table + bytes(4) + data


def test_a_second_picture_inside_a_jpeg_passes(tmp_path: Path) -> None:
    path = tmp_path / "drone.jpg"
    image = Image.fromarray(PIXELS)
    image.save(path, format="MPO", save_all=True, append_images=[image.resize((60, 48))])
    check_complete(path)


def test_a_flipped_bit_in_a_png(tmp_path: Path) -> None:
    path = saved(tmp_path, "png")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(TruncatedImage):
        check_complete(path)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bitmaps_of_every_depth(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.bmp"
    Image.fromarray(PIXELS[:13, :17]).convert(mode).save(path)
    check_complete(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TruncatedImage):
        check_complete(path)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_tiff_flavours(tmp_path: Path, byteorder: str, big: bool, tile: tuple[int, int] | None) -> None:
    path = tmp_path / "image.tif"
    for order in ("image", "again"):
        tifffile.imwrite(
            path, PIXELS, byteorder=byteorder, bigtiff=big, tile=tile, append=order == "again",
            photometric="rgb", metadata=None,
        )  # fmt: skip
    check_complete(path)
    content = path.read_bytes()
    for lost in (1, len(content) // 4, len(content) // 2):
        path.write_bytes(content[:-lost])
        with pytest.raises(TruncatedImage):
            check_complete(path)


def test_tiff_with_overviews_and_mask(write_tiff: WriteTiff, edit_tiff: EditTiff) -> None:
    path = write_tiff(
        np.moveaxis(PIXELS, -1, 0), mask=PIXELS[..., 0] > 99, tiled=True, blockxsize=64, blockysize=64
    )
    with edit_tiff(path) as dataset:
        dataset.build_overviews([2, 4])
    check_complete(path)


def test_sub_directories_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(PIXELS, subifds=1, photometric="rgb")
        writer.write(PIXELS[::2, ::2], photometric="rgb")
    check_complete(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TruncatedImage):
        check_complete(path)


def test_sparse_tiff_passes(write_tiff: WriteTiff) -> None:
    path = write_tiff(
        np.zeros((1, 128, 128), np.uint8), tiled=True, blockxsize=64, blockysize=64, SPARSE_OK=True
    )
    check_complete(path)


def test_directories_in_a_circle(tmp_path: Path) -> None:
    path = tmp_path / "circle.tif"
    entry = struct.pack("<HHII", 256, 3, 1, 1)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 8))
    with pytest.raises(TruncatedImage):
        check_complete(path)


def test_offsets_that_would_overflow(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    most = 2**64 - 1
    entries = struct.pack("<HHQQ", 273, 16, 1, most) + struct.pack("<HHQQ", 279, 16, 1, most)
    path.write_bytes(b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2) + entries + struct.pack("<Q", 0))
    with pytest.raises(TruncatedImage):
        check_complete(path)


def test_other_files_are_not_images(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_text("text")
    with pytest.raises(NotAnImage) as caught:
        check_complete(path)
    assert not isinstance(caught.value, TruncatedImage)


@pytest.mark.parametrize("name", ["rgb_ortho.tif", "rgbn.tif"])
def test_real_files_are_whole(sample: Callable[[str], Path], name: str) -> None:
    check_complete(sample(name))


def labelled(path: Path, *, mask: bool = False, overviews: bool = False, **profile: Any) -> Path:
    """A GeoTIFF whose descriptions and nodata value are set after its pixels, so that they stand at the end."""
    bands = np.random.default_rng(8).integers(1, 200, (4, 96, 80), dtype=np.uint8)
    options = {"driver": "GTiff", "count": 4, "height": 96, "width": 80, "dtype": "uint8", **UTM}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with rasterio.open(path, "w", photometric="MINISBLACK", **(options | profile)) as dataset:
            dataset.write(bands)
            if mask:
                dataset.write_mask(bands[0] > 50)
        with rasterio.open(path, "r+") as dataset:
            dataset.nodata = None if mask else 7
            dataset.descriptions = ("red", "green", "blue", "nir")
            dataset.update_tags(flown_by="a drone with a long name")
            if overviews:
                dataset.build_overviews([2, 4])
    return path


def as_cog(path: Path, *, mask: bool = False, bigtiff: str = "NO") -> Path:
    plain = labelled(path.with_name("plain.tif"), mask=mask)
    rasterio.shutil.copy(plain, path, driver="COG", compress="DEFLATE", blocksize=32, bigtiff=bigtiff)
    return path


def everything(path: Path) -> tuple[Any, ...]:
    with open_raster(path) as dataset:
        return (
            dataset.read().tobytes(),
            dataset.dataset_mask().tobytes(),
            dataset.nodatavals,
            dataset.crs,
            dataset.transform,
            dataset.descriptions,
            dataset.tags(),
            dataset.overviews(1),
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "write",
    [
        labelled,
        partial(labelled, compress="deflate"),
        partial(labelled, compress="zstd", tiled=True, blockxsize=32, blockysize=32),
        partial(labelled, bigtiff="YES"),
        partial(labelled, bigtiff="YES", compress="deflate", interleave="band"),
        partial(labelled, mask=True, compress="deflate"),
        partial(labelled, overviews=True, compress="lzw", tiled=True, blockxsize=32, blockysize=32),
        partial(labelled, endianness="BIG", compress="deflate"),
        as_cog,
        partial(as_cog, mask=True),
        partial(as_cog, bigtiff="YES"),
    ],
)
def test_a_cut_tiff_is_refused_or_reads_the_same(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path / "image.tif")
    content, whole = path.read_bytes(), everything(path)
    check_complete(path)
    assert inspect(path).width == 80  # overviews and masks are no images of their own
    refused = 0
    for cut in (*range(1, 24), *range(24, 600, 9)):
        path.write_bytes(content[:-cut])
        try:
            check_complete(path)
        except TruncatedImage:
            refused += 1
        else:
            assert everything(path) == whole, f"{cut} bytes cut off"
    assert refused > 80


def test_a_cog_without_its_last_byte_is_refused(tmp_path: Path) -> None:
    path = as_cog(tmp_path / "image.tif")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TruncatedImage):
        check_complete(path)


def test_a_cog_that_was_edited_needs_no_trailers(tmp_path: Path) -> None:
    path = as_cog(tmp_path / "image.tif")
    with (
        warnings.catch_warnings(action="ignore"),
        rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset,
    ):
        dataset.write(np.full((96, 80), 9, np.uint8), 1)
    check_complete(path)


@pytest.mark.parametrize(("kind", "passes"), [(2, False), (12, False), (99, True)])
def test_values_of_any_tag_must_lie_in_the_file(tmp_path: Path, kind: int, passes: bool) -> None:
    path = tmp_path / "image.tif"
    entries = [(256, 3, 1, 2), (257, 3, 1, 2), (273, 4, 1, 8), (279, 4, 1, 4), (65000, kind, 40, 100)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = struct.pack("<2sHI4s", b"II", 42, 12, b"data") + struct.pack("<H", len(entries))
    path.write_bytes(start + table + bytes(4))
    if passes:  # nobody knows the size of a value of an unknown type
        check_complete(path)
        return
    with pytest.raises(TruncatedImage):
        check_complete(path)


@pytest.mark.parametrize(
    ("pointer", "fields"), [(34665, {36867: "2024:05:31 12:00:00"}), (34853, {2: (47.0, 1.0, 30.0)})]
)
def test_the_directories_of_exif_are_checked(tmp_path: Path, pointer: int, fields: dict[int, Any]) -> None:
    path = tmp_path / "image.tif"
    Image.new("RGB", (8, 8)).save(path, tiffinfo={pointer: fields})
    check_complete(path)
    content = bytearray(path.read_bytes())
    (directory,) = struct.unpack_from("<I", content, content.index(struct.pack("<HHI", pointer, 4, 1)) + 8)
    for at, offset in ((directory + 10, len(content) - 6), (directory + 10, 2**32 - 1)):
        struct.pack_into("<I", content, at, offset)
        path.write_bytes(content)
        with pytest.raises(TruncatedImage):
            check_complete(path)


def test_a_next_directory_beyond_the_end(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8), metadata=None)
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * entries, len(content) + 10)
    path.write_bytes(content)
    with pytest.raises(TruncatedImage):
        check_complete(path)
