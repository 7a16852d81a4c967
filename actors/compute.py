"""How a worker carries out a job that computes: retried when the trouble may pass, failed with a plain reason when not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from ray.exceptions import RayError, RayTaskError

from orthoray.errors import OrthoRayError, Unavailable
from orthoray.queue import MAX_ATTEMPTS, JobContext, is_last_attempt

log = structlog.get_logger(__name__)


async def attempt(
    work: Awaitable[None], context: JobContext, fail: Callable[[str], Awaitable[bool]], *, what: str
) -> None:
    """Await `work`; a failure that will not pass, or the last of several, goes to `fail` with a reason for the user.

    Raises:
        Exception: what went wrong, when the queue shall try again.
    """
    try:
        await work
    except Exception as error:
        if not may_pass(error):
            await fail(reason_of(error, what))
        elif is_last_attempt(context):
            await fail(
                f"The {what} failed {MAX_ATTEMPTS} times, the last time because of this: {reason_of(error, what)}"
            )
        else:
            raise


def may_pass(error: BaseException) -> bool:
    """Whether the same work could succeed a little later: a service away, a process or node lost, but not a bad image."""
    if isinstance(error, OrthoRayError):
        return isinstance(error, Unavailable)
    # A RayTaskError is what the work itself raised; the other RayErrors are the cluster's.
    return not isinstance(error, RayTaskError)


def reason_of(error: BaseException, what: str) -> str:
    """A sentence without paths and stack traces."""
    if isinstance(error, OrthoRayError):
        return error.detail
    log.error("unexpected failure", what=what, error=str(error))
    if isinstance(error, RayTaskError):
        return f"The {what} met an unexpected error ({type(error.cause).__name__})."
    if isinstance(error, RayError):
        return f"A process of the cluster was lost ({type(error).__name__})."
    return f"The {what} met an unexpected error ({type(error).__name__})."
