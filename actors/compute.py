"""How a worker carries out its jobs: tried again when the trouble may pass, ended with a plain reason when not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import structlog
from ray.exceptions import RayError, RayTaskError

from actors.metrics import ATTEMPTS, FAILURES
from orthoray import errors
from orthoray.errors import OrthoRayError, Unavailable
from pipelines.nodes import LOOK_S, Patience

MAX_ATTEMPTS = 5
# Between the calls of `insist`: long enough for a replica to be replaced.
INSIST_WAITS_S = (0.5, 1.0, 2.0, 4.0)
# The reasons that failures are counted by; the first class that fits.
REASONS: Mapping[type[BaseException], str] = {
    **errors.REASONS,
    RayTaskError: "internal",
    RayError: "process_lost",
    Exception: "internal",
}
INTERRUPTED = "interrupted"

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


async def attempt(
    work: Callable[[], Awaitable[None]],
    fail: Callable[[str], Awaitable[object]],
    *,
    attempts: int,
    what: str,
) -> None:
    """Do work that computes; a failure that will not pass, or the last of several, goes to `fail` with a reason for the user.

    `attempts` says how many went before this one. From `MAX_ATTEMPTS` on nothing is computed any more: what is tried again is
    only to tell of the failure, until that succeeds.

    Raises:
        Exception: what went wrong, when the queue shall try again.
    """
    reason = f"The {what} was interrupted {MAX_ATTEMPTS} times and has been given up: ask for it again later."
    code = INTERRUPTED
    if attempts < MAX_ATTEMPTS:
        try:
            await work()
        except Exception as error:
            if may_pass(error) and attempts + 1 < MAX_ATTEMPTS:
                ATTEMPTS.inc(1, {"kind": what, "outcome": "retried"})
                raise
            ATTEMPTS.inc(1, {"kind": what, "outcome": "failed"})
            reason, code = reason_of(error, what), code_of(error)
            if may_pass(error):
                reason = f"The {what} failed {MAX_ATTEMPTS} times, the last time because of this: {reason}"
        else:
            ATTEMPTS.inc(1, {"kind": what, "outcome": "done"})
            return
    await chore(lambda: fail(reason), what=f"failing the {what}")
    FAILURES.inc(1, {"kind": what, "reason": code})


async def chore(work: Callable[[], Awaitable[object]], *, what: str) -> None:
    """Do work that is tried until it succeeds or is refused for good: what it was for is gone by then.

    Raises:
        Exception: what went wrong, when the queue shall try again.
    """
    try:
        await work()
    except OrthoRayError as error:
        if may_pass(error):
            raise
        log.warning("chore refused", what=what, reason=error.detail)


async def insist(call: Callable[[], Awaitable[object]]) -> None:
    """Make a call that may be repeated, several times if need be: one missed call must not cost a finished result.

    Raises:
        Unavailable: the last call was in vain too.
    """
    for wait in INSIST_WAITS_S:
        try:
            await call()
        except Unavailable:
            await asyncio.sleep(wait)
        else:
            return
    await call()


async def begun(answer: Awaitable[Answer], patience: Patience) -> Answer:
    """The first answer of a task, which may have to wait for a node.

    Raises:
        Unavailable: `patience` has ended.
    """
    waiting = asyncio.ensure_future(answer)
    try:
        while not (await asyncio.wait({waiting}, timeout=LOOK_S))[0]:
            await asyncio.to_thread(patience.check)
        return waiting.result()
    finally:
        waiting.cancel()


def may_pass(error: BaseException) -> bool:
    """Whether the same work could succeed a little later: a service away, a process or node lost, but not a bad image."""
    if isinstance(error, OrthoRayError):
        return isinstance(error, Unavailable)
    # A RayTaskError is what the work itself raised; the other RayErrors are the cluster's.
    return not isinstance(error, RayTaskError)


def code_of(error: BaseException) -> str:
    """One of the few words of `REASONS`, for counting."""
    return next(code for kind, code in REASONS.items() if isinstance(error, kind))


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
