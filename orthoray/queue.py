"""The durable queue: procrastinate in each service's own database, so that a job commits with the row it belongs to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import procrastinate
import structlog
from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job, Status
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.worker import Worker

from orthoray.database import Connection, read_queries
from orthoray.telemetry import IDS, step

__all__ = [
    "RETRY",
    "RETRY_COMPUTE",
    "RETRY_SOON",
    "Backlog",
    "JobContext",
    "Pace",
    "PutOff",
    "Queue",
    "Retry",
    "Slots",
]

LISTEN_AGAIN_S = 1.0
SQL = read_queries(Path(__file__).with_name("queue.sql"))

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast workers notice that something died; all in seconds.

    A worker that cannot reach its database gives up before others take it for dead: `heartbeat + patience < stalled_after`.
    """

    heartbeat: float = 3.0
    """Between two signs of life."""
    patience: float = 10.0
    """For the database to answer."""
    stalled_after: float = 15.0
    """Without a sign of life a worker is dead, and its jobs are put back."""
    grace: float = 5.0
    """For jobs under way when their worker stops: it starts again only when the last of them has ended."""


@dataclass(frozen=True)
class Retry(BaseRetryStrategy):
    """Try again for ever, after 2, 4, 8 ... but at most `longest` seconds, give or take a quarter: what ends a job is its own
    decision, and those that failed together do not all come back together."""

    longest: int = 60
    steps_back: int = 0
    """How much the priority sinks each time: what kills its process again and again shall not be the first each time."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        wait = min(2.0 ** min(1 + job.attempts, 16), self.longest) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        priority = job.priority - self.steps_back if self.steps_back else None
        return RetryDecision(retry_in={"milliseconds": int(1000 * wait)}, priority=priority)


RETRY = Retry()
# Ten turns (`orthoray.turns`).
RETRY_COMPUTE = Retry(steps_back=20)
RETRY_SOON = Retry(longest=5)


class PutOff(Exception):
    """A job is not to be carried out now, but after `wait_s` seconds; nothing is the matter."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"put off for {wait_s:.1f} s")
        self.wait_s = wait_s


@dataclass(frozen=True)
class Backlog:
    """The jobs of one queue that wait."""

    jobs: int = 0
    oldest_s: float = 0.0


class Slots:
    """How many jobs may be under way at once: a semaphore whose size may change. For one worker."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._taken = 0
        self._changed = asyncio.Event()

    async def acquire(self) -> None:
        while self._taken >= self.size:
            self._changed.clear()
            await self._changed.wait()
        self._taken += 1

    def release(self) -> None:
        self._taken -= 1
        self._changed.set()

    def resize(self, size: int) -> None:
        """What is under way goes on, also where it is more than that."""
        self.size = size
        self._changed.set()


class Queue:
    """One service's queue. Deferring needs no open connection of its own: it uses the caller's transaction."""

    def __init__(self, dsn: str, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        # The connector itself has its pool check connections before use.
        self.app = procrastinate.App(
            connector=_Connector(
                conninfo=dsn,
                min_size=1,
                max_size=10,
                timeout=self._pace.patience,
                # A cut link or a lost lock must not hold the sign of life for ever.
                kwargs={
                    "connect_timeout": 5,
                    "tcp_user_timeout": int(1000 * self._pace.patience),
                    "options": f"-c statement_timeout={int(1000 * self._pace.patience)}",
                },
            )
        )

    async def defer(
        self,
        connection: Connection,
        task: str,
        *,
        queue: str,
        lock: str | None = None,
        priority: int = 0,
        delay_s: int = 0,
        **arguments: Any,
    ) -> None:
        """Write a job in the caller's transaction, to be carried out `delay_s` seconds from now at the earliest.

        Jobs of higher `priority` go first. Those with equal `lock` run one after another, in order.
        """
        deferrer = self.app.configure_task(
            name=task,
            queue=queue,
            lock=lock,
            priority=priority,
            connection=connection,
            schedule_in={"seconds": delay_s} if delay_s else None,
        )
        await deferrer.defer_async(**arguments)

    async def put_back_stalled(self) -> int:
        """Queue the jobs of dead workers again; how many there were."""
        stalled = await self.app.job_manager.get_stalled_jobs(
            seconds_since_heartbeat=self._pace.stalled_after
        )
        return sum([await _put_back(self.app, job, job.worker_id) for job in stalled])

    async def backlog(self) -> dict[str, Backlog]:
        """What waits, by queue; a queue in which nothing waits is not there."""
        rows = await self.app.connector.execute_query_all_async(SQL["backlog"])
        return {row["queue"]: Backlog(row["jobs"], row["oldest_s"] or 0.0) for row in rows}

    async def work(self, name: str, slots: Slots) -> None:
        """Carry out the jobs that wait under `name`, as many at once as there are slots, until cancelled.

        Raises:
            Exception: the worker stopped, for instance because it could not give a sign of life.
        """
        worker = _Worker(
            self.app,
            slots,
            queues=[name],
            worker_middleware=[_in_its_context],
            install_signal_handlers=False,
            update_heartbeat_interval=self._pace.heartbeat,
            stalled_worker_timeout=self._pace.stalled_after,
            shutdown_graceful_timeout=self._pace.grace,
            delete_jobs="successful",
        )
        await worker.run()  # type: ignore[no-untyped-call]  # procrastinate gives it no types
        raise RuntimeError(f"the worker of queue {name} stopped")


async def _put_back(
    app: procrastinate.App, job: Job, worker_id: int | None, decision: RetryDecision | None = None
) -> bool:
    """Whether the job was this worker's still (None: of one that is known no more)."""
    found = await app.connector.execute_query_all_async(
        SQL["put_back_own"],
        job_id=job.id,
        worker_id=worker_id,
        retry_at=(decision and decision.retry_at) or datetime.now(UTC),
        priority=decision and decision.priority,
    )
    return bool(found)


