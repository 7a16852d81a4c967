"""The kinds of jobs, by name: who defers one and who carries it out need not know each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orthoray.database import Connection
from orthoray.queue import Queue
from orthoray.telemetry import carried


@dataclass(frozen=True)
class Task:
    """A kind of job and the queue of its service that it waits in."""

    name: str
    queue: str

    async def defer(
        self,
        queue: Queue,
        connection: Connection,
        *,
        lock: str | None = None,
        priority: int = 0,
        delay_s: int = 0,
        **arguments: Any,
    ) -> None:
        """Write a job in the caller's transaction; see `Queue.defer`.

        It is told which request and trace it belongs to, and takes part in them whenever it is carried out.
        """
        if given := carried():
            arguments["carried"] = given
        await queue.defer(
            connection,
            self.name,
            queue=self.queue,
            lock=lock,
            priority=priority,
            delay_s=delay_s,
            **arguments,
        )


# Work that keeps CPUs busy waits in `compute`; what only talks to databases and storage never waits behind it.
ANALYSE = Task("analysis.analyse", "compute")
RENDER_REPORT = Task("report.render", "compute")

REQUEST_REPORT = Task("analysis.request-report", "chores")
CLEAN_UP_IMAGERY = Task("imagery.clean-up", "chores")
CLEAN_UP_RUN = Task("analysis.clean-up", "chores")
CLEAN_UP_REPORT = Task("report.clean-up", "chores")
# Apart from the chores: receivers may be slow.
TELL_CALLBACK = Task("analysis.tell-callback", "callbacks")
TELL_CALLBACK_OF_REPORT = Task("report.tell-callback", "callbacks")
