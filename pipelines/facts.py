"""From files to a catalogue record: what the image says of itself, completed by what the caller says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyproj

from orthoray.contracts import Asset, digest_of_assets
from orthoray.errors import Impossible, TooLarge
from orthoray.ports import StoredFile, Upload
from orthoray.spectral.bands import BandMap, resolve_bands
from orthoray.spectral.calibration import Calibration, calibrate
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.maskfiles import pair_masks, split_masks
from orthoray.spectral.metadata import ImageMetadata, read_metadata
from orthoray.spectral.orientation import orientation_of, upright_size
from orthoray.spectral.raster import RasterInfo, inspect
from orthoray.spectral.raw import prepared
from orthoray.spectral.sensors import Recognition, recognise_stack
from orthoray.spectral.stack import Stack, inspect_stack
from orthoray.spectral.thumbnail import OVERSAMPLING, thumbnail_png

# Wide enough to be printed in a report at 200 dots per inch.
THUMBNAIL_SIDE = 768
# What the thumbnail is averaged from.
PREVIEW_SIDE = OVERSAMPLING * THUMBNAIL_SIDE


@dataclass(frozen=True)
class Subject:
    """Files that are one image, and what they tell before any pixel is read; `metadata` is the first file's."""

    stack: Stack
    metadata: ImageMetadata
    recognition: Recognition | None
    band_map: BandMap
    calibration: Calibration


def describe(
    paths: Sequence[Path], upload: Upload, *, bucket: str, max_pixels: int
) -> tuple[dict[str, Any], bytes]:
    """The columns of an imagery row, and its thumbnail (PNG). Width and height are those of the upright image.

    `paths` are the files of `upload` in their order.

    Raises:
        NotAnImage: not an image of a known format, or an incomplete one.
        TooLarge: more pixels than `max_pixels`, or than its format may have.
        Impossible: pixels or band names that cannot be worked with, or files that do not belong together.
    """
    subject = examine(paths, upload)  # first: it knows the limits
    for path in paths:
        check_complete(path)
    info = subject.stack.info
    if info.width * info.height > max_pixels:
        raise TooLarge(
            f"The image has {info.width * info.height:,} pixels, the limit is {max_pixels:,}: cut it or reduce it.",
            max_pixels=max_pixels,
        )
    record = record_of(subject, upload, bucket=bucket)
    return record, picture_of(subject)


def picture_of(subject: Subject) -> bytes:
    """The thumbnail (PNG) of the files of one image; transparent where a mask file hides all bands of one."""
    stack = subject.stack
    with ExitStack() as opened:
        readable = [opened.enter_context(prepared(path)) for path in stack.files]
        return thumbnail_png(readable, subject.band_map, THUMBNAIL_SIDE, masks=stack.masks)


def examine(paths: Sequence[Path], upload: Upload) -> Subject:
    """Read the headers of the files. Raises as `describe`, of incomplete files only what their headers show."""
    paths, filenames, masks = split_masks(paths, [file.filename for file in upload.files])
    stack = inspect_stack(paths, filenames, masks=masks)
    info = stack.info
    metadata = [read_metadata(path) for path in paths]
    recognition = recognise_stack(metadata, stack.infos, filenames=filenames)
    band_map = resolve_bands(
        info, bands=upload.bands, sensor=upload.sensor, recognition=recognition, filenames=filenames
    )
    if len(paths) > 1 and not band_map.known:
        raise Impossible(
            f"Nothing tells which bands these {len(paths)} files hold. If they are the bands of one image, name them "
            "in the order of the files, for example bands=R,G,B,N; if each is an image of its own, send each alone."
        )
    return Subject(
        stack=stack,
        metadata=metadata[0],
        recognition=recognition,
        band_map=band_map,
        calibration=calibrate(
            info, scale=_plain(upload.scale), offset=_plain(upload.offset), recognition=recognition
        ),
    )


def record_of(subject: Subject, upload: Upload, *, bucket: str) -> dict[str, Any]:
    """The columns of an imagery row."""
    info, band_map, seen = subject.stack.info, subject.band_map, subject.recognition
    pairs = pair_masks([file.filename for file in upload.files])
    images = [upload.files[place] for place in pairs]
    masks = [upload.files[place] for place in pairs.values() if place is not None]
    first = images[0]
    width, height = upright_size(
        info.width, info.height, orientation_of(subject.stack.files[0], subject.stack.infos[0])
    )
    told = subject.metadata.to_dict()
    return {
        "id": upload.id,
        "original_filename": first.filename,
        "bucket": bucket,
        "object_key": first.object_key,
        "content_type": subject.stack.infos[0].media_type,
        "size_bytes": sum(file.size_bytes for file in upload.files),
        "sha256": digest_of_assets(file.sha256 for file in (*images, *masks)),
        "assets": [
            *(
                _asset(file, part, "data", width, height)
                for file, part in zip(images, subject.stack.infos, strict=True)
            ),
            *(
                _asset(file, inspect(mask), "mask", width, height)
                for file, mask in zip(masks, filter(None, subject.stack.masks), strict=True)
            ),
        ],
        "width": width,
        "height": height,
        "band_count": info.count,
        "dtype": info.dtype,
        "bands": band_map.numbers,
        "bands_source": band_map.source,
        "bands_reason": band_map.reason,
        "alpha_band": band_map.alpha,
        "sensor": band_map.sensor,
        "sensor_reason": seen.reason if seen else None,
        "raw_capture": seen is not None and seen.raw_capture,
        "calibration": subject.calibration.to_dict(),
        "nodata": info.to_dict()["nodata"][0],
        "crs": _crs(info),
        "transform": list(info.transform) if info.transform else None,
        "footprint": info.footprint,
        "bounds_wgs84": list(info.bounds_wgs84) if info.bounds_wgs84 else None,
        "gsd_m": math.sqrt(info.gsd_m[0] * info.gsd_m[1]) if info.gsd_m else None,
        "captured_at": upload.captured_at or _captured_at(subject.metadata),
        "gps": upload.gps.model_dump() if upload.gps else told["gps"],
        "camera": told["camera"],
    }


def _asset(
    file: StoredFile, info: RasterInfo, role: Literal["data", "mask"], width: int, height: int
) -> dict[str, Any]:
    return Asset(
        **file.model_dump(),
        role=role,
        content_type=info.media_type,
        band_count=info.count,
        width=width,
        height=height,
        dtype=info.dtype,
    ).model_dump()


def _plain(numbers: Sequence[float] | None) -> float | Sequence[float] | None:
    """One number counts for all bands."""
    return numbers[0] if numbers is not None and len(numbers) == 1 else numbers


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
