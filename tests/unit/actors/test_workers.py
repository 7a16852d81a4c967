"""What the workers do with Ray's references and with the services' answers, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import procrastinate
import pytest
from fakes import an_outcome
from procrastinate.testing import InMemoryConnector

from actors import analysis_worker, compute, event_relay, report_worker
from actors.analysis_worker import AnalysisWorker
from actors.compute import NotWanted, TryAgain
from actors.event_relay import EventRelay
from actors.report_worker import ReportWorker
from orthoray.errors import NotFound, TruncatedImage, Unavailable
from orthoray.storage.config import StorageConfig
from orthoray.tasks import CLEAN_UP_IMAGERY, CLEAN_UP_REPORT, CLEAN_UP_RUN, REQUEST_REPORT
from pipelines import nodes
from pipelines.nodes import Demand

RUN = uuid4()
OUTCOME = an_outcome(RUN)
SILENCE = object()


async def result(value: Any) -> Any:
    """A reference to a value, or to the exception in its place."""
    if isinstance(value, BaseException):
        raise value
    if value is SILENCE:
        await asyncio.sleep(60)
    return value


async def stream(values: tuple[Any, ...]) -> AsyncIterator[Any]:
    for value in values:
        yield result(value)


ORDER = SimpleNamespace(
    run=SimpleNamespace(id=RUN, created_at=datetime.now(UTC)),
    report=SimpleNamespace(id=RUN, created_at=datetime.now(UTC)),
    tenant="default",
    attempt=1,
)


class Service:
    """Each method gives its answers in turn, the last one for ever; without any, an order to start with, and True."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.calls: list[str] = []

    def __getattr__(self, method: str) -> Any:
        async def call(*_: object) -> Any:
            self.calls.append(method)
            answers = self.answers.get(method, [ORDER if method.startswith("start_") else True])
            return await result(answers.pop(0) if len(answers) > 1 else answers[0])

        return call


