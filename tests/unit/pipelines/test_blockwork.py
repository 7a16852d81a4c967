"""Blocks that are computed in pieces, from some bytes of the files only, give the raster of one process."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from rasterio.enums import ColorInterp
from rasterio.windows import Window
from rasters import RGBN, UTM, write_bands

from orthoray.errors import TruncatedImage, Unavailable
from orthoray.spectral import engine
from orthoray.spectral import survey as surveying
from orthoray.spectral.bands import BandMap
from orthoray.spectral.blocks import Block, Grid, Task
from orthoray.spectral.engine import analyse_bands
from orthoray.spectral.indices import get_index
from orthoray.spectral.kernel import Background
from orthoray.spectral.raster import open_raster
from orthoray.spectral.stack import Stack, inspect_stack
from orthoray.spectral.survey import IndexResult
from orthoray.spectral.work import BandWork
from orthoray.storage.config import StorageConfig
from orthoray.storage.local import LocalStorage
from pipelines.blockwork import Job, compute, compute_map, decode, encode
from pipelines.windows import WindowFiles, remote_files

HEIGHT, WIDTH = 140, 200
NAMES = BandMap((*"RGB", "N"), "caller")
TILED = {"tiled": True, "blockxsize": 32, "blockysize": 32}
LAYOUTS: dict[str, dict[str, Any]] = {
    "tiles": TILED | {"compress": "zstd"},
    "tiles, predictor": TILED | {"compress": "deflate", "predictor": 2},
    "tiles, band after band": TILED | {"compress": "lzw", "interleave": "band"},
    "tiles without compression": TILED,
    "strips": {"blockysize": 8, "compress": "deflate"},
    "strips, band after band": {"blockysize": 16, "interleave": "band"},
    "one strip": {"blockysize": HEIGHT},
    "big-endian": TILED | {"endianness": "BIG"},
    "BigTIFF, sparse": TILED | {"bigtiff": "yes", "sparse_ok": True, "compress": "zstd"},
    "jpeg": TILED | {"compress": "jpeg", "dtype": "uint8"},
    "a codec of GDAL": TILED | {"compress": "packbits"},
}
Elsewhere = Callable[[BandWork], Any]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 128 pixels, pictures and histograms as of large rasters, and files that are not small."""
    monkeypatch.setattr(engine, "grid_for", lambda width, height, **_: Grid(width, height, 32, 32, 128))
    monkeypatch.setattr(surveying, "FULL_PIXELS", 5000)
    monkeypatch.setattr(surveying, "PICTURE_PIXELS", 2000)


def pixels(dtype: str = "uint16", count: int = 4) -> npt.NDArray[Any]:
    random = np.random.default_rng(11)
    made = random.integers(1, 250, (count, HEIGHT, WIDTH)).astype(dtype)
    made[:, 20:90, 60:130] = 7  # a pond without data, which covers whole tiles
    return made


def stored(folder: Path, *files: Path) -> tuple[WindowFiles, list[Path]]:
    """The files in storage and, at other paths, where they are described."""
    config = StorageConfig(root=folder / "storage")
    storage = config.open()
    storage.ensure_buckets(["imagery"])
    for file in files:
        storage.put_file("imagery", file.name, file)
    return remote_files(config, [("imagery", file.name) for file in files]), list(files)


def elsewhere(files: WindowFiles, paths: list[Path], device: str | None = None) -> Elsewhere:
    """What the cluster does, in this process and through pickles."""

    def travelled(thing: Any) -> Any:
        return pickle.loads(pickle.dumps(thing, protocol=5))  # noqa: S301  # our own

    def give(work: BandWork) -> Any:
        def blocks(grid: Grid, task: Task) -> Generator[Block, None, None]:
            places = tuple(map(paths.index, work.stack.files))
            masks = tuple(None if mask is None else paths.index(mask) for mask in work.stack.masks)
            job = travelled(Job(files, places, masks, work, grid, task))
            for window in grid.blocks():
                if device is None:
                    parcel = compute(job, window)
                else:
                    parcel = encode(job, window, travelled(compute_map(job, decode(job, window), device)))
                yield travelled(parcel).opened()

        return blocks

    return give


def both(
    folder: Path, stack: Stack, paths: list[Path], index: str = "NDVI", **options: Any
) -> tuple[IndexResult, IndexResult]:
    """By one process and by blocks from storage; the rasters are the same byte by byte."""
    device = options.pop("device", None)
    files, _ = stored(folder, *paths)
    options = {"band_map": NAMES, "cuts": (0.6, 0.3, 0.1), **options}
    one = analyse_bands(stack, index, index_path=folder / "one.tif", **options)
    many = analyse_bands(
        stack, index, index_path=folder / "many.tif", elsewhere=elsewhere(files, paths, device), **options
    )
    assert (folder / "one.tif").read_bytes() == (folder / "many.tif").read_bytes()
    np.testing.assert_array_equal(one.picture, many.picture)
    assert one.statistics == many.statistics
    assert one.odd_pixels == many.odd_pixels
    assert one.statistics.valid_pixels > 0
    return one, many


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "device"),
    [*((layout, None) for layout in LAYOUTS), ("tiles", "array_api_strict"), ("strips", "array_api_strict")],
)
def test_layouts(tmp_path: Path, layout: str, device: str | None) -> None:
    options = {"nodata": 7} | LAYOUTS[layout]
    dtype = options.pop("dtype", "uint16")
    count = 3 if layout == "jpeg" else 4
    path = write_bands(tmp_path / "a.tif", pixels(dtype, count), RGBN[:count], **UTM, **options)
    names = BandMap((*"RGN",), "caller") if count == 3 else NAMES
    one, _ = both(tmp_path, inspect_stack([path]), [path], band_map=names, device=device)
    assert one.statistics.nodata_pixels > 0 or layout == "jpeg"


