"""What workers do once in a while beside their jobs: compare rows with objects, and give up what was abandoned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog

from orthoray.reconciling import Reconciled, ReconcileOrder

Upkeep = Literal["report", "fix", "off"]
"""Whether rows are compared with objects, and orphans removed."""
# A start has enough to do; what is looked for is a day old or more.
FIRST_AFTER_S = 300.0
EVERY_S = 3600.0
_SHOWN = 5

log = structlog.get_logger(__name__)


async def keep_up(
    work: Callable[[], Awaitable[None]], *, first_after: float = FIRST_AFTER_S, every: float = EVERY_S
) -> None:
    """Do the work again and again; that it fails once must not end the jobs under way."""
    await asyncio.sleep(first_after)
    while True:
        try:
            await work()
        except Exception as error:
            log.warning("upkeep failed", reason=str(error)[:200])
        await asyncio.sleep(every)


async def look_after(
    service: str, reconcile: Callable[[ReconcileOrder], Awaitable[Reconciled]], mode: Upkeep
) -> None:
    """Compare a service's rows with its objects, and log what is wrong."""
    if mode == "off":
        return
    found = await reconcile(ReconcileOrder(fix=mode == "fix", careful=True))
    if found.fixed:
        log.info("rows and objects reconciled", service=service, bucket=found.bucket, fixed=found.fixed)
    if found.open:
        log.warning(
            "rows and objects disagree: `orthoray doctor` tells more",
            service=service,
            bucket=found.bucket,
            orphans=len(found.orphans),
            orphan_bytes=found.orphan_bytes,
            lost=len(found.lost),
            examples=[*found.orphans[:_SHOWN], *found.lost[:_SHOWN]],
            held_back=found.held_back,
        )
