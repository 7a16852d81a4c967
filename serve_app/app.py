"""The Serve application: the gateway bound to its three services, each with the worker of its queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, BackpressureConfig, DeploymentActorConfig

from actors.analysis_worker import AnalysisWorker
from actors.event_relay import EventRelay
from actors.report_worker import ReportWorker
from orthoray.callbacks import parse_networks
from orthoray.errors import ConfigurationError
from orthoray.settings import SERVICES, Settings, load_settings
from serve_app.analysis.deployment import AnalysisDeployment
from serve_app.config import ServiceConfig, service_configs
from serve_app.gateway.context import GatewayConfig
from serve_app.gateway.deployment import Gateway
from serve_app.gateway.tokens import TokenConfig
from serve_app.imagery.deployment import ImageryDeployment
from serve_app.report.deployment import ReportDeployment
from serve_app.workers import BESIDE_SERVICES, worker_actor

# They wait for databases and storage more than they compute; the default of a whole CPU each would fill a laptop.
REPLICA_CPUS = 0.1
# Requests under way in each replica, and waiting at each of its callers: beyond that a caller is told to come back (503), which
# beats a queue without end.
COMMON: Mapping[str, Any] = {
    "ray_actor_options": {"num_cpus": REPLICA_CPUS, "label_selector": BESIDE_SERVICES},
    "max_ongoing_requests": 64,
    "max_queued_requests": 512,
    "backpressure_config": BackpressureConfig(status_code=503, retry_after_s=5),
    "health_check_period_s": 10,
    "health_check_timeout_s": 30,
    "graceful_shutdown_timeout_s": 5,
    "graceful_shutdown_wait_loop_s": 0.2,
}
# Bodies that come in, files that go out and those who wait for a run's end hold a place while they cost nothing. One caller has
# REQUESTS_AT_ONCE of them at most.
GATEWAY_ONGOING = 512


def _replicas(settings: Settings) -> Mapping[str, Any]:
    """How many replicas each deployment has: one, or where MAX_REPLICAS allows it as many as its callers keep busy."""
    if settings.max_replicas == 1:
        return {}
    autoscaling = AutoscalingConfig(
        min_replicas=1,
        max_replicas=settings.max_replicas,
        # A quarter of a service's max_ongoing_requests: there are more before anybody waits.
        target_ongoing_requests=16,
        # A replica needs seconds to start, so a burst that is shorter is not worth one; a lull between two bursts costs none.
        upscale_delay_s=10,
        downscale_delay_s=300,
    )
    return {"autoscaling_config": autoscaling}


def application(settings: Settings, dsns: Mapping[str, str]) -> Application:
    """The whole product as one Serve application; `dsns` are the connection strings by service."""
    configs = service_configs(settings, dsns)
    common: dict[str, dict[str, Any]] = {
        name: {"dsn": config.dsn, "redis_url": config.redis_url, "reconcile": settings.reconcile}
        for name, config in configs.items()
    }
    storage = settings.storage()
    workers = {
        "imagery": worker_actor(EventRelay, **common["imagery"]),
        "analysis": worker_actor(
            AnalysisWorker,
            storage=storage,
            compute=settings.analysis_concurrency,
            large_pixels=settings.large_raster_pixels,
            callbacks=settings.callbacks(),
            **common["analysis"],
        ),
        "report": worker_actor(
            ReportWorker,
            storage=storage,
            compute=settings.report_concurrency,
            callbacks=settings.callbacks(),
            **common["report"],
        ),
    }
    options = {**COMMON, **_replicas(settings)}
    imagery = _service("imagery", ImageryDeployment, configs, workers, options)
    analysis = _service("analysis", AnalysisDeployment, configs, workers, options)
    report = _service("report", ReportDeployment, configs, workers, options)
    gateway = GatewayConfig(
        auth_mode=settings.auth_mode,
        max_upload_bytes=settings.max_upload_bytes,
        max_object_bytes=settings.max_object_bytes,
        imagery_bucket=storage.imagery,
        proxy_adds_request_id=True,
        tokens=_tokens(settings),
        cors_origins=settings.origins,
        is_behind_https=settings.behind_https,
        public_url=settings.public_url,
        graphql_introspection=settings.graphql_introspection,
        requests_per_minute=settings.requests_per_minute,
        requests_at_once=settings.requests_at_once,
        failed_logins_per_minute=settings.failed_logins_per_minute,
        trusted_proxies=parse_networks(settings.trusted_proxies or ""),
    )
    own = {**options, "max_ongoing_requests": GATEWAY_ONGOING}
    return serve.deployment(name="api-gateway", **own)(Gateway).bind(
        gateway, storage, imagery, analysis, report
    )


def _service(
    name: str,
    deployed: type,
    configs: Mapping[str, ServiceConfig],
    workers: Mapping[str, DeploymentActorConfig],
    options: Mapping[str, Any],
) -> Application:
    """However many replicas there are, there is one worker: it belongs to the deployment."""
    decorate = serve.deployment(name=f"{name}-service", deployment_actors=[workers[name]], **options)
    return decorate(deployed).bind(configs[name])


def _tokens(settings: Settings) -> TokenConfig | None:
    if not (settings.jwt_issuer and settings.jwt_audience):
        return None
    return TokenConfig(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        tenant_claim=settings.jwt_tenant_claim,
        jwks_url=settings.jwt_jwks_url,
        secret=settings.jwt_hs256_secret.get_secret_value() if settings.jwt_hs256_secret else None,
    )


def build(arguments: Mapping[str, str]) -> Application:
    """For `serve deploy` and `serve run serve_app.app:build`: settings come from the environment and `.env`.

    The databases have to be migrated and a key made before, which `orthoray up` and `orthoray migrate --first-key` do.

    Raises:
        ConfigurationError: no databases are named, or AUTH_MODE=none or a secret for tokens, since it is Serve that binds the
            port here.
    """
    settings = load_settings(overrides={name.lower(): value for name, value in arguments.items()})
    if not settings.external_databases:
        raise ConfigurationError(
            "Set IMAGERY_DB_HOST, ANALYSIS_DB_HOST and REPORT_DB_HOST: a cluster has no built-in one."
        )
    if settings.auth_mode == "none":
        raise ConfigurationError(
            "AUTH_MODE=none works with `orthoray up` only, which keeps the gateway on loopback."
        )
    if settings.jwt_hs256_secret:
        raise ConfigurationError(
            "JWT_HS256_SECRET works with `orthoray up` only, which keeps the gateway on loopback: set JWT_JWKS_URL."
        )
    return application(settings, {service: settings.dsn(service) for service in SERVICES})
