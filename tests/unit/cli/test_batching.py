"""`orthoray batch`: which job it submits, and what it says of it; Ray's job server and the gateway are played here."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from batches import a_request
from rich.console import Console

from orthoray.batches import Batch
from orthoray.errors import ConfigurationError, OrthoRayError
from orthoray.settings import Settings
from serve_app.local import batching
from serve_app.local.batching import entrypoint, submit_batch
from serve_app.local.stack import Running

REQUEST = a_request(None)
BATCH_ID = REQUEST.batch_id("default")
NAME = f"orthoray-batch-{BATCH_ID}"


@dataclass
class Status:
    name: str

    def is_terminal(self) -> bool:
        return self.name != "RUNNING"


@dataclass
class Job:
    submission_id: str | None
    status: Status


@dataclass
class Jobs:
    """Ray's job server: an id is taken once."""

    jobs: dict[str, str] = field(default_factory=dict)
    logs: str = ""

    def list_jobs(self) -> list[Job]:
        return [
            Job(None, Status("RUNNING")),
            *(Job(name, Status(state)) for name, state in self.jobs.items()),
        ]

    def submit_job(self, *, entrypoint: str, submission_id: str) -> str:
        if submission_id in self.jobs:
            raise RuntimeError("exists")
        self.jobs[submission_id] = "SUCCEEDED"
        return submission_id

    def get_job_status(self, submission_id: str) -> Status:
        return Status(self.jobs[submission_id])

    def get_job_logs(self, submission_id: str) -> str:
        return self.logs


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    jobs = Jobs()
    monkeypatch.setattr(batching, "_jobs", lambda *_: jobs)
    return jobs


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the gateway says of the batch; nothing while it is empty."""
    told: dict[str, Any] = {}
    known = {"id": BATCH_ID, "request": REQUEST, "bucket": "b", "prefix": "p/"}
    answer = {**known, "created_at": "2026-05-01T00:00:00Z"}
    monkeypatch.setattr(
        batching, "_ask", lambda *_: Batch.model_validate({**answer, **told}) if told else None
    )
    return told


def submitted(home: Path, **wanted: Any) -> tuple[bool, str]:
    out = io.StringIO()
    settings = Settings(_env_file=None, orthoray_home=home)
    ended = submit_batch(settings, REQUEST, **{"wait": True, **wanted}, notes=Console(file=out, width=500))
    return ended, out.getvalue()


def test_all_images_done(jobs: Jobs, batch: dict[str, Any], tmp_path: Path) -> None:
    batch |= {"status": "completed", "total": 3, "completed": 3}
    ended, told = submitted(tmp_path)
    assert ended
    assert "3 of 3 images completed, 0 failed. Results: s3://b/p/" in told
    assert list(jobs.jobs) == [NAME]


def test_failed_images_are_told_by_the_exit_status(jobs: Jobs, batch: dict[str, Any], tmp_path: Path) -> None:
    batch |= {"status": "completed", "total": 3, "completed": 2, "failed": 1}
    ended, told = submitted(tmp_path)
    assert not ended
    assert "statistics.parquet" in told


def test_an_ended_job_is_followed_by_the_next_number(
    jobs: Jobs, batch: dict[str, Any], tmp_path: Path
) -> None:
    batch |= {"status": "completed", "total": 1, "completed": 1}
    jobs.jobs = {NAME: "FAILED", f"{NAME}-2": "STOPPED", f"{NAME}-30-x": "RUNNING", "another": "RUNNING"}
    submitted(tmp_path)
    assert list(jobs.jobs)[-1] == f"{NAME}-3"


def test_a_job_that_is_under_way_is_watched(jobs: Jobs, batch: dict[str, Any], tmp_path: Path) -> None:
    jobs.jobs = {NAME: "RUNNING"}
    _, told = submitted(tmp_path, wait=False)
    assert "under way already" in told
    assert list(jobs.jobs) == [NAME]


def test_a_killed_job_is_told_with_what_is_left(jobs: Jobs, batch: dict[str, Any], tmp_path: Path) -> None:
    batch |= {"status": "running", "total": 9, "completed": 4}
    with pytest.raises(OrthoRayError, match=r"5 of 9 images left.*same command does the rest"):
        submitted(tmp_path)


def test_a_job_that_gives_no_sign_of_life_is_told(jobs: Jobs, batch: dict[str, Any], tmp_path: Path) -> None:
    batch |= {"status": "interrupted", "total": 9, "completed": 4, "error": "The job gives no sign of life."}
    with pytest.raises(OrthoRayError, match=r"5 of 9 images left: The job gives no sign of life"):
        submitted(tmp_path)


def test_a_job_that_another_has_replaced_says_so(jobs: Jobs, batch: dict[str, Any], tmp_path: Path) -> None:
    batch |= {"status": "running", "total": 9, "completed": 4}
    jobs.logs = "3 of 9 images\nbatch: Another job has taken over this batch: this one ends here.\n"
    with pytest.raises(
        OrthoRayError, match=r"left: Another job has taken over this batch: this one ends here\. The same"
    ):
        submitted(tmp_path)


def test_the_server_is_asked_less_often_while_nothing_changes(
    jobs: Jobs, batch: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch |= {"status": "running", "total": 9, "completed": 4}
    jobs.jobs = {NAME: "RUNNING"}
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            batch["completed"] = 5
        if len(pauses) == 13:
            batch.update(status="completed", completed=9)
            jobs.jobs[NAME] = "SUCCEEDED"

    monkeypatch.setattr(batching.time, "sleep", sleep)
    submitted(tmp_path)
    assert pauses[0] == pauses[12] == batching.POLL_S
    assert pauses[11] == batching.LONGEST_POLL_S


def test_the_reason_of_a_job_that_never_began(jobs: Jobs, batch: dict[str, Any], tmp_path: Path) -> None:
    jobs.logs = "noise\nbatch: There are no images in the catalogue: import some.\n"
    with pytest.raises(OrthoRayError, match="no images in the catalogue"):
        submitted(tmp_path)


def test_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(batching.RAY_JOBS, raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConfigurationError, match="orthoray up"):
        submitted(tmp_path)


def test_the_command_of_the_job_holds_no_secret_and_quotes_what_it_must() -> None:
    request = a_request("s3://imagery/it's/")
    local = Running(pid=1, url="u", dashboard="http://127.0.0.1:1", api_key_file="/k", logs="/l")
    assert "it'\"'\"'s" in entrypoint(request, local)
    assert entrypoint(request, None).startswith("python -m pipelines.batch --request ")
