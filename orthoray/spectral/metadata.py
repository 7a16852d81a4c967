"""What a camera wrote beside the pixels: time, place, camera and sensor attitude (EXIF and XMP)."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, MutableMapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from xml.etree.ElementTree import Element

from defusedxml import ElementTree
from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin
from PIL.ExifTags import GPS, IFD, Base

from orthoray.spectral.formats import JPEG, PNG, TIFF, Format, detect_format
from orthoray.spectral.quiet import without

T = TypeVar("T")
Fields = dict[int, Any]

_XMP_TAG = 700
_BIG_TIFF = (b"II+\0", b"MM\0+")
# Local names collide (Camera:Yaw is the camera's, DLS:Yaw the light sensor's), so each keeps its prefix;
# cameras bind the prefixes freely, so it is the namespace that counts. Some end it with a slash.
_SENSOR_NAMESPACES = {
    "http://pix4d.com/camera/1.0": "Camera",
    "http://micasense.com/MicaSense/1.0": "MicaSense",
    "http://micasense.com/DLS/1.0": "DLS",
    "http://www.dji.com/drone-dji/1.0": "drone-dji",
}
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
# Cameras write some kilobytes.
_MOST_XMP_BYTES = 1024 * 1024
_LONGEST_NUMBER = 64
_FRACTION = re.compile(r"[+-]?\d{1,20}/\d{1,20}", re.ASCII)
# No place on Earth is further from UTC; a greater difference means a GPS clock without a fix.
_GREATEST_UTC_OFFSET = timedelta(hours=15)


@dataclass(frozen=True)
class GpsPosition:
    """Signed decimal degrees (WGS 84) and metres above sea level."""

    latitude: float
    longitude: float
    altitude_m: float | None = None


@dataclass(frozen=True)
class Camera:
    """The camera as it names itself."""

    make: str | None = None
    model: str | None = None
    lens: str | None = None
    serial: str | None = None


@dataclass(frozen=True)
class ImageMetadata:
    """Metadata of a picture; whatever is absent or unreadable is None or empty.

    `captured_at` is ISO 8601: with an offset where the file tells it (OffsetTime, or GPS time, which is
    UTC), else without, and then `captured_at_is_local` is True: camera time in an unknown zone.
    `orientation` is EXIF's 1..8. `sensor` holds XMP properties of camera makers as strings, or lists of
    strings, by prefixed name ("Camera:Yaw", "DLS:Yaw", "drone-dji:GimbalYawDegree").
    """

    captured_at: str | None = None
    captured_at_is_local: bool = False
    gps: GpsPosition | None = None
    camera: Camera | None = None
    orientation: int | None = None
    sensor: dict[str, str | list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-ready data."""
        return asdict(self)


def read_metadata(path: str | os.PathLike[str]) -> ImageMetadata:
    """Read the metadata of a JPEG, PNG or TIFF file or of a camera's raw file; BMP and JPEG 2000 have none.

    Damaged metadata never raises: its fields stay empty. Raises `NotAnImage` as `detect_format` does.
    """
    location = Path(path)
    kind = detect_format(location)
    with location.open("rb") as file, without(Warning):
        exif, xmp = _attempt(partial(_open_exif, file, kind)) or (Image.Exif(), None)
        tags = _fields(exif)
        details = _fields(_attempt(partial(exif.get_ifd, IFD.Exif)) or {})
        positions = _fields(_attempt(partial(exif.get_ifd, IFD.GPSInfo)) or {})
    captured_at, is_local = _captured_at(tags, details, positions)
    orientation = _integer(tags.get(Base.Orientation))
    return ImageMetadata(
        captured_at=captured_at,
        captured_at_is_local=is_local,
        gps=_position(positions),
        camera=_camera(tags, details),
        orientation=orientation if orientation in range(1, 9) else None,
        sensor=_sensor(xmp),
    )


def _attempt(read: Callable[[], T]) -> T | None:
    """Pillow raises anything on damaged EXIF, from KeyError to struct.error: the rest may still be good."""
    try:
        return read()
    except Exception:
        return None


