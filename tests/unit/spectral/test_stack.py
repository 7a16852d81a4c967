from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image
from rasterio.windows import Window

from orthoray.errors import Impossible, NotAnImage, TooLarge
from orthoray.spectral.bands import resolve_bands
from orthoray.spectral.raster import inspect, open_raster, read_window
from orthoray.spectral.stack import Stack, inspect_stack, open_stack, read_stack_window

WriteTiff = Callable[..., Path]

PLACE: dict[str, Any] = {"crs": "EPSG:32635", "transform": Affine(0.5, 0, 600_000, 0, -0.5, 5_200_000)}
ROWS, COLUMNS = 7, 9


def ramp(start: int, dtype: str = "uint16", bands: int = 1) -> Any:
    return (np.arange(bands * ROWS * COLUMNS).reshape(bands, ROWS, COLUMNS) + start).astype(dtype)


def test_a_single_file_is_itself(write_tiff: WriteTiff) -> None:
    path = write_tiff(ramp(0, bands=3), **PLACE)
    stack = inspect_stack([path])
    assert (stack.info, stack.infos, stack.filenames) == (inspect(path), (inspect(path),), ("image.tif",))
    assert [stack.locate(number) for number in (1, 2, 3)] == [(0, 1), (0, 2), (0, 3)]


def test_bands_are_counted_through_the_files(write_tiff: WriteTiff) -> None:
    paths = [
        write_tiff(ramp(0, "uint8"), "a.tif", descriptions=("red",), nodata=0, **PLACE),
        write_tiff(ramp(0, "float32", 2), "b.tif", descriptions=("nir", "green"), nodata=np.nan, **PLACE),
        write_tiff(ramp(0, "uint16"), "c.tif", **PLACE),
    ]
    stack = inspect_stack(paths, ["1_red.tif", "2.tif", "3_blue.tif"])
    assert stack.filenames == ("1_red.tif", "2.tif", "3_blue.tif")
    assert [stack.locate(number) for number in (1, 2, 3, 4)] == [(0, 1), (1, 1), (1, 2), (2, 1)]
    info = stack.info
    assert (info.count, info.dtype, info.epsg, info.width) == (4, "float32", 32635, COLUMNS)
    assert info.descriptions == ("red", "nir", "green", None)
    assert [str(value) for value in info.nodata] == ["0.0", "nan", "nan", "None"]
    assert len(info.scales) == len(info.offsets) == len(info.colours) == 4
    assert resolve_bands(info, filenames=stack.filenames).names == ("R", "N", "G", None)
    assert pickle.loads(pickle.dumps(stack)).locate(4) == (2, 1)  # noqa: S301 - our own bytes
    for number in (0, -1, 5):
        with pytest.raises(IndexError):
            stack.locate(number)


def test_one_band_a_file_is_named_by_the_files(write_tiff: WriteTiff) -> None:
    names = ["field_red.tif", "field_nir.tif"]
    stack = inspect_stack([write_tiff(ramp(0), name, **PLACE) for name in names])
    assert resolve_bands(stack.info, filenames=stack.filenames).numbers == {"R": 1, "N": 2}


@pytest.mark.parametrize("window", [None, Window(2, 1, 5, 4)])
def test_reading_equals_reading_one_file(write_tiff: WriteTiff, window: Window | None) -> None:
    bands = np.stack([ramp(0)[0], ramp(20)[0], ramp(40)[0]])
    bands[0, 1, 2] = bands[2, 3, 3] = 9999
    alone = write_tiff(bands, "all.tif", nodata=9999, **PLACE)
    parts = [
        write_tiff(bands[:1], "a.tif", nodata=9999, **PLACE),
        write_tiff(bands[1:], "b.tif", nodata=9999, **PLACE),
    ]
    stack = inspect_stack(parts)
    for numbers in ((1,), (3, 1), (2, 3), (1, 2, 3), (2, 2)):
        with open_raster(alone) as dataset, open_stack(stack) as datasets:
            arrays, mask = read_window(dataset, window, numbers)
            found, found_mask = read_stack_window(datasets, stack, window, numbers)
        assert_array_equal(found_mask, mask)
        for one, other in zip(found, arrays, strict=True):
            assert_array_equal(one, other)
            assert one.dtype == other.dtype


def test_a_single_file_is_read_as_it_is(write_tiff: WriteTiff) -> None:
    path = write_tiff(np.stack([ramp(1, "uint8")[0], np.eye(ROWS, COLUMNS, dtype="uint8")]), **PLACE)
    stack = inspect_stack([path])
    with open_stack(stack) as datasets:
        arrays, mask = read_stack_window(datasets, stack, None, [1], alpha=2)
    assert_array_equal(arrays[0], ramp(1, "uint8")[0])
    assert_array_equal(mask, ~np.eye(ROWS, COLUMNS, dtype=bool))


