"""How the tiles of an index raster are written: float32, or whole numbers of a fixed step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt

from orthoray.errors import Impossible

Values = npt.NDArray[np.float32]
Raster = Literal["float32", "int16"]

# Higher levels take several times as long and save 3 % of an index map.
_LEVEL = 1
_INT16_NODATA = -32768
_INT16_LIMIT = 32767
_STEPS = (0.0001, 0.001, 0.01, 0.1)


@dataclass(frozen=True)
class Encoding:
    """The pixels of an index raster: float32, or int16 of which one step is worth `step`."""

    step: float | None = None

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.int16]:
        return np.dtype(np.float32) if self.step is None else np.dtype(np.int16)

    @property
    def nodata(self) -> str:
        """The nodata value as GDAL's tag has it."""
        return "nan" if self.step is None else str(_INT16_NODATA)

    @property
    def predictor(self) -> int:
        """TIFF's number of the predictor: of floating-point numbers, or of differences along a row."""
        return 3 if self.step is None else 2

    def tile(self, values: Values) -> bytes:
        """A tile, float32 (side, side) with NaN where there is no value, as ZSTD; nothing where all is NaN.

        Values beyond the greatest that int16 holds become the greatest.
        """
        if np.isnan(values).all():
            return b""
        if self.step is None:
            return bytes(imagecodecs.zstd_encode(_planes(values).tobytes(), level=_LEVEL))
        with np.errstate(invalid="ignore", over="ignore"):
            steps = np.rint(np.clip(values / np.float32(self.step), -_INT16_LIMIT, _INT16_LIMIT))
        steps[np.isnan(values)] = _INT16_NODATA
        whole = steps.astype(np.int16)
        return bytes(imagecodecs.zstd_encode(imagecodecs.delta_encode(whole, axis=1).tobytes(), level=_LEVEL))


FLOAT32 = Encoding()


def encoding_for(raster: Raster, value_range: tuple[float, float] | None, index_name: str) -> Encoding:
    """The encoding of a wish.

    Raises:
        Impossible: int16 for an index whose range is not known or too wide for a step of 0.1.
    """
    if raster == "float32":
        return FLOAT32
    if value_range is not None:
        greatest = max(map(abs, value_range))
        # twice the range fits, so that a value somewhat beyond it is kept
        for step in _STEPS:
            if greatest * 2 <= _INT16_LIMIT * step:
                return Encoding(step)
    raise Impossible(
        f"The values of {index_name} have no range that 16-bit steps could cover: ask for raster=float32."
    )


def _planes(values: Values) -> npt.NDArray[np.uint8]:
    """TIFF's floating-point predictor: the bytes of a row by significance, highest first, then differences."""
    rows, columns = values.shape
    parts = cv2.split(np.ascontiguousarray(values).view(np.uint8).reshape(rows, columns, 4))
    planes: npt.NDArray[np.uint8] = np.stack(parts[::-1], axis=1).astype(np.uint8, copy=False)
    flat = planes.reshape(rows, 4 * columns)
    differences = np.empty_like(flat)
    differences[:, 0] = flat[:, 0]
    np.subtract(flat[:, 1:], flat[:, :-1], out=differences[:, 1:])
    return differences
