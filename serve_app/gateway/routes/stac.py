"""The catalogue as a STAC API, for QGIS, pystac-client and their like."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Request
from fastapi.responses import JSONResponse

from pipelines.stac_fields import GEOJSON
from serve_app.gateway.auth import CurrentCaller
from serve_app.gateway.context import Backend
from serve_app.gateway.stac.asking import MAX_WORD, SearchBody, read_body, read_parameters, refuse_unserved
from serve_app.gateway.stac.catalogue import Catalogue, Found
from serve_app.gateway.stac.documents import CONFORMANCE, Document, imagery_item, landing
from serve_app.gateway.stac.site import IMAGERY, CurrentSite, Site

router = APIRouter(prefix="/stac", tags=["stac"])


class GeoJson(JSONResponse):
    media_type = GEOJSON


async def _catalogue(services: Backend, caller: CurrentCaller, site: CurrentSite) -> Catalogue:
    return Catalogue(services, caller, site)


CurrentCatalogue = Annotated[Catalogue, Depends(_catalogue)]
CollectionId = Annotated[str, Path(max_length=MAX_WORD, description="index-NDVI holds the results of NDVI")]


def _told(*names: str) -> dict[str, Any]:
    """What /openapi.json says of the query: the fields of `SearchBody`."""
    kinds: dict[str, Any] = {"limit": {"type": "integer", "minimum": 1, "default": 50}}
    hints = {
        "bbox": "west,south,east,north in degrees; west > east is across the antimeridian",
        "ids": "of items, separated by commas",
        "collections": "ids of collections, separated by commas",
        "intersects": "a GeoJSON geometry as JSON; not beside bbox",
        "next": "of the link `next` of the page before",
    }
    fields = SearchBody.model_fields
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": hints.get(name) or fields[name].description or "",
                "schema": kinds.get(name, {"type": "string"}),
            }
            for name in names
        ]
    }


def _geojson(kind: str, *required: str) -> dict[int | str, dict[str, Any]]:
    """What /openapi.json says of an answer; the specification of STAC says the rest."""
    schema = {
        "type": "object",
        "required": ["type", "links", *required],
        "properties": {"type": {"const": kind}},
    }
    return {200: {"description": f"a {kind} of GeoJSON", "content": {GEOJSON: {"schema": schema}}}}


_PAGE = _geojson("FeatureCollection", "features")
_ITEM = _geojson("Feature", "id", "geometry", "properties", "assets", "stac_version")
_FILTERS = ("limit", "next", "bbox", "datetime")
_OF_ITEMS = _told(*_FILTERS)
_OF_SEARCH = _told(*_FILTERS, "ids", "collections", "intersects")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": SearchBody.model_json_schema()}},
    }
}


@router.get("", summary="The landing page of the STAC API")
async def landing_page(catalogue: CurrentCatalogue, site: CurrentSite) -> Document:
    """STAC 1.1 items by STAC API 1.0: open this address in QGIS or pystac-client, with an API key in the header X-API-Key."""
    return landing(site, await catalogue.collections())


@router.get("/conformance", summary="What of STAC API is served")
async def conformance() -> Document:
    return {"conformsTo": CONFORMANCE}


@router.get("/collections", summary="The images, and the results of each index")
async def collections(catalogue: CurrentCatalogue, site: CurrentSite) -> Document:
    """Those that the credentials open."""
    return {
        "collections": await catalogue.collections(),
        "links": [site.link("self", "collections"), site.link("root"), site.link("parent")],
    }


@router.get("/collections/imagery", summary="The images as a collection")
async def imagery_collection(catalogue: CurrentCatalogue) -> Document:
    return await catalogue.imagery_collection()


@router.get(
    "/collections/imagery/items",
    summary="Images as items, newest first",
    openapi_extra=_OF_ITEMS,
    responses=_PAGE,
    response_class=GeoJson,
)
async def imagery_items(request: Request, catalogue: CurrentCatalogue, site: CurrentSite) -> GeoJson:
    asked = _asked_of_items(request)
    found = await catalogue.search(asked.query(), catalogue.choose([IMAGERY]))
    return _items(request, site, found, IMAGERY)


@router.get(
    "/collections/imagery/items/{imagery_id}",
    summary="An image as an item",
    responses=_ITEM,
    response_class=GeoJson,
)
async def one_imagery_item(
    imagery_id: UUID, caller: CurrentCaller, services: Backend, site: CurrentSite
) -> GeoJson:
    return GeoJson(imagery_item(site, await services.imagery.get(caller.tenant, imagery_id)))


@router.get("/collections/{collection_id}", summary="The results of one index as a collection")
async def results_collection(collection_id: CollectionId, catalogue: CurrentCatalogue) -> Document:
    return await catalogue.results_collection(collection_id)


@router.get(
    "/collections/{collection_id}/items",
    summary="Results of one index as items, newest first",
    openapi_extra=_OF_ITEMS,
    responses=_PAGE,
    response_class=GeoJson,
)
async def result_items(
    request: Request, collection_id: CollectionId, catalogue: CurrentCatalogue, site: CurrentSite
) -> GeoJson:
    asked = _asked_of_items(request)
    return _items(request, site, await catalogue.results(collection_id, asked.query()), collection_id)


@router.get(
    "/collections/{collection_id}/items/{run_id}",
    summary="A completed run as an item",
    response_class=GeoJson,
)
async def one_result_item(collection_id: CollectionId, run_id: UUID, catalogue: CurrentCatalogue) -> GeoJson:
    return GeoJson(await catalogue.result(collection_id, run_id))


@router.get(
    "/search", summary="Search items", openapi_extra=_OF_SEARCH, responses=_PAGE, response_class=GeoJson
)
async def search(request: Request, catalogue: CurrentCatalogue, site: CurrentSite) -> GeoJson:
    """In all collections that the credentials open, or in those named."""
    asked = read_parameters(request.query_params)
    found = await catalogue.search(asked.query(), catalogue.choose(asked.collections))
    links = [site.link("self", "search", type=GEOJSON), site.link("root")]
    return _page(found, [*links, *_next(request, site, ("search",), found)])


@router.post(
    "/search", summary="Search items by a body", openapi_extra=_BODY, responses=_PAGE, response_class=GeoJson
)
async def search_by_body(
    body: Annotated[dict[str, Any], Body()], catalogue: CurrentCatalogue, site: CurrentSite
) -> GeoJson:
    """As GET; the link `next` carries the body of the next request."""
    asked = read_body(body)
    found = await catalogue.search(asked.query(), catalogue.choose(asked.collections))
    links = [site.link("self", "search", type=GEOJSON), site.link("root")]
    if found.next:
        again = {**asked.model_dump(mode="json", exclude_unset=True), "next": found.next}
        links.append(site.link("next", "search", type=GEOJSON, method="POST", body=again))
    return _page(found, links)


def _asked_of_items(request: Request) -> SearchBody:
    refuse_unserved(request.query_params)
    return read_parameters({name: text for name, text in request.query_params.items() if name in _FILTERS})


def _items(request: Request, site: Site, found: Found, collection: str) -> GeoJson:
    words = ("collections", collection)
    links = [
        site.link("self", *words, "items", type=GEOJSON),
        site.link("root"),
        site.link("parent", *words),
        site.link("collection", *words),
    ]
    return _page(found, [*links, *_next(request, site, (*words, "items"), found)])


def _next(request: Request, site: Site, words: tuple[str, ...], found: Found) -> list[Document]:
    """The link to the page after a page, where there is one."""
    if found.next is None:
        return []
    query = urlencode({**request.query_params, "next": found.next})
    link = site.link("next", *words, type=GEOJSON, method="GET")
    return [{**link, "href": f"{link['href']}?{query}"}]


def _page(found: Found, links: list[Document]) -> GeoJson:
    following = [one["href"] for one in links if one["rel"] == "next" and one["method"] == "GET"]
    return GeoJson(
        {
            "type": "FeatureCollection",
            "features": found.items,
            "links": links,
            "numberReturned": len(found.items),
        },
        headers={"Link": f'<{following[0]}>; rel="next"'} if following else None,
    )