def _fields(directory: MutableMapping[int, Any]) -> Fields:
    """Every field that can be decoded."""
    found = {tag: _attempt(partial(directory.__getitem__, tag)) for tag in list(directory)}
    return {tag: value for tag, value in found.items() if value is not None}


def _open_exif(file: BinaryIO, kind: Format) -> tuple[Image.Exif, bytes | None]:
    """The EXIF and the XMP packet. The plugins' own classes have no limit of pixels, and none are decoded."""
    exif = Image.Exif()
    if kind in {JPEG, PNG}:
        plugin = JpegImagePlugin.JpegImageFile if kind is JPEG else PngImagePlugin.PngImageFile
        image: Image.Image = plugin(file)
        # not `getexif`: that takes an orientation from XMP too, which no decoder of photos obeys
        if "exif" in image.info:
            exif.load(image.info["exif"])
        return exif, _bytes(image.info.get("xmp"))
    head = file.read(16)
    file.seek(0)
    if head.startswith(_BIG_TIFF):
        # Pillow's Exif reads the shorter header alone; EXIF and GPS directories in a BigTIFF stay unread
        directory = TiffImagePlugin.ImageFileDirectory_v2(head)
        file.seek(directory.next)
        directory.load(file)
        exif.update(_fields(directory))
    elif head.startswith(TIFF.magic):  # most raw files of cameras too
        exif.load_from_fp(file)
    return exif, _bytes(exif.get(_XMP_TAG))


def _bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, tuple) and all(isinstance(item, int) and 0 <= item < 256 for item in value):
        return bytes(value)
    return value if isinstance(value, bytes) else None


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        return None
    return value.split("\0", 1)[0].strip() or None


def _number(value: object) -> float | None:
    """A finite float of anything EXIF libraries deliver: rationals, pairs, numbers, digits."""
    try:
        if isinstance(value, tuple | list):
            if len(value) == 1:
                return _number(value[0])
            top, bottom = value
            number = float(top) / float(bottom)
        elif isinstance(value, bytes):
            number = float(value[0]) if len(value) == 1 else _told(value.decode())
        elif isinstance(value, str):
            number = _told(value)
        else:
            number = float(value)  # type: ignore[arg-type]  # what has no float() is the case below
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if math.isfinite(number) else None


def _told(text: str) -> float:
    """The number that a text tells, decimal or a fraction of whole numbers; ValueError where it is none.

    `Fraction` alone would work out ten to any power, and that takes as long as the file's author likes.
    """
    text = text.strip()
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("no camera writes numbers of such length")
    return float(Fraction(text)) if _FRACTION.fullmatch(text) else float(text)


def _is_void(value: object) -> bool:
    """Whether a rational is 0/0, as Pillow's class or as a pair."""
    if isinstance(value, TiffImagePlugin.IFDRational):
        return value.numerator == 0 and value.denominator == 0
    return isinstance(value, tuple | list) and tuple(value) == (0, 0)


def _integer(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _camera(tags: Fields, details: Fields) -> Camera | None:
    camera = Camera(
        make=_text(tags.get(Base.Make)),
        model=_text(tags.get(Base.Model)),
        lens=_text(details.get(Base.LensModel)),
        serial=_text(details.get(Base.BodySerialNumber)) or _text(tags.get(Base.CameraSerialNumber)),
    )
    return None if camera == Camera() else camera


def _position(gps: Fields) -> GpsPosition | None:
    latitude = _degrees(gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef), "S", 90)
    longitude = _degrees(gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef), "W", 180)
    if latitude is None or longitude is None:
        return None
    altitude = _number(gps.get(GPS.GPSAltitude))
    below = _integer(gps.get(GPS.GPSAltitudeRef)) in {1, 3}
    return GpsPosition(latitude, longitude, -altitude if below and altitude is not None else altitude)


