"""How a worker carries out its jobs: every attempt has an ending that is told, and what is not wanted any more stops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

import ray
import structlog

from actors.failures import code_of, ending_of, may_pass
from actors.metrics import ATTEMPTS, FAILURES
from orthoray.attempts import Ending
from orthoray.errors import OrthoRayError, Unavailable
from pipelines.nodes import LOOK_S, Patience

# Between the calls of `insist`: long enough for a replica to be replaced.
INSIST_WAITS_S = (0.5, 1.0, 2.0, 4.0)
# How long a task that is called off may take to end by itself.
CALL_OFF_S = 3.0
# A task may say nothing for minutes; whether its work is wanted is asked all the same.
ASK_EVERY_S = 1.0
BROKEN_OFF = Ending(outcome="unavailable", reason="The worker was interrupted.")

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class TryAgain(Exception):
    """The attempt was in vain, and there shall be another one."""


class NotWanted(Exception):
    """Nobody waits for this attempt any more: the run is gone or over, or another attempt has taken its place.

    A job that meets this is tried again, for only the start of an attempt can tell whether there is nothing to do any more: the
    other attempt may be one that nobody is at, begun by a call whose answer was lost.
    """


class Attempts:
    """The attempts of one worker, all of the same kind. Not a word of how they ended is lost while the worker lives."""

    def __init__(self, what: str, end: Callable[[UUID, int, Ending], Awaitable[bool]]) -> None:
        """`end` tells the service that the attempt with this number ended so, and hears whether there shall be another."""
        self._what = what
        self._end = end
        self._untold: dict[UUID, tuple[int, Ending]] = {}

    async def make(self, subject: UUID, number: int, work: Callable[[], Awaitable[None]]) -> None:
        """Do work that computes.

        Raises:
            TryAgain: it was in vain, and the queue shall try again.
            NotWanted: the same, when nobody waits for it.
            Unavailable: nobody could be told how it ended; that follows at the next attempt.
        """
        try:
            await work()
        except asyncio.CancelledError:  # the database is away, or the worker ends: not the image's doing
            self._untold[subject] = number, BROKEN_OFF
            raise
        except NotWanted:
            ATTEMPTS.inc(1, {"kind": self._what, "outcome": "dropped"})
            raise
        except Exception as error:
            ending = ending_of(error, self._what)
            self._untold[subject] = number, ending
            again = await self.tell(subject)
            counted = "retried" if again else "failed"
            ATTEMPTS.inc(1, {"kind": self._what, "outcome": counted})
            if again:
                raise TryAgain(ending.reason) from error
            FAILURES.inc(1, {"kind": self._what, "reason": code_of(error)})
        else:
            ATTEMPTS.inc(1, {"kind": self._what, "outcome": "done"})

    async def tell(self, subject: UUID) -> bool:
        """Tell what could not be told before; whether there shall be another attempt.

        Raises:
            Unavailable: the service is still away.
        """
        if subject not in self._untold:
            return True
        number, ending = self._untold[subject]
        again = await insist(lambda: self._end(subject, number, ending))
        self._untold.pop(subject, None)
        return again


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


async def insist(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make a call that may be repeated, several times if need be: one missed call must not cost a finished result.

    Raises:
        Unavailable: the last call was in vain too.
    """
    for wait in INSIST_WAITS_S:
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(wait)
    return await call()


async def attended(
    step: asyncio.Future[Answer], is_wanted: Callable[[], Awaitable[bool]], patience: Patience | None = None
) -> Answer:
    """What a step of a task has to say, which may be minutes away; that it is still wanted is asked all the while.

    `patience` is that with a task that has not begun. The step goes on whatever this meets.

    Raises:
        NotWanted: nobody waits for it any more.
        NoNode: `patience` has ended.
    """
    looked_at = time.monotonic()
    while not (await asyncio.wait({step}, timeout=ASK_EVERY_S))[0]:
        if patience and time.monotonic() - looked_at >= LOOK_S:
            await asyncio.to_thread(patience.check)
            looked_at = time.monotonic()
        await check_wanted(is_wanted)
    return step.result()


async def check_wanted(is_wanted: Callable[[], Awaitable[bool]]) -> None:
    """
    Raises:
        NotWanted: nobody waits for it any more.
    """
    if not await is_wanted():
        raise NotWanted


async def ended(step: asyncio.Future[Any]) -> None:
    """Return when the step of a task that was called off has come to its end; after that it writes nothing more."""
    await asyncio.wait({step}, timeout=2 * CALL_OFF_S)


def call_off(reference: Any) -> None:
    """End a task, with its process where it does not end by itself: what it computes is not wanted any more."""
    ray.cancel(reference)
    timer = threading.Timer(CALL_OFF_S, lambda: ray.cancel(reference, force=True))
    timer.daemon = True
    timer.start()
