"""From a file to its catalogue record: what the image says of itself, completed by what the caller says."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyproj

from orthoray.errors import TooLarge
from orthoray.ports import Upload
from orthoray.spectral.bands import resolve_bands
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.metadata import ImageMetadata, read_metadata
from orthoray.spectral.orientation import orientation_of, upright_size
from orthoray.spectral.raster import RasterInfo, inspect
from orthoray.spectral.thumbnail import thumbnail_png

# Wide enough to be printed in a report at 200 dots per inch.
THUMBNAIL_SIDE = 768


def describe(path: Path, upload: Upload, *, bucket: str, max_pixels: int) -> tuple[dict[str, Any], bytes]:
    """The columns of an imagery row, and its thumbnail (PNG). Width and height are those of the upright image.

    Raises:
        NotAnImage: not an image of a known format, or an incomplete one.
        TooLarge: more pixels than `max_pixels`, or than its format may have.
        Impossible: pixels or band names that cannot be worked with.
    """
    info = inspect(path)  # first: it knows the limits
    check_complete(path)
    if info.width * info.height > max_pixels:
        raise TooLarge(
            f"The image has {info.width * info.height:,} pixels, the limit is {max_pixels:,}: cut it or reduce it.",
            max_pixels=max_pixels,
        )
    band_map = resolve_bands(info, bands=upload.bands, sensor=upload.sensor)
    metadata = read_metadata(path)
    width, height = upright_size(info.width, info.height, orientation_of(path, info))
    gps = upload.gps.model_dump() if upload.gps else metadata.to_dict()["gps"]
    camera = metadata.to_dict()["camera"]
    record = {
        "id": upload.id,
        "original_filename": upload.filename,
        "bucket": bucket,
        "object_key": upload.object_key,
        "content_type": info.media_type,
        "size_bytes": upload.size_bytes,
        "sha256": upload.sha256,
        "width": width,
        "height": height,
        "band_count": info.count,
        "dtype": info.dtype,
        "bands": band_map.numbers,
        "bands_source": band_map.source,
        "alpha_band": band_map.alpha,
        "sensor": upload.sensor,
        "nodata": info.to_dict()["nodata"][0],
        "crs": _crs(info),
        "transform": list(info.transform) if info.transform else None,
        "footprint": info.footprint,
        "bounds_wgs84": list(info.bounds_wgs84) if info.bounds_wgs84 else None,
        "gsd_m": math.sqrt(info.gsd_m[0] * info.gsd_m[1]) if info.gsd_m else None,
        "captured_at": upload.captured_at or _captured_at(metadata),
        "gps": gps,
        "camera": camera,
    }
    return record, thumbnail_png(path, band_map, max_side=THUMBNAIL_SIDE)


def _crs(info: RasterInfo) -> dict[str, Any] | None:
    """The EPSG code says it all; the long text is kept where there is none."""
    if info.crs_wkt is None:
        return None
    name = pyproj.CRS.from_wkt(info.crs_wkt).name
    return (
        {"epsg": info.epsg, "name": name} if info.epsg else {"epsg": None, "name": name, "wkt": info.crs_wkt}
    )


def _captured_at(metadata: ImageMetadata) -> datetime | None:
    """A camera clock without a time zone is taken for UTC: off by hours at most, and the day is what matters."""
    if metadata.captured_at is None:
        return None
    moment = datetime.fromisoformat(metadata.captured_at)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
