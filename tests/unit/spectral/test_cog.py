from __future__ import annotations

import json
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import tifffile
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning

from orthoray.spectral import cog
from orthoray.spectral.blocks import LEVELS, Block, Grid, Task, compute_block, grid_for
from orthoray.spectral.cog import stage
from orthoray.spectral.encoding import FLOAT32, Encoding
from orthoray.spectral.georeference import Affine6
from orthoray.spectral.sources import MapSource
from orthoray.spectral.statistics import Statistics, Tally

Array = npt.NDArray[np.float32]
UTM = CRS.from_epsg(32633).to_wkt()
CORNER = (0.5, 0.0, 600_000.0, 0.0, -0.5, 5_200_000.0)
TURNED = (0.4, 0.3, 600_000.0, 0.3, -0.4, 5_200_000.0)
STEP = Encoding(0.0001)


def statistics(**changes: Any) -> Statistics:
    fields: dict[str, Any] = {
        "valid_pixels": 3, "nodata_pixels": 1, "invalid_pixels": 0, "background_pixels": 0, "out_of_range_pixels": 0,
        "minimum": -0.5, "maximum": 0.5, "mean": 0.25, "std": 0.125, "median": 0.2, "p2": -0.4, "p98": 0.4,
        "histogram_edges": (), "histogram_counts": (), "cuts": (), "class_pixels": (3,),
    }  # fmt: skip  # a table of numbers
    return Statistics(**(fields | changes))


def values(shape: tuple[int, int]) -> Array:
    rng = np.random.default_rng(9)
    made = rng.normal(0.4, 0.2, shape).astype(np.float32)
    made[rng.random(shape) < 0.2] = np.nan
    made[0, 0] = 0.5
    return made


def reduced_by(path: Path, side: int) -> Array:
    """The raster as a GIS program shows it from afar: by its overviews."""
    with open_quietly(path) as dataset:
        shape = tuple(max(1, round(length * side / max(dataset.shape))) for length in dataset.shape)
        stored = dataset.read(
            1, out_shape=shape, resampling=Resampling.average, out_dtype=np.float32, masked=True
        )
        found: Array = stored.filled(np.nan) * np.float32(dataset.scales[0])
    return found


def blocks_of(index: Array, grid: Grid, encoding: Encoding = FLOAT32) -> list[Block]:
    task = Task(Tally(()), encoding, min(LEVELS, grid.levels), 1)
    return [compute_block(MapSource(index, None), window, grid, task) for window in grid.blocks()]


def publish(
    path: Path,
    index: Array,
    crs_wkt: str | None = None,
    transform: Affine6 | None = None,
    *,
    grid: Grid | None = None,
    encoding: Encoding = FLOAT32,
    order: random.Random | None = None,
    in_strips: bool = False,
    **said: Any,
) -> None:
    height, width = index.shape
    grid = grid or grid_for(width, height, in_strips=in_strips)
    blocks = blocks_of(index, grid, encoding)
    if order is not None:
        order.shuffle(blocks)
    words: dict[str, Any] = {
        "description": "NDVI",
        "provenance": {"index": "NDVI", "поле": 1},
        "statistics": statistics(),
    }
    written = []
    for in_memory in (True, False):
        with stage(path, grid, encoding, in_memory=in_memory) as writer:
            for block in blocks:
                writer.add(block)
            writer.publish(**(words | said), crs_wkt=crs_wkt, transform=transform)
        written.append(path.read_bytes())
    assert written[0] == written[1], "where the tiles wait changes nothing"


def open_quietly(path: Path, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, **options)


def read(path: Path, **options: Any) -> Array:
    with open_quietly(path, **options) as dataset:
        return np.asarray(dataset.read(1))


def is_valid_cog(path: Path, strict: bool = True) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from rio_cogeo import cog_validate

        return bool(cog_validate(path, strict=strict, quiet=True)[0])


def nanmeans(index: Array, side: int) -> npt.NDArray[np.float64]:
    rows, columns = (-(-length // side) for length in index.shape)
    padded = np.full((rows * side, columns * side), np.nan)
    padded[: index.shape[0], : index.shape[1]] = index
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(padded.reshape(rows, side, columns, side), axis=(1, 3)))


NOWHERE, NORTH, ASKEW = (None, None), (UTM, CORNER), (UTM, TURNED)


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ((1, 1), NOWHERE),
        ((1, 1), NORTH),
        ((1, 30_000), NORTH),
        ((511, 513), NOWHERE),
        ((511, 513), ASKEW),
        ((600, 512), NORTH),
        ((1300, 40), ASKEW),
        ((700, 2), NOWHERE),
        ((530, 600), NORTH),
    ],
)
def test_a_valid_cog_with_everything_in_it(
    tmp_path: Path, shape: tuple[int, int], place: tuple[str | None, Affine6 | None]
) -> None:
    path = tmp_path / "deep" / "index.tif"
    index = values(shape)
    publish(path, index, *place)
    assert is_valid_cog(path)
    with open_quietly(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), index)
        assert dataset.dtypes == ("float32",)
        assert np.isnan(dataset.nodata)
        assert dataset.descriptions == ("NDVI",)
        assert dataset.compression.name == "zstd"
        assert json.loads(dataset.tags()["ORTHORAY_PROVENANCE"]) == {"index": "NDVI", "поле": 1}
        assert float(dataset.tags(1)["STATISTICS_MEAN"]) == 0.25
        assert float(dataset.tags(1)["STATISTICS_VALID_PERCENT"]) == 75
        assert dataset.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
        if place[1] is None:
            assert dataset.crs is None
        else:
            assert dataset.crs.to_epsg() == 32633
            assert tuple(dataset.transform)[:6] == pytest.approx(place[1])
    assert list(tmp_path.rglob("*")) == [path.parent, path]


