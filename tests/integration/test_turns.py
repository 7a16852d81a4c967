"""In which order the jobs of tenants and priorities are fetched, by procrastinate's own statement."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Literal

import psycopg
import pytest
from wired import Services

from orthoray.contracts import AnalysisRequest, ReportRequest
from orthoray.queue import Queue

pytestmark = pytest.mark.anyio

MANY = 10_000


class Order:
    """Asks for runs of several tenants, and takes them from the queue as a worker does."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.images: dict[str, Any] = {}
        self.names: dict[str, str] = {}

    async def ask(self, tenant: str, priority: Literal["low", "normal", "high"] = "normal") -> None:
        if tenant not in self.images:
            self.images[tenant] = (await self.services.register(tenant)).id
        request = AnalysisRequest(imagery_id=self.images[tenant], index_type="NDVI", priority=priority)
        run = await self.services.analysis.create(tenant, request)
        self.names[str(run.id)] = tenant if priority == "normal" else f"{tenant} {priority}"

    async def take(self, count: int) -> list[str]:
        queue, found = Queue(self.services.dsns["analysis"]), []
        async with queue.app.open_async():
            worker = await queue.app.job_manager.register_worker()
            for _ in range(count):
                job = await queue.app.job_manager.fetch_job(["compute"], worker)
                assert job is not None
                await self.services.analysis.start_run(job.task_kwargs["run_id"])
                found.append(self.names.get(str(job.task_kwargs["run_id"]), "many"))
        return found


def queue_many(services: Services, tenant: str, count: int) -> None:
    """`count` runs more of a tenant, as so many requests would write them: turn after turn."""
    services.query(
        "analysis",
        """
        with one as (select * from analysis_runs where tenant_id = %s limit 1),
        made as (
            insert into analysis_runs (id, tenant_id, imagery_id, index_type, auto_report, language, imagery_bucket,
                imagery_object_key, imagery, turn)
            select gen_random_uuid(), tenant_id, imagery_id, index_type, auto_report, language, imagery_bucket,
                imagery_object_key, imagery, turn + number from one, generate_series(1, %s) as number
            returning id, turn
        )
        insert into procrastinate_jobs (task_name, queue_name, priority, args)
        select 'analysis.analyse', 'compute', -(2 * turn + 1), jsonb_build_object('run_id', id) from made order by turn
        returning id
        """,
        tenant,
        count,
    )
    with psycopg.connect(services.dsns["analysis"]) as connection:
        connection.execute("analyze analysis_runs")
        connection.execute("analyze procrastinate_jobs")


async def test_ten_thousand_runs_of_one_tenant_do_not_keep_another_waiting(services: Services) -> None:
    order = Order(services)
    await order.ask("many")
    queue_many(services, "many", MANY)
    await order.take(5)
    began = time.process_time(), time.monotonic()
    await order.ask("other")
    spent = time.monotonic() - began[1]
    assert await order.take(2) == ["many", "other"]
    assert spent < 2.0, "asking does not look through all that waits"
    for _ in range(6):
        await order.ask("other")
    taken = await order.take(12)
    assert Counter(taken) == {"many": 6, "other": 6}, "they take turns"


async def test_nobody_is_overtaken_for_ever(services: Services) -> None:
    """Tenants that ask for one run after another do not push back one whose many wait since before."""
    order = Order(services)
    for _ in range(12):
        await order.ask("patient")
    taken = []
    for _ in range(20):
        await order.ask("busy")
        await order.ask("keen")
        taken += await order.take(1)
    assert Counter(taken)["patient"] >= 6


async def test_priorities_order_a_tenants_own_runs_and_leave_others_their_turn(services: Services) -> None:
    order = Order(services)
    for priority in ("low", "normal", "normal", "high"):
        await order.ask("farm", priority)  # type: ignore[arg-type]  # it is one of the three
    for _ in range(3):
        await order.ask("other", "high")
    await order.ask("other", "low")
    taken = await order.take(8)
    assert taken[-2:] == ["farm low", "other low"]
    assert taken.index("farm high") < taken.index("farm")
    assert taken[:2] == ["farm high", "other high"]
    assert taken.index("farm") < taken.index("other high", 2), "all high is no faster than all normal"


async def test_what_a_person_asks_for_goes_before_what_comes_with_runs(services: Services) -> None:
    runs = [await services.completed(auto_report=True) for _ in range(4)]
    for run in runs[:3]:
        await services.report.create("default", ReportRequest(analysis_run_id=run.id), "normal")
    await services.report.create("default", ReportRequest(analysis_run_id=runs[3].id))
    rows = services.query("report", "select id, analysis_run_id, priority from reports")
    by_job = {str(row["id"]): row for row in rows}
    jobs = sorted(services.jobs("report", "report.render"), key=lambda job: (-job["priority"], job["id"]))
    first = by_job[jobs[0]["args"]["report_id"]]
    assert (first["analysis_run_id"], first["priority"]) == (runs[3].id, "high")