@pytest.fixture
def cancelled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The references that were called off."""
    found: list[object] = []
    for module in (analysis_worker, report_worker):
        monkeypatch.setattr(module, "call_off", found.append)
        monkeypatch.setattr(module, "alive_nodes", list)
    monkeypatch.setattr(compute, "ASK_EVERY_S", 0.02)
    monkeypatch.setattr(compute, "INSIST_WAITS_S", (0.0, 0.0))
    return found


def worker_of(kind: type[Any], service: Service) -> Any:
    """A worker without its loop, all of whose services are the same."""
    worker = kind.__new__(kind)
    worker._storage, worker._large_pixels = StorageConfig(root=Path("storage")), 100
    worker._few, worker._callbacks = asyncio.Semaphore(2), None
    worker._analysis = worker._report = service
    worker._attempts = compute.Attempts("work", service.end_attempt)
    worker._callbacks = None
    return worker


def analyse(monkeypatch: pytest.MonkeyPatch, service: Service, *steps: Any) -> None:
    task = SimpleNamespace(remote=lambda *_: stream(steps), options=lambda **_: task)
    monkeypatch.setattr(analysis_worker, "task_for", lambda *_: (task, Demand(1, 1)))
    asyncio.run(worker_of(AnalysisWorker, service)._analyse(RUN))


def render(monkeypatch: pytest.MonkeyPatch, service: Service, key: Any) -> None:
    task = SimpleNamespace(remote=lambda *_: result(key), options=lambda **_: task)
    monkeypatch.setattr(report_worker, "render_report", task)
    asyncio.run(worker_of(ReportWorker, service)._render(uuid4()))


def test_a_finished_run_is_completed(monkeypatch: pytest.MonkeyPatch, cancelled: list[object]) -> None:
    service = Service()
    analyse(monkeypatch, service, 0.5, OUTCOME)
    assert service.calls == ["start_run", "report_progress", "complete_run"]
    assert not cancelled


def test_a_run_that_is_not_wanted_is_cancelled(
    monkeypatch: pytest.MonkeyPatch, cancelled: list[object]
) -> None:
    service = Service(report_progress=[True, False])
    with pytest.raises(NotWanted):
        analyse(monkeypatch, service, 0.2, 0.4)
    assert len(cancelled) == 1
    assert service.calls == ["start_run", "report_progress", "report_progress", "clean_up"]


def test_a_silent_task_is_cancelled_too(monkeypatch: pytest.MonkeyPatch, cancelled: list[object]) -> None:
    monkeypatch.setattr(compute, "CALL_OFF_S", 0.02)
    service = Service(report_progress=[True, True, False])
    with pytest.raises(NotWanted):
        analyse(monkeypatch, service, "node", SILENCE)
    assert len(cancelled) == 1
    assert service.calls == ["start_run", *["report_progress"] * 3, "clean_up"]


def test_a_large_run_that_waits_for_its_place_is_asked_about_and_gives_it_back(
    monkeypatch: pytest.MonkeyPatch, cancelled: list[object]
) -> None:
    service = Service(report_progress=[True, True, False])
    worker = worker_of(AnalysisWorker, service)
    task = SimpleNamespace(remote=lambda *_: stream((OUTCOME,)), options=lambda **_: task)
    monkeypatch.setattr(analysis_worker, "analyse_large_object", task)
    monkeypatch.setattr(analysis_worker, "task_for", lambda *_: (task, Demand(1, 1)))

    async def work() -> None:
        for _ in range(2):
            await worker._few.acquire()
        with pytest.raises(NotWanted):
            await worker._analyse(RUN)
        assert "complete_run" not in service.calls
        service.answers["report_progress"] = [True]
        waiting = asyncio.ensure_future(worker._analyse(RUN))
        await asyncio.sleep(0.1)
        assert "complete_run" not in service.calls
        worker._few.release()
        await asyncio.wait_for(waiting, 10)
        await asyncio.wait_for(worker._few.acquire(), 10)  # given back

    asyncio.run(work())
    assert service.calls.count("complete_run") == 1
    assert not cancelled, "what waits has no task yet"


def test_missed_calls_cost_no_result(monkeypatch: pytest.MonkeyPatch, cancelled: list[object]) -> None:
    service = Service(report_progress=[Unavailable()], complete_run=[Unavailable(), Unavailable(), True])
    analyse(monkeypatch, service, 0.2, 0.4, OUTCOME)
    assert service.calls.count("report_progress") == 2
    assert service.calls.count("complete_run") == 3
    assert not cancelled


def test_the_start_of_an_attempt_decides_that_a_job_is_over(
    monkeypatch: pytest.MonkeyPatch, cancelled: list[object]
) -> None:
    """Not a result that came too late: the attempt that took its place may be one that nobody is at."""
    service = Service(complete_run=[False], complete_report=[False])
    with pytest.raises(NotWanted):
        analyse(monkeypatch, service, OUTCOME)
    with pytest.raises(NotWanted):
        render(monkeypatch, service, "reports/a.pdf")
    assert "end_attempt" not in service.calls


@pytest.mark.parametrize(
    ("answers", "step", "error"),
    [
        ({}, TruncatedImage(), TryAgain),
        ({}, asyncio.CancelledError(), asyncio.CancelledError),
        ({"complete_run": [Unavailable()]}, OUTCOME, TryAgain),
        ({"report_progress": [NotFound()]}, 0.5, TryAgain),
        ({"end_attempt": [Unavailable()]}, TruncatedImage(), Unavailable),
    ],
)
def test_no_analysis_goes_on_without_its_job(
    monkeypatch: pytest.MonkeyPatch,
    cancelled: list[object],
    answers: dict[str, list[Any]],
    step: Any,
    error: type[BaseException],
) -> None:
    with pytest.raises(error):
        analyse(monkeypatch, Service(**answers), step)
    assert len(cancelled) == 1


def test_work_that_no_node_can_take_is_given_up_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, cancelled: list[object]
) -> None:
    monkeypatch.setattr(nodes, "alive_nodes", list)
    monkeypatch.setattr(nodes, "PATIENCE_S", 0.0)
    monkeypatch.setattr(compute, "LOOK_S", 0.01)

    async def never(*_: object) -> AsyncIterator[Any]:
        await asyncio.sleep(60)
        yield

    task = SimpleNamespace(remote=never, options=lambda **_: task)
    monkeypatch.setattr(analysis_worker, "task_for", lambda *_: (task, Demand(1, 1)))
    with pytest.raises(compute.TryAgain, match="role=cpu"):
        asyncio.run(worker_of(AnalysisWorker, Service())._analyse(RUN))
    assert len(cancelled) == 1


def test_nothing_to_do_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(start_run=[None], start_report=[None])
    analyse(monkeypatch, service, OUTCOME)
    assert service.calls == ["start_run"]


def test_a_report_is_completed_though_a_call_is_missed(
    monkeypatch: pytest.MonkeyPatch, cancelled: list[object]
) -> None:
    service = Service(complete_report=[Unavailable(), True])
    render(monkeypatch, service, "reports/a.pdf")
    assert service.calls == ["start_report", "complete_report", "complete_report"]
    assert not cancelled


def test_a_rendering_that_nobody_wants_is_cancelled_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, cancelled: list[object]
) -> None:
    monkeypatch.setattr(compute, "CALL_OFF_S", 0.02)
    service = Service(is_wanted=[True, Unavailable(), False])
    with pytest.raises(NotWanted):
        render(monkeypatch, service, SILENCE)
    assert len(cancelled) == 1
    assert service.calls == ["start_report", *["is_wanted"] * 3, "clean_up"]


def test_no_rendering_goes_on_without_its_job(
    monkeypatch: pytest.MonkeyPatch, cancelled: list[object]
) -> None:
    with pytest.raises(asyncio.CancelledError):
        render(monkeypatch, Service(), asyncio.CancelledError())
    assert len(cancelled) == 1


CHORES = [
    (EventRelay, CLEAN_UP_IMAGERY, {"tenant": "default", "imagery_id": str(RUN)}),
    (AnalysisWorker, CLEAN_UP_RUN, {"tenant": "default", "run_id": str(RUN)}),
    (AnalysisWorker, REQUEST_REPORT, {"tenant": "default", "run_id": str(RUN), "language": "en"}),
    (ReportWorker, CLEAN_UP_REPORT, {"tenant": "default", "report_id": str(RUN)}),
]


@pytest.mark.parametrize(("kind", "task", "arguments"), CHORES)
def test_chores_outlive_any_outage_and_end_at_a_refusal(
    monkeypatch: pytest.MonkeyPatch, kind: type[Any], task: Any, arguments: dict[str, str]
) -> None:
    service = Service(clean_up=[Unavailable(), NotFound()], create=[Unavailable(), NotFound()])
    monkeypatch.setattr(event_relay, "remote_by_name", lambda *_: service)
    connector = InMemoryConnector()
    app = procrastinate.App(connector=connector)
    worker_of(kind, service).register(SimpleNamespace(app=app))

    async def work() -> list[str]:
        """The states of a job that was tried a hundred times, after each further round; the waits are left out."""
        found = []
        async with app.open_async():
            await app.configure_task(task.name, queue=task.queue).defer_async(**arguments)
            connector.jobs[1]["attempts"] = 100
            for _ in range(2):
                await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
                found.append(connector.jobs[1]["status"])
                connector.jobs[1]["scheduled_at"] = None
        return found

    assert asyncio.run(work()) == ["todo", "succeeded"]
