from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rawpy
from PIL import Image
from raws import sensor_values, write_dng, write_grey_dng

from OLD.image_processing import load_image
from orthoray.errors import NotAnImage, TooLarge, TruncatedImage
from orthoray.spectral import raw
from orthoray.spectral.formats import ARW, CR2, DNG, NEF, OTHER_RAW, RW2, TIFF, Format, detect_format
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.orientation import UPRIGHT, orientation_of, turned
from orthoray.spectral.raster import inspect, open_raster, read_window
from orthoray.spectral.raw import develop, prepared, read_size
from orthoray.spectral.thumbnail import thumbnail_png


def pixels_of(path: Path) -> npt.NDArray[Any]:
    """All bands, (rows, columns, count)."""
    with open_raster(path) as dataset:
        arrays, masked = read_window(dataset, None, range(1, dataset.count + 1))
    assert not masked.any()
    return np.dstack(arrays)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; has to be empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_described_as_developed(tmp_path: Path, orientation: int) -> None:
    path = write_dng(tmp_path / "photo.dng", orientation=orientation)
    info = inspect(path)
    pixels = pixels_of(path)
    assert pixels.shape == (info.height, info.width, info.count)
    assert pixels.shape[:2] == ((48, 80) if orientation < 5 else (80, 48))
    np.testing.assert_array_equal(pixels, load_image(path))
    assert orientation_of(path, info) == UPRIGHT, "it is developed upright"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_bright_corner_stands_where_the_camera_says(tmp_path: Path, orientation: int) -> None:
    rows, columns = np.mgrid[:48, :80]
    corner = np.where((rows > 32) & (columns > 56), 12_000, 1_000).astype(np.uint16)
    path = write_dng(tmp_path / "photo.dng", corner, orientation=orientation)
    bright = pixels_of(path).mean(axis=2) > 128
    expected = turned(corner > 5_000, orientation)
    assert (bright == expected).mean() > 0.97


def test_the_description(tmp_path: Path) -> None:
    info = inspect(write_dng(tmp_path / "photo.dng"))
    assert (info.driver, info.media_type, info.dtype) == ("RAW", "image/x-adobe-dng", "uint8")
    assert (info.count, info.colours) == (3, ("red", "green", "blue"))
    assert not info.georeferenced


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    for scale in ((2, 1), (1, 2)):
        path = write_dng(tmp_path / "photo.dng", pixel_scale=scale)
        info = inspect(path)
        assert (info.width, info.height) == (80 * scale[0], 48 * scale[1])
        assert pixels_of(path).shape[:2] == (info.height, info.width)


def test_a_camera_without_colours(tmp_path: Path) -> None:
    path = write_grey_dng(tmp_path / "grey.dng")
    info = inspect(path)
    assert (info.count, info.colours) == (1, ("gray",))
    assert pixels_of(path).shape == (48, 80, 1)


def test_prepared_leaves_nothing_behind(tmp_path: Path, temporary: Path) -> None:
    path = write_dng(tmp_path / "photo.dng")
    with prepared(path) as ready:
        assert ready.is_relative_to(temporary)
        assert detect_format(ready) is TIFF
        info = inspect(ready)
        assert (info.driver, info.tiled, info.interleave) == ("GTiff", True, "pixel")
    assert not ready.exists()
    with pytest.raises(RuntimeError), prepared(path):
        raise RuntimeError


def test_prepared_passes_others_through(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (4, 4)).save(path)
    with prepared(path) as ready:
        assert ready == path


def test_everything_else_works_on_it(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_dng(tmp_path / "photo.dng", orientation=6)
    check_complete(path)
    with open_raster(path) as dataset:
        assert not read_window(dataset, None, [1, 2])[1].any()
    developed = []
    monkeypatch.setattr(raw, "develop", lambda *paths: developed.append(1) or develop(*paths))
    assert Image.open(BytesIO(thumbnail_png(path, max_side=40))).size == (24, 40)
    assert len(developed) == 1


@pytest.mark.parametrize(
    ("make", "is_dng", "expected"),
    [
        ("OrthoRay", True, DNG),
        ("NIKON CORPORATION", True, DNG),
        ("NIKON CORPORATION", False, NEF),
        ("SONY", False, ARW),
        ("OrthoRay", False, OTHER_RAW),
    ],
)
def test_formats_by_content(tmp_path: Path, make: str, is_dng: bool, expected: Format) -> None:
    path = write_dng(tmp_path / "image.tif", make=make, is_dng=is_dng)
    assert detect_format(path) is expected
    assert expected.is_raw


@pytest.mark.parametrize(("head", "expected"), [(b"II*\0\x10\0\0\0CR\2\0", CR2), (b"IIU\0\x18\0\0\0", RW2)])
def test_formats_by_their_first_bytes(tmp_path: Path, head: bytes, expected: Format) -> None:
    path = tmp_path / "image.raw"
    path.write_bytes(head + bytes(100))
    assert detect_format(path) is expected
    with pytest.raises(NotAnImage):
        inspect(path)
    with pytest.raises(NotAnImage):
        check_complete(path)


def test_what_libraw_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "odd.dng"
    Image.new("RGB", (20, 20)).save(path, format="TIFF", tiffinfo={50706: b"\1\4\0\0"})
    for read in (inspect, check_complete, lambda path: develop(path, tmp_path / "x.tif")):
        with pytest.raises(NotAnImage, match="raw file cannot be developed") as caught:
            read(path)
        assert not isinstance(caught.value, TruncatedImage)


@pytest.mark.parametrize("options", [{}, {"compression": "jpeg", "compressionargs": {"lossless": True}}])
def test_a_cut_file_is_refused_or_reads_the_same(tmp_path: Path, options: dict[str, Any]) -> None:
    if options:
        options = {**options, "compressionargs": {"lossless": True, "bitspersample": 16}}
    path = write_dng(tmp_path / "photo.dng", **options)
    content, whole = path.read_bytes(), pixels_of(path)
    check_complete(path)
    refused = 0
    for cut in (*range(1, 12), *range(12, len(content) - 4, len(content) // 25)):
        path.write_bytes(content[:-cut])
        try:
            check_complete(path)
        except NotAnImage:
            refused += 1
        else:
            np.testing.assert_array_equal(pixels_of(path), whole, f"{cut} bytes cut off")
    assert refused > 30


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dng(tmp_path / "photo.dng", sensor_values())
    with pytest.raises(TooLarge, match="3,840 pixels, the limit is 3,839"):
        inspect(path, max_pixels=3839)
    monkeypatch.setattr(raw, "MAX_FILE_BYTES", 1000)
    with pytest.raises(TooLarge, match="1 GiB"):
        read_size(path)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (rawpy.LibRawIOError, TruncatedImage),
        (rawpy.LibRawDataError, TruncatedImage),
        (rawpy.LibRawTooBigError, TooLarge),
        (rawpy.LibRawUnsufficientMemoryError, TooLarge),
        (rawpy.LibRawNotImplementedError, NotAnImage),
    ],
)
def test_errors_are_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], expected: type[Exception]
) -> None:
    def fail(file: object) -> None:
        raise error

    path = write_dng(tmp_path / "photo.dng")
    monkeypatch.setattr(raw.rawpy, "imread", fail)
    with pytest.raises(expected) as caught:
        inspect(path)
    assert str(tmp_path) not in str(caught.value)
