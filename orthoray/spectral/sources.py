"""Where index values come from: the bands of an imagery, or a ready index map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from orthoray.spectral.kernel import Piece, Recipe, Values, compute
from orthoray.spectral.masks import Mask
from orthoray.spectral.reader import Array, BandReader


@dataclass(frozen=True)
class BandSource:
    """Values computed from bands by a recipe, whose names `reader` reads in their order."""

    reader: BandReader
    recipe: Recipe

    def rows(self, window: Window) -> BandRows:
        """Raises `TruncatedImage` where pixels cannot be decoded."""
        # a tile that was just decoded is still in the processor's cache: compute it before the next
        whole = None if self.reader.fits_pieces else self.reader.read(window)
        return BandRows(self.reader, self.recipe, window, whole)


@dataclass(frozen=True)
class BandRows:
    """The bands of some rows: `whole` of them, as `BandReader.read` has it, or None to read piece by piece."""

    reader: BandReader
    recipe: Recipe
    window: Window
    whole: tuple[list[Array], Mask | None] | None

    def piece(self, left: int, width: int, out: Values) -> Piece:
        """Raises `TruncatedImage` where pixels cannot be decoded."""
        if self.whole is None:
            place = Window(self.window.col_off + left, self.window.row_off, width, self.window.height)
            bands, masked = self.reader.read(place)
        else:
            columns = np.s_[:, left : left + width]
            bands = [band[columns] for band in self.whole[0]]
            masked = None if self.whole[1] is None else self.whole[1][columns]
        if masked is not None:
            if masked.all():
                out.fill(np.nan)
                return Piece(out, masked.size, 0, 0)
            masked = masked if masked.any() else None
        return compute(self.recipe, bands, masked, out)


@dataclass(frozen=True)
class MapSource:
    """Values of a ready index map, float (rows, columns), NaN or infinite where invalid; `masked` is True where
    there is no data, `background` where data is taken out."""

    index_map: npt.NDArray[np.floating]
    masked: Mask | None
    background: Mask | None = None

    def rows(self, window: Window) -> MapRows:
        place = window.toslices()
        hidden = (None if mask is None else mask[place] for mask in (self.masked, self.background))
        return MapRows(self.index_map[place], *hidden)


@dataclass(frozen=True)
class MapRows:
    """Some rows of a ready index map."""

    index_map: npt.NDArray[np.floating]
    masked: Mask | None
    background: Mask | None

    def piece(self, left: int, width: int, out: Values) -> Piece:
        columns = np.s_[:, left : left + width]
        with np.errstate(over="ignore", invalid="ignore"):
            np.copyto(out, self.index_map[columns], casting="same_kind")
            if not np.isfinite(out.min() - out.max()):
                out[~np.isfinite(out)] = np.nan
        nodata = background = 0
        masked = None if self.masked is None else self.masked[columns]
        if masked is not None:
            nodata = int(np.count_nonzero(masked))
            out[masked] = np.nan
        if self.background is not None:
            gone = self.background[columns] if masked is None else self.background[columns] & ~masked
            background = int(np.count_nonzero(gone))
            out[gone] = np.nan
        return Piece(out, nodata, background, 0)