@pytest.mark.parametrize("device", [None, "array_api_strict"])
def test_soil_masks_infinity_and_scales(tmp_path: Path, device: str | None) -> None:
    bands = pixels("float32") / 250
    bands[3, 100:120, 100:120] = np.inf
    bands[0, 120:135, 10:30] = np.nan
    bands[:, 120:130, 50:100] = 0
    path = write_bands(tmp_path / "a.tif", bands, **UTM, **TILED)
    soil = Background(get_index("SAVI"), 0.1)
    one, _ = both(tmp_path, inspect_stack([path]), [path], "EVI", background=soil, device=device)
    assert one.statistics.background_pixels > 0
    assert one.odd_pixels > 0


def test_several_files_of_which_some_have_masks(tmp_path: Path) -> None:
    red, near = (
        write_bands(tmp_path / f"{name}.tif", pixels()[band : band + 1], **UTM, **TILED)
        for name, band in (("red", 0), ("nir", 3))
    )
    hidden = np.full((1, HEIGHT, WIDTH), 255, np.uint8)
    hidden[:, :, 140:] = 0
    mask = write_bands(tmp_path / "nir.tif.msk", hidden, blockysize=16)
    stack = inspect_stack([red, near], masks=[None, mask])
    one, _ = both(tmp_path, stack, [mask, near, red], band_map=BandMap(("R", "N"), "caller"))
    assert one.statistics.nodata_pixels == 60 * HEIGHT


def test_a_mask_within_the_file_and_a_band_of_transparency(tmp_path: Path) -> None:
    import rasterio

    bands = pixels("uint8", 5)
    bands[4] = np.where(np.arange(WIDTH) < 40, 0, 255)
    path = write_bands(tmp_path / "a.tif", bands, **UTM, **TILED)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [*dataset.colorinterp[:4], ColorInterp.alpha]
        shown = np.full((HEIGHT, WIDTH), 255, np.uint8)
        shown[120:] = 0
        dataset.write_mask(shown)
    names = BandMap((*"RGB", "N", None), "caller", alpha=5)
    one, _ = both(tmp_path, inspect_stack([path]), [path], band_map=names)
    assert one.statistics.nodata_pixels == 40 * HEIGHT + 20 * (WIDTH - 40)


def test_a_colour_table(tmp_path: Path) -> None:
    import rasterio

    path = write_bands(tmp_path / "a.tif", pixels("uint8", 1), photometric="palette", **UTM, **TILED)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {value: (value, 255 - value, value // 2, 255) for value in range(256)})
    both(tmp_path, inspect_stack([path]), [path], "VARI", band_map=BandMap(("R", "G", "B"), "caller"))


def test_only_what_is_needed_is_read(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "a.tif", pixels(), **UTM, **TILED, interleave="band")
    files, _ = stored(tmp_path, path)
    grid = Grid(WIDTH, HEIGHT, 32, 32, 128)
    with files.read(next(grid.blocks()), [(1, 4)]) as (copy,), open_raster(copy) as dataset:
        found = dataset.read()
        assert copy.stat().st_size == path.stat().st_size
    np.testing.assert_array_equal(found[[0, 3], :128, :128], pixels()[[0, 3], :128, :128])
    assert not found[2, :, 170:].any(), "the last tiles of a band that nobody asked for"


def test_a_broken_tile_and_a_file_that_was_replaced(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "a.tif", pixels(), **UTM, **TILED, compress="deflate")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    path.write_bytes(content)
    files, paths = stored(tmp_path, path)

    def analyse() -> None:
        analyse_bands(
            path,
            "NDVI",
            band_map=NAMES,
            cuts=(0.5,),
            index_path=tmp_path / "i.tif",
            elsewhere=elsewhere(files, paths),
        )

    with pytest.raises(TruncatedImage):
        analyse()
    assert not (tmp_path / "i.tif").exists()
    stored(tmp_path, path)
    with pytest.raises(Unavailable, match="replaced"):
        analyse()


@pytest.mark.parametrize("longer", [True, False])
def test_a_file_that_is_replaced_between_two_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longer: bool
) -> None:
    """Neither pixels of both, nor the blame for a damaged file."""
    path = write_bands(tmp_path / "a.tif", pixels(), **UTM, **TILED, interleave="band")
    other = path.read_bytes()[::-1] + bytes(9) if longer else b"short"
    files, _ = stored(tmp_path, path)
    ranges = LocalStorage.iter_range
    asked = []

    def replacing(self: LocalStorage, bucket: str, key: str, *span: int) -> Iterator[bytes]:
        asked.append(span)
        if len(asked) == 2:
            self.put_bytes(bucket, key, other)
        return ranges(self, bucket, key, *span)

    monkeypatch.setattr(LocalStorage, "iter_range", replacing)
    with pytest.raises(Unavailable, match="replaced"), files.read(Window(0, 0, WIDTH, HEIGHT), [(1, 4)]):
        pass
    assert len(asked) >= 2