@pytest.mark.parametrize("alpha", [2, 3])
def test_a_band_of_another_file_may_mask(write_tiff: WriteTiff, alpha: int) -> None:
    clear = np.eye(ROWS, COLUMNS, dtype="uint8")
    stack = inspect_stack(
        [
            write_tiff(np.stack([ramp(1, "uint8")[0], clear]), "a.tif", **PLACE),
            write_tiff(clear, "b.tif", nodata=1, **PLACE),
        ]
    )
    with open_stack(stack) as datasets:
        mask = read_stack_window(datasets, stack, None, [1], alpha=alpha)[1]
        with pytest.raises(ValueError, match="at least one band"):
            read_stack_window(datasets, stack, None, [])
    assert_array_equal(mask, clear == 0)


def test_masks_of_all_files_count(write_tiff: WriteTiff) -> None:
    hole, values = np.zeros((ROWS, COLUMNS), bool), ramp(0, "float32")
    hole[2, 2] = True
    values[0, 4, 4] = np.nan
    stack = inspect_stack(
        [write_tiff(ramp(0), "a.tif", mask=hole, **PLACE), write_tiff(values, "b.tif", **PLACE)]
    )
    with open_stack(stack) as datasets:
        mask = read_stack_window(datasets, stack, None, [2, 1])[1]
    assert sorted(zip(*np.nonzero(mask), strict=True)) == [(2, 2), (4, 4)]


def hidden_in(*places: tuple[int, int]) -> Any:
    """A mask as GDAL stores it: 0 at some (row, column), else 255."""
    values = np.full((ROWS, COLUMNS), 255, "uint8")
    for place in places:
        values[place] = 0
    return values


def masked_at(stack: Stack, numbers: list[int], window: Window | None = None) -> list[tuple[int, int]]:
    with open_stack(stack) as datasets:
        mask = read_stack_window(datasets, stack, window, numbers)[1]
    return [(int(row), int(column)) for row, column in np.argwhere(mask)]


def test_the_mask_file_of_a_single_file(write_tiff: WriteTiff) -> None:
    image = write_tiff(ramp(0, bands=3), "a.tif", nodata=2, **PLACE)
    shared = write_tiff(hidden_in((4, 5)), "a.tif.msk")
    stack = inspect_stack([image], masks=[shared])
    assert (stack.masks, stack.info) == ((shared,), inspect(image))
    assert stack.dtypes == ("uint16",) * 3
    assert masked_at(stack, [1]) == [(0, 2), (4, 5)]
    assert masked_at(stack, [3]) == [(4, 5)]
    assert masked_at(stack, [3], Window(2, 3, 5, 4)) == [(1, 3)]
    own = write_tiff(np.stack([hidden_in((1, 1)), hidden_in((2, 2)), hidden_in((3, 3))]), "b.tif.msk")
    stack = inspect_stack([image], masks=[own])
    assert masked_at(stack, [3, 2]) == [(2, 2), (3, 3)]


def test_the_mask_files_of_several_files(write_tiff: WriteTiff) -> None:
    files = [write_tiff(ramp(0, bands=number), f"{number}.tif", **PLACE) for number in (1, 2, 1)]
    masks = [
        None,
        write_tiff(np.stack([hidden_in((1, 1)), hidden_in((2, 2))]), "2.tif.msk"),
        write_tiff(hidden_in((6, 8)), "3.tif.msk", compress="deflate"),
    ]
    stack = inspect_stack(files, masks=masks)
    assert stack.info.count == 4
    assert masked_at(stack, [1]) == []
    assert masked_at(stack, [1, 3]) == [(2, 2)]
    assert masked_at(stack, [4, 2, 1]) == [(1, 1), (6, 8)]
    with pytest.raises(ValueError, match="one mask or None"):
        inspect_stack(files, masks=masks[:2])


def test_a_mask_that_does_not_fit(write_tiff: WriteTiff) -> None:
    image, fitting = write_tiff(ramp(0), "a.tif"), write_tiff(hidden_in(), "fits.msk")
    wide = write_tiff(np.zeros((ROWS, COLUMNS + 1), "uint8"), "wide.msk")
    with pytest.raises(Impossible, match=r"^red\.tif\.msk and red\.tif differ in size: 10 x 7 and 9 x 7"):
        inspect_stack([image], ["red.tif"], masks=[wide])
    with pytest.raises(Impossible, match=r"^b\.tif\.msk and b\.tif differ in size"):
        inspect_stack([image, image], ["a.tif", "b.tif"], masks=[fitting, wide])


def other(**changes: Any) -> dict[str, Any]:
    return PLACE | changes


