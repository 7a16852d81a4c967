"""The Serve application: the gateway bound to its three services, each with the worker of its queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve import Application

from actors.analysis_worker import AnalysisWorkerActor
from actors.event_relay import EventRelayActor
from actors.report_worker import ReportWorkerActor
from orthoray.settings import SERVICES, Settings, load_settings
from serve_app.analysis.deployment import AnalysisDeployment
from serve_app.config import service_configs
from serve_app.gateway.context import GatewayConfig
from serve_app.gateway.deployment import Gateway
from serve_app.imagery.deployment import ImageryDeployment
from serve_app.report.deployment import ReportDeployment
from serve_app.workers import worker_actor

# They wait for databases and storage more than they compute; the default of a whole CPU each would fill a laptop.
REPLICA_CPUS = 0.1
# Requests under way and waiting per replica: beyond that a caller is told to come back (503), which beats a queue without end.
COMMON: Mapping[str, Any] = {
    "ray_actor_options": {"num_cpus": REPLICA_CPUS},
    "max_ongoing_requests": 64,
    "max_queued_requests": 512,
    "health_check_period_s": 10,
    "health_check_timeout_s": 30,
    "graceful_shutdown_timeout_s": 5,
    "graceful_shutdown_wait_loop_s": 0.2,
}


def application(settings: Settings, dsns: Mapping[str, str]) -> Application:
    """The whole product as one Serve application; `dsns` are the connection strings by service."""
    configs = service_configs(settings, dsns)
    storage = settings.storage()
    imagery = serve.deployment(
        name="imagery-service",
        deployment_actors=[
            worker_actor(EventRelayActor, dsn=configs["imagery"].dsn, redis_url=configs["imagery"].redis_url)
        ],
        **COMMON,
    )(ImageryDeployment).bind(configs["imagery"])
    analysis = serve.deployment(
        name="analysis-service",
        deployment_actors=[
            worker_actor(
                AnalysisWorkerActor,
                dsn=configs["analysis"].dsn,
                storage=storage,
                redis_url=configs["analysis"].redis_url,
            )
        ],
        **COMMON,
    )(AnalysisDeployment).bind(configs["analysis"])
    report = serve.deployment(
        name="report-service",
        deployment_actors=[
            worker_actor(
                ReportWorkerActor,
                dsn=configs["report"].dsn,
                storage=storage,
                redis_url=configs["report"].redis_url,
            )
        ],
        **COMMON,
    )(ReportDeployment).bind(configs["report"])
    gateway = GatewayConfig(
        auth_mode=settings.auth_mode,
        max_upload_bytes=settings.max_upload_bytes,
        imagery_bucket=storage.imagery,
        proxy_adds_request_id=True,
    )
    return serve.deployment(name="api-gateway", **COMMON)(Gateway).bind(
        gateway, storage, imagery, analysis, report
    )


def build(arguments: Mapping[str, str]) -> Application:
    """For `serve deploy` and `serve run serve_app.app:build`: settings come from the environment and `.env`."""
    settings = load_settings(overrides={name.lower(): value for name, value in arguments.items()})
    return application(settings, {service: settings.dsn(service) for service in SERVICES})
