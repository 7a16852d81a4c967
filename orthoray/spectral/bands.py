"""Band names: how the bands of a file get the names that formulas use.

The names are those of Awesome Spectral Indices (Montero et al. 2023, doi:10.1038/s41597-023-02096-0):
R is red, N near infrared, RE1 the first red edge, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from orthoray.errors import Impossible, MissingBands
from orthoray.spectral.labels import (
    ALPHA,
    CODES,
    LONG_NAMES,
    SKIP,
    Names,
    describe,
    from_codes,
    from_filenames,
    name_of,
    unique,
)
from orthoray.spectral.presets import Order, Sensor, find_sensor, get_sensor
from orthoray.spectral.sensors import Recognition

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
    `source` is "caller", "sensor preset KEY", "tags", "descriptions", "file names", "colour interpretation", or
    "none" where no band has a name. `alpha` is the 1-based number of the band that masks the others, or None.
    `reason` is one sentence for people, `sensor` the key of the preset that the names come from or imply.
    """

    names: Names
    source: str
    alpha: int | None = None
    # words about the map, not part of what it says
    reason: str = field(default="", compare=False)
    sensor: str | None = None

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
        return {
            "bands": self.numbers,
            "source": self.source,
            "reason": self.reason,
            "sensor": self.sensor,
            "alpha": self.alpha,
        }


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
    raster: Banded,
    *,
    bands: str | Sequence[str] | None = None,
    sensor: str | None = None,
    recognition: Recognition | None = None,
    filenames: Sequence[str | None] | None = None,
) -> BandMap:
    """Name the bands of `raster` by the first of: the caller's `bands`, the preset that the caller names in
    `sensor`, the tags that `recognition` was made of, the band descriptions, the file names, the colour
    interpretation; of the last four a later one fills the bands that the earlier ones leave without a name.

    `filenames` are those of an imagery's files in order. They count only where every file holds one band.
    Nothing is guessed: a band that none of these names stays without a name, so a fourth band without
    label is never taken for near infrared. See `orthoray.spectral.labels` for what is understood.
    Raises `Impossible` as `parse_bands` does, on an unknown `sensor` or one of another band count, and where
    files that name their bands come in another order than the preset's and leave some without a name.
    """
    alpha = next((n for n, colour in enumerate(raster.colours, start=1) if colour == ALPHA), None)
    if bands is not None:
        parsed = (
            parse_bands(bands, raster.count)
            if isinstance(bands, str)
            else _checked([_parse_name(name) for name in bands], raster.count)
        )
        if parsed is not None:
            return band_map_from_names(
                parsed,
                "caller",
                alpha,
                reason="The bands were named with the request.",
                sensor=_key(sensor, recognition),
            )
    one_each = filenames is not None and len(filenames) == raster.count
    found = _evidence(raster, recognition, filenames if one_each else None)
    if sensor is not None and sensor.strip():
        several = one_each and raster.count > 1
        texts = [*raster.descriptions], [*(filenames or ())] if one_each else []
        return _preset(get_sensor(sensor), raster.count, alpha, texts, found if several else [])
    return _merged(found, alpha, recognition)


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


@dataclass(frozen=True)
class _Evidence:
    """What one source says of every band."""

    source: str
    names: Names
    reason: str
    sensor: str | None = None


def _evidence(
    raster: Banded, recognition: Recognition | None, filenames: Sequence[str | None] | None
) -> list[_Evidence]:
    found = []
    if recognition is not None and recognition.bands is not None and len(recognition.bands) == raster.count:
        found.append(_Evidence("tags", recognition.bands, recognition.reason, recognition.sensor))
    described = describe(raster.descriptions)
    found.append(
        _Evidence("descriptions", described.names, "The file's band descriptions say so.", described.sensor)
    )
    if filenames is not None:
        told = from_filenames(filenames)
        reason = "The name of the file says so." if len(filenames) == 1 else "The names of the files say so."
        found.append(_Evidence("file names", told.names, reason, told.sensor))
    coloured = unique([_COLOURS.get(colour) for colour in raster.colours])
    found.append(_Evidence("colour interpretation", coloured, "The file marks its bands with these colours."))
    return found


