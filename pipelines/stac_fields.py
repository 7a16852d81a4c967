"""What STAC says of an image and of its index, as fields: batches write them, and the gateway serves them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from orthoray.contracts import Asset, ClassRow, Histogram, Imagery, Statistics
from orthoray.moments import in_utc

STAC = "1.1.0"
EXTENSIONS = {
    "eo": "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
    "proj": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "classification": "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "processing": "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
}
"""The schemas of extensions, by what their fields begin with. Most are not met where none of the fields is there."""
GEOJSON = "application/geo+json"
# By the names of bands in Awesome Spectral Indices, those that the extension eo has a word for.
COMMON_NAMES = {
    "A": "coastal", "B": "blue", "G": "green", "G1": "green", "Y": "yellow", "R": "red", "RE1": "rededge071",
    "RE2": "rededge075", "RE3": "rededge078", "N": "nir", "N2": "nir08", "WV": "nir09", "S1": "swir16", "S2": "swir22",
    "T": "lwir", "T1": "lwir11", "T2": "lwir12",
}  # fmt: skip
# What the extension classification takes for a name.
_CLASS_NAME = re.compile(r"[0-9A-Za-z_-]+")
# Of a histogram of the extension raster.
_FEWEST_BUCKETS = 3
NO_COLORS: Mapping[str, str] = {}
WORLD = [-180.0, -90.0, 180.0, 90.0]


def extensions_of(thing: dict[str, Any]) -> list[str]:
    """The schemas of the extensions whose fields are used."""
    used = {field.partition(":")[0] for field in _fields(thing) if ":" in field}
    return [schema for prefix, schema in EXTENSIONS.items() if prefix in used]


def _fields(value: Any) -> Iterator[str]:
    """The names of all fields of a JSON value."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _fields(part)


def time_fields(imagery: Imagery) -> dict[str, Any]:
    """STAC asks for a moment; where the camera told none, for the span in which it must lie: until it was catalogued."""
    if imagery.captured_at is not None:
        return {"datetime": moment_text(imagery.captured_at)}
    began = datetime.fromtimestamp(0, UTC)
    return {
        "datetime": None,
        "start_datetime": moment_text(began),
        "end_datetime": moment_text(max(began, imagery.created_at)),
    }


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return in_utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def camera_fields(imagery: Imagery) -> dict[str, Any]:
    told = [word for word in (imagery.camera.make, imagery.camera.model) if word] if imagery.camera else []
    return {"instruments": [" ".join(told)]} if told else {}


def projection_fields(imagery: Imagery) -> dict[str, Any]:
    found: dict[str, Any] = {"proj:shape": [imagery.height, imagery.width]}
    if imagery.crs is not None:
        epsg = imagery.crs.get("epsg")
        found |= (
            {"proj:code": f"EPSG:{epsg}"}
            if epsg
            else {"proj:code": None, "proj:wkt2": imagery.crs.get("wkt")}
        )
    if imagery.transform is not None:
        found["proj:transform"] = imagery.transform
    return found


def processing_fields(provenance: dict[str, Any]) -> dict[str, Any]:
    software = {"OrthoRay": version("orthoray"), **provenance.get("versions", {})}
    software.pop("orthoray", None)
    found: dict[str, Any] = {"processing:software": software, "processing:level": "L4"}
    if provenance.get("formula"):
        found["processing:expression"] = {"format": "orthoray", "expression": provenance["formula"]}
    return found


def banded(imagery: Imagery) -> Iterator[tuple[Asset, list[dict[str, Any]]]]:
    """The files that have bands, each with its bands."""
    names = {number: name for name, number in imagery.bands.items()}
    first = 1
    for asset in imagery.images:
        numbers = range(first, first + asset.band_count)
        first += asset.band_count
        yield asset, [_band(names.get(number, f"band {number}"), asset.dtype) for number in numbers]


def _band(name: str, dtype: str) -> dict[str, Any]:
    common = {"eo:common_name": COMMON_NAMES[name]} if name in COMMON_NAMES else {}
    return {"name": name, "data_type": dtype, **common}


def index_fields(
    statistics: Statistics, index: str | None, gsd_m: float | None, colors: Mapping[str, str] = NO_COLORS
) -> dict[str, Any]:
    """Of an index raster: its one band, and the classes of its values; `colors` (#RRGGBB) are those of classes by name."""
    all_pixels = statistics.valid_pixels + statistics.nodata_pixels + statistics.invalid_pixels
    all_pixels += statistics.background_pixels
    told = {
        "minimum": statistics.min,
        "maximum": statistics.max,
        "mean": statistics.mean,
        "stddev": statistics.std,
        "valid_percent": 100 * statistics.valid_pixels / all_pixels if all_pixels else 0.0,
    }
    band: dict[str, Any] = {
        "name": index or "index",
        "nodata": "nan",
        "statistics": {name: value for name, value in told.items() if value is not None},
    }
    if gsd_m is not None:
        band["raster:spatial_resolution"] = gsd_m
    if histogram := _histogram(statistics.histogram):
        band["raster:histogram"] = histogram
    classes = [_class(place, row, colors) for place, row in enumerate(statistics.classes, start=1)]
    return {"bands": [band], "classification:classes": classes}


def _class(place: int, row: ClassRow, colors: Mapping[str, str]) -> dict[str, Any]:
    """The raster holds the index itself, so `value` is the class's place from the best, and the text tells its values."""
    ends = [f"{sign} {end:g}" for sign, end in ((">", row.lower), ("<=", row.upper)) if end is not None]
    return {
        "value": place,
        # a user's own OLD calls its classes by their labels, in any alphabet
        "name": row.name if _CLASS_NAME.fullmatch(row.name) else f"class_{place}",
        "title": row.label,
        "description": f"{row.label}: index values {' and '.join(ends) or 'of all sizes'}",
        "percentage": min(100.0, max(0.0, row.percent)),
        **({"color_hint": colors.get(row.name, "#888888").removeprefix("#")} if colors else {}),
    }


def _histogram(shown: Histogram) -> dict[str, Any] | None:
    if len(shown.counts) < _FEWEST_BUCKETS:
        return None
    return {
        "count": len(shown.counts),
        "min": shown.edges[0],
        "max": shown.edges[-1],
        "buckets": shown.counts,
    }
