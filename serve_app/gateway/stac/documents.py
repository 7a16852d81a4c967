"""The catalogue, its collections and its items as STAC 1.1 documents. Pure: records in, JSON out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orthoray.batches import FILE_TYPES
from orthoray.contracts import Asset, Imagery
from orthoray.items import Extent, Result
from pipelines.stac_fields import (
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
from serve_app.gateway.stac.site import IMAGERY, JSON, Site, results_id

CONFORMANCE = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)
_PNG = "image/png"
# By this type QGIS and others know that they can read it in place.
_COG = FILE_TYPES[".tif"]

Document = dict[str, Any]


def landing(site: Site, collections: Sequence[Document]) -> Document:
    """`collections` are those that the caller may see."""
    children = [site.link("child", "collections", found["id"], title=found["title"]) for found in collections]
    return {
        "type": "Catalog",
        "stac_version": STAC,
        "id": "orthoray",
        "title": "OrthoRay",
        "description": "Aerial images, and the maps of vegetation indices that were made of them.",
        "conformsTo": CONFORMANCE,
        "links": [
            site.link("self"),
            site.link("root"),
            site.link("conformance", "conformance"),
            site.link("data", "collections"),
            site.link("search", "search", type=GEOJSON, method="GET"),
            site.link("search", "search", type=GEOJSON, method="POST"),
            {"rel": "service-desc", "href": site.url("openapi.json"), "type": JSON},
            {"rel": "service-doc", "href": site.url("docs"), "type": "text/html"},
            *children,
        ],
    }


def imagery_collection(site: Site, extent: Extent) -> Document:
    return _collection(
        site,
        IMAGERY,
        "Images",
        "The images that were uploaded: photos, multispectral captures and orthomosaics, as they came.",
        extent,
    )


def results_collection(site: Site, index: str, extent: Extent) -> Document:
    return _collection(
        site,
        results_id(index),
        f"{index} of images",
        f"{index} of images, each with an index raster, a heatmap and statistics. An image may have several, one for each time "
        "that it was analysed.",
        extent,
    )


def _collection(site: Site, name: str, title: str, description: str, extent: Extent) -> Document:
    return {
        "type": "Collection",
        "stac_version": STAC,
        "stac_extensions": [],
        "id": name,
        "title": title,
        "description": description,
        "license": "other",
        "extent": {
            "spatial": {"bbox": [list(extent.bbox) if extent.bbox else WORLD]},
            "temporal": {
                "interval": [[moment and moment_text(moment) for moment in (extent.since, extent.until)]]
            },
        },
        "links": [
            site.link("self", "collections", name),
            site.link("root"),
            site.link("parent"),
            site.link("items", "collections", name, "items", type=GEOJSON),
        ],
        "assets": {},
    }


def imagery_item(site: Site, imagery: Imagery) -> Document:
    own = ("imagery", str(imagery.id))
    return _item(
        site,
        IMAGERY,
        str(imagery.id),
        imagery,
        properties={
            "title": imagery.original_filename,
            "created": moment_text(imagery.created_at),
            "orthoray:image_sha256": imagery.sha256,
            **({"orthoray:sensor": imagery.sensor} if imagery.sensor else {}),
        },
        links=[{"rel": "alternate", "href": site.url(*own), "type": JSON, "title": "The image's record"}],
        assets={
            **_files(site, imagery),
            "thumbnail": {
                "href": site.url(*own, "thumbnail"),
                "type": _PNG,
                "title": "Small picture",
                "roles": ["thumbnail"],
            },
        },
    )


def result_item(site: Site, result: Result) -> Document:
    run, imagery = result.run, result.imagery
    own, provenance = ("analysis-runs", str(run.id)), run.provenance or {}
    done = moment_text(run.completed_at or run.created_at)
    index = run.index_type
    return _item(
        site,
        results_id(index),
        str(run.id),
        imagery,
        properties={
            "title": f"{index} of {imagery.original_filename}",
            **({"description": run.conclusion} if run.conclusion else {}),
            "created": done,
            **processing_fields(provenance),
            "processing:datetime": done,
            "orthoray:index": index,
            "orthoray:imagery_id": str(imagery.id),
            "orthoray:image_sha256": imagery.sha256,
            "orthoray:stats": run.stats,
        },
        links=[
            site.item_link("derived_from", IMAGERY, imagery.id),
            {"rel": "alternate", "href": site.url(*own), "type": JSON, "title": "The run's record"},
        ],
        assets={
            "index": {
                "href": site.url(*own, "index.tif"),
                "type": _COG,
                "title": f"{index} of {imagery.original_filename}",
                "roles": ["data"],
                **(index_fields(run.statistics, index, imagery.gsd_m) if run.statistics else {}),
            },
            "heatmap": {
                "href": site.url(*own, "heatmap"),
                "type": _PNG,
                "title": "Heatmap",
                "roles": ["visual", "overview"],
            },
            "legend": {
                "href": site.url(*own, "legend"),
                "type": _PNG,
                "title": "Legend of the heatmap",
                "roles": ["metadata"],
            },
            "statistics": {
                "href": site.url(*own, "statistics"),
                "type": JSON,
                "title": "Statistics",
                "roles": ["metadata"],
            },
        },
    )


def _item(
    site: Site,
    collection: str,
    name: str,
    imagery: Imagery,
    *,
    properties: Document,
    links: Sequence[Document],
    assets: Document,
) -> Document:
    """What images and results have in common: where and when the image was captured, and by what."""
    item = {
        "type": "Feature",
        "stac_version": STAC,
        "id": name,
        **_place(imagery),
        "properties": {
            **time_fields(imagery),
            **({} if imagery.gsd_m is None else {"gsd": imagery.gsd_m}),
            **camera_fields(imagery),
            **projection_fields(imagery),
            **properties,
        },
        "links": [
            site.item_link("self", collection, name),
            site.link("root"),
            site.link("parent", "collections", collection),
            site.link("collection", "collections", collection),
            *links,
        ],
        "assets": assets,
        "collection": collection,
    }
    return {**item, "stac_extensions": extensions_of(item)}


def _place(imagery: Imagery) -> Document:
    """The footprint; without a georeference the point where the camera was; else nothing, which STAC allows."""
    if imagery.footprint and imagery.bounds_wgs84:
        return {"geometry": imagery.footprint, "bbox": imagery.bounds_wgs84}
    if imagery.gps:
        point = [imagery.gps.longitude, imagery.gps.latitude]
        return {"geometry": {"type": "Point", "coordinates": point}, "bbox": [*point, *point]}
    return {"geometry": None}


def _files(site: Site, imagery: Imagery) -> Document:
    """Every file as it came, called data, data_2 ..., and mask, mask_2 ...; bands are numbered through all of them."""
    bands = (found for _, found in banded(imagery))
    assets: Document = {}
    counts: dict[str, int] = {}
    for number, file in enumerate(imagery.assets):
        counts[file.role] = counts.get(file.role, 0) + 1
        name = file.role if counts[file.role] == 1 else f"{file.role}_{counts[file.role]}"
        assets[name] = {
            "href": site.url("imagery", str(imagery.id), "content", asset=str(number)),
            "type": _media_type(imagery, file),
            "title": file.filename,
            "roles": [file.role],
            **({"bands": next(bands)} if file.role == "data" else {}),
        }
    return assets


def _media_type(imagery: Imagery, file: Asset) -> str:
    return (
        f"{file.content_type}; application=geotiff"
        if imagery.crs and file.content_type == "image/tiff"
        else file.content_type
    )
