"""`orthoray batch`: submits a batch as a Ray job to the running installation, and shows how far it is."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx2
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orthoray.batches import Batch, BatchRequest
from orthoray.contracts import DEFAULT_TENANT
from orthoray.errors import ConfigurationError, OrthoRayError
from orthoray.settings import Settings
from serve_app.local.credentials import ray_token
from serve_app.local.stack import Running, read_state

if TYPE_CHECKING:
    from ray.job_submission import JobStatus, JobSubmissionClient

# Often at first, and less so while nothing changes.
POLL_S, LONGEST_POLL_S = 0.5, 5.0
_PATIENCE = 1.3
# A job whose driver was killed is noticed by Ray within seconds; a gateway under load may need as long for an answer.
GATEWAY_TIMEOUT_S = 30.0
# Where Ray's own commands look for the jobs of a cluster.
RAY_JOBS = "RAY_API_SERVER_ADDRESS"


def submit_batch(settings: Settings, request: BatchRequest, *, wait: bool, notes: Console) -> bool:
    """Have the batch done, once however often it is called. With `wait` whether every image was analysed.

    Raises:
        ConfigurationError: nothing runs that could do it.
        OrthoRayError: the job was refused, or it failed.
    """
    running = read_state(settings)
    client = _jobs(settings, running)
    batch_id = request.batch_id(DEFAULT_TENANT)
    submission_id = _submitted(client, f"orthoray-batch-{batch_id}", entrypoint(request, running), notes)
    notes.print(f"Batch {batch_id} is Ray job {submission_id}.", soft_wrap=True)
    if not wait:
        notes.print("The same command with --wait shows how far it is.")
        return True
    state = _watch(
        client, submission_id, f"{_url(settings, running)}/batches/{batch_id}", _key(settings), notes
    )
    if state.error or state.status != "completed":
        reason = _last_words(client, submission_id) or state.error or "its process ended before it was done"
        raise OrthoRayError(
            f"The batch stopped with {state.open} of {state.total} images left: {reason.rstrip('.')}. "
            f"The same command does the rest; `ray job logs {submission_id}` tells more."
        )
    notes.print(
        f"{state.completed} of {state.total} images completed, {state.failed} failed. "
        f"Results: {escape(_place(settings, running, state))}",
        soft_wrap=True,
    )
    if state.failed:
        notes.print("Why they failed stands in statistics.parquet, in the column error.")
    return state.failed == 0


def entrypoint(request: BatchRequest, running: Running | None) -> str:
    """The command of the job; on this machine by the Python that runs OrthoRay, whatever PATH says."""
    python = "python" if running is None or running.dashboard is None else sys.executable
    return shlex.join([python, "-m", "pipelines.batch", "--request", request.model_dump_json()])


def _place(settings: Settings, running: Running | None, batch: Batch) -> str:
    """Where the results are; on this machine with its own words for it."""
    if running is None or running.dashboard is None:
        return batch.place
    return settings.storage().where(batch.bucket, batch.prefix)


def _jobs(settings: Settings, running: Running | None) -> JobSubmissionClient:
    address = (running and running.dashboard) or os.environ.get(RAY_JOBS) or settings.ray_address
    if address is None:
        raise ConfigurationError(
            "OrthoRay is not running: start it with `orthoray up` (or `orthoray up --detach`). "
            f"For a cluster elsewhere set {RAY_JOBS} to its dashboard's address, and RAY_AUTH_TOKEN."
        )
    if running and running.dashboard:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": ray_token(settings.orthoray_home)}
    from ray.job_submission import JobSubmissionClient  # here: Ray reads its environment when it is imported

    try:
        return JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        raise ConfigurationError(
            f"Ray's jobs do not answer at {address}, or refuse the token: `orthoray status` tells whether it runs."
        ) from error


def _submitted(client: JobSubmissionClient, name: str, command: str, notes: Console) -> str:
    """The submission id of the batch's job that is under way, which is made if there is none.

    Ray takes an id once. The first job has the batch's name, and each that follows an ended one has the next number, so
    that of two commands at once one is refused and finds the other's job.
    """
    for _ in range(3):
        attempts = {_attempt(name, job.submission_id): job for job in client.list_jobs()}
        last = max((attempt for attempt in attempts if attempt), default=0)
        if last and not attempts[last].status.is_terminal():
            notes.print("It is under way already.")
            return str(attempts[last].submission_id)
        submission_id = name if last == 0 else f"{name}-{last + 1}"
        try:
            return client.submit_job(entrypoint=command, submission_id=submission_id)
        except (RuntimeError, ValueError) as error:
            refused = error
    raise OrthoRayError(f"Ray refused the job: {str(refused).strip().splitlines()[-1][:200]}")


def _attempt(name: str, submission_id: str | None) -> int:
    """Which job of the batch this is, from 1; 0 for another's."""
    found = re.fullmatch(rf"{re.escape(name)}(?:-(\d+))?", submission_id or "")
    return int(found[1] or 1) if found else 0