@pytest.mark.parametrize(
    ("shape", "place", "words"),
    [
        ((ROWS, COLUMNS + 1), PLACE, "differ in size: 9 x 7 and 10 x 7 pixels.*one extent and pixel size"),
        ((ROWS, COLUMNS), other(crs="EPSG:32636"), "coordinate system: EPSG:32635 and EPSG:32636"),
        ((ROWS, COLUMNS), {}, "georeferencing: with a place on the map and without"),
        (
            (ROWS, COLUMNS),
            other(transform=Affine(0.5, 0, 600_000.25, 0, -0.5, 5_200_000)),
            r"up to 0\.5 pixels apart\): origin 600000\.0, .* and origin 600000\.25, ",
        ),
        (
            (ROWS, COLUMNS),
            other(transform=Affine(0.5001, 0, 600_000, 0, -0.5, 5_200_000)),
            "do not lie on one grid",
        ),
        (
            (ROWS, COLUMNS),
            other(transform=Affine(0.5, 1e-4, 600_000, 0, -0.5, 5_200_000)),
            "do not lie on one grid",
        ),
    ],
)
def test_what_differs_is_told(
    write_tiff: WriteTiff, shape: tuple[int, int], place: dict[str, Any], words: str
) -> None:
    paths = [write_tiff(ramp(0), "a.tif", **PLACE), write_tiff(np.zeros(shape, "uint16"), "b.tif", **place)]
    with pytest.raises(Impossible, match=f"^red.tif and nir.tif .*{words}") as caught:
        inspect_stack(paths, ["red.tif", "nir.tif"])
    assert caught.value.fields["files"] == ["red.tif", "nir.tif"]
    assert str(paths[0].parent) not in caught.value.detail


def test_rounding_of_another_program_is_no_difference(write_tiff: WriteTiff) -> None:
    first = write_tiff(ramp(0), "a.tif", **PLACE)
    for pixel, east in ((0.5 + 1e-9, 600_000 + 1e-7), (0.5, 600_000.00005), (0.50002, 600_000)):
        near = other(transform=Affine(pixel, 0, east, 0, -0.5, 5_200_000))
        assert inspect_stack([first, write_tiff(ramp(0), "b.tif", **near)]).info.count == 2


def test_photos_without_a_place_need_one_size_only(write_tiff: WriteTiff) -> None:
    assert inspect_stack([write_tiff(ramp(0), "a.tif"), write_tiff(ramp(0), "b.tif")]).info.transform is None


@pytest.mark.parametrize("names", [("red.tif", "x_red.tif"), ("T31TCJ_20200101_B04.tif", "field_red.tif")])
def test_one_band_from_two_files(write_tiff: WriteTiff, names: tuple[str, str]) -> None:
    with pytest.raises(Impossible, match=f"{names[0]} and {names[1]} are both band R"):
        inspect_stack([write_tiff(ramp(0), name, **PLACE) for name in names])


def test_pictures_stay_alone(write_tiff: WriteTiff, tmp_path: Path) -> None:
    plain = write_tiff(ramp(0, "uint8"), "plain.tif")
    with_alpha = write_tiff(ramp(0, "uint8", 2), "alpha.tif", colours=("gray", "alpha"))
    palette = tmp_path / "palette.png"
    picture = Image.fromarray(ramp(0, "uint8")[0]).convert("P")
    picture.save(palette)
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 3
    picture.convert("L").save(turned, exif=exif)
    for path, words in (
        (with_alpha, "transparency"),
        (palette, "colour table"),
        (turned, "EXIF orientation"),
    ):
        assert inspect_stack([path]).info.count > 0
        for pair in ([plain, path], [path, plain]):
            with pytest.raises(Impossible, match=f"{path.name} .*{words}"):
                inspect_stack(pair)


def test_limits(write_tiff: WriteTiff, tmp_path: Path) -> None:
    path = write_tiff(ramp(0), **PLACE)
    assert len(inspect_stack([path] * 16).files) == 16
    with pytest.raises(TooLarge, match="17 files, the limit is 16"):
        inspect_stack([path] * 17)
    with pytest.raises(TooLarge, match="66 bands together, the limit is 64"):
        inspect_stack([write_tiff(ramp(0, bands=33), "many.tif", **PLACE)] * 2)
    with pytest.raises(TooLarge):
        inspect_stack([path, path], max_pixels=10)
    with pytest.raises(Impossible, match="at least one file"):
        inspect_stack([])
    with pytest.raises(ValueError, match="one name"):
        inspect_stack([path], ["a", "b"])
    text = tmp_path / "b.tif"
    text.write_text("text")
    with pytest.raises(NotAnImage):
        inspect_stack([path, text])


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_split_reads_alike(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    import rasterio

    folder = tmp_path_factory.mktemp("split")
    counts = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    values = np.random.default_rng(0).integers(0, 5, (sum(counts), 4, 6), dtype="uint8")
    paths, start = [], 0
    for position, count in enumerate(counts):
        path = folder / f"{position}.tif"
        profile = {"driver": "GTiff", "count": count, "height": 4, "width": 6, "dtype": "uint8", "nodata": 0}
        with rasterio.open(path, "w", photometric="MINISBLACK", **profile, **PLACE) as dataset:
            dataset.write(values[start : start + count])
        paths.append(path)
        start += count
    numbers = data.draw(st.lists(st.integers(1, sum(counts)), min_size=1, max_size=5))
    stack = inspect_stack(paths)
    with open_stack(stack) as datasets:
        arrays, mask = read_stack_window(datasets, stack, None, numbers)
    assert_array_equal(np.stack(arrays), values[[number - 1 for number in numbers]])
    assert_array_equal(mask, (values[[number - 1 for number in numbers]] == 0).any(axis=0))