def test_a_single_column_is_valid_but_has_no_overviews(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    index = values((3000, 1))
    publish(path, index)
    assert is_valid_cog(path, strict=False)
    np.testing.assert_array_equal(read(path), index)
    with open_quietly(path) as dataset:
        assert dataset.overviews(1) == []


@pytest.mark.parametrize("shape", [(300, 170), (257, 64), (1, 2000), (2000, 1), (129, 1025)])
@pytest.mark.parametrize("across", [1, 40])
def test_every_overview_is_the_mean_of_valid_pixels(
    tmp_path: Path, shape: tuple[int, int], across: int
) -> None:
    path = tmp_path / "index.tif"
    index = values(shape)
    index[: shape[0] // 2, : shape[1] // 2] = np.nan
    grid = Grid(shape[1], shape[0], 16, 16, 64 * across)
    publish(path, index, grid=grid)
    np.testing.assert_array_equal(read(path), index)
    with open_quietly(path) as dataset:
        assert len(dataset.overviews(1)) == grid.levels
    for level in range(1, grid.levels + 1):
        found = read(path, overview_level=level - 1)
        expected = nanmeans(index, 1 << level)
        np.testing.assert_allclose(found, expected, rtol=2e-6, err_msg=str(level))


def tiles_of(path: Path) -> list[list[bytes]]:
    content = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        return [
            [
                content[offset : offset + size]
                for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True)
            ]
            for page in file.pages
        ]


@pytest.mark.parametrize("encoding", [FLOAT32, STEP])
def test_the_order_of_blocks_does_not_matter(tmp_path: Path, encoding: Encoding) -> None:
    index = values((299, 333))
    index[64:128, 64:192] = np.nan
    grid = Grid(333, 299, 16, 16, 64)
    publish(tmp_path / "first.tif", index, grid=grid, encoding=encoding)
    expected = tiles_of(tmp_path / "first.tif")
    assert any(b"" in level for level in expected), "a tile without values takes no room"
    for seed in range(2):
        path = tmp_path / f"{seed}.tif"
        publish(path, index, grid=grid, encoding=encoding, order=random.Random(seed))
        assert tiles_of(path) == expected
        assert is_valid_cog(path)
        assert path.stat().st_size == (tmp_path / "first.tif").stat().st_size


def test_blocks_as_wide_as_the_raster_give_the_same(tmp_path: Path) -> None:
    index = values((150, 201))
    for name, across in (("narrow", 1), ("wide", 9)):
        publish(tmp_path / f"{name}.tif", index, grid=Grid(201, 150, 16, 16, 64 * across))
    assert tiles_of(tmp_path / "narrow.tif")[:2] == tiles_of(tmp_path / "wide.tif")[:2]
    for level in range(4):
        narrow, wide = (read(tmp_path / f"{name}.tif", overview_level=level) for name in ("narrow", "wide"))
        np.testing.assert_allclose(narrow, wide, rtol=1e-6)


def test_a_block_that_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    index = values((100, 90))
    grid = Grid(90, 100, 16, 16, 64)
    blocks = blocks_of(index, grid)
    with stage(path, grid, FLOAT32) as writer:
        for block in (*blocks, blocks[0], blocks[-1]):
            writer.add(block)
        writer.publish(description="NDVI", provenance={}, statistics=statistics())
    np.testing.assert_array_equal(read(path), index)
    np.testing.assert_allclose(read(path, overview_level=2), nanmeans(index, 8), rtol=1e-6)


def test_tiles_of_more_than_64_kilobytes(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    index = np.random.default_rng(1).normal(size=(700, 1100)).astype(np.float32)
    publish(path, index)
    assert max(map(len, tiles_of(path)[0])) > 100_000
    np.testing.assert_array_equal(read(path), index)
    assert is_valid_cog(path)


def test_bigtiff_where_offsets_of_32_bits_do_not_suffice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = values((300, 200))
    grid = Grid(200, 300, 16, 16, 64)
    publish(tmp_path / "classic.tif", index, UTM, CORNER, grid=grid)
    monkeypatch.setattr(cog, "_MOST_OF_CLASSIC", 1000)
    path = tmp_path / "index.tif"
    publish(path, index, UTM, CORNER, grid=grid)
    assert path.read_bytes()[:4] == b"II+\0"
    assert (tmp_path / "classic.tif").read_bytes()[:4] == b"II*\0"
    assert is_valid_cog(path)
    assert tiles_of(path) == tiles_of(tmp_path / "classic.tif")
    with open_quietly(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), index)
        assert dataset.crs.to_epsg() == 32633
        assert dataset.descriptions == ("NDVI",)


@pytest.mark.parametrize("step", [0.0001, 0.01])
def test_int16_in_steps_that_gdal_knows(tmp_path: Path, step: float) -> None:
    path = tmp_path / "index.tif"
    index = values((200, 150))
    publish(path, index, UTM, CORNER, grid=Grid(150, 200, 16, 16, 64), encoding=Encoding(step))
    assert is_valid_cog(path)
    with open_quietly(path) as dataset:
        assert (dataset.dtypes, dataset.nodata) == (("int16",), -32768)
        assert (dataset.scales, dataset.offsets) == ((step,), (0.0,))
        assert dataset.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "2"
        stored = dataset.read(1, masked=True)
        tags = dataset.tags(1)
    np.testing.assert_array_equal(stored.mask, np.isnan(index))
    decoded = stored.filled(0).astype(float) * step
    valid = ~np.isnan(index)
    assert np.abs(decoded - index)[valid].max() <= step / 2 + 1e-7
    # like the pixels, statistics are in steps
    assert float(tags["STATISTICS_MEAN"]) == pytest.approx(0.25 / step)
    assert float(tags["STATISTICS_STDDEV"]) == pytest.approx(0.125 / step)
    assert float(tags["STATISTICS_VALID_PERCENT"]) == 75


def test_reading_int16_gives_index_units(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    index = np.full((64, 64), 0.25, np.float32)
    index[:, 32:] = -0.5
    index[:32, :32] = np.nan
    publish(path, index, grid=Grid(64, 64, 16, 16, 64), encoding=STEP)
    for side in (64, 16, 2):
        reduced = reduced_by(path, side)
        assert reduced.dtype == np.float32
        assert reduced.shape == (side, side)
        half = side // 2
        assert np.isnan(reduced[:half, :half]).all()
        np.testing.assert_allclose(reduced[half:, :half], 0.25, atol=1e-4)
        np.testing.assert_allclose(reduced[:, half:], -0.5, atol=1e-4)


def test_without_valid_pixels_there_are_no_statistics_tags(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    nothing = dict.fromkeys(("minimum", "maximum", "mean", "std"))
    publish(
        path,
        np.full((40, 30), np.nan, np.float32),
        grid=Grid(30, 40, 16, 16, 64),
        statistics=statistics(valid_pixels=0, nodata_pixels=4, **nothing),
    )
    with open_quietly(path) as dataset:
        assert set(dataset.tags(1)) == {"STATISTICS_VALID_PERCENT"}
    assert np.isnan(read(path)).all()
    assert np.isnan(read(path, overview_level=0)).all()
    assert np.isnan(reduced_by(path, 10)).all()


def test_words_of_any_script_and_xml(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    said = 'a < b & "c" > ]]> поле ășț \\ 🌾'
    publish(path, values((2, 2)), description=said, provenance={"note": said, said: [1.5, None, True]})
    with open_quietly(path) as dataset:
        assert dataset.descriptions == (said,)
        assert json.loads(dataset.tags()["ORTHORAY_PROVENANCE"]) == {"note": said, said: [1.5, None, True]}


@pytest.mark.parametrize("moment", ["add", "header", "move"])
def test_an_error_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    path = tmp_path / "index.tif"
    path.write_text("the former result")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    def run() -> None:
        grid = Grid(4, 4, 16, 16, 64)
        (block,) = blocks_of(values((4, 4)), grid)
        with stage(path, grid, FLOAT32) as writer:
            writer.add(block)
            if moment == "add":
                fail()
            if moment == "header":
                monkeypatch.setattr("orthoray.spectral.cog.tifffile.TiffWriter", fail)
            else:
                monkeypatch.setattr(Path, "replace", fail)
            writer.publish(description="NDVI", provenance={}, statistics=statistics())

    with pytest.raises(OSError, match="disk full"):
        run()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "the former result"


def test_a_former_result_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    path.write_text("the former result")
    publish(path, values((3, 4)))
    np.testing.assert_array_equal(read(path), values((3, 4)))
    assert list(tmp_path.iterdir()) == [path]


def test_overviews_average_what_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "index.tif"
    index = np.full((1024, 1024), 0.25, np.float32)
    index[::2, ::2] = np.nan
    index[:512] = np.nan
    index[:, 512:] += 0.5
    publish(path, index)
    reduced = reduced_by(path, 16)
    assert reduced.shape == (16, 16)
    assert reduced.dtype == np.float32
    assert np.isnan(reduced[:8]).all()
    np.testing.assert_allclose(reduced[8:, :8], 0.25)
    np.testing.assert_allclose(reduced[8:, 8:], 0.75)
