"""Which camera or satellite took a file, told by its EXIF and XMP tags or by the name of a product's file."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from orthoray.spectral.labels import LONG_NAMES, SKIP, Names, product, tagged
from orthoray.spectral.metadata import ImageMetadata
from orthoray.spectral.presets import BLUE_CAMERA_NM, SENSORS, Sensor

_VISIBLE_COLOURS = frozenset({"red", "green", "blue"})
_DJI_SOURCE = re.compile(r"MS_(G|R|RE|NIR)_CAMERA")
_LONGEST_CAMERA = 60
_DJI_WORDS = {"G": "Green", "R": "Red", "RE": "Red edge", "NIR": "NIR"}
# USGS, LSDS-1619: surface temperature in kelvin.
_SURFACE_TEMPERATURE = (0.00341802, 149.0)
_COLLECTION_2 = re.compile(r"L[COTE]0\d_L2S[PR]_\d{6}_\d{8}_\d{8}_02_\w\w_(SR|ST)_B\d", re.IGNORECASE)


class Pictured(Protocol):
    """What recognition reads of a raster; `orthoray.spectral.raster.RasterInfo` is one."""

    @property
    def count(self) -> int: ...

    @property
    def dtype(self) -> str: ...

    @property
    def colours(self) -> tuple[str, ...]: ...

    @property
    def georeferenced(self) -> bool: ...


@dataclass(frozen=True)
class Recognition:
    """What the tags of an imagery tell about its origin.

    `sensor` is the key of a preset, `camera` the make and model as a person says them, `reason` one sentence.
    `raw_capture` marks files of a multispectral camera that hold the uncalibrated pixels of one lens. `bands` has
    one entry for each band: a name, `"-"` for a band that is known to have none, None where the tags are silent;
    it is None where they name no band at all; what file names say of bands is not repeated here. `scales` and
    `offsets`, one for each band, are there where the file is of a product whose maker documents them.
    """

    sensor: str
    camera: str
    reason: str
    raw_capture: bool = False
    bands: Names | None = None
    scales: tuple[float, ...] | None = None
    offsets: tuple[float, ...] | None = None


def recognise_stack(
    metadatas: Sequence[ImageMetadata],
    infos: Sequence[Pictured],
    *,
    filenames: Sequence[str | None] | None = None,
) -> Recognition | None:
    """Recognise the files of one imagery; None where they tell nothing, or are of several sensors.

    The sequences are of one length, in file order; `bands` of the result are those of all files one after another.
    Where any file is a raw capture, so is the whole, whatever stands beside it.
    """
    sensors = [_sensor(metadata) for metadata in metadatas]
    raw = [
        sensor
        for sensor, metadata, info in zip(sensors, metadatas, infos, strict=True)
        if sensor is not None and _is_raw_capture(sensor, metadata, info)
    ]
    if not any(sensors):
        return _satellite(infos, filenames or [])
    sensor = raw[0] if raw else sensors[0]
    if sensor is None or (not raw and any(other != sensor for other in sensors)):
        return None
    camera = _camera(metadatas[sensors.index(sensor)]) or sensor.title
    names, wavelengths = _told(metadatas, infos)
    if sensor.key == "micasense-rededge" and BLUE_CAMERA_NM & set(wavelengths):
        sensor = SENSORS["micasense-dual"]
    bands: Names | None = tagged(names, wavelengths)
    if not any(bands or ()):
        bands = _preset_bands(sensor, infos)
    return Recognition(sensor.key, camera, _reason(camera, bands), bool(raw), bands)


def _told(
    metadatas: Sequence[ImageMetadata], infos: Sequence[Pictured]
) -> tuple[list[str | None], list[float | None]]:
    """Name and wavelength of every band by the tags, None where a file's tags do not fit its bands."""
    names: list[str | None] = []
    wavelengths: list[float | None] = []
    for metadata, info in zip(metadatas, infos, strict=True):
        told, centres = _band_names(metadata), _wavelengths(metadata)
        fits = len(told) == info.count
        names += told if fits else [None] * info.count
        wavelengths += centres if fits and len(centres) == info.count else [None] * info.count
    return names, wavelengths


def _sensor(metadata: ImageMetadata) -> Sensor | None:
    rig = metadata.sensor.get("Camera:RigName", "")
    drone = metadata.sensor.get("drone-dji:DroneModel", "")
    exif = _camera(metadata) or ""
    for text in (exif, rig, drone):
        told = text.lower() if isinstance(text, str) else ""
        for sensor in SENSORS.values():
            if told and sensor.model is not None and re.search(sensor.model, told):
                return sensor
    return None


