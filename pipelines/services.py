"""The services of the running application, asked from a job or a task anywhere in its cluster."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TypeVar

from orthoray.errors import Unavailable
from orthoray.ports import BatchPort, ImageryPort

# A service whose node was lost is back within a minute; a job must not end for that.
PATIENCE_S = 180.0
LONGEST_WAIT_S = 5.0

Found = TypeVar("Found")

# `cache` lets threads that come at once each have their own.
_starting = threading.Lock()


@cache
def batches() -> BatchPort:
    from orthoray.remote import remote_by_name  # here: a batch on files alone needs no Ray Serve

    return remote_by_name("analysis-service", BatchPort)


@cache
def imagery() -> ImageryPort:
    from orthoray.remote import remote_by_name  # as above

    return remote_by_name("imagery-service", ImageryPort)


def ask(call: Callable[[], Awaitable[Found]]) -> Found:
    """What a service answers; it is waited for while it is away.

    Raises:
        Unavailable: it stayed away.
    """

    async def answer() -> Found:
        return await call()

    return insist(lambda: asyncio.run_coroutine_threadsafe(answer(), _loop()).result())


def insist(call: Callable[[], Found], patience_s: float = PATIENCE_S) -> Found:
    """Call until the answer is not `Unavailable`, for `patience_s` seconds.

    Raises:
        Unavailable: the last call was in vain too.
    """
    deadline, wait = time.monotonic() + patience_s, 0.2
    while True:
        try:
            return call()
        except Unavailable:
            if time.monotonic() + wait > deadline:
                raise
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT_S)


def _loop() -> asyncio.AbstractEventLoop:
    """One for the process, whichever threads ask first: Serve's handles keep their connections in it."""
    with _starting:
        return _started_loop()


@cache
def _started_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="services", daemon=True).start()
    return loop
