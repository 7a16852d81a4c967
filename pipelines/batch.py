"""Many images in one Ray job: `ray job submit ... -- python -m pipelines.batch --prefix s3://imagery/2026/ --index NDVI`.

What it finds is in the rows of the analysis-service and in the storage of the running installation; with `--out` in a folder,
and then it needs no installation at all. Submitted again it does what is missing.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from orthoray import telemetry
from orthoray.batches import CATALOGUE, SCHEME, BatchRequest
from orthoray.contracts import DEFAULT_TENANT
from orthoray.errors import BadInput, ConfigurationError, OrthoRayError
from orthoray.logs import configure_logs
from orthoray.options import AnalysisWish
from orthoray.settings import load_settings
from orthoray.storage.base import Storage
from pipelines import services
from pipelines.campaign import Spread, Tally, on_ray, run_campaign
from pipelines.images import TRACED_AS, Job
from pipelines.ledger import FileLedger, ServiceLedger
from pipelines.output import FolderOutput, StoredOutput
from pipelines.planning import check_wish
from pipelines.sources import Items, catalogue_items, folder_items, prefix_items

# Of a folder of results; hidden, so that nobody takes its files for results.
LEDGER = ".ledger"


def read_request(
    *,
    prefix: str | None,
    index: str,
    crop: str | None = None,
    language: str = "en",
    report: bool = False,
    bbox: str | None = None,
    captured_after: datetime | None = None,
    captured_before: datetime | None = None,
    options: str | None = None,
) -> BatchRequest:
    """The request as a person types it; `options` are further fields of an analysis as a JSON object.

    Raises:
        BadInput: an option is not written as it has to be.
    """
    more = _read_options(options)
    try:
        asked: dict[str, Any] = {
            "source": source_of(prefix),
            "wish": {"index_type": index, **({"crop": crop} if crop else {}), **more},
            "language": language,
            "report": report,
            "bbox": bbox.split(",") if bbox else None,
            "captured_after": captured_after,
            "captured_before": captured_before,
        }
        request = BatchRequest.model_validate(asked)
    except ValidationError as error:
        raise BadInput(_plain(error)) from None
    check_wish(request.wish)
    return request


def _read_options(options: str | None) -> dict[str, Any]:
    try:
        more = json.loads(options) if options else {}
    except ValueError:
        more = None
    if not isinstance(more, dict):
        raise BadInput('--options takes a JSON object, such as {"thresholds": "quantiles"}.')
    if unknown := more.keys() - AnalysisWish.model_fields:
        raise BadInput(
            f"--options: an analysis has no field {min(unknown)[:64]}; it has {', '.join(sorted(AnalysisWish.model_fields))}."
        )
    return more


def _plain(error: ValidationError) -> str:
    """The first of the reasons."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field or 'The batch'}: {str(first['msg']).removeprefix('Value error, ')}."


def _received(request: str) -> BatchRequest:
    """A request that another program sends. Raises as `read_request`."""
    try:
        wanted = BatchRequest.model_validate_json(request)
    except ValidationError as error:
        raise BadInput(_plain(error)) from None
    check_wish(wanted.wish)
    return wanted


def source_of(prefix: str | None) -> str:
    """A prefix in storage as it is, a folder by its full path."""
    if prefix is None:
        return CATALOGUE
    return prefix if prefix.startswith(SCHEME) else str(Path(prefix).expanduser().absolute())


def make_job(request: BatchRequest, out: Path | None, tenant: str = DEFAULT_TENANT) -> Job:
    """Where the rows and results of a batch go: the running installation, or the folder `out`."""
    batch_id = request.batch_id(tenant)
    if out is None:
        storage = services.ask(lambda: services.batches().storage_config())
        return Job(request, ServiceLedger(batch_id, tenant), StoredOutput(storage, batch_id, tenant), storage)
    folder = out.expanduser().absolute()
    own = None if _is_folder(request) else load_settings().storage()
    return Job(request, FileLedger(folder / LEDGER, batch_id), FolderOutput(folder), own)


