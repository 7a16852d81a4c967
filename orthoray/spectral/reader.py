"""The bands of an imagery, which may lie in several files, window by window and from any thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from orthoray.spectral.maskfiles import mask_numbers
from orthoray.spectral.masks import Mask, MaskRules, apply_rules, joined, mask_rules
from orthoray.spectral.palette import is_palette
from orthoray.spectral.raster import RasterInfo, inspect, open_raster, read_window
from orthoray.spectral.tiles import TileReader, open_tiles, read_layout

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _MaskPart:
    """The mask file of an image, and its bands that count."""

    path: Path
    numbers: tuple[int, ...]
    tiles: TileReader | None

    def read(self, window: Window) -> Mask | None:
        """Where there is no data; None where there is data everywhere."""
        if self.tiles is not None:
            arrays = self.tiles.read(window, self.numbers)
        else:
            with open_raster(self.path) as dataset:
                arrays = list(dataset.read(self.numbers, window=window))
        hidden: Mask | None = None
        for array in arrays:
            hidden = joined(hidden, array == 0)
        return hidden if hidden is not None and hidden.any() else None


@dataclass(frozen=True)
class _Part:
    """The wanted bands of one file: their numbers there, and their places among all wanted bands."""

    path: Path
    numbers: tuple[int, ...]
    places: tuple[int, ...]
    alpha: int | None
    tiles: TileReader | None
    rules: MaskRules | None
    mask: _MaskPart | None

    @property
    def fits_pieces(self) -> bool:
        tiles = [self.tiles, *([self.mask.tiles] if self.mask else [])]
        return all(one is not None and one.fits_pieces for one in tiles)


@dataclass(frozen=True)
class BandReader:
    """Reads the bands that `open_bands` was asked for."""

    parts: list[_Part]
    count: int

    @property
    def fits_pieces(self) -> bool:
        """Whether windows of 512 x 512 pixels cost no more than wider ones."""
        return all(part.fits_pieces for part in self.parts)

    def read(self, window: Window) -> tuple[list[Array], Mask | None]:
        """The bands in their files' dtypes, and where there is no data (None: nowhere), all (rows, columns).

        They are valid until the same thread reads again. Raises `TruncatedImage` where pixels cannot be decoded.
        """
        found: list[Array] = [np.empty(0)] * self.count
        masked: Mask | None = None
        for part in self.parts:
            if part.tiles is not None and part.rules is not None:
                arrays = part.tiles.read(window, part.rules.wanted)
                hidden = apply_rules(part.rules, arrays)
            else:
                # opened anew, for GDAL's datasets are not for several threads
                with open_raster(part.path) as dataset:
                    arrays, everywhere = read_window(dataset, window, part.numbers, alpha=part.alpha)
                hidden = everywhere if everywhere.any() else None
            for place, array in zip(part.places, arrays, strict=False):
                found[place] = array
            masked = joined(masked, hidden)
            if part.mask is not None:
                masked = joined(masked, part.mask.read(window))
        return found, masked


@contextmanager
def open_bands(
    files: Sequence[Path],
    infos: Sequence[RasterInfo],
    wanted: Sequence[tuple[int, int]],
    alpha: int | None = None,
    masks: Sequence[Path | None] = (),
) -> Iterator[BandReader]:
    """Open files for reading `wanted` bands, each given as (place of the file, 1-based number in it).

    `infos` describe the files. `alpha` is the band that masks the others of a single file; `masks` holds the mask
    file of each file, or None, or is empty where no file has one.
    """
    with ExitStack() as stack:
        parts = []
        for place in dict.fromkeys(file for file, _ in wanted):
            path, info = files[place], infos[place]
            mine = [(at, number) for at, (file, number) in enumerate(wanted) if file == place]
            numbers, places = tuple(number for _, number in mine), tuple(at for at, _ in mine)
            own_alpha = alpha if len(files) == 1 else None
            tiles, rules = None, None
            layout = read_layout(path, info)
            if layout is not None:
                with open_raster(path) as dataset:
                    rules = None if is_palette(dataset) else mask_rules(dataset, numbers, own_alpha)
                if rules is not None and not rules.needs_mask_band:
                    tiles = stack.enter_context(open_tiles(path, layout))
            mask = masks[place] if masks else None
            masking = None if mask is None else _open_mask(stack, mask, numbers)
            parts.append(_Part(path, numbers, places, own_alpha, tiles, rules, masking))
        yield BandReader(parts, len(wanted))


def _open_mask(stack: ExitStack, path: Path, numbers: Sequence[int]) -> _MaskPart:
    info = inspect(path)
    layout = read_layout(path, info)
    tiles = None if layout is None else stack.enter_context(open_tiles(path, layout))
    return _MaskPart(path, mask_numbers(info, numbers), tiles)
