"""Pictures at print size: never enlarged, never in the way of the report."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orthoray.reporting.pictures import Picture, picture_size, print_picture


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(width: int, height: int, channels: int = 3) -> Image.Image:
    values = np.random.default_rng(1).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(values.squeeze())


def opened(picture: Picture | None) -> Image.Image:
    assert picture is not None
    image = Image.open(BytesIO(picture.data))
    image.load()
    assert image.size == (picture.width, picture.height)
    return image


def test_a_big_photo_is_reduced_to_the_box_as_jpeg() -> None:
    image = opened(print_picture(encoded(noise(1200, 600), "JPEG"), (300, 300), photo=True))
    assert (image.format, image.size) == ("JPEG", (300, 150))


def test_a_small_picture_is_not_enlarged(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(encoded(Image.new("RGB", (1, 1), "red")))
    image = opened(print_picture(path, (300, 300), photo=False))
    assert (image.format, image.size, image.getpixel((0, 0))) == ("PNG", (1, 1), (255, 0, 0))


@pytest.mark.parametrize("size", [(30000, 1), (1, 30000)])
def test_extreme_proportions_keep_a_pixel(size: tuple[int, int]) -> None:
    image = opened(print_picture(encoded(Image.new("RGB", size, "red")), (300, 200), photo=False))
    assert min(image.size) == 1
    assert max(image.size) in {300, 200}


def test_a_heatmap_keeps_its_transparency_and_a_photo_lies_on_white() -> None:
    source = encoded(Image.new("RGBA", (40, 40), (255, 0, 0, 0)))
    assert opened(print_picture(source, (20, 20), photo=False)).getpixel((5, 5))[3] == 0
    photo = opened(print_picture(source, (20, 20), photo=True))
    assert photo.mode == "RGB"
    assert min(photo.getpixel((5, 5))) > 250


def test_a_palette_is_shown_in_its_colours() -> None:
    image = Image.new("P", (2000, 10))
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.paste(1, (0, 0, 2000, 10))
    assert opened(print_picture(encoded(image), (100, 100), photo=False)).getpixel((50, 0)) == (10, 200, 30)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_pixels_are_stretched(dtype: type) -> None:
    values = np.tile(np.linspace(1000, 2000, 100), (20, 1)).astype(dtype)
    shown = np.asarray(opened(print_picture(encoded(Image.fromarray(values), "TIFF"), (50, 50), photo=False)))
    assert shown[:, 0].max() < 10
    assert shown[:, -1].min() > 245


def test_exif_orientation_is_applied_and_exif_left_behind() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    source = encoded(noise(60, 20), "JPEG", exif=exif)
    assert picture_size(source) == (20, 60)
    image = opened(print_picture(source, (300, 300), photo=True))
    assert image.size == (20, 60)
    assert not dict(image.getexif())


@pytest.mark.parametrize(
    "source",
    [b"", b"not an image", encoded(noise(64, 64))[:900], b"\x89PNG\r\n\x1a\n" + b"\0" * 64, b"GIF89a"],
    ids=["empty", "text", "truncated", "png-head", "gif-head"],
)
def test_what_cannot_be_read_is_none(source: bytes) -> None:
    assert print_picture(source, (100, 100), photo=True) is None


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    assert picture_size(tmp_path / "none.png") is None
    assert print_picture(tmp_path / "none.png", (10, 10), photo=True) is None


def test_an_image_that_claims_too_many_pixels_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert print_picture(encoded(noise(64, 64)), (10, 10), photo=True) is None
