"""What one request has fetched: records by id and pages by parent, each kind with one call for all that are asked for at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from strawberry.dataloader import DataLoader

from orthoray.contracts import Page, RunStatus
from orthoray.pages import MAX_LIMIT, MAX_ROWS
from orthoray.ports import Caller
from serve_app.gateway.context import Services

Loader = DataLoader[UUID, Any]
Pages = DataLoader[UUID, Page[Any]]
PageSearch = Callable[..., Awaitable[dict[UUID, Page[Any]]]]


class Loaders:
    """Of one caller, and of one state of the data: after a change there are new ones."""

    def __init__(self, services: Services, tenant: str) -> None:
        self._services = services
        self._tenant = tenant
        self._pages: dict[tuple[Any, ...], Pages] = {}
        self.imagery = self._records(services.imagery.get_many)
        self.runs = self._records(services.analysis.get_many)
        self.reports = self._records(services.report.get_many)

    def runs_of_imagery(self, limit: int, token: str | None, status: RunStatus | None) -> Pages:
        return self._pages_of("runs", self._services.analysis.search_of_imagery, limit, token, status)

    def reports_of_run(self, limit: int, token: str | None, status: RunStatus | None) -> Pages:
        return self._pages_of("reports", self._services.report.search_of_runs, limit, token, status)

    def _records(self, get_many: Callable[..., Awaitable[list[Any]]]) -> Loader:
        async def load(ids: Sequence[UUID]) -> list[Any]:
            found = {record.id: record for record in await get_many(self._tenant, list(ids))}
            return [found.get(one) for one in ids]

        return DataLoader(load, max_batch_size=MAX_LIMIT)

    def _pages_of(self, kind: str, search: PageSearch, limit: int, *filters: Any) -> Pages:
        """One loader for each way to ask, for a call asks in one way for all."""

        async def load(parents: Sequence[UUID]) -> list[Page[Any]]:
            found = await search(self._tenant, list(parents), limit, *filters)
            return [found[parent] for parent in parents]

        size = min(MAX_LIMIT, MAX_ROWS // limit)
        return self._pages.setdefault((kind, limit, *filters), DataLoader(load, max_batch_size=size))


@dataclass
class GraphContext:
    """Of one request; `location` is where that is which a mutation has made."""

    caller: Caller
    services: Services
    operation_name: str | None = None
    loaders: Loaders = field(init=False)
    location: str | None = None

    def __post_init__(self) -> None:
        self.begin_anew()

    @property
    def tenant(self) -> str:
        return self.caller.tenant

    def begin_anew(self) -> None:
        """Forget what was fetched: it may have changed."""
        self.loaders = Loaders(self.services, self.tenant)
        self.location = None
