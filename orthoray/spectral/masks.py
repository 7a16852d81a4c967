"""Which pixels are no data: what a file says of it, applied to decoded pixels.

Kept apart from reading, so that whoever decodes blocks by other means masks them by the same rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import MaskFlags

from orthoray.spectral.loops import loops

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MaskRules:
    """How the pixels of some bands are masked.

    `numbers` are the 1-based bands, `nodata` their nodata values as stored, before any scale and offset: an
    int for integer bands, for others a float rounded to the band's type, None where there is none or the type
    cannot hold it. `alpha` is the band that masks where it is 0, or None. `mask_bands` are bands whose masks
    lie in the file itself (an internal mask, the colour key of a PNG) and have to be read from there, for
    their pixels do not tell.
    """

    numbers: tuple[int, ...]
    nodata: tuple[int | float | None, ...]
    alpha: int | None
    mask_bands: tuple[int, ...]

    @property
    def wanted(self) -> tuple[int, ...]:
        """The bands to decode: `numbers`, and alpha behind them unless it is among them."""
        extra = () if self.alpha is None or self.alpha in self.numbers else (self.alpha,)
        return self.numbers + extra

    @property
    def hides_nothing(self) -> bool:
        """Whether every pixel is data, but for NaN."""
        return not self.mask_bands and self.alpha is None and set(self.nodata) <= {None}

    @property
    def needs_mask_band(self) -> bool:
        """Whether decoded bands do not suffice: `read_mask_band` tells the rest."""
        return bool(self.mask_bands)


def mask_rules(dataset: Any, numbers: Sequence[int], alpha: int | None = None) -> MaskRules:
    """The rules for bands of an open raster without a colour table; `alpha` as in `read_window`.

    A file may have several: nodata, alpha and a mask all count. A colour key is not nodata, for it masks only
    where all bands have its values at once.
    """
    nodata: list[int | float | None] = []
    own: list[int] = []
    shared: list[int] = []
    for number in numbers:
        flags = set(dataset.mask_flag_enums[number - 1])
        is_colour_key = flags == {MaskFlags.per_dataset, MaskFlags.nodata}
        value = None if is_colour_key else dataset.nodatavals[number - 1]
        nodata.append(_held_by(np.dtype(dataset.dtypes[number - 1]), value))
        if not flags & {MaskFlags.all_valid, MaskFlags.alpha} and flags != {MaskFlags.nodata}:
            (shared if MaskFlags.per_dataset in flags else own).append(number)
    return MaskRules(tuple(numbers), tuple(nodata), alpha, (*shared[:1], *own))


def apply_rules(rules: MaskRules, arrays: Sequence[npt.NDArray[Any]]) -> Mask | None:
    """Which pixels of decoded bands are no data: bool of the arrays' shape, None where all are data.

    `arrays` are those of `rules.wanted`, all of one shape, with values as stored. A pixel is masked where ANY
    of `rules.numbers` holds its nodata value or NaN, or where alpha is 0; an infinite value is data.
    """
    masked: Mask | None = None
    for array, nodata in zip(arrays, rules.nodata, strict=False):
        if nodata is not None and loops().contains(array, array.dtype.type(nodata)):
            masked = joined(masked, array == nodata)
        if array.dtype.kind == "f":
            masked = joined(masked, np.isnan(array))
    if rules.alpha is not None:
        masked = joined(masked, arrays[rules.wanted.index(rules.alpha)] == 0)
    return masked if masked is not None and masked.any() else None


def read_mask_band(dataset: Any, window: Any, rules: MaskRules) -> Mask | None:
    """What the file's own masks say of `window` (None: all of it); None where it has none."""
    masked: Mask | None = None
    for number in rules.mask_bands:
        masked = joined(masked, dataset.read_masks(number, window=window) == 0)
    return masked


def joined(masked: Mask | None, more: Mask | None) -> Mask | None:
    """Where either masks; None masks nothing. Writes into `masked`."""
    if masked is None or more is None:
        return more if masked is None else masked
    masked |= more
    return masked


def _held_by(dtype: np.dtype[Any], nodata: float | None) -> int | float | None:
    """The value in the band's own type: a float32 band never equals the float64 -3.4028235e38 of its tag.

    NaN is None: it equals nothing, and is masked in any case.
    """
    if nodata is None or math.isnan(nodata):
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(dtype.type(nodata))
    if not math.isfinite(nodata) or nodata != int(nodata):
        return None
    limits = np.iinfo(dtype)
    return int(nodata) if limits.min <= int(nodata) <= limits.max else None
