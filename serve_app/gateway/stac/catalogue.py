"""Images and results as one catalogue: whose collections a caller may see, and pages that are made of both."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from orthoray.contracts import Imagery, Page
from orthoray.errors import NotFound
from orthoray.items import Extent, ItemQuery, Result
from orthoray.pages import encode_cursor
from orthoray.ports import Caller
from orthoray.scopes import allows
from serve_app.gateway.context import Services
from serve_app.gateway.scopes import NEEDED, require
from serve_app.gateway.stac.documents import (
    Document,
    imagery_collection,
    imagery_item,
    result_item,
    results_collection,
)
from serve_app.gateway.stac.site import IMAGERY, Site, index_of

_IMAGES = NEEDED["GET /stac/collections/imagery"]
_RESULTS = NEEDED["GET /stac/collections/{collection_id}"]


@dataclass(frozen=True)
class Choice:
    """Which collections are searched; `indices` None: those of all indices."""

    imagery: bool
    indices: Sequence[str] | None


@dataclass(frozen=True)
class Found:
    """A page of items, newest first; `next` is the token of the one after it."""

    items: list[Document]
    next: str | None


class Catalogue:
    """The catalogue as one caller sees it."""

    def __init__(self, services: Services, caller: Caller, site: Site) -> None:
        self._services = services
        self._tenant = caller.tenant
        self._site = site
        self._caller = caller
        self._sees_imagery = allows(caller.scopes, _IMAGES)
        self._sees_results = allows(caller.scopes, _RESULTS)

    async def collections(self) -> list[Document]:
        """Of the images, and of each index that there are results of."""

        async def of_images() -> list[Document]:
            if not self._sees_imagery:
                return []
            return [imagery_collection(self._site, await self._services.imagery.extent(self._tenant))]

        async def of_results() -> list[Document]:
            found = await self._extents(None) if self._sees_results else {}
            return [results_collection(self._site, index, extent) for index, extent in found.items()]

        images, results = await asyncio.gather(of_images(), of_results())
        return [*images, *results]

    async def imagery_collection(self) -> Document:
        return imagery_collection(self._site, await self._services.imagery.extent(self._tenant))

    async def results_collection(self, collection: str) -> Document:
        """
        Raises:
            NotFound: there are no results of such an index.
        """
        index = _index(collection)
        extents = await self._extents([index])
        if index not in extents:
            raise _no_collection(collection)
        return results_collection(self._site, index, extents[index])

    async def result(self, collection: str, run_id: UUID) -> Document:
        """
        Raises:
            NotFound: there is no such item in the collection.
        """
        query = ItemQuery(limit=1, ids=[run_id])
        page = await self._services.analysis.search_results(self._tenant, query, [_index(collection)])
        if not page.items:
            raise NotFound(
                f"There is no item {run_id} in the collection {collection}: a run that is completed is one."
            )
        return result_item(self._site, page.items[0])

    async def results(self, collection: str, query: ItemQuery) -> Found:
        """
        Raises:
            NotFound: there are no results of such an index.
        """
        index = _index(collection)
        choice = Choice(imagery=False, indices=[index])
        found = await self.search(query, choice)
        if not found.items and not (await self.search(ItemQuery(limit=1), choice)).items:
            raise _no_collection(collection)
        return found

    def choose(self, collections: Sequence[str] | None) -> Choice:
        """Those of the collections that there are; None: all that the caller may see.

        Raises:
            NotAllowed: the caller may not see one that is asked for.
        """
        if collections is None:
            return Choice(imagery=self._sees_imagery, indices=None if self._sees_results else [])
        indices = [index for name in collections if (index := index_of(name)) is not None]
        if IMAGERY in collections:
            require(self._caller, _IMAGES)
        if indices:
            require(self._caller, _RESULTS)
        return Choice(imagery=IMAGERY in collections, indices=indices)

    async def search(self, query: ItemQuery, choice: Choice) -> Found:
        """A page of the newest that both services have: each gives one, and the rest of both comes with the next."""

        async def images() -> Page[Imagery]:
            if not choice.imagery:
                return Page(items=[])
            return await self._services.imagery.search_items(self._tenant, query)

        async def results() -> Page[Result]:
            if choice.indices is not None and not choice.indices:
                return Page(items=[])
            return await self._services.analysis.search_results(self._tenant, query, choice.indices)

        of_images, of_results = await asyncio.gather(images(), results())
        records: list[Imagery | Result] = [*of_images.items, *of_results.items]
        records.sort(key=_age, reverse=True)
        page = records[: query.limit]
        is_last = len(page) == len(records) and of_images.next is None and of_results.next is None
        return Found(
            items=[self._item(record) for record in page],
            next=None if is_last else encode_cursor(*_age(page[-1])),
        )

    def _item(self, record: Imagery | Result) -> Document:
        if isinstance(record, Result):
            return result_item(self._site, record)
        return imagery_item(self._site, record)

    async def _extents(self, indices: Sequence[str] | None) -> dict[str, Extent]:
        return await self._services.analysis.result_extents(self._tenant, indices)


def _age(record: Imagery | Result) -> tuple[datetime, UUID]:
    """As both services order their rows."""
    owner = record.run if isinstance(record, Result) else record
    return owner.created_at, owner.id


def _index(collection: str) -> str:
    index = index_of(collection)
    if index is None:
        raise _no_collection(collection)
    return index


def _no_collection(collection: str) -> NotFound:
    return NotFound(f"There is no collection {collection}: GET /stac/collections lists what there is.")
