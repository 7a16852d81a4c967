"""How the tiles of an index raster are written: float32, or whole numbers of a fixed step."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

import imagecodecs
import numpy as np
import numpy.typing as npt
import zstandard

from orthoray.errors import Impossible
from orthoray.spectral.loops import loops
from orthoray.spectral.scratch import own_scratch

Values = npt.NDArray[np.float32]
Raster = Literal["float32", "int16"]

# float32: the lower bytes are noise, in which higher levels search in vain; level 1 takes twice the time and saves 5 %.
_FLOAT_LEVEL = -3
_INT16_LEVEL = 1
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
        if np.isnan(values[0, 0]) and np.isnan(values).all():
            return b""
        if self.step is None:
            scratch = own_scratch()
            words = scratch.take(values.shape, np.uint32)
            loops().predict(np.ascontiguousarray(values), words.view(np.uint8))
            encoded = _compressor().compress(words.data)
            scratch.give(words)
            return encoded
        with np.errstate(invalid="ignore", over="ignore"):
            steps = np.rint(np.clip(values / np.float32(self.step), -_INT16_LIMIT, _INT16_LIMIT))
        steps[np.isnan(values)] = _INT16_NODATA
        whole = steps.astype(np.int16)
        return bytes(
            imagecodecs.zstd_encode(imagecodecs.delta_encode(whole, axis=1).tobytes(), level=_INT16_LEVEL)
        )


FLOAT32 = Encoding()
_LOCAL = threading.local()


def _compressor() -> zstandard.ZstdCompressor:
    """The calling thread's own: two threads may not share one."""
    found: zstandard.ZstdCompressor | None = getattr(_LOCAL, "compressor", None)
    if found is None:
        found = _LOCAL.compressor = zstandard.ZstdCompressor(level=_FLOAT_LEVEL)
    return found


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
