"""Several files as one imagery: bands that come one or a few per file, read as though they were in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.crs import CRS
from rasterio.windows import Window

from orthoray.errors import Impossible, TooLarge
from orthoray.spectral.georeference import Affine6
from orthoray.spectral.labels import ALPHA, describe, from_filenames
from orthoray.spectral.limits import MAX_BANDS
from orthoray.spectral.maskfiles import inspect_mask
from orthoray.spectral.masks import Mask, joined
from orthoray.spectral.orientation import UPRIGHT, orientation_of
from orthoray.spectral.raster import PathLike, RasterInfo, inspect, open_raster, read_window

MAX_FILES = 16
# Where the corners of two grids lie this near in pixels, the grids are one: programs round coordinates.
_GRID_TOLERANCE_PIXELS = 1e-3


@dataclass(frozen=True)
class Stack:
    """One or more files whose pixels lie on one grid.

    `filenames` are the names that people know the files by. `info` describes the whole as though it were one
    file: bands are counted through the files in order, `dtype` holds every file's values, the geometry is that
    of all, and what says how pixels are stored (driver, blocks) is the first file's. `masks` holds for each file
    the mask file that came with it (see `orthoray.spectral.maskfiles`), or None.
    """

    files: tuple[Path, ...]
    infos: tuple[RasterInfo, ...]
    filenames: tuple[str, ...]
    info: RasterInfo
    masks: tuple[Path | None, ...]

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtype of every band, in order."""
        return tuple(info.dtype for info in self.infos for _ in range(info.count))

    def locate(self, number: int) -> tuple[int, int]:
        """(index of the file, 1-based band number in it) of the stack's 1-based band `number`.

        Raises `IndexError` where there is no such band.
        """
        if number >= 1:
            for position, info in enumerate(self.infos):
                if number <= info.count:
                    return position, number
                number -= info.count
        raise IndexError("The stack has no such band.")


def inspect_stack(
    paths: Sequence[PathLike],
    filenames: Sequence[str] | None = None,
    *,
    masks: Sequence[PathLike | None] | None = None,
    max_pixels: int | None = None,
) -> Stack:
    """Describe 1 to 16 files as one imagery, without reading pixels; `filenames` default to those of `paths`, and
    `masks`, the mask file of each, to none.

    Raises what `inspect` and `inspect_mask` raise for each (`max_pixels` goes there), `TooLarge` above 16 files
    or 64 bands, and `Impossible`, naming the two files and what differs, where several files are not on one grid,
    claim the same band, or hold what only a picture of its own has: colour tables, transparency, an EXIF
    orientation.
    """
    files = tuple(Path(path) for path in paths)
    names = tuple(path.name for path in files) if filenames is None else tuple(filenames)
    if not files:
        raise Impossible("An imagery has at least one file.")
    if len(files) > MAX_FILES:
        raise TooLarge(
            f"There are {len(files)} files, the limit is {MAX_FILES}: send only the bands you need."
        )
    hidden = (
        (None,) * len(files)
        if masks is None
        else tuple(None if mask is None else Path(mask) for mask in masks)
    )
    if len(names) != len(files) or len(hidden) != len(files):
        raise ValueError("every file has one name, and one mask or None")
    infos = tuple(inspect(path, max_pixels=max_pixels) for path in files)
    for mask, info, name in zip(hidden, infos, names, strict=True):
        if mask is not None:
            inspect_mask(mask, info, name, max_pixels=max_pixels)
    if len(files) == 1:
        return Stack(files, infos, names, infos[0], hidden)
    count = sum(info.count for info in infos)
    if count > MAX_BANDS:
        raise TooLarge(
            f"The files have {count} bands together, the limit is {MAX_BANDS}: send only the bands you need."
        )
    for path, info, name in zip(files, infos, names, strict=True):
        _refuse_picture(path, info, name)
        _refuse_other_grid(infos[0], names[0], info, name)
    _refuse_twins(infos, names)
    return Stack(files, infos, names, _merged(infos), hidden)


@contextmanager
def open_stack(stack: Stack) -> Iterator[tuple[Any, ...]]:
    """Open every file for reading; yields rasterio's datasets in file order, and behind them those of the masks that
    there are. Raises as `open_raster` does."""
    with ExitStack() as opened:
        paths = [*stack.files, *(mask for mask in stack.masks if mask is not None)]
        yield tuple(opened.enter_context(open_raster(path)) for path in paths)


def read_stack_window(
    datasets: Sequence[Any],
    stack: Stack,
    window: Window | None,
    numbers: Sequence[int],
    *,
    alpha: int | None = None,
) -> tuple[list[npt.NDArray[Any]], Mask]:
    """`read_window` across the files of `stack`, whose open `datasets` are those of `open_stack`.

    `numbers` and `alpha` count the stack's bands. Returns one array for each number, each of its own file's
    dtype, and one mask, all of shape (rows, columns): a pixel is masked where any file that was read masks it, or
    the mask file of one does.
    """
    if len(datasets) == 1:
        return read_window(datasets[0], window, numbers, alpha=alpha)
    maskers = _maskers(datasets, stack)
    wanted: dict[int, list[int]] = {}
    for position, local in dict.fromkeys(map(stack.locate, numbers)):
        wanted.setdefault(position, []).append(local)
    owner, masking = stack.locate(alpha) if alpha is not None else (None, None)
    read: dict[tuple[int, int], npt.NDArray[Any]] = {}
    mask: Mask | None = None
    for position, own in wanted.items():
        arrays, part = read_window(
            datasets[position], window, own, alpha=masking if position == owner else None
        )
        read |= {(position, local): array for local, array in zip(own, arrays, strict=True)}
        mask = joined(mask, part)
        if position in maskers:
            mask = joined(mask, _masked_by(maskers[position], window, own))
    if owner is not None and masking is not None and owner not in wanted:
        # alpha masks where it is 0; its file's own masks are none of the others' business
        mask = joined(mask, read_window(datasets[owner], window, [masking])[0][0] == 0)
    if mask is None:
        raise ValueError("at least one band must be read")
    return [read[stack.locate(number)] for number in numbers], mask


