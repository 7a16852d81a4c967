"""The HTTP API as a function of its services: deployments and tests build it alike."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from orthoray.storage.base import Storage
from orthoray.storage.parts import PartStore, part_bytes_of, part_store
from orthoray.telemetry import is_on
from serve_app.gateway import problems
from serve_app.gateway.admission import Admission, admission_of
from serve_app.gateway.audit import Audit
from serve_app.gateway.auth import Authentication
from serve_app.gateway.caching import Validators
from serve_app.gateway.context import GatewayConfig, Services
from serve_app.gateway.document import describe
from serve_app.gateway.graph.schema import build_schema
from serve_app.gateway.headers import CORS, SecurityHeaders
from serve_app.gateway.limits import RateLimit
from serve_app.gateway.middleware import BodyLimit, Head, RequestId, Traced
from serve_app.gateway.pace import BodyPace
from serve_app.gateway.routes import batches, graph, health, imagery, indices, reports, runs, stac, uploads
from serve_app.gateway.scopes import check_scope, check_table
from serve_app.gateway.watching import Watch, Watches

DESCRIPTION = """
Upload an image, analyse it, read the result:

    curl -H "X-API-Key: $KEY" -F file=@field.tif -F bands=R,G,B,N $HOST/imagery
    curl -H "X-API-Key: $KEY" --json '{"imagery_id": "...", "index_type": "NDVI", "auto_report": true}' $HOST/analysis-runs
    curl -H "X-API-Key: $KEY" $HOST/analysis-runs/...

Errors are `application/problem+json` (RFC 9457) and say what to do.
"""


def create_api(
    services: Services,
    storage: Storage,
    config: GatewayConfig,
    parts: PartStore | None = None,
    admission: Admission | None = None,
) -> FastAPI:
    """An ASGI application that owns nothing: whoever made the services and the storage closes them.

    `parts` None: those of the storage. `admission` None: nobody else asks it.
    """
    app = FastAPI(
        title="OrthoRay",
        version=version("orthoray"),
        description=DESCRIPTION,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        separate_input_output_schemas=False,
        dependencies=[Depends(check_scope)],
    )
    app.state.services = services
    app.state.storage = storage
    app.state.parts = parts or part_store(storage)
    app.state.config = config
    app.state.graph = build_schema(introspection=config.graphql_introspection)
    app.state.watches = Watches(runs=Watch(lambda: services.analysis), reports=Watch(lambda: services.report))
    problems.install(app)
    for module in (health, uploads, imagery, indices, runs, reports, batches, graph, stac):
        app.include_router(module.router)
    check_table(app)
    # The last one added is the outermost.
    app.add_middleware(Validators)
    app.add_middleware(Head)
    app.add_middleware(
        BodyLimit,
        max_upload_bytes=config.max_upload_bytes,
        max_part_bytes=part_bytes_of(config.max_object_bytes),
    )
    app.add_middleware(BodyPace)
    app.add_middleware(Audit, imagery=services.imagery)
    door = admission or admission_of(services.imagery, config)
    app.add_middleware(RateLimit, limiter=door.limiter)
    app.add_middleware(
        Authentication, authenticator=door.authenticator, trusted_proxies=config.trusted_proxies
    )
    if config.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=config.cors_origins, **CORS)
    app.add_middleware(SecurityHeaders, is_behind_https=config.is_behind_https)
    app.add_middleware(RequestId, by_proxy=config.proxy_adds_request_id)
    if is_on():
        app.add_middleware(Traced)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def _openapi(app: FastAPI) -> dict[str, object]:
    if app.openapi_schema is None:
        app.openapi_schema = describe(app)
    return app.openapi_schema