def find_items(job: Job, tenant: str = DEFAULT_TENANT) -> Items:
    """The images of a batch.

    Raises:
        BadInput: there are none.
    """
    request = job.request
    if request.source == CATALOGUE:
        items = services.ask(lambda: catalogue_items(services.imagery(), tenant, request))
    elif _is_folder(request):
        inside = job.output.folder if isinstance(job.output, FolderOutput) else None
        items = folder_items(Path(request.source), leave_out=inside)
    else:
        items = prefix_items(_storage(job), request.source)
    if not items:
        where = request.source or "the catalogue"
        raise BadInput(
            f"There are no images in {where}: check the name, or import images (`orthoray import`) and submit the batch again."
        )
    return items


def run_batch(request: BatchRequest, out: Path | None = None, *, spread: Spread = on_ray) -> Tally:
    """Find the images of a request and do what is missing; see `run_campaign`."""
    job = make_job(request, out)
    return run_campaign(job, find_items(job), spread=spread, tell=_tell)


def _is_folder(request: BatchRequest) -> bool:
    return request.source != CATALOGUE and not request.source.startswith(SCHEME)


def _storage(job: Job) -> Storage:
    assert job.storage is not None, "make_job gives one to every batch that reads storage"
    return job.storage.open()


def _join_ray(*, alone: bool) -> None:
    """The cluster of the job; without one a cluster of our own, for a batch that needs no services.

    Raises:
        ConfigurationError: there is none.
    """
    import ray  # here: a wrong option is told at once

    try:
        ray.init(os.environ.get("RAY_ADDRESS") or ("local" if alone else "auto"), log_to_driver=False)
    except ConnectionError as error:
        raise ConfigurationError(
            "There is no Ray cluster here: send the batch with `orthoray batch` or `ray job submit`, or name a folder with --out."
        ) from error


def _tell(over: int, total: int) -> None:
    """A line now and then for the job's log."""
    if over == total or over % max(1, total // 20) == 0:
        print(f"{over} of {total} images", flush=True)  # noqa: T201 - what a job prints is its log


def main(
    prefix: Annotated[
        str | None, typer.Option(help="s3://bucket/prefix/ or a folder; without it the whole catalogue")
    ] = None,
    index: Annotated[str, typer.Option(help="NDVI, GNDVI, NDVI_emp, ... or expr")] = "NDVI",
    crop: Annotated[str | None, typer.Option(help="thresholds of a crop: corn, wheat, barley")] = None,
    options: Annotated[
        str | None, typer.Option(help="further fields of POST /analysis-runs, as JSON")
    ] = None,
    bbox: Annotated[
        str | None, typer.Option(help="of the catalogue: west,south,east,north in degrees")
    ] = None,
    captured_after: Annotated[datetime | None, typer.Option(help="of the catalogue")] = None,
    captured_before: Annotated[datetime | None, typer.Option(help="of the catalogue")] = None,
    language: Annotated[str, typer.Option(help="of verdicts and summary: en, ru or ro")] = "en",
    report: Annotated[bool, typer.Option("--report", help="write the summary as a PDF too")] = False,
    out: Annotated[
        Path | None, typer.Option(help="a folder for rows and results; needs no installation")
    ] = None,
    request: Annotated[
        str | None, typer.Option(hidden=True, help="all of the above but --out, as JSON")
    ] = None,
) -> None:
    """Analyse many images on the cluster, and tell of them in a table, a STAC collection and a summary."""
    configure_logs()
    telemetry.start_tracing(TRACED_AS)
    try:
        wanted = (
            _received(request)
            if request
            else read_request(
                prefix=prefix,
                index=index,
                crop=crop,
                language=language,
                report=report,
                bbox=bbox,
                captured_after=captured_after,
                captured_before=captured_before,
                options=options,
            )
        )
        _join_ray(alone=out is not None)
        tally = run_batch(wanted, out)
    except OrthoRayError as error:
        sys.exit(f"batch: {error.detail}")
    print(  # noqa: T201 - as above
        f"{tally.completed} of {tally.total} images completed ({tally.known} before), {tally.failed} failed, "
        f"{tally.unfinished} not done. Results: {tally.place}"
    )
    sys.exit(1 if tally.unfinished else 0)


if __name__ == "__main__":
    typer.run(main)
