"""The durable queue: procrastinate in each service's own database, so that a job commits with the row it belongs to."""

from __future__ import annotations

from typing import Any

import procrastinate
from procrastinate.job_context import JobContext
from procrastinate.retry import RetryStrategy

from orthoray.database import Connection

# A worker that has not been heard of for this long is dead, and its jobs are put back.
HEARTBEAT_S = 3.0
STALLED_AFTER_S = 15.0

# What may pass by itself (a restarting database, a lost node) is tried again after 1, 4, 7 ... seconds.
MAX_ATTEMPTS = 5
RETRY = RetryStrategy(max_attempts=MAX_ATTEMPTS - 1, wait=1, linear_wait=3)
RETRY_FOREVER = RetryStrategy(wait=5)

__all__ = ["MAX_ATTEMPTS", "RETRY", "RETRY_FOREVER", "JobContext", "Queue", "is_last_attempt"]


class Queue:
    """One service's queue. Deferring needs no open connection of its own: it uses the caller's transaction."""

    def __init__(self, dsn: str) -> None:
        self.app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(conninfo=dsn, min_size=1, max_size=10)
        )

    async def defer(
        self,
        connection: Connection,
        task: str,
        *,
        queue: str,
        lock: str | None = None,
        priority: int = 0,
        **arguments: Any,
    ) -> None:
        """Write a job in the caller's transaction. Jobs with equal `lock` run one after another, in order."""
        deferrer = self.app.configure_task(
            name=task, queue=queue, lock=lock, priority=priority, connection=connection
        )
        await deferrer.defer_async(**arguments)

    async def put_back_stalled(self) -> int:
        """Queue the jobs of dead workers again; how many there were."""
        stalled = list(await self.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_S))
        for job in stalled:
            await self.app.job_manager.retry_job(job)
        return len(stalled)


def is_last_attempt(context: JobContext) -> bool:
    """Whether a failure of this attempt would be final under `RETRY`."""
    return context.job.attempts + 1 >= MAX_ATTEMPTS