def _merged(found: Sequence[_Evidence], alpha: int | None, recognition: Recognition | None) -> BandMap:
    first = next(
        (evidence for evidence in found if any(name not in {None, SKIP} for name in evidence.names)), None
    )
    if first is None:
        names, source, reason = found[-1].names, "none", "Nothing in the file says what its bands are."
    else:
        names, source, reason = _filled(found), first.source, first.reason
    sensor = first.sensor if first is not None else None
    return band_map_from_names(names, source, alpha, reason=reason, sensor=sensor or _key(None, recognition))


def _filled(found: Sequence[_Evidence]) -> Names:
    names: list[str | None] = list(found[0].names)
    for evidence in found[1:]:
        taken = set(names)
        for position, name in enumerate(evidence.names):
            if names[position] is None and (name == SKIP or name not in taken):
                names[position] = name
    return tuple(names)


def _key(sensor: str | None, recognition: Recognition | None) -> str | None:
    preset = find_sensor(sensor) if sensor is not None else None
    if preset is not None:
        return preset.key
    return recognition.sensor if recognition is not None else None


def _parse_name(text: str) -> str:
    name = name_of(text)
    if name is None:
        raise Impossible(
            f"Unknown band name {text.strip()[:40]!r}. Known names: {', '.join(LONG_NAMES)}; "
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


def band_map_from_names(
    names: Sequence[str | None],
    source: str,
    alpha: int | None,
    *,
    reason: str = "",
    sensor: str | None = None,
) -> BandMap:
    """The map of a file whose bands have these names in order; `"-"` and None are a band without a name.

    A name given to the band `alpha` makes it data, so it masks no longer.
    """
    if ALPHA in names:
        alpha = list(names).index(ALPHA) + 1
    plain = tuple(None if name in {SKIP, ALPHA} else name for name in names)
    if alpha is not None and plain[alpha - 1] is not None:
        alpha = None
    return BandMap(plain, source, alpha, reason, sensor)


def _preset(
    sensor: Sensor,
    count: int,
    alpha: int | None,
    texts: tuple[Sequence[str | None], Sequence[str | None]],
    found: Sequence[_Evidence],
) -> BandMap:
    """The names that the caller's `sensor` implies: by band codes in descriptions or file names, else by order.

    `found` is what files of one band each say of themselves: they arrive in any order.
    """
    source, chosen = f"sensor preset {sensor.key}", f"The sensor {sensor.title} was named with the request"
    for told in texts:
        coded = from_codes(told, CODES[sensor.key]) if sensor.key in CODES and len(told) == count else None
        if coded is not None:
            reason = f"{chosen}, and the bands carry its codes."
            return band_map_from_names(coded, source, alpha, reason=reason, sensor=sensor.key)
    named = _filled(found) if found else (None,) * count
    if None not in named:
        reason = f"{chosen}, and the files name their bands."
        return band_map_from_names(named, source, alpha, reason=reason, sensor=sensor.key)
    order = _order(sensor, count, alpha)
    if any(mine is not None and mine != theirs for mine, theirs in zip(named, order, strict=True)):
        raise Impossible(
            f"The files are not in the band order of {sensor.title} ({', '.join(order)}): "
            "send them in that order, or name the bands in file order, for example bands=R,G,B,N."
        )
    reason = f"{chosen}; its bands come in this order."
    return band_map_from_names(order, source, alpha, reason=reason, sensor=sensor.key)


def _order(sensor: Sensor, count: int, alpha: int | None) -> Order:
    order = sensor.order(count)
    if order is None and alpha == count and (bare := sensor.order(count - 1)) is not None:
        order = (*bare, SKIP)
    if order is None:
        counts = " or ".join(str(len(order)) for order in sensor.orders)
        raise Impossible(
            f"The sensor {sensor.key} has {counts} bands, the image has {count}: "
            "name the bands in file order, for example bands=R,G,B,N."
        )
    return order