async def _finish(app: procrastinate.App, job: Job, worker_id: int | None, status: Status) -> bool:
    """The same, at the end of the job. What succeeded is deleted."""
    found = await app.connector.execute_query_all_async(
        SQL["finish_own"],
        job_id=job.id,
        worker_id=worker_id,
        status=status.value,
        delete_job=status is Status.SUCCEEDED,
    )
    return bool(found)


class _Connector(procrastinate.PsycopgConnector):
    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen again after the database was away; meanwhile workers look for jobs by themselves every few seconds."""
        names = list(channels)
        while True:
            try:
                await super().listen_notify(on_notification, names)
            except ConnectorException as error:
                log.warning("not listening", reason=str(error)[:200])
            await asyncio.sleep(LISTEN_AGAIN_S)


async def _in_its_context(
    call_next: Callable[[], Awaitable[Any]], context: JobContext, _worker: Worker
) -> Any:
    """A job takes part in the trace of the request that caused it, and its log lines tell what they are about."""
    job = context.job
    arguments: dict[str, Any] = job.task_kwargs
    given = arguments.pop("carried", {})
    ids = {name: arguments[name] for name in IDS if name in arguments}
    attempt = job.attempts + 1
    with step(
        job.task_name,
        {**given, **ids},
        kind="consumer",
        root=job.queue == "compute",
        attributes={"job.attempt": attempt},
    ):
        try:
            return await call_next()
        except PutOff:
            raise
        except Exception as error:
            log.warning("job failed", job=job.task_name, attempt=attempt, error=type(error).__name__)
            raise


class _Worker(Worker):
    """Stops when any part of it dies, for a worker that gives no sign of life would lose its jobs while it does them."""

    def __init__(self, app: procrastinate.App, slots: Slots, **options: Any) -> None:
        super().__init__(app, **options)
        self._slots = slots

    def _start_side_tasks(self) -> list[asyncio.Task[Any]]:
        # Called when the original has made its own semaphore, whose size is fixed.
        self._job_semaphore = self._slots  # type: ignore[assignment]  # it has the two methods that are used
        return super()._start_side_tasks()

    async def _periodic_deferrer(self) -> None:
        # We have no periodic tasks. Without any the original returns at once, and procrastinate stops watching its side
        # tasks, the sign of life among them, when the first of them returns.
        await asyncio.Event().wait()

    async def _persist_job_status(
        self, job: Job, status: Status, retry_decision: RetryDecision | None, *args: Any, **kwargs: Any
    ) -> None:
        # The original would do it whosever the job is by now: a worker that was taken for dead would take it from its successor.
        try:
            if retry_decision:
                kept = await _put_back(self.app, job, self.worker_id, retry_decision)
            else:
                kept = await _finish(self.app, job, self.worker_id, status)
            self._job_ids_to_abort.pop(job.id or 0, None)
            if not kept:
                log.warning("job was taken over", job=job.task_name)
        except BaseException:
            # The job would stay under way for as long as its worker lives; without the worker it is put back.
            self.stop()  # type: ignore[no-untyped-call]  # procrastinate gives it no types
            raise
