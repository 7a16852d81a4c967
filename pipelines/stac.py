"""The results of a batch as a STAC 1.1 collection and its items; all links are relative, so the folder can be moved, and none
tells where it lies on its server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote
from uuid import UUID

from orthoray.batches import COLLECTION, SCHEME, TABLE, ItemResult
from orthoray.contracts import ClassRow, Imagery
from orthoray.moments import in_utc
from orthoray.reporting.verdict import CLASS_COLORS
from pipelines.output import content_type_of

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
_TITLES = {"heatmap": "Heatmap", "index": "Index raster", "preview": "Small heatmap"}
_ROLES = {"heatmap": ["visual"], "index": ["data"], "preview": ["thumbnail"]}
# What the extension classification takes for a name.
_CLASS_NAME = re.compile(r"[0-9A-Za-z_-]+")
# Of a histogram of the extension raster.
_FEWEST_BUCKETS = 3
_WORLD = [-180.0, -90.0, 180.0, 90.0]


def item_dict(result: ItemResult, folder: Path | None = None) -> dict[str, Any]:
    """The STAC item of one image; one that is not georeferenced has neither geometry nor bounds. `folder` is where the
    collection lies, if that is on a disk: images in folders are linked from there."""
    imagery, provenance = result.imagery, result.findings.provenance
    west_to_north = imagery.bounds_wgs84
    assets = {
        role: {
            "href": f"../{name}",
            "type": content_type_of(name),
            "title": _TITLES[role],
            "roles": _ROLES[role],
            **(_index_asset(result) if role == "index" else {}),
        }
        for role, name in result.files.items()
    }
    assets |= _sources(imagery, folder)
    item = {
        "type": "Feature",
        "stac_version": STAC,
        "id": result.name,
        "geometry": imagery.footprint,
        **({"bbox": west_to_north} if west_to_north and imagery.footprint else {}),
        "properties": {
            **_times(imagery),
            "title": imagery.original_filename,
            "description": result.findings.conclusion,
            **({} if imagery.gsd_m is None else {"gsd": imagery.gsd_m}),
            **_camera(imagery),
            **_projection(imagery),
            **_processing(provenance),
            "orthoray:index": provenance.get("index"),
            "orthoray:imagery_id": str(imagery.id),
            "orthoray:image_sha256": imagery.sha256,
            "orthoray:stats": result.findings.stats,
        },
        "links": [
            {"rel": rel, "href": f"../{COLLECTION}", "type": "application/json"}
            for rel in ("root", "parent", "collection")
        ],
        "assets": assets,
        "collection": str(result.batch_id),
    }
    return {**item, "stac_extensions": _extensions(item)}


def _extensions(thing: dict[str, Any]) -> list[str]:
    """Those whose fields are used."""
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


class Collection:
    """The collection of a batch's items, gathered one by one."""

    def __init__(self, batch_id: UUID) -> None:
        self._batch_id = batch_id
        self._index: str | None = None
        self._links: list[dict[str, str]] = []
        self._moments: list[datetime] = []
        self._box: list[float] | None = None
        self._crosses = False

    def add(self, result: ItemResult) -> None:
        imagery = result.imagery
        self._index = self._index or result.findings.provenance.get("index")
        self._links.append(
            {"rel": "item", "href": f"./{item_file(result)}", "type": GEOJSON, "title": result.name}
        )
        if imagery.captured_at:
            ends = (*self._moments, in_utc(imagery.captured_at))
            self._moments = [min(ends), max(ends)]
        if box := imagery.bounds_wgs84:
            self._crosses = self._crosses or box[0] > box[2]
            self._box = box if self._box is None else _around(self._box, box)

    def __len__(self) -> int:
        return len(self._links)

    def to_dict(self) -> dict[str, Any]:
        """The collection as JSON has it. A place is the world where none is known, or where one crosses the antimeridian."""
        software = {"OrthoRay": version("orthoray")}
        moments: list[str | None] = [_text(moment) for moment in self._moments]
        return {
            "type": "Collection",
            "stac_version": STAC,
            "stac_extensions": [EXTENSIONS["processing"]],
            "id": str(self._batch_id),
            "title": f"{self._index} by OrthoRay",
            "description": f"{self._index} of {len(self)} images: heatmaps, index rasters and statistics.",
            "license": "other",
            "extent": {
                "spatial": {"bbox": [_WORLD if self._crosses or self._box is None else self._box]},
                "temporal": {"interval": [moments or [None, None]]},
            },
            "providers": [{"name": "OrthoRay", "roles": ["processor"], "processing:software": software}],
            "summaries": {"processing:software": [software]},
            "links": [
                {"rel": "root", "href": f"./{COLLECTION}", "type": "application/json"},
                *self._links,
            ],
            "assets": {
                "statistics": {
                    "href": f"./{TABLE}",
                    "type": content_type_of(TABLE),
                    "title": "Statistics, one row an image",
                    "roles": ["data"],
                }
            },
        }


