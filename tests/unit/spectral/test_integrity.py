from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from orthoray.errors import NotAnImage, TruncatedImage
from orthoray.spectral.integrity import check_complete

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
