"""The worker of the imagery-service: relays its events and clears up after deletions."""

from __future__ import annotations

from uuid import UUID

from actors.compute import chore
from actors.loop import QueueWorker
from orthoray.ports import ImageryPort
from orthoray.queue import RETRY, Queue
from orthoray.remote import remote_by_name
from orthoray.tasks import CLEAN_UP_IMAGERY


class EventRelay(QueueWorker):
    """Computes nothing: its jobs are events and chores."""

    name = "event-relay"

    def register(self, queue: Queue) -> None:
        imagery = remote_by_name("imagery-service", ImageryPort)

        @queue.app.task(name=CLEAN_UP_IMAGERY.name, queue=CLEAN_UP_IMAGERY.queue, retry=RETRY)
        async def clean_up(tenant: str, imagery_id: str) -> None:
            await chore(lambda: imagery.clean_up(tenant, UUID(imagery_id)), what=CLEAN_UP_IMAGERY.name)
