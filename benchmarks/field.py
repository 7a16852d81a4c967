"""A made-up field: crop rows, soil and weeds under a five-band camera, any size, strip by strip.

What matters for a benchmark is that it compresses and spreads over the classes as a real orthomosaic does:
smooth differences across the field, fine rows, sensor noise of some DN, and a turned outline with nothing
around it. Everything follows from the seed, so two machines make the same pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint16]
Plane = npt.NDArray[np.float32]

BANDS = ("B", "G", "R", "RE1", "N")
NODATA = 65535
GSD_M = 0.05

# Reflectance of bare soil and of a closed canopy in BANDS; DN as MicaSense scales them.
_SOIL = (0.08, 0.11, 0.15, 0.20, 0.25)
_CANOPY = (0.03, 0.07, 0.04, 0.25, 0.48)
_DN = 32768
# Read-out and photon noise, DN: it decides how far a file compresses.
_READ_NOISE = 25.0
_PHOTON_NOISE = 0.35
_PLOT = 600
_PATCH = 90
_ROW = 15.0
_OUTLINE_TURN = math.radians(7.5)


def _generator(*key: int) -> np.random.Generator:
    """A stream of its own for every key, the same on every machine."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))


@dataclass(frozen=True)
class Field:
    """A field `width` x `height` pixels large; with `border`, its outline is turned and ragged."""

    width: int
    height: int
    seed: int = 1
    border: bool = True

    def strip(self, start: int, stop: int) -> Pixels:
        """Rows `start` to `stop` as uint16 (5, rows, width), NODATA outside the outline."""
        cover = self._cover(start, stop)
        light = 1 + 0.08 * self._smooth(3, _PLOT * 3, start, stop)
        noise = _generator(self.seed, 9, start)
        pixels: Pixels = np.empty((len(BANDS), stop - start, self.width), np.uint16)
        for band, (soil, canopy) in enumerate(zip(_SOIL, _CANOPY, strict=True)):
            signal = (soil + (canopy - soil) * cover) * light * np.float32(_DN)
            grain = noise.standard_normal(signal.shape, np.float32)
            signal += grain * (_READ_NOISE + _PHOTON_NOISE * np.sqrt(signal))
            np.clip(np.rint(signal), 1, NODATA - 1, out=signal)
            pixels[band] = signal
        if self.border:
            pixels[:, ~self._inside(start, stop)] = NODATA
        return pixels

    def _smooth(self, stream: int, grain: int, start: int, stop: int) -> Plane:
        """Noise of unit size that varies over about `grain` pixels, float32 (rows, width)."""
        columns, rows = self.width // grain + 4, self.height // grain + 4
        nodes = _generator(self.seed, stream, 0).uniform(-1, 1, (rows, columns)).astype(np.float32)
        scale = 1 / grain
        place = np.array([[scale, 0, 1], [0, scale, 1 + start * scale]], np.float64)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        smooth = cv2.warpAffine(
            nodes, place, (self.width, stop - start), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(smooth, np.float32)

    def _cover(self, start: int, stop: int) -> Plane:
        """The share of the ground under leaves, 0..1."""
        vigour = (
            0.55 + 0.45 * self._smooth(1, _PLOT, start, stop) + 0.25 * self._smooth(2, _PATCH, start, stop)
        )
        across = np.arange(self.width, dtype=np.float32)[None, :] * np.float32(math.cos(0.3))
        along = np.arange(start, stop, dtype=np.float32)[:, None] * np.float32(math.sin(0.3))
        rows = 0.5 + 0.5 * np.sin((across + along) * np.float32(2 * math.pi / _ROW))
        # A strong canopy closes over the space between its rows.
        return np.clip(vigour * (0.45 + 0.55 * rows) + 0.5 * np.maximum(vigour - 0.6, 0), 0, 1)

    def _inside(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Where the turned outline holds the field, bool (rows, width): about four fifths of the area."""
        cosine, sine = math.cos(_OUTLINE_TURN), math.sin(_OUTLINE_TURN)
        reach = 0.5 / (cosine + sine)
        x = (np.arange(self.width, dtype=np.float32)[None, :] + 0.5) / self.width - 0.5
        y = (np.arange(start, stop, dtype=np.float32)[:, None] + 0.5) / self.height - 0.5
        ragged = reach + np.float32(0.006) * self._smooth(4, max(self.width // 60, 8), start, stop)
        inside = np.abs(cosine * x + sine * y) < ragged
        inside &= np.abs(cosine * y - sine * x) < ragged
        return inside
