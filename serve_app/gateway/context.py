"""What the routes work with: the services behind the gateway and the storage that it streams to and from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from orthoray.callbacks import Network
from orthoray.contracts import Page
from orthoray.pages import MAX_LIMIT
from orthoray.ports import AnalysisPort, BatchPort, ImageryPort, ReportPort
from orthoray.storage.base import Storage
from orthoray.storage.parts import PartStore
from serve_app.gateway.tokens import TokenConfig


@dataclass(frozen=True)
class Services:
    """The three services; the analysis-service keeps the batches too."""

    imagery: ImageryPort
    analysis: AnalysisPort
    report: ReportPort
    batches: BatchPort


@dataclass(frozen=True)
class GatewayConfig:
    """The settings that the gateway needs; it holds no database's credentials."""

    auth_mode: str
    max_upload_bytes: int
    imagery_bucket: str
    proxy_adds_request_id: bool = False
    max_object_bytes: int = 64 * 1024**3
    tokens: TokenConfig | None = None
    cors_origins: tuple[str, ...] = ()
    is_behind_https: bool = False
    requests_per_minute: int = 60_000
    requests_at_once: int = 128
    failed_logins_per_minute: int = 600
    trusted_proxies: tuple[Network, ...] = ()
    public_url: str | None = None
    graphql_introspection: bool = True


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _storage(request: Request) -> Storage:
    storage: Storage = request.app.state.storage
    return storage


async def _config(request: Request) -> GatewayConfig:
    config: GatewayConfig = request.app.state.config
    return config


async def _parts(request: Request) -> PartStore:
    parts: PartStore = request.app.state.parts
    return parts


Backend = Annotated[Services, Depends(_services)]
Files = Annotated[Storage, Depends(_storage)]
Parts = Annotated[PartStore, Depends(_parts)]
Config = Annotated[GatewayConfig, Depends(_config)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many at most")]
Next = Annotated[str | None, Query(max_length=256, description="`next` of the page before")]


def link_to_next(request: Request, page: Page[Any]) -> dict[str, str]:
    """The header `Link: <...>; rel="next"` of a page that is not the last (RFC 8288)."""
    if page.next is None:
        return {}
    url = request.url.include_query_params(next=page.next)
    return {"Link": f'<{url.path}?{url.query}>; rel="next"'}
