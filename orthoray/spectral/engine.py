"""The engine: from bands, or from a ready index map, to statistics and an index raster.

Everything goes window by window, so memory does not grow with the raster.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from orthoray.errors import Impossible, UnknownIndex
from orthoray.spectral import statistics as stats
from orthoray.spectral.bands import BandMap, require
from orthoray.spectral.cog import stage
from orthoray.spectral.indices import Index, get_index
from orthoray.spectral.raster import (
    PathLike,
    RasterInfo,
    block_windows,
    inspect,
    open_raster,
    read_window,
    windows,
)
from orthoray.spectral.statistics import Statistics

ENGINE = "orthoray.spectral/1"

Progress = Callable[[float], None]
Mask = npt.NDArray[np.bool_]
Pieces = Generator[tuple[Window, npt.NDArray[np.float32], Mask], None, None]

# Shares of the time: reading and computing, percentiles, writing the COG.
_COMPUTED, _COUNTED = 0.6, 0.75


@dataclass(frozen=True)
class IndexResult:
    """What an analysis found. `band_map` is None where the index map came ready."""

    statistics: Statistics
    band_map: BandMap | None
    provenance: dict[str, Any]


def analyse_bands(
    path: PathLike,
    index: Index | str,
    *,
    band_map: BandMap,
    cuts: Sequence[float],
    index_path: PathLike,
    progress: Progress | None = None,
) -> IndexResult:
    """Compute `index` from the bands of the raster at `path` and write the index raster to `index_path`.

    `cuts` descend; a value on a cut belongs to the worse class. `progress` is called with a fraction that
    rises from 0 to 1. Raises `MissingBands` where `band_map` lacks a band, `UnknownIndex`, what `inspect`
    raises, and `TruncatedImage` where pixels cannot be decoded; `index_path` is then left as it was.
    """
    wanted = get_index(index) if isinstance(index, str) else index
    require(band_map, wanted.bands)
    info = inspect(path)
    numbers = [band_map.numbers[name] for name in wanted.bands]

    def pieces() -> Pieces:
        with open_raster(path) as dataset:
            for window in windows(info):
                arrays, nodata = read_window(dataset, window, numbers, alpha=band_map.alpha)
                values = wanted.compute(dict(zip(wanted.bands, arrays, strict=True)))
                yield window, values, nodata

    made = provenance(wanted.name, index=wanted, band_map=band_map, info=info)
    found = _analyse(
        pieces(),
        canvas=info,
        value_range=wanted.value_range,
        cuts=cuts,
        index_path=index_path,
        made=made,
        progress=progress,
    )
    return IndexResult(statistics=found, band_map=band_map, provenance=made)


def analyse_array(
    index_map: npt.NDArray[Any],
    nodata_mask: Mask | None,
    *,
    index_name: str,
    cuts: Sequence[float],
    like: RasterInfo,
    index_path: PathLike,
    progress: Progress | None = None,
) -> IndexResult:
    """The same for a ready index map, float (height, width), with NaN or infinity where it is invalid.

    `nodata_mask` is bool of that shape, True where there is no data. `like` is the raster that the map was
    computed from and gives the georeference; a map of another shape (a photo turned upright) is accepted
    only where `like` is not georeferenced. Raises `Impossible` where the shapes do not fit.
    """
    height, width = _checked_shape(index_map, nodata_mask, like)

    def pieces() -> Pieces:
        for window in block_windows(width, height, width, 1):
            rows, columns = window.toslices()
            with np.errstate(over="ignore"):
                values = np.array(index_map[rows, columns], dtype=np.float32)
            values[~np.isfinite(values)] = np.nan
            masked = (
                np.zeros(values.shape, dtype=np.bool_) if nodata_mask is None else nodata_mask[rows, columns]
            )
            yield window, values, masked

    try:
        index = get_index(index_name)
    except UnknownIndex:
        index = None
    made = provenance(index_name, index=index, band_map=None, info=like)
    found = _analyse(
        pieces(),
        canvas=replace(like, width=width, height=height),
        value_range=None if index is None else index.value_range,
        cuts=cuts,
        index_path=index_path,
        made=made,
        progress=progress,
    )
    return IndexResult(statistics=found, band_map=None, provenance=made)


def provenance(
    name: str, *, index: Index | None, band_map: BandMap | None, info: RasterInfo
) -> dict[str, Any]:
    """How an index raster came to be, as JSON-ready data."""
    return {
        "index": name,
        "common_name": None if index is None else index.common_name,
        "formula": None if index is None else index.formula,
        "constants": {} if index is None else dict(index.constants),
        "reference": None if index is None else index.reference,
        "needs_reflectance": index is not None and index.needs_reflectance,
        "band_map": None if band_map is None else band_map.to_dict(),
        "scales": list(info.scales),
        "offsets": list(info.offsets),
        "scale_offset_applied": False,
        "dtype": info.dtype,
        "engine": ENGINE,
    }


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


def _analyse(
    pieces: Pieces,
    *,
    canvas: RasterInfo,
    value_range: tuple[float, float] | None,
    cuts: Sequence[float],
    index_path: PathLike,
    made: dict[str, Any],
    progress: Progress | None,
) -> Statistics:
    """Both passes and the COG. `canvas` gives the index raster's size and place; `pieces` cover it."""
    report = progress or (lambda fraction: None)
    total = canvas.width * canvas.height
    summary = stats.summarise(np.empty(0, dtype=np.float32), None, cuts)
    report(0.0)
    with (
        stage(
            index_path,
            width=canvas.width,
            height=canvas.height,
            crs_wkt=canvas.crs_wkt,
            transform=canvas.transform,
        ) as staged,
        closing(pieces),
    ):
        done = 0
        for window, values, nodata in pieces:
            summary = stats.merge(summary, stats.summarise(values, nodata, cuts))
            values[nodata] = np.nan
            staged.write(values, window)
            done += values.size
            report(_COMPUTED * done / total)
        wanted = stats.plan(summary, value_range)
        details = stats.detail(np.empty(0, dtype=np.float32), None, wanted)
        done = 0
        for values in staged.read():
            details = stats.merge_details(details, stats.detail(values, None, wanted))
            done += values.size
            report(_COMPUTED + (_COUNTED - _COMPUTED) * done / total)
        found = stats.finish(summary, wanted, details, cuts, canvas.pixel_area_m2)
        staged.publish(description=str(made["index"]), provenance=made, statistics=found)
    report(1.0)
    return found
