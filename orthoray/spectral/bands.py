"""Band names: how the bands of a file get the names that formulas use.

The names are those of Awesome Spectral Indices (Montero et al. 2023, doi:10.1038/s41597-023-02096-0):
R is red, N near infrared, RE1 the first red edge, and so on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orthoray.errors import Impossible, MissingBands

LONG_NAMES: dict[str, str] = {
    "A": "coastal aerosol",
    "B": "blue",
    "G1": "green 1",
    "G": "green",
    "Y": "yellow",
    "R": "red",
    "RE1": "red edge 1",
    "RE2": "red edge 2",
    "RE3": "red edge 3",
    "N": "near infrared",
    "N2": "near infrared 2",
    "WV": "water vapour",
    "S1": "short-wave infrared 1",
    "S2": "short-wave infrared 2",
    "T": "thermal infrared",
    "T1": "thermal infrared 1",
    "T2": "thermal infrared 2",
}

SKIP = "-"
ALPHA = "alpha"

_WORDS: dict[str, str] = {
    "aerosol": "A",
    "coastal": "A",
    "coastalaerosol": "A",
    "blue": "B",
    "green": "G",
    "yellow": "Y",
    "red": "R",
    "rededge": "RE1",
    "nir": "N",
    "nearinfrared": "N",
    "infrared": "N",
    "swir1": "S1",
    "swir2": "S2",
    "thermal": "T",
    "thermalinfrared": "T",
    "lwir": "T",
    "tir": "T",
    ALPHA: ALPHA,
}
_SHORT: dict[str, str] = {name.lower(): name for name in LONG_NAMES} | {"re": "RE1"}

# GDAL's words for bands; "gray", "undefined" and the like say nothing about the wavelength.
_COLOURS: dict[str, str] = {
    "red": "R",
    "green": "G",
    "blue": "B",
    "nir": "N",
    "rededge": "RE1",
    "coastal": "A",
    "tir": "T",
    "lwir": "T",
}

# Two orders of the same camera are in use: its own numbering puts near infrared before red edge,
# photogrammetry programs sort by wavelength. Nothing in a file tells them apart, hence two presets.
SENSORS: dict[str, tuple[str, ...]] = {
    "rgb": ("R", "G", "B"),
    "rgbn": ("R", "G", "B", "N"),
    "micasense-rededge": ("B", "G", "R", "N", "RE1"),
    "micasense-rededge-by-wavelength": ("B", "G", "R", "RE1", "N"),
}


class Banded(Protocol):
    """What band resolution reads of a raster; `orthoray.spectral.raster.RasterInfo` is one."""

    @property
    def count(self) -> int: ...

    @property
    def descriptions(self) -> tuple[str | None, ...]: ...

    @property
    def colours(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class BandMap:
    """The names of a file's bands.

    `names` holds one entry per band in file order, None for a band whose meaning is not known.
    `source` is "caller", "descriptions", "colour interpretation", "sensor preset NAME", or "none" where
    no band has a name. `alpha` is the 1-based number of the band that masks the others, or None.
    """

    names: tuple[str | None, ...]
    source: str
    alpha: int | None = None

    @property
    def numbers(self) -> dict[str, int]:
        """Band name to 1-based band number."""
        return {name: number for number, name in enumerate(self.names, start=1) if name is not None}

    @property
    def known(self) -> tuple[str, ...]:
        """The names in file order."""
        return tuple(name for name in self.names if name is not None)

    @property
    def unnamed(self) -> tuple[int, ...]:
        """1-based numbers of the bands that have no name and are not the alpha band."""
        return tuple(
            number for number, name in enumerate(self.names, start=1) if name is None and number != self.alpha
        )

    def to_dict(self) -> dict[str, Any]:
        """The map as JSON-ready data."""
        return {"bands": self.numbers, "source": self.source, "alpha": self.alpha}


def parse_bands(text: str | None, count: int | None = None) -> tuple[str, ...] | None:
    """Read the caller's list of bands, such as ``"R,G,B,N"``, in file order.

    Names and their aliases (nir, red edge, ...) are taken in any case; ``-`` or ``_`` passes over a band
    and ``alpha`` marks the mask. Returns canonical names with ``"-"`` for a band passed over, or None
    where `text` is None or blank. Raises `Impossible` on an unknown or repeated name, and, where
    `count` is given, on a list of another length.
    """
    if text is None or not text.strip():
        return None
    return _checked([_parse_name(part) for part in text.split(",")], count)


def resolve_bands(
    raster: Banded, *, bands: str | Sequence[str] | None = None, sensor: str | None = None
) -> BandMap:
    """Name the bands of `raster` by the first of: the caller's `bands`, the preset that the caller names
    in `sensor`, the file's band descriptions, the file's colour interpretation.

    Nothing is guessed: a band that none of these names stays without a name, so a fourth band without
    label is never taken for near infrared. Descriptions count when they are plain words ("red",
    "near infrared"); where some bands have them, the colour interpretation fills the others.
    Raises `Impossible` as `parse_bands` does, and on an unknown `sensor` or one of another band count.
    """
    alpha = next((n for n, colour in enumerate(raster.colours, start=1) if colour == ALPHA), None)
    if bands is not None:
        parsed = (
            parse_bands(bands, raster.count)
            if isinstance(bands, str)
            else _checked([_parse_name(name) for name in bands], raster.count)
        )
        if parsed is not None:
            return band_map_from_names(parsed, "caller", alpha)
    if sensor is not None and sensor.strip():
        return _preset(sensor, raster.count, alpha)
    described = _unique([_described(text) for text in raster.descriptions])
    coloured = _unique([_COLOURS.get(colour) for colour in raster.colours])
    merged = tuple(
        mine if mine is not None else (theirs if theirs not in described else None)
        for mine, theirs in zip(described, coloured, strict=True)
    )
    if any(described):
        return band_map_from_names(merged, "descriptions", alpha)
    return band_map_from_names(merged, "colour interpretation" if any(coloured) else "none", alpha)


def require(band_map: BandMap, needed: Sequence[str]) -> None:
    """Raise `MissingBands` unless `band_map` names every band of `needed`."""
    missing = [name for name in needed if name not in band_map.numbers]
    if not missing:
        return
    wanted = ", ".join(f"{name} ({LONG_NAMES[name]})" if name in LONG_NAMES else name for name in missing)
    known = ", ".join(band_map.known) or "none"
    detail = f"The image has no band named {wanted}. Known bands: {known}."
    if band_map.unnamed:
        numbers = ", ".join(map(str, band_map.unnamed))
        detail += (
            f" Without a name: band {numbers}. If you know what the bands are, "
            "name them in file order, for example bands=R,G,B,N."
        )
    if band_map.alpha is not None:
        # GDAL's default for a fourth band of bytes, whatever it holds
        example = ",".join(
            missing[0] if number == band_map.alpha else name or SKIP
            for number, name in enumerate(band_map.names, start=1)
        )
        detail += (
            f" Band {band_map.alpha} is marked as transparency (alpha); "
            f"if it holds data (such as near infrared), name the bands: bands={example}."
        )
    raise MissingBands(
        detail,
        missing_bands=missing,
        known_bands=list(band_map.known),
        unnamed_bands=list(band_map.unnamed),
        alpha_band=band_map.alpha,
    )


def _parse_name(text: str) -> str:
    word = text.strip()
    if word in {SKIP, "_"}:
        return SKIP
    name = _SHORT.get(word.lower()) or _WORDS.get(_squeezed(word))
    if name is None:
        raise Impossible(
            f"Unknown band name {word[:40]!r}. Known names: {', '.join(LONG_NAMES)}; "
            "write - for a band to pass over. Example: bands=R,G,B,N.",
            known_bands=list(LONG_NAMES),
        )
    return name


def _checked(names: Sequence[str], count: int | None) -> tuple[str, ...]:
    twice = sorted({name for name in names if name != SKIP and names.count(name) > 1})
    if twice:
        raise Impossible(f"The band {', '.join(twice)} is named twice: each name may stand once in bands.")
    if count is not None and len(names) != count:
        raise Impossible(
            f"bands names {len(names)} bands, the image has {count}: "
            "name every band in file order and write - for a band to pass over."
        )
    return tuple(names)


def band_map_from_names(names: Sequence[str | None], source: str, alpha: int | None) -> BandMap:
    """The map of a file whose bands have these names in order; `"-"` and None are a band without a name.

    A name given to the band `alpha` makes it data, so it masks no longer.
    """
    if ALPHA in names:
        alpha = list(names).index(ALPHA) + 1
    plain = tuple(None if name in {SKIP, ALPHA} else name for name in names)
    if alpha is not None and plain[alpha - 1] is not None:
        alpha = None
    return BandMap(plain, source, alpha)


def _preset(sensor: str, count: int, alpha: int | None) -> BandMap:
    key = re.sub(r"[\s_]+", "-", sensor.strip().lower())
    names: tuple[str | None, ...] | None = SENSORS.get(key)
    if names is None:
        raise Impossible(
            f"Unknown sensor {sensor.strip()[:40]!r}. Known sensors: {', '.join(SENSORS)}. "
            "For any other, name the bands in file order, for example bands=R,G,B,N.",
            known_sensors=list(SENSORS),
        )
    if alpha == count == len(names) + 1:
        names = (*names, None)
    if len(names) != count:
        raise Impossible(
            f"The sensor {key} has {len(names)} bands, the image has {count}: "
            "name the bands in file order, for example bands=R,G,B,N."
        )
    return band_map_from_names(names, f"sensor preset {key}", alpha)


def _described(text: str | None) -> str | None:
    name = _WORDS.get(_squeezed(text)) if text else None
    return None if name == ALPHA else name


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_-]+", "", text).lower()


def _unique(names: Sequence[str | None]) -> tuple[str | None, ...]:
    """A name that two bands claim belongs to neither."""
    return tuple(name if name is None or names.count(name) == 1 else None for name in names)
