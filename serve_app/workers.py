"""The worker actors of a deployment: owned by Serve, replaced when they die."""

from __future__ import annotations

import asyncio
from functools import partialmethod
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import DeploymentActorConfig
from ray.serve.exceptions import RayServeException

from actors.loop import QueueWorker

WORKER = "worker"
# Not on nodes that are there to compute: they come and go, cost more when they have a GPU, and are told no database's password.
# Nodes without labels, as on a laptop, will do.
BESIDE_SERVICES = {"role": "!in(head,cpu,gpu)"}
PING_TIMEOUT_S = 5.0


def worker_actor(worker: type[QueueWorker], **arguments: Any) -> DeploymentActorConfig:
    """One worker beside the replicas of a deployment; it computes nothing itself, so it takes no CPU.

    The arguments hold secrets, and Serve shows an actor's `init_kwargs` to whoever asks the dashboard. So they are
    bound to the class instead, which travels pickled and is shown by name.
    """
    body = {"__init__": partialmethod(worker.__init__, **arguments), "__module__": worker.__module__}
    bound = type(worker.__name__, (worker,), body)
    return DeploymentActorConfig(
        name=WORKER,
        actor_class=ray.remote(bound),
        actor_options={"num_cpus": 0, "max_concurrency": 4, "label_selector": BESIDE_SERVICES},
    )


async def worker_failures(name: str) -> dict[str, str]:
    """Nothing when this deployment's worker takes jobs, else the reason under `name`."""
    try:
        handle = serve.get_deployment_actor(WORKER)
        working = await asyncio.wait_for(handle.is_working.remote(), PING_TIMEOUT_S)
    except (RayError, RayServeException, ValueError, TimeoutError):
        return {name: "The worker is starting or being replaced."}
    return {} if working else {name: "The worker does not reach its database."}
