"""The index raster: a float32 Cloud Optimized GeoTIFF, written window by window.

Where there is no value the raster holds NaN, which is also its nodata value.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from orthoray.spectral.georeference import Affine6
from orthoray.spectral.quiet import without
from orthoray.spectral.raster import GDAL_OPTIONS, PathLike, block_windows, open_raster
from orthoray.spectral.reduced import reduced_shape
from orthoray.spectral.statistics import Statistics

Values = npt.NDArray[np.float32]

PROVENANCE_TAG = "ORTHORAY_PROVENANCE"
_BLOCK = 512


class StagedRaster:
    """An index raster in the making. Use it inside `stage`: write all windows, read them, then publish."""

    def __init__(
        self,
        folder: Path,
        destination: Path,
        *,
        width: int,
        height: int,
        crs_wkt: str | None,
        transform: Affine6 | None,
    ) -> None:
        self._plain = folder / "plain.tif"
        self._finished = folder / "cog.tif"
        self._destination = destination
        self._size = (width, height)
        # a tile side of a TIFF is a multiple of 16: a narrow raster gets narrow tiles
        self._blocks = (min(_BLOCK, -(-width // 16) * 16), min(_BLOCK, -(-height // 16) * 16))
        place = (
            {"crs": CRS.from_wkt(crs_wkt), "transform": Affine(*transform)} if crs_wkt and transform else {}
        )
        # Uncompressed, so that windows that meet inside a tile rewrite it in place.
        self._writer = _open(
            self._plain,
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=1,
            dtype="float32",
            nodata=np.nan,
            tiled=True,
            blockxsize=self._blocks[0],
            blockysize=self._blocks[1],
            bigtiff="IF_SAFER",
            **place,
        )

    def write(self, values: Values, window: Window) -> None:
        """Write a window of float32 values, NaN where there is none."""
        self._writer.write(values, 1, window=window)

    def read(self) -> Iterator[Values]:
        """The written values again, in windows of float32 (rows, columns); nothing can be written after."""
        self.close()
        with _open(self._plain, driver="GTiff") as source:
            for window in block_windows(*self._size, *self._blocks):
                yield source.read(1, window=window)

    def publish(self, *, description: str, provenance: Mapping[str, Any], statistics: Statistics) -> None:
        """Make the COG, with its tags and overviews by averaging, and move it to its destination at once."""
        self.close()
        with _open(self._plain, "r+", driver="GTiff") as dataset:
            dataset.set_band_description(1, description)
            dataset.update_tags(**{PROVENANCE_TAG: json.dumps(provenance, ensure_ascii=False)})
            dataset.update_tags(1, **_statistics_tags(statistics))
        width, _ = self._size
        rasterio.shutil.copy(
            self._plain,
            self._finished,
            driver="COG",
            COMPRESS="ZSTD",
            # Higher levels take several times as long and save 3 % of an index map.
            LEVEL=1,
            PREDICTOR="YES",
            NUM_THREADS="ALL_CPUS",
            BIGTIFF="IF_SAFER",
            # A tile as wide as the raster looks like a strip, which a COG must not have.
            BLOCKSIZE=_BLOCK // 2 if width == _BLOCK else _BLOCK,
            # Overviews of a single column are no narrower than it, so readers take them for damage.
            OVERVIEWS="NONE" if width == 1 else "AUTO",
            OVERVIEW_RESAMPLING="AVERAGE",
        )
        self._finished.replace(self._destination)

    def close(self) -> None:
        """End writing; again is harmless."""
        if not self._writer.closed:
            self._writer.close()


@contextmanager
def stage(
    destination: PathLike,
    *,
    width: int,
    height: int,
    crs_wkt: str | None = None,
    transform: Affine6 | None = None,
) -> Iterator[StagedRaster]:
    """Begin an index raster that will lie at `destination`.

    All temporary files lie in a hidden folder beside it, which goes whatever happens; `destination` appears
    complete, on `publish`, or not at all. `transform` is (a, b, c, d, e, f) as in `RasterInfo`.
    """
    target = Path(destination).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".index-", dir=target.parent))
    try:
        with rasterio.Env(**GDAL_OPTIONS):
            staged = StagedRaster(
                folder, target, width=width, height=height, crs_wkt=crs_wkt, transform=transform
            )
            try:
                yield staged
            finally:
                staged.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def overview_array(path: PathLike, max_side: int) -> Values:
    """Read an index raster no larger than `max_side` pixels on either side.

    Returns float32 (rows, columns) with at least one pixel each way, averaged over valid pixels, NaN where
    there are none. Raises `TruncatedImage` where the file cannot be decoded.
    """
    with open_raster(path) as dataset:
        shape = reduced_shape(dataset.width, dataset.height, max_side)
        values: Values = dataset.read(1, out_shape=shape, resampling=Resampling.average, out_dtype=np.float32)
        return values


def _open(*arguments: Any, **options: Any) -> Any:
    with without(NotGeoreferencedWarning):
        return rasterio.open(*arguments, **options)


def _statistics_tags(statistics: Statistics) -> dict[str, str]:
    """GDAL's own names, which GIS programs read for their colour scales."""
    total = statistics.valid_pixels + statistics.nodata_pixels + statistics.invalid_pixels
    numbers = {
        "STATISTICS_MINIMUM": statistics.minimum,
        "STATISTICS_MAXIMUM": statistics.maximum,
        "STATISTICS_MEAN": statistics.mean,
        "STATISTICS_STDDEV": statistics.std,
        "STATISTICS_VALID_PERCENT": 100 * statistics.valid_pixels / total,
    }
    return {name: repr(float(number)) for name, number in numbers.items() if number is not None}
