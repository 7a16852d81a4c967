from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from orthoray.errors import NotAnImage
from orthoray.spectral.formats import BMP, JP2, JPEG, PNG, TIFF, Format, detect_format


@pytest.mark.parametrize(
    ("name", "expected"), [("jpg", JPEG), ("png", PNG), ("bmp", BMP), ("tif", TIFF), ("jp2", JP2)]
)
def test_content_decides_not_the_name(tmp_path: Path, name: str, expected: Format) -> None:
    written = tmp_path / f"image.{name}"
    Image.new("RGB", (3, 2)).save(written)
    renamed = written.rename(tmp_path / "image.dat")
    assert detect_format(renamed) is expected


def test_empty_file_has_its_own_text(tmp_path: Path) -> None:
    path = tmp_path / "empty.tif"
    path.touch()
    with pytest.raises(NotAnImage, match="empty"):
        detect_format(path)


def test_other_content_is_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("GIF89a, or anything else")
    with pytest.raises(NotAnImage, match="JPEG, PNG, BMP, TIFF, JPEG 2000 or camera raw"):
        detect_format(path)
