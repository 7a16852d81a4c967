"""The engine: from bands, or from a ready index map, to statistics, a picture and an index raster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from orthoray.errors import Impossible
from orthoray.spectral.bands import BandMap, require
from orthoray.spectral.blocks import grid_for
from orthoray.spectral.calibration import Calibration, calibrate
from orthoray.spectral.encoding import FLOAT32, Encoding
from orthoray.spectral.indices import Index, get_index
from orthoray.spectral.kernel import PIECE_SIDE, Background
from orthoray.spectral.loops import PAYING_PIXELS, load_compiled
from orthoray.spectral.masks import Mask
from orthoray.spectral.raster import PathLike, RasterInfo
from orthoray.spectral.sources import BandSource, MapSource
from orthoray.spectral.stack import Stack, inspect_stack
from orthoray.spectral.survey import Blocks, Cuts, IndexResult, Progress, survey
from orthoray.spectral.work import BandWork

ENGINE = "orthoray.spectral/2"


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
    elsewhere: Callable[[BandWork], Blocks] | None = None,
) -> IndexResult:
    """Compute `index` from the bands of `source` and, with `index_path`, write the index raster there.

    `cuts` descend, and a value on a cut belongs to the worse class; or they are a function that finds them in a
    histogram of the values (edges and counts). Without `calibration` that of the files' tags is used. `provenance`
    goes into the raster's tags. `progress` is called with a fraction that rises from 0 to 1. `elsewhere` has the
    blocks computed by other processes; it is for bands whose `BandWork.reads_by_windows`. Raises `MissingBands`
    where `band_map` lacks a band, `UnknownIndex`, what `inspect_stack` raises, and `TruncatedImage` where pixels
    cannot be decoded; `index_path` is then left as it was.
    """
    wanted = get_index(index) if isinstance(index, str) else index
    wanted.require_computable()
    given = source if isinstance(source, Stack) else inspect_stack([source])
    used = calibration or calibrate(given.info)
    work = BandWork(given, wanted, band_map, used, background)
    require(band_map, work.names)
    with ExitStack() as opened:
        values: BandSource | Blocks
        if elsewhere is None:
            if given.info.width * given.info.height >= PAYING_PIXELS:
                load_compiled()
            work = opened.enter_context(work.readable())
            values = opened.enter_context(work.open())
        else:
            values = elsewhere(work)
        return survey(
            values,
            grid_for(
                given.info.width,
                given.info.height,
                in_strips=not all(info.tiled for info in work.stack.infos),
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
    work = BandWork(source, index, band_map, calibration)
    with work.readable() as ready, ready.open() as bands:
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
