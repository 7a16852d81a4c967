"""Where clients reach this API: STAC's links and assets are absolute."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Depends, Request

from pipelines.stac_fields import GEOJSON
from serve_app.gateway.context import Config

JSON = "application/json"
IMAGERY = "imagery"
"""The id of the collection of images."""
_RESULTS = "index-"


class Site:
    """Addresses below the one that the request came to."""

    def __init__(self, base: str) -> None:
        """`base` without a slash at its end."""
        self._base = base

    def url(self, *words: str, **query: str) -> str:
        """Of the path that these words make."""
        path = "/".join(quote(word, safe="") for word in words)
        return f"{self._base}/{path}" + (f"?{urlencode(query)}" if query else "")

    def stac(self, *words: str) -> str:
        return self.url("stac", *words)

    def link(self, rel: str, *words: str, type: str = JSON, **more: Any) -> dict[str, Any]:
        """To something of STAC."""
        return {"rel": rel, "href": self.stac(*words), "type": type, **more}

    def item_link(self, rel: str, collection: str, item: object) -> dict[str, Any]:
        return self.link(rel, "collections", collection, "items", str(item), type=GEOJSON)


def results_id(index: str) -> str:
    """The id of the collection of an index's results."""
    return f"{_RESULTS}{index}"


def index_of(collection: str) -> str | None:
    """The index whose results a collection holds; None where it is no collection of results."""
    return collection.removeprefix(_RESULTS) if collection.startswith(_RESULTS) else None


async def _site(request: Request, config: Config) -> Site:
    if config.public_url:
        return Site(config.public_url)
    base = request.base_url
    return Site(str(base.replace(scheme="https") if config.is_behind_https else base).rstrip("/"))


CurrentSite = Annotated[Site, Depends(_site)]
