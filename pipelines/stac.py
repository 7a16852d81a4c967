"""The results of a batch as a STAC 1.1 collection and its items; all links are relative, so the folder can be moved, and none
tells where it lies on its server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote
from uuid import UUID

from orthoray.batches import COLLECTION, SCHEME, TABLE, ItemResult
from orthoray.contracts import Imagery
from orthoray.moments import in_utc
from orthoray.reporting.verdict import CLASS_COLORS
from pipelines.output import content_type_of
from pipelines.stac_fields import (
    EXTENSIONS,
    GEOJSON,
    STAC,
    WORLD,
    banded,
    camera_fields,
    extensions_of,
    index_fields,
    moment_text,
    processing_fields,
    projection_fields,
    time_fields,
)

_TITLES = {"heatmap": "Heatmap", "index": "Index raster", "preview": "Small heatmap"}
_ROLES = {"heatmap": ["visual"], "index": ["data"], "preview": ["thumbnail"]}


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
            **(
                index_fields(result.findings.statistics, provenance.get("index"), imagery.gsd_m, CLASS_COLORS)
                if role == "index"
                else {}
            ),
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
            **time_fields(imagery),
            "title": imagery.original_filename,
            "description": result.findings.conclusion,
            **({} if imagery.gsd_m is None else {"gsd": imagery.gsd_m}),
            **camera_fields(imagery),
            **projection_fields(imagery),
            **processing_fields(provenance),
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
    return {**item, "stac_extensions": extensions_of(item)}


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
        moments: list[str | None] = [moment_text(moment) for moment in self._moments]
        return {
            "type": "Collection",
            "stac_version": STAC,
            "stac_extensions": [EXTENSIONS["processing"]],
            "id": str(self._batch_id),
            "title": f"{self._index} by OrthoRay",
            "description": f"{self._index} of {len(self)} images: heatmaps, index rasters and statistics.",
            "license": "other",
            "extent": {
                "spatial": {"bbox": [WORLD if self._crosses or self._box is None else self._box]},
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


def _sources(imagery: Imagery, folder: Path | None) -> dict[str, Any]:
    """The files that were analysed, with their bands; none where a reader of the collection could not reach them."""
    found = {}
    for place, (asset, bands) in enumerate(banded(imagery), start=1):
        href = _source_href(imagery.bucket, asset.object_key, folder)
        if href is None:
            continue
        found["source" if place == 1 else f"source_{place}"] = {
            "href": href,
            "type": asset.content_type,
            "title": asset.filename,
            "roles": ["source"],
            "bands": bands,
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


def _around(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The box that holds both."""
    return [
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    ]
