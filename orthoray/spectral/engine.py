"""The engine: from bands, or from a ready index map, to statistics, a picture and an index raster."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from orthoray.errors import Impossible, TooLarge
from orthoray.spectral.bands import BandMap, require
from orthoray.spectral.blocks import grid_for
from orthoray.spectral.calibration import Calibration, calibrate
from orthoray.spectral.encoding import FLOAT32, Encoding
from orthoray.spectral.indices import Index, get_index
from orthoray.spectral.kernel import PIECE_SIDE, Background, recipe_for
from orthoray.spectral.loops import PAYING_PIXELS, load_compiled
from orthoray.spectral.masks import Mask
from orthoray.spectral.orientation import UPRIGHT, upright_copy
from orthoray.spectral.raster import PathLike, RasterInfo
from orthoray.spectral.reader import open_bands
from orthoray.spectral.sources import BandSource, MapSource
from orthoray.spectral.stack import Stack, inspect_stack
from orthoray.spectral.survey import Cuts, IndexResult, Progress, survey
from orthoray.spectral.tiles import read_layout

ENGINE = "orthoray.spectral/2"

# A strip or tile that is higher would be decoded again for each of the windows that meet in it.
_TALLEST_BLOCK = 1024
# Below this, decoding again is cheaper than a copy.
_SMALL_PIXELS = 1_000_000
# Rows of strips that are read at once, of the bands in use, have at most so many bytes.
_MOST_READ = 64 * 1024 * 1024
# A copy larger than this would fill the disks of small machines.
_MOST_COPIED = 64 * 1024 * 1024 * 1024


def analyse_bands(
    source: PathLike | Stack,
    index: Index | str,
    *,
    band_map: BandMap,
    cuts: Cuts,
    index_path: PathLike | None = None,
    calibration: Calibration | None = None,
    background: Background | None = None,
    encoding: Encoding = FLOAT32,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> IndexResult:
    """Compute `index` from the bands of `source` and, with `index_path`, write the index raster there.

    `cuts` descend, and a value on a cut belongs to the worse class; or they are a function that finds them in a
    histogram of the values (edges and counts). Without `calibration` that of the files' tags is used. `provenance`
    goes into the raster's tags. `progress` is called with a fraction that rises from 0 to 1. Raises `MissingBands`
    where `band_map` lacks a band, `UnknownIndex`, what `inspect_stack` raises, and `TruncatedImage` where pixels
    cannot be decoded; `index_path` is then left as it was.
    """
    wanted = get_index(index) if isinstance(index, str) else index
    wanted.require_computable()
    given = source if isinstance(source, Stack) else inspect_stack([source])
    if given.info.width * given.info.height >= PAYING_PIXELS:
        load_compiled()
    used = calibration or calibrate(given.info)
    names = _names(wanted, background)
    require(band_map, names)
    with (
        _readable(given, names, band_map) as stack,
        _bands(stack, wanted, band_map, used, background) as bands,
    ):
        return survey(
            bands,
            grid_for(
                given.info.width,
                given.info.height,
                in_strips=not all(info.tiled for info in stack.infos),
            ),
            canvas=given.info,
            name=wanted.name,
            value_range=wanted.value_range,
            cuts=cuts,
            index_path=index_path,
            encoding=encoding,
            provenance=provenance or {},
            progress=progress,
        )


def analyse_array(
    index_map: npt.NDArray[Any],
    nodata_mask: Mask | None,
    *,
    index_name: str,
    cuts: Cuts,
    like: RasterInfo,
    index_path: PathLike | None = None,
    background_mask: Mask | None = None,
    value_range: tuple[float, float] | None = None,
    encoding: Encoding = FLOAT32,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> IndexResult:
    """The same for a ready index map, float (height, width), with NaN or infinity where it is invalid.

    `nodata_mask` is bool of that shape, True where there is no data; so is `background_mask` for data that a soil
    mask takes out. `like` is the raster that the map was
    computed from and gives the georeference; a map of another shape (a photo turned upright) is accepted
    only where `like` is not georeferenced. Raises `Impossible` where the shapes do not fit.
    """
    height, width = _checked_shape(index_map, nodata_mask, like)
    return survey(
        MapSource(index_map, nodata_mask, background_mask),
        grid_for(width, height, in_strips=False),
        canvas=like,
        name=index_name,
        value_range=value_range,
        cuts=cuts,
        index_path=index_path,
        encoding=encoding,
        provenance=provenance or {},
        progress=progress,
    )


def background_mask(
    source: Stack, background: Background, *, band_map: BandMap, calibration: Calibration
) -> Mask:
    """Where `background` takes pixels out of a whole image: bool (height, width). Raises as `analyse_bands`."""
    index = background.index
    require(band_map, index.bands)
    gone: Mask = np.ones((source.info.height, source.info.width), dtype=np.bool_)
    with (
        _readable(source, index.bands, band_map) as stack,
        _bands(stack, index, band_map, calibration, None) as bands,
    ):
        for top in range(0, gone.shape[0], PIECE_SIDE):
            height = min(PIECE_SIDE, gone.shape[0] - top)
            rows = bands.rows(Window(0, top, gone.shape[1], height))
            for left in range(0, gone.shape[1], PIECE_SIDE):
                part = gone[top : top + height, left : left + PIECE_SIDE]
                values = rows.piece(left, part.shape[1], np.empty(part.shape, np.float32)).values
                # what has no value is above nothing
                part[...] = ~(values > np.float32(background.above))
    return gone


def _checked_shape(
    index_map: npt.NDArray[Any], nodata_mask: Mask | None, like: RasterInfo
) -> tuple[int, int]:
    if index_map.ndim != 2 or index_map.size == 0:
        raise Impossible(f"An index map has rows and columns, not the shape {index_map.shape}.")
    if nodata_mask is not None and nodata_mask.shape != index_map.shape:
        raise Impossible(f"The mask's shape {nodata_mask.shape} is not the index map's {index_map.shape}.")
    height, width = index_map.shape
    if like.georeferenced and (height, width) != (like.height, like.width):
        raise Impossible(
            f"The index map is {width} x {height} pixels, "
            f"its georeferenced image {like.width} x {like.height}."
        )
    return height, width


def _names(index: Index, background: Background | None) -> tuple[str, ...]:
    """The bands that are read."""
    return tuple(dict.fromkeys((*index.bands, *(background.index.bands if background else ()))))


@contextmanager
def _bands(
    stack: Stack, index: Index, band_map: BandMap, calibration: Calibration, background: Background | None
) -> Iterator[BandSource]:
    """The values of an index from the open files of a stack."""
    numbers = band_map.numbers
    recipe = recipe_for(
        index,
        {name: stack.infos[stack.locate(number)[0]].dtype for name, number in numbers.items()},
        {
            name: (calibration.scales[number - 1], calibration.offsets[number - 1])
            for name, number in numbers.items()
        },
        is_reflectance=calibration.state != "dn",
        background=background,
    )
    located = [stack.locate(numbers[name]) for name in recipe.names]
    with open_bands(stack.files, stack.infos, located, band_map.alpha, stack.masks) as reader:
        yield BandSource(reader, recipe)


@contextmanager
def _readable(stack: Stack, names: Collection[str], band_map: BandMap) -> Iterator[Stack]:
    """The stack itself, or copies of the named bands of those files that cannot be read in any order of windows.

    Raises `TooLarge` where the copy would be.
    """
    wanted = [band_map.numbers[name] for name in names]
    if band_map.alpha is not None:
        wanted.append(band_map.alpha)
    with ExitStack() as temporary:
        files = list(stack.files)
        for place, (path, info) in enumerate(zip(stack.files, stack.infos, strict=True)):
            numbers = [number for file, number in map(stack.locate, wanted) if file == place]
            if not numbers or _is_random(path, info, len(numbers)):
                continue
            size = info.width * info.height * np.dtype(info.dtype).itemsize * len(numbers)
            if size > _MOST_COPIED:
                raise TooLarge("The image is stored so that it has to be unpacked: save it as a tiled TIFF.")
            folder = temporary.enter_context(tempfile.TemporaryDirectory(prefix="orthoray-unpacked-"))
            files[place] = Path(folder) / "unpacked.tif"
            upright_copy(path, UPRIGHT, files[place], numbers=numbers)
        yield (
            stack if files == list(stack.files) else inspect_stack(files, stack.filenames, masks=stack.masks)
        )


def _is_random(path: Path, info: RasterInfo, bands: int) -> bool:
    """Whether windows of a file can be read in any order without decoding its blocks again and again."""
    if info.width * info.height <= _SMALL_PIXELS:
        return True
    row = info.width * np.dtype(info.dtype).itemsize * bands
    if not info.tiled and row * PIECE_SIDE > _MOST_READ:
        return False
    is_low = info.driver == "GTiff" and info.block_height <= _TALLEST_BLOCK
    return is_low or read_layout(path, info) is not None