def _camera(metadata: ImageMetadata) -> str | None:
    """Make and model, the make once, fit to be shown: "MicaSense RedEdge-M"."""
    camera = metadata.camera
    if camera is None or camera.model is None:
        return None
    make, model = camera.make or "", camera.model
    whole = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    return "".join(filter(str.isprintable, whole))[:_LONGEST_CAMERA]


def _band_names(metadata: ImageMetadata) -> list[str | None]:
    for tag in ("Camera:BandName", "drone-dji:BandName"):
        value = metadata.sensor.get(tag)
        if value:
            return list(value) if isinstance(value, list) else [part.strip() for part in value.split(",")]
    source = metadata.sensor.get("drone-dji:ImageSource")
    match = _DJI_SOURCE.search(source) if isinstance(source, str) else None
    return [] if match is None else [_DJI_WORDS[match[1]]]


def _wavelengths(metadata: ImageMetadata) -> list[float | None]:
    value = metadata.sensor.get("Camera:CentralWavelength") or []
    return [_number(text) for text in (value if isinstance(value, list) else value.split(","))]


def _number(text: str) -> float | None:
    found = re.match(r"\s*(\d+(?:\.\d+)?)", text)
    number = float(found[1]) if found else math.nan
    return number if math.isfinite(number) else None


def _preset_bands(sensor: Sensor, infos: Sequence[Pictured]) -> Names | None:
    """The preset's names where the camera has but one order and the file's own colours do not speak against it.

    The channels of a camera whose filter was exchanged still call themselves red, green and blue, those of a
    camera with one lens for each band do not: there red, green and blue are the picture of its colour lens.
    """
    if len(infos) != 1:
        return None
    info = infos[0]
    alpha = info.colours[-1:] == ("alpha",)
    order = sensor.order(info.count - alpha)
    if order is None:
        return None
    if sensor.kind == "raw capture":
        one_order = f"{sensor.key}-by-wavelength" not in SENSORS and sensor.key != "micasense-dual"
        if not one_order or _VISIBLE_COLOURS & set(info.colours) or info.count < 2:
            return None
    return (*order, SKIP) if alpha else order


def _is_raw_capture(sensor: Sensor, metadata: ImageMetadata, info: Pictured) -> bool:
    """One lens's pixels as the camera wrote them: integers, no place on a map, one band."""
    if sensor.kind != "raw capture" or info.georeferenced or np.dtype(info.dtype).kind not in "iu":
        return False
    return info.count == 1 or (len(_band_names(metadata)) == 1 and not _VISIBLE_COLOURS & set(info.colours))


def _reason(camera: str, bands: Names | None) -> str:
    known = [LONG_NAMES[name] for name in bands or () if name is not None and name != SKIP]
    told = f" and {'the bands ' if len(known) > 1 else 'the band '}{', '.join(known)}" if known else ""
    return f"The tags name the camera {camera}{told}."


def _satellite(infos: Sequence[Pictured], filenames: Sequence[str | None]) -> Recognition | None:
    """A product that names its files so that each tells its satellite."""
    products = [product(filename) for filename in filenames]
    keys = {found[0] for found in products if found is not None}
    if None in products or len(keys) != 1 or any(info.count != 1 for info in infos):
        return None
    sensor = SENSORS[keys.pop()]
    scalings = [_scaling(sensor, filename, info) for filename, info in zip(filenames, infos, strict=True)]
    documented = [scaling for scaling in scalings if scaling is not None]
    complete = len(documented) == len(infos)
    return Recognition(
        sensor.key,
        sensor.title,
        f"The names of the files are those of a product of {sensor.title}.",
        scales=tuple(scale for scale, _ in documented) if complete else None,
        offsets=tuple(offset for _, offset in documented) if complete else None,
    )


def _scaling(sensor: Sensor, filename: str | None, info: Pictured) -> tuple[float, float] | None:
    """Scale and offset of a file of Landsat's Collection 2 Level 2, whose every release has the same."""
    match = _COLLECTION_2.match(filename or "")
    if match is None or sensor.scale is None or info.dtype != "uint16":
        return None
    return (sensor.scale, sensor.offset) if match[1].upper() == "SR" else _SURFACE_TEMPERATURE
