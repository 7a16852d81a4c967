"""Fault 7: whatever happens to a run, in whatever order, and wherever a process dies in between, its rows stay right.

A machine of hypothesis takes the real services on a real PostgreSQL through requests, attempts, deaths, deletions and late
answers. Steps of a worker are separate, so a death between any two of them is one that is never taken; a death inside of a
transaction is an exception right before its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
from fakes import an_outcome
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import dict_row
from wired import Services, open_services

from orthoray.attempts import MAX_ATTEMPTS, Ending
from orthoray.contracts import AnalysisRequest, Imagery
from orthoray.database import ALL_ROWS
from orthoray.errors import NotFound
from orthoray.events import Outbox
from orthoray.keys import heatmap_key, index_key

OPEN = ("queued", "processing")
RUNS = st.integers(0, 2)
ATTEMPTS = st.integers(0, 3)


class Died(Exception):
    """The process was killed here."""


@dataclass
class Model:
    """What must be true of one run."""

    id: UUID
    status: str = "queued"
    attempt: int = 0
    outcomes: dict[int, str | None] = field(default_factory=dict)
    was: set[str] = field(default_factory=set)
    result: int | None = None

    def number(self, back: int) -> int:
        """The last attempt, or one before it."""
        return max(1, self.attempt - back)

    def becomes(self, status: str) -> None:
        self.status = status
        if status not in OPEN:
            self.was.add(status)


class Runs(RuleBasedStateMachine):
    """Two runs of one image, and what workers, users and the queue may do to them."""

    services: ClassVar[Services]
    runner: ClassVar[asyncio.Runner]
    imagery: ClassVar[Imagery]

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Model] = []

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize()
    def request(self) -> None:
        for _ in range(2):
            self.add()

    def add(self) -> None:
        request = AnalysisRequest(imagery_id=self.imagery.id, index_type="NDVI")
        self.runs.append(Model(self.do(self.services.analysis.create("default", request)).id))

    def run(self, index: int) -> Model:
        return self.runs[index % len(self.runs)]

    @contextlib.contextmanager
    def death(self, dies: bool) -> Iterator[None]:
        """Processes die right before their transaction ends, where it tells of a change."""
        if not dies:
            yield
            return
        emit = Outbox.emit

        async def killed(*_: Any, **__: Any) -> None:
            raise Died

        Outbox.emit = killed  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            Outbox.emit = emit  # type: ignore[method-assign]

    @rule(index=RUNS, dies=st.booleans())
    def start(self, index: int, dies: bool) -> None:
        """A worker takes the job: for the first time, after a wait, or because another was taken for dead."""
        run = self.run(index)
        is_open = run.status in OPEN
        with self.death(dies):
            try:
                order = self.do(self.services.analysis.start_run(run.id))
            except Died:
                assert is_open
                return
        lost = sum(outcome in {None, "lost"} for outcome in run.outcomes.values())
        if not is_open:
            assert order is None
        elif lost >= MAX_ATTEMPTS:
            assert order is None
            run.becomes("failed")
        else:
            assert order.attempt == run.attempt + 1
            for number, outcome in run.outcomes.items():
                run.outcomes[number] = outcome or "lost"
            run.attempt = order.attempt
            run.outcomes[run.attempt] = None
            run.becomes("processing")

    @precondition(lambda self: any(run.attempt for run in self.runs))
    @rule(index=RUNS, back=ATTEMPTS, first=st.booleans())
    def write(self, index: int, back: int, first: bool) -> None:
        """A writer of any attempt, alive or thought dead, puts one of its objects."""
        run = self.run(index)
        if run.attempt:
            key = (heatmap_key if first else index_key)("default", run.id, run.number(back))
            self.services.storage.put_bytes("heatmaps", key, b"a picture")

    @rule(index=RUNS, back=ATTEMPTS)
    def progress(self, index: int, back: int) -> None:
        run = self.run(index)
        number = run.number(back)
        wanted = self.do(self.services.analysis.report_progress(run.id, number, 0.5, "node"))
        assert wanted == (run.status == "processing" and number == run.attempt)

    @precondition(lambda self: any(run.attempt for run in self.runs))
    @rule(index=RUNS, back=ATTEMPTS, dies=st.booleans())
    def complete(self, index: int, back: int, dies: bool) -> None:
        """A result arrives: in time, twice or late. Its objects were written before."""
        run = self.run(index)
        if not run.attempt:
            return
        number = run.number(back)
        counts = run.status == "processing" and number == run.attempt
        outcome = an_outcome(run.id, "default", number)
        if run.status == "processing" or run.result != number:
            for key in (outcome.heatmap_key, outcome.index_key):
                self.services.storage.put_bytes("heatmaps", key, b"a picture")
        with self.death(dies):
            try:
                done = self.do(self.services.analysis.complete_run(run.id, number, outcome))
            except Died:
                assert counts
                return
        assert done == counts
        if done:
            run.outcomes[number] = "completed"
            run.result = number
            run.becomes("completed")

    @precondition(lambda self: any(run.attempt for run in self.runs))
    @rule(
        index=RUNS,
        back=ATTEMPTS,
        outcome=st.sampled_from(["failed", "lost", "unavailable"]),
        dies=st.booleans(),
    )
    def end(self, index: int, back: int, outcome: Any, dies: bool) -> None:
        """A worker says that an attempt was in vain."""
        run = self.run(index)
        if not run.attempt:
            return
        number = run.number(back)
        counts = run.status == "processing" and number == run.attempt
        before = dict(run.outcomes)
        if run.outcomes.get(number) is None or (run.outcomes[number] == "lost" and outcome == "unavailable"):
            run.outcomes[number] = outcome
        lost = sum(word in {None, "lost"} for word in run.outcomes.values())
        fails = outcome == "failed" or lost >= MAX_ATTEMPTS
        with self.death(dies):
            try:
                again = self.do(
                    self.services.analysis.end_attempt(
                        run.id, number, Ending(outcome=outcome, reason="In vain.")
                    )
                )
            except Died:
                assert counts
                run.outcomes = before
                return
        if counts:
            run.becomes("failed" if fails else "queued")
            assert again == (not fails)
        else:
            assert again == (run.status in OPEN)

    @rule(index=RUNS, dies=st.booleans())
    def delete(self, index: int, dies: bool) -> None:
        """A user cancels what is open, and deletes what is not."""
        run = self.run(index)
        with self.death(dies):
            try:
                self.do(self.services.analysis.delete("default", run.id))
            except Died:
                assert run.status in OPEN
                return
            except NotFound:
                assert run.status == "gone"
                return
        if run.status in OPEN:
            self.cancel(run)
            run.becomes("cancelled")
        else:
            run.status, run.result = "gone", None

    def cancel(self, run: Model) -> None:
        for number, outcome in run.outcomes.items():
            run.outcomes[number] = outcome or "cancelled"

    @rule(dies=st.booleans(), again=st.booleans())
    def delete_imagery(self, dies: bool, again: bool) -> None:
        """The image goes, with all of its runs. Seldom, for little can happen afterwards."""
        if not (dies and again):
            return
        self.do(self.services.analysis.delete_of_imagery("default", self.imagery.id))
        for run in self.runs:
            if run.status in OPEN:
                self.cancel(run)
            run.status, run.result = "gone", None
        if len(self.runs) < 3:
            self.add()

    @rule(index=RUNS)
    def clean_up(self, index: int) -> None:
        """The queue carries out a clean-up, now or a quarter of an hour later."""
        self.do(self.services.analysis.clean_up("default", self.run(index).id))

    @invariant()
    def rows_are_right(self) -> None:
        rows = {row["id"]: row for row in self.services.query("analysis", "select * from analysis_runs")}
        for run in self.runs:
            row = rows.get(run.id)
            assert (row["status"] if row else "gone") == run.status
            if row:
                assert row["attempts"] == run.attempt
                assert (row["error"] is not None) == (run.status == "failed")
            if run.status == "completed":
                assert row is not None
                keys = {row["heatmap_key"], row["index_key"]}
                assert all(self.services.storage.exists("heatmaps", key) for key in keys)

    @invariant()
    def ends_are_told_once(self) -> None:
        for run in self.runs:
            assert len(run.was) <= 1, "a final state never changes"
            told = self.services.events("analysis", run.id)
            for ending in ("completed", "failed"):
                assert told.count(f"analysis.{ending}") == (ending in run.was)
            assert told.count("analysis.cancelled") <= 1

    def teardown(self) -> None:
        """When every clean-up is done, the objects are those of the rows, and what an attempt under way has written."""
        for run in self.runs:
            self.do(self.services.analysis.clean_up("default", run.id))
        wanted = {
            make("default", run.id, run.result)
            for run in self.runs
            if run.result
            for make in (heatmap_key, index_key)
        }
        found = {
            info.key
            for info in self.services.storage.list("heatmaps")
            if any(str(run.id) in info.key for run in self.runs)
        }
        under_way = {
            make("default", run.id, run.attempt)
            for run in self.runs
            if run.status == "processing"
            for make in (heatmap_key, index_key)
        }
        assert wanted <= found <= wanted | under_way
        self.services.query(
            "analysis",
            "with gone as (delete from analysis_runs), jobs as (delete from procrastinate_jobs),"
            " made as (delete from attempts), told as (delete from outbox) select 1",
        )


def test_no_order_of_events_makes_a_run_wrong(
    dsns: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing here has to survive the machine, and thousands of small commits would wait for its disk.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    connection = psycopg.connect(dsns["analysis"], autocommit=True, row_factory=dict_row, options=ALL_ROWS)
    connection.execute("alter role current_user set synchronous_commit = off")
    with asyncio.Runner() as runner, connection:
        opened = open_services(dsns, tmp_path)
        Runs.runner, Runs.services = runner, runner.run(opened.__aenter__())
        try:
            Runs.services.open["analysis"] = connection
            Runs.imagery = runner.run(Runs.services.register())
            run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis gives it no types
                Runs, settings=settings(max_examples=15, stateful_step_count=20, deadline=None)
            )
        finally:
            connection.execute("alter role current_user reset synchronous_commit")
            runner.run(opened.__aexit__(None, None, None))


pytestmark = pytest.mark.timeout(300)
