"""Cameras and satellites as data: their bands in file order, their wavelengths, and what they call themselves.

Sources: the makers' pages and manuals named in docs/reference/sensors.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from orthoray.errors import Impossible
from orthoray.spectral.labels import SKIP

Order = tuple[str, ...]
# Band name, central wavelength and full width at half maximum in nm; the width is None where none is published.
Wavelength = tuple[str, float, float | None]


@dataclass(frozen=True)
class Sensor:
    """A preset.

    `orders` are the band names in file order, one entry for each number of bands that its files come with;
    `"-"` is a band without a name (a panchromatic one, or a second red). `wavelengths_nm` is as published, by
    the camera's own numbers. `kind` is "raw capture" for cameras
    that write one file for each band, which need calibration and alignment before their bands can be compared,
    and "composite" for those whose files are images. `model` is what the camera calls itself in EXIF or XMP, a
    regular expression on make and model in lower case. `scale` and `offset` turn pixels to reflectance in the exports that
    `scale_of` names; they are applied where a file's name proves that it is such an export, else only advice.
    """

    key: str
    title: str
    kind: Literal["raw capture", "composite"]
    orders: tuple[Order, ...]
    wavelengths_nm: tuple[Wavelength, ...] = ()
    aliases: tuple[str, ...] = ()
    model: str | None = None
    scale: float | None = None
    offset: float = 0.0
    scale_of: str | None = None

    def order(self, count: int) -> Order | None:
        """The names of a file of `count` bands, None where the sensor has no such file."""
        return next((order for order in self.orders if len(order) == count), None)


_REDEDGE: tuple[Wavelength, ...] = (
    ("B", 475, 32),
    ("G", 560, 27),
    ("R", 668, 14),
    ("N", 842, 57),
    ("RE1", 717, 12),
)
_BLUE_CAMERA: tuple[Wavelength, ...] = (
    ("A", 444, 28),
    ("G1", 531, 14),
    (SKIP, 650, 16),
    ("RE1", 705, 10),
    ("RE2", 740, 18),
)
_DUAL: tuple[Wavelength, ...] = (*_REDEDGE[:4], (SKIP, 717, 12), *_BLUE_CAMERA)
_PANCHRO: Wavelength = (SKIP, 634.5, 463)
_LWIR: Wavelength = ("T", 11000, 6000)
_BY_NUMBER: Order = ("B", "G", "R", "N", "RE1")
_BY_WAVELENGTH: Order = ("B", "G", "R", "RE1", "N")
# Agisoft Metashape and MicaSense Atlas write 1.0 as 32768.
_METASHAPE = (1 / 32768, "16-bit exports of Agisoft Metashape and MicaSense Atlas")

_ALL: tuple[Sensor, ...] = (
    Sensor("rgb", "photo in natural colours", "composite", (("R", "G", "B"),)),
    Sensor("rgbn", "image in red, green, blue and near infrared", "composite", (("R", "G", "B", "N"),)),
    # Two orders of the MicaSense cameras are in use: their own numbering puts near infrared before red edge,
    # photogrammetry programs sort by wavelength. Nothing in a composite tells them apart, hence two presets each.
    Sensor(
        "micasense-rededge", "MicaSense RedEdge", "raw capture", (_BY_NUMBER,), _REDEDGE,
        ("micasense-rededge-m", "micasense-rededge-mx"), r"rededge(?![- ]?p\b)", _METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "micasense-rededge-by-wavelength", "MicaSense RedEdge, bands by wavelength", "composite",
        (_BY_WAVELENGTH,), _REDEDGE, ("micasense-rededge-m-by-wavelength", "micasense-rededge-mx-by-wavelength"),
        scale=_METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "micasense-rededge-p", "MicaSense RedEdge-P", "raw capture", (_BY_NUMBER, (*_BY_NUMBER, SKIP)),
        (*_REDEDGE, _PANCHRO), (), r"rededge[- ]?p\b", _METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "micasense-rededge-p-by-wavelength", "MicaSense RedEdge-P, bands by wavelength", "composite",
        (_BY_WAVELENGTH,), _REDEDGE, scale=_METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "micasense-altum", "MicaSense Altum", "raw capture", (_BY_NUMBER, (*_BY_NUMBER, "T")),
        (*_REDEDGE, _LWIR), (), r"altum\b(?![- ]?pt)", _METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "micasense-altum-by-wavelength", "MicaSense Altum, bands by wavelength", "composite",
        (_BY_WAVELENGTH, (*_BY_WAVELENGTH, "T")), (*_REDEDGE, _LWIR), scale=_METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "micasense-altum-pt", "MicaSense Altum-PT", "raw capture", (_BY_NUMBER, (*_BY_NUMBER, SKIP, "T")),
        (*_REDEDGE, _PANCHRO, _LWIR), (), r"altum[- ]?pt\b", _METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "micasense-altum-pt-by-wavelength", "MicaSense Altum-PT, bands by wavelength", "composite",
        (_BY_WAVELENGTH,), _REDEDGE, scale=_METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "micasense-dual", "MicaSense RedEdge-MX dual camera", "raw capture",
        (("B", "G", "R", "N", SKIP, "A", "G1", SKIP, "RE1", "RE2"),), _DUAL,
        ("micasense-rededge-mx-dual",), None, _METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "micasense-dual-by-wavelength", "MicaSense RedEdge-MX dual camera, bands by wavelength", "composite",
        (("A", "B", "G1", "G", SKIP, "R", "RE1", SKIP, "RE2", "N"),), _DUAL,
        scale=_METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "parrot-sequoia", "Parrot Sequoia", "raw capture", (("G", "R", "RE1", "N"),),
        (("G", 550, 40), ("R", 660, 40), ("RE1", 735, 10), ("N", 790, 40)), ("sequoia",), "sequoia",
        _METASHAPE[0], scale_of=_METASHAPE[1],
    ),
    Sensor(
        "dji-p4-multispectral", "DJI P4 Multispectral", "raw capture", (_BY_WAVELENGTH,),
        (("B", 450, 32), ("G", 560, 32), ("R", 650, 32), ("RE1", 730, 32), ("N", 840, 52)),
        ("dji-p4m", "p4m"), r"fc6360|(?:p4|phantom 4) ?multispectral",
    ),
    Sensor(
        "dji-mavic-3m", "DJI Mavic 3 Multispectral", "raw capture", (("G", "R", "RE1", "N"),),
        (("G", 560, 32), ("R", 650, 32), ("RE1", 730, 32), ("N", 860, 52)),
        ("dji-m3m", "m3m", "mavic-3m"), r"\bm3m\b|mavic ?3 ?(?:m\b|multispectral)",
    ),
    Sensor(
        "sentera-6x", "Sentera 6X", "raw capture", (_BY_WAVELENGTH,),
        (("B", 475, 30), ("G", 550, 20), ("R", 670, 30), ("RE1", 715, 10), ("N", 840, 20)),
        (), r"sentera.*(?:\b6x|3\.2mp-gs)",
    ),
    Sensor(
        "mapir-rgn", "MAPIR Survey3 RGN", "composite", (("R", "G", "N"),),
        (("R", 660, None), ("G", 550, None), ("N", 850, None)), ("mapir-survey3-rgn",), r"survey3[nw]?_rgn\b",
        1 / 65535, scale_of="calibrated 16-bit TIFF files of MAPIR Camera Control",
    ),
    Sensor(
        "mapir-rgnir", "MAPIR RGNIR", "composite", (("R", "G", "N"),),
        (("R", 660, None), ("G", 550, None), ("N", 850, None)), ("mapir-survey3-rgnir",), r"survey[23][nw]?_rgnir\b",
        1 / 65535, scale_of="calibrated 16-bit TIFF files of MAPIR Camera Control",
    ),
    Sensor(
        "mapir-ngb", "MAPIR Survey3 NGB", "composite", (("N", "G", "B"),),
        (("N", 850, None), ("G", 550, None), ("B", 475, None)), ("mapir-survey3-ngb",), r"survey3[nw]?_ngb\b",
        1 / 65535, scale_of="calibrated 16-bit TIFF files of MAPIR Camera Control",
    ),
    Sensor(
        "mapir-ocn", "MAPIR Survey3 OCN", "composite", (("Y", "B", "N"),),
        (("Y", 615, None), ("B", 490, None), ("N", 808, None)), ("mapir-survey3-ocn",), r"survey3[nw]?_ocn\b",
        1 / 65535, scale_of="calibrated 16-bit TIFF files of MAPIR Camera Control",
    ),
    Sensor("naip", "NAIP aerial photograph", "composite", (("R", "G", "B", "N"),)),
    Sensor(
        "sentinel-2", "Sentinel-2", "composite",
        (
            ("B", "G", "R", "RE1", "RE2", "RE3", "N", "N2", "S1", "S2"),
            ("A", "B", "G", "R", "RE1", "RE2", "RE3", "N", "N2", "WV", "S1", "S2"),
            ("A", "B", "G", "R", "RE1", "RE2", "RE3", "N", "N2", "WV", SKIP, "S1", "S2"),
        ),
        (
            ("A", 442.7, 21), ("B", 492.4, 66), ("G", 559.8, 36), ("R", 664.6, 31), ("RE1", 704.1, 15),
            ("RE2", 740.5, 15), ("RE3", 782.8, 20), ("N", 832.8, 106), ("N2", 864.7, 21), ("WV", 945.1, 20),
            (SKIP, 1373.5, 31), ("S1", 1613.7, 91), ("S2", 2202.4, 175),
        ),
        ("sentinel2", "s2"), scale=0.0001, scale_of="Level-2A products (offset -0.1 from baseline 04.00, 2022, on)",
    ),
    Sensor(
        "landsat-8-9", "Landsat 8 or 9", "composite",
        (
            ("A", "B", "G", "R", "N", "S1", "S2"),
            ("A", "B", "G", "R", "N", "S1", "S2", "T1"),
            ("A", "B", "G", "R", "N", "S1", "S2", SKIP, SKIP, "T1", "T2"),
        ),
        (
            ("A", 440, 20), ("B", 480, 60), ("G", 560, 60), ("R", 655, 30), ("N", 865, 30), ("S1", 1610, 80),
            ("S2", 2200, 180), ("T1", 10895, 590), ("T2", 12005, 1010),
        ),
        ("landsat-8", "landsat-9", "landsat8", "landsat9"),
        scale=0.0000275, offset=-0.2, scale_of="Collection 2 Level-2 surface reflectance",
    ),
    Sensor(
        "landsat-4-7", "Landsat 4, 5 or 7", "composite",
        (("B", "G", "R", "N", "S1", "S2"), ("B", "G", "R", "N", "S1", "T", "S2")),
        (
            ("B", 485, 70), ("G", 560, 80), ("R", 660, 60), ("N", 835, 130), ("S1", 1650, 200), ("T", 11450, 2100),
            ("S2", 2220, 260),
        ),
        ("landsat-4", "landsat-5", "landsat-7"),
        scale=0.0000275, offset=-0.2, scale_of="Collection 2 Level-2 surface reflectance",
    ),
)  # fmt: skip

SENSORS: dict[str, Sensor] = {sensor.key: sensor for sensor in _ALL}
_KEYS: dict[str, Sensor] = {name: sensor for sensor in _ALL for name in (sensor.key, *sensor.aliases)}
BLUE_CAMERA_NM = frozenset(centre for _, centre, _ in _BLUE_CAMERA)


def find_sensor(name: str) -> Sensor | None:
    """The preset of this key or alias, in any case, spaces and underscores for dashes; None where there is none."""
    return _KEYS.get(re.sub(r"[\s_]+", "-", name.strip().lower()))


def get_sensor(name: str) -> Sensor:
    """The same, raising `Impossible` where there is none."""
    sensor = find_sensor(name)
    if sensor is None:
        raise Impossible(
            f"Unknown sensor {name.strip()[:40]!r}. Known sensors: {', '.join(SENSORS)}. "
            "For any other, name the bands in file order, for example bands=R,G,B,N.",
            known_sensors=list(SENSORS),
        )
    return sensor