def _degrees(value: object, reference: object, negative: str, limit: float) -> float | None:
    """Signed degrees of (degrees, minutes, seconds), of which the latter two may be absent.

    A missing reference means north or east, and minutes or seconds of 0/0 are zero: so write cameras that
    keep no such part. None where a part is missing, not finite or out of range.
    """
    parts = list(value) if isinstance(value, tuple | list) else [value]
    numbers = [0.0 if power and _is_void(part) else _number(part) for power, part in enumerate(parts[:3])]
    if any(number is None for number in numbers):
        return None
    degrees = sum((number or 0.0) / 60**power for power, number in enumerate(numbers))
    if (_text(reference) or "").upper().startswith(negative):
        degrees = -abs(degrees)
    return degrees if abs(degrees) <= limit else None


def _captured_at(tags: Fields, details: Fields, gps: Fields) -> tuple[str | None, bool]:
    local = next(
        (
            (time, offset_tag)
            for time, offset_tag in (
                (_time(details.get(Base.DateTimeOriginal)), Base.OffsetTimeOriginal),
                (_time(details.get(Base.DateTimeDigitized)), Base.OffsetTimeDigitized),
                (_time(tags.get(Base.DateTime)), Base.OffsetTime),
            )
            if time is not None
        ),
        None,
    )
    utc = _gps_time(gps)
    if local is None:
        return (None, False) if utc is None else (utc.isoformat(), False)
    time, offset_tag = local
    offset = _text(details.get(offset_tag)) or _text(details.get(Base.OffsetTime))
    if offset is not None and re.fullmatch(r"[+-]\d\d:\d\d|Z", offset):
        try:
            return datetime.fromisoformat(time.isoformat() + offset).isoformat(), False
        except ValueError:
            pass
    if utc is not None and abs(time.replace(tzinfo=UTC) - utc) <= _GREATEST_UTC_OFFSET:
        return utc.isoformat(), False
    return time.isoformat(), True


def _time(value: object) -> datetime | None:
    """EXIF's "2024:05:31 12:00:00", also with the separators of ISO 8601; a clock never set is None."""
    found = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)", _text(value) or "")
    if found is None:
        return None
    try:
        return datetime(*map(int, found.groups()))  # type: ignore[arg-type]  # noqa: DTZ001 - zone not told
    except ValueError:
        return None


def _gps_time(gps: Fields) -> datetime | None:
    date = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)", _text(gps.get(GPS.GPSDateStamp)) or "")
    clock = gps.get(GPS.GPSTimeStamp)
    if date is None or not isinstance(clock, tuple | list) or len(clock) != 3:
        return None
    hours, minutes, seconds = (_number(part) for part in clock)
    if hours is None or minutes is None or seconds is None:
        return None
    try:
        midnight = datetime(int(date[1]), int(date[2]), int(date[3]), tzinfo=UTC)
        return midnight + timedelta(seconds=int(hours * 3600 + minutes * 60 + seconds))
    except (ValueError, OverflowError):
        return None


def _sensor(xmp: bytes | None) -> dict[str, str | list[str]]:
    if not xmp or len(xmp) > _MOST_XMP_BYTES:
        return {}
    try:
        root = ElementTree.fromstring(xmp.strip(b"\x00 \r\n\t"))
    except Exception:  # broken or hostile XML: defusedxml has its own exceptions beside the parser's
        return {}
    found: dict[str, str | list[str]] = {}
    for description in root.iter(f"{_RDF}Description"):
        for name, value in description.attrib.items():
            _keep(found, name, value.strip())
        for child in description:
            _keep(found, child.tag, _property(child))
    return found


def _property(element: Element) -> str | list[str]:
    """The text of a simple property, the items of an array."""
    # not `iter`: of elements within elements it would visit each as often as it is deep
    items = [(item.text or "").strip() for item in element.iterfind(f"*/{_RDF}li")]
    return items or (element.text or "").strip()


def _keep(found: dict[str, str | list[str]], name: str, value: str | list[str]) -> None:
    namespace, _, local = name.removeprefix("{").rpartition("}")
    prefix = _SENSOR_NAMESPACES.get(namespace.rstrip("/"))
    if prefix is not None and value:
        found[f"{prefix}:{local}"] = value