def _watch(
    client: JobSubmissionClient, submission_id: str, url: str, headers: dict[str, str], notes: Console
) -> Batch:
    """Show the batch's rows until its job has ended."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        httpx2.Client(headers=headers, timeout=GATEWAY_TIMEOUT_S) as api,
        Progress(*columns, console=notes, disable=not notes.is_terminal) as bar,
    ):
        task, pause, before = bar.add_task("Starting", total=None), POLL_S, None
        while True:
            status = _status(client, submission_id)
            batch = _ask(api, url)
            pause, before = (POLL_S if batch != before else min(_PATIENCE * pause, LONGEST_POLL_S)), batch
            if batch is not None and batch.total:
                told = "Analysing" if batch.open else "Writing the summary"
                bar.update(task, description=told, total=batch.total, completed=batch.total - batch.open)
            if status.is_terminal():
                break
            time.sleep(pause)
    if batch is None:
        raise OrthoRayError(
            _last_words(client, submission_id)
            or f"The job ended before it began with the batch: `ray job logs {submission_id}` tells why."
        )
    return batch


def _status(client: JobSubmissionClient, submission_id: str) -> JobStatus:
    """Asked again while the dashboard is away."""
    deadline = time.monotonic() + GATEWAY_TIMEOUT_S
    while True:
        try:
            return client.get_job_status(submission_id)
        except (RuntimeError, OSError) as error:  # OSError: those of requests, too
            if time.monotonic() > deadline:
                reason = type(error).__name__
                raise OrthoRayError(
                    f"The Ray dashboard does not answer ({reason}); the job goes on without. Run the command again."
                ) from error
        time.sleep(POLL_S)


def _ask(api: httpx2.Client, url: str) -> Batch | None:
    """None while there is no such batch; asked again while the gateway is away."""
    deadline = time.monotonic() + GATEWAY_TIMEOUT_S
    while True:
        try:
            answer = api.get(url)
            if answer.status_code in {401, 403, 404}:
                break
            if answer.status_code == 200:
                return Batch.model_validate_json(answer.content)
            reason: Any = answer.status_code
        except httpx2.HTTPError as error:
            reason = type(error).__name__
        if time.monotonic() > deadline:
            raise OrthoRayError(f"The gateway does not answer at {url} ({reason}); the job goes on without.")
        time.sleep(POLL_S)
    if answer.status_code == 404:
        return None
    raise ConfigurationError(
        "The gateway refuses the key: put the installation's API key into ORTHORAY_HOME/api-key."
    )


def _last_words(client: JobSubmissionClient, submission_id: str) -> str | None:
    """What a job that came to nothing said at its end, if it could."""
    try:
        lines = client.get_job_logs(submission_id).splitlines()
    except (RuntimeError, OSError):  # the dashboard is away
        return None
    said = [line.removeprefix("batch: ") for line in lines if line.startswith("batch: ")]
    return said[-1] if said else None


def _url(settings: Settings, running: Running | None) -> str:
    return running.url if running else f"http://{settings.gateway_host}:{settings.gateway_port}"


def _key(settings: Settings) -> dict[str, str]:
    file = settings.orthoray_home / "api-key"
    return {"X-API-Key": file.read_text().strip()} if file.is_file() else {}