def item_file(result: ItemResult) -> str:
    """Where the item of a result lies, below the batch's folder."""
    return f"items/{result.name}.json"


def _times(imagery: Imagery) -> dict[str, Any]:
    """STAC asks for a moment; where the camera told none, for the span in which it must lie: until it was catalogued."""
    if imagery.captured_at is not None:
        return {"datetime": _text(imagery.captured_at)}
    began = datetime.fromtimestamp(0, UTC)
    return {
        "datetime": None,
        "start_datetime": _text(began),
        "end_datetime": _text(max(began, imagery.created_at)),
    }


def _text(moment: datetime) -> str:
    return in_utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _camera(imagery: Imagery) -> dict[str, Any]:
    told = [word for word in (imagery.camera.make, imagery.camera.model) if word] if imagery.camera else []
    return {"instruments": [" ".join(told)]} if told else {}


def _projection(imagery: Imagery) -> dict[str, Any]:
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


def _processing(provenance: dict[str, Any]) -> dict[str, Any]:
    software = {"OrthoRay": version("orthoray"), **provenance.get("versions", {})}
    software.pop("orthoray", None)
    found: dict[str, Any] = {"processing:software": software, "processing:level": "L4"}
    if provenance.get("formula"):
        found["processing:expression"] = {"format": "orthoray", "expression": provenance["formula"]}
    return found


def _index_asset(result: ItemResult) -> dict[str, Any]:
    """The index raster's one band, and the classes of its values."""
    statistics, provenance = result.findings.statistics, result.findings.provenance
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
        "name": provenance.get("index") or "index",
        "nodata": "nan",
        "statistics": {name: value for name, value in told.items() if value is not None},
    }
    if result.imagery.gsd_m is not None:
        band["raster:spatial_resolution"] = result.imagery.gsd_m
    if histogram := _histogram(result):
        band["raster:histogram"] = histogram
    classes = [_class(place, row) for place, row in enumerate(statistics.classes, start=1)]
    return {"bands": [band], "classification:classes": classes}


def _class(place: int, row: ClassRow) -> dict[str, Any]:
    """The raster holds the index itself, so `value` is the class's place from the best, and the text tells its values."""
    ends = [f"{sign} {end:g}" for sign, end in ((">", row.lower), ("<=", row.upper)) if end is not None]
    return {
        "value": place,
        # a user's own OLD calls its classes by their labels, in any alphabet
        "name": row.name if _CLASS_NAME.fullmatch(row.name) else f"class_{place}",
        "title": row.label,
        "description": f"{row.label}: index values {' and '.join(ends) or 'of all sizes'}",
        "percentage": min(100.0, max(0.0, row.percent)),
        "color_hint": CLASS_COLORS.get(row.name, "#888888").removeprefix("#"),
    }


def _sources(imagery: Imagery, folder: Path | None) -> dict[str, Any]:
    """The files that were analysed, with their bands; none where a reader of the collection could not reach them."""
    names = {number: name for name, number in imagery.bands.items()}
    found, first = {}, 1
    for place, asset in enumerate(imagery.images, start=1):
        numbers = range(first, first + asset.band_count)
        first += asset.band_count
        href = _source_href(imagery.bucket, asset.object_key, folder)
        if href is None:
            continue
        found["source" if place == 1 else f"source_{place}"] = {
            "href": href,
            "type": asset.content_type,
            "title": asset.filename,
            "roles": ["source"],
            "bands": [_band(names.get(number, f"band {number}"), asset.dtype) for number in numbers],
        }
    return found


def _source_href(bucket: str, key: str, folder: Path | None) -> str | None:
    """`s3://` is the installation's storage, whatever that is. A file of the server's own has no address for others; on the
    disk that the collection lies on too, it has its way from there."""
    if bucket:
        return f"{SCHEME}{bucket}/{key}"
    if folder is None:
        return None
    return quote(PurePath(os.path.relpath(key, folder / "items")).as_posix())


def _band(name: str, dtype: str) -> dict[str, Any]:
    common = {"eo:common_name": COMMON_NAMES[name]} if name in COMMON_NAMES else {}
    return {"name": name, "data_type": dtype, **common}


def _histogram(result: ItemResult) -> dict[str, Any] | None:
    shown = result.findings.statistics.histogram
    if len(shown.counts) < _FEWEST_BUCKETS:
        return None
    return {
        "count": len(shown.counts),
        "min": shown.edges[0],
        "max": shown.edges[-1],
        "buckets": shown.counts,
    }


def _around(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The box that holds both."""
    return [
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    ]
