"""The worker actors of a deployment: owned by Serve, replaced when they die."""

from __future__ import annotations

import asyncio
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.config import DeploymentActorConfig
from ray.serve.exceptions import RayServeException

WORKER = "worker"
PING_TIMEOUT_S = 5.0


def worker_actor(actor_class: Any, **arguments: Any) -> DeploymentActorConfig:
    """One worker beside the replicas of a deployment; it computes nothing itself, so it takes no CPU."""
    return DeploymentActorConfig(
        name=WORKER,
        actor_class=actor_class,
        init_kwargs=arguments,
        actor_options={"num_cpus": 0, "max_concurrency": 4},
    )


async def worker_failures(name: str) -> dict[str, str]:
    """Nothing when this deployment's worker takes jobs, else the reason under `name`."""
    try:
        handle = serve.get_deployment_actor(WORKER)
        working = await asyncio.wait_for(handle.is_working.remote(), PING_TIMEOUT_S)
    except (RayError, RayServeException, ValueError, TimeoutError):
        return {name: "The worker is starting or being replaced."}
    return {} if working else {name: "The worker does not reach its database."}