def _maskers(datasets: Sequence[Any], stack: Stack) -> dict[int, Any]:
    """The open mask files by the places of their files."""
    places = [place for place, mask in enumerate(stack.masks) if mask is not None]
    return dict(zip(places, datasets[len(stack.files) :], strict=True))


def _masked_by(dataset: Any, window: Window | None, numbers: Sequence[int]) -> Mask:
    shared = [1] if dataset.count == 1 else list(numbers)
    hidden: Mask = (dataset.read(shared, window=window) == 0).any(axis=0)
    return hidden


def _refuse_picture(path: Path, info: RasterInfo, name: str) -> None:
    if info.palette:
        what = "has a colour table"
    elif ALPHA in info.colours:
        what = "has a transparency (alpha) band"
    elif orientation_of(path, info) != UPRIGHT:
        what = "is a photo that its EXIF orientation turns"
    else:
        return
    raise Impossible(
        f"{name} {what}, so it cannot be a part of an imagery of several files: "
        "send it alone, or export the bands as plain single-band TIFF files."
    )


def _refuse_other_grid(first: RasterInfo, first_name: str, other: RasterInfo, name: str) -> None:
    if (first.width, first.height) != (other.width, other.height):
        what = "differ in size"
        values = f"{first.width} x {first.height}", f"{other.width} x {other.height} pixels"
        remedy = "export them with one extent and pixel size"
    elif first.georeferenced != other.georeferenced:
        what = "differ in georeferencing"
        places = {True: "with a place on the map", False: "without"}
        values = places[first.georeferenced], places[other.georeferenced]
        remedy = "export them all as GeoTIFF in one coordinate system"
    elif not _same_crs(first, other):
        what = "differ in their coordinate system"
        values = _crs_name(first), _crs_name(other)
        remedy = "export them in one coordinate system"
    elif (shift := _greatest_shift(first, other)) > _GRID_TOLERANCE_PIXELS:
        what = f"do not lie on one grid (their corners are up to {shift:.3g} pixels apart)"
        values = _grid(first), _grid(other)
        remedy = "export them with one extent and pixel size"
    else:
        return
    raise Impossible(
        f"{first_name} and {name} {what}: {values[0]} and {values[1]}. "
        f"The bands of one imagery must lie pixel on pixel: {remedy}.",
        files=[first_name, name],
        values=list(values),
    )


def _same_crs(first: RasterInfo, other: RasterInfo) -> bool:
    if first.crs_wkt is None or other.crs_wkt is None or first.crs_wkt == other.crs_wkt:
        return True
    if first.epsg is not None and other.epsg is not None:
        return first.epsg == other.epsg
    return bool(CRS.from_wkt(first.crs_wkt) == CRS.from_wkt(other.crs_wkt))


def _crs_name(info: RasterInfo) -> str:
    if info.epsg is not None:
        return f"EPSG:{info.epsg}"
    quoted = (info.crs_wkt or "").split('"')
    return quoted[1][:60] if len(quoted) > 1 else "an unnamed system"


def _grid(info: RasterInfo) -> str:
    a, _, c, _, e, f = info.transform or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    return f"origin {c!r}, {f!r} with pixels of {a!r} x {-e!r}"


def _greatest_shift(first: RasterInfo, other: RasterInfo) -> float:
    """The greatest distance between the same corner of two rasters of one size, in pixels of the first."""
    if first.transform is None or other.transform is None:
        return 0.0
    a, b, _, d, e, _ = first.transform
    corners = [(column, row) for column in (0, first.width) for row in (0, first.height)]
    shifts = []
    for column, row in corners:
        x, y = _apply(other.transform, column, row)
        x0, y0 = _apply(first.transform, column, row)
        shifts.append(np.hypot(*np.linalg.solve([[a, b], [d, e]], [x - x0, y - y0])))
    return float(max(shifts))


def _apply(transform: Affine6, column: int, row: int) -> tuple[float, float]:
    a, b, c, d, e, f = transform
    return a * column + b * row + c, d * column + e * row + f


def _refuse_twins(infos: Sequence[RasterInfo], names: Sequence[str]) -> None:
    """Two files that call themselves the same band: one of them is not what its sender thinks."""
    owners: dict[str, str] = {}
    for info, name in zip(infos, names, strict=True):
        own = describe(info.descriptions).names
        claimed = own if any(own) else from_filenames([name]).names if info.count == 1 else ()
        for band in filter(None, claimed):
            if band in owners:
                raise Impossible(
                    f"{owners[band]} and {name} are both band {band}: send each band once.",
                    files=[owners[band], name],
                )
            owners[band] = name


def _merged(infos: Sequence[RasterInfo]) -> RasterInfo:
    return replace(
        infos[0],
        count=sum(info.count for info in infos),
        dtype=str(np.result_type(*(np.dtype(info.dtype) for info in infos))),
        descriptions=tuple(text for info in infos for text in info.descriptions),
        colours=tuple(colour for info in infos for colour in info.colours),
        nodata=tuple(value for info in infos for value in info.nodata),
        scales=tuple(scale for info in infos for scale in info.scales),
        offsets=tuple(offset for info in infos for offset in info.offsets),
    )
