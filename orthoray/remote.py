"""Calls between processes: a port of `orthoray.ports` on one side of a Serve handle, the service on the other.

Refusals (wrong ids, missing bands ...) are answers, not failures: they travel as values, so that Serve neither logs a stack trace
nor counts an error for them.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import structlog
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from orthoray.errors import OrthoRayError, TimedOut, Unavailable
from orthoray.telemetry import carried, note, step

APPLICATION = "orthoray"
# A service that hangs must not hold its callers for ever.
TIMEOUT_S = 60.0
# Cataloguing decodes a whole JPEG, or fetches a large raster from S3; a completed upload is read once for its digest.
TIMEOUTS_S = {"register": 900.0, "complete_upload": 3600.0, "sweep_uploads": 900.0, "reconcile": 3600.0}
# Twice a second for as long as a run takes or somebody waits: a trace of these would show nothing else.
UNTRACED = {"report_progress", "standings"}
Port = TypeVar("Port")
Deployed = TypeVar("Deployed", bound=type)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Refusal:
    """The exception that a call ended with."""

    error: OrthoRayError


def methods_of(port: type) -> list[str]:
    return [name for name in vars(port) if not name.startswith("_")]


def exposes(port: type, service: str = "service") -> Callable[[Deployed], Deployed]:
    """Give a deployment class the methods of a port that it lacks, carried out by its attribute of that name.

    All of the port's methods take part in their caller's trace.
    """
    domain = port.__name__.removesuffix("Port").lower()

    def decorate(deployed: Deployed) -> Deployed:
        for name in methods_of(port):
            # Not hasattr: that would find the metaclass's methods too, such as ABCMeta.register.
            own = next((vars(base)[name] for base in deployed.__mro__ if name in vars(base)), None)
            setattr(deployed, name, _joining(own or _answering(name, service), f"{domain}.{name}"))
        return deployed

    return decorate


def _answering(name: str, service: str) -> Callable[..., Awaitable[Any]]:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await getattr(getattr(self, service), name)(*args, **kwargs)
        except OrthoRayError as error:
            return Refusal(error)

    method.__name__ = name
    return method


def _joining(method: Callable[..., Awaitable[Any]], step_name: str) -> Callable[..., Awaitable[Any]]:
    """The same method, in the trace and with the ids that its caller hands over as `carried`."""

    @functools.wraps(method)
    async def joined(self: Any, *args: Any, carried: dict[str, str] | None = None, **kwargs: Any) -> Any:
        with step(step_name, carried, kind="server"):
            answer = await method(self, *args, **kwargs)
            if isinstance(answer, Refusal):
                note({"refusal": type(answer.error).__name__})
            return answer

    return joined


class _Remote:
    """Calls go over gRPC (`_by_reference=False`), which halves the cost of a hop."""

    def __init__(self, handle: Callable[[], DeploymentHandle[Any]], name: str) -> None:
        self._name = name
        self._method = functools.cache(
            lambda method: handle().options(method_name=method, _by_reference=False)
        )

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        if method.startswith("_"):
            raise AttributeError(method)
        return functools.partial(self._call, method)

    async def _call(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        if given := carried(traced=method not in UNTRACED):
            kwargs["carried"] = given
        try:
            async with asyncio.timeout(TIMEOUTS_S.get(method, TIMEOUT_S)):
                answer = await self._method(method).remote(*args, **kwargs)
        except RayTaskError as error:
            # Not away but wrong: what the service's own code raised beside its refusals.
            log.exception("service failed", service=self._name, method=method)
            raise OrthoRayError(f"The {self._name} met an unexpected error.") from error
        except BackPressureError as error:
            log.warning("service has too much to do", service=self._name, method=method)
            raise Unavailable(
                f"The {self._name} has more to do than it can take at the moment: try again in a few seconds."
            ) from error
        except TimeoutError as error:
            log.warning("service does not answer in time", service=self._name, method=method)
            raise TimedOut(
                f"The {self._name} did not answer in time. What you asked for may have been done: look before you repeat it."
            ) from error
        except (RayError, RayServeException, ConnectionError) as error:
            log.warning(
                "service does not answer", service=self._name, method=method, reason=type(error).__name__
            )
            raise Unavailable(
                f"The {self._name} does not answer at the moment: try again in a few seconds."
            ) from error
        if isinstance(answer, Refusal):
            raise answer.error
        return answer


def remote(handle: DeploymentHandle[Any], port: type[Port]) -> Port:
    """The service behind a handle."""
    return cast(Port, _Remote(lambda: handle, handle.deployment_name))


def remote_by_name(deployment: str, port: type[Port]) -> Port:
    """A service of the running application; it is looked up at the first call, so it may start later."""

    return cast(Port, _Remote(lambda: serve.get_deployment_handle(deployment, APPLICATION), deployment))
