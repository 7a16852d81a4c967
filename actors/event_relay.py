"""The worker of the imagery-service: relays its events and clears up after deletions."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog

from actors.compute import chore
from actors.loop import QueueWorker
from actors.upkeep import Upkeep, look_after
from orthoray.ports import ImageryPort
from orthoray.queue import RETRY, Queue
from orthoray.remote import remote_by_name
from orthoray.tasks import CLEAN_UP_IMAGERY

log = structlog.get_logger(__name__)


class EventRelay(QueueWorker):
    """Computes nothing: its jobs are events and chores."""

    name = "event-relay"

    def register(self, queue: Queue) -> None:
        imagery = remote_by_name("imagery-service", ImageryPort)

        @queue.app.task(name=CLEAN_UP_IMAGERY.name, queue=CLEAN_UP_IMAGERY.queue, retry=RETRY)
        async def clean_up(tenant: str, imagery_id: str, keys: Sequence[str] = ()) -> None:
            await chore(lambda: imagery.clean_up(tenant, UUID(imagery_id), keys), what=CLEAN_UP_IMAGERY.name)

    async def tidy(self, mode: Upkeep) -> None:
        imagery = remote_by_name("imagery-service", ImageryPort)
        if swept := await imagery.sweep_uploads():
            log.info("uploads given up", count=swept)
        if swept := await imagery.sweep_claims():
            log.info("idempotency keys forgotten", count=swept)
        await look_after("imagery", imagery.reconcile, mode)
