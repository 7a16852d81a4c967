"""What the services offer to each other, the gateway and the workers.

Every method takes the tenant first where rows of tenants are touched; methods of workers (`start_run` ...) take ids that a
service handed out with a job. All raise the exceptions of `orthoray.errors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from orthoray.attempts import Ending
from orthoray.batches import Batch, BatchRequest, ItemRef, ItemResult, ItemRow, Listing
from orthoray.contracts import (
    AnalysisRequest,
    AnalysisRun,
    Gps,
    Imagery,
    Outcome,
    Page,
    Priority,
    Report,
    ReportRequest,
    RunStatus,
)
from orthoray.idempotency import Claim, Claimed, KeptAnswer
from orthoray.items import Extent, ItemQuery, Result
from orthoray.reconciling import Reconciled, ReconcileOrder
from orthoray.standings import Standing
from orthoray.storage.config import StorageConfig
from orthoray.uploads import PartedUpload, PartPlace, UploadCompletion, UploadWish

MAX_FILES = 16
"""The most files with bands that one imagery may have."""
MAX_PARTS = 2 * MAX_FILES
"""The same with a mask beside each."""


class StoredFile(BaseModel):
    """One file in storage."""

    filename: str
    object_key: str
    size_bytes: int
    sha256: str


class Upload(BaseModel):
    """Files in storage that wait to be catalogued as one imagery; `scale` and `offset` hold one number, or one per band.

    A file called as another with `.msk` behind it is that one's mask.
    """

    id: UUID
    files: list[StoredFile] = Field(min_length=1, max_length=MAX_PARTS)
    bands: str | None = None
    sensor: str | None = None
    scale: list[float] | None = None
    offset: list[float] | None = None
    captured_at: datetime | None = None
    gps: Gps | None = None

    def told(self) -> list[str]:
        """What was sent, without what was made of it: lines that stand for the request."""
        files = [f"{file.filename} {file.size_bytes} {file.sha256}" for file in self.files]
        return [*files, self.model_dump_json(exclude={"id", "files"})]


class ImageryQuery(BaseModel):
    """Filters of a listing; `bbox` is west, south, east, north in degrees."""

    limit: int = 50
    next: str | None = None
    bbox: tuple[float, float, float, float] | None = None
    captured_after: datetime | None = None
    captured_before: datetime | None = None


class Caller(BaseModel):
    """Who is asking, and what they may do. `key_id` of an API key, `subject` of a token."""

    tenant: str
    key_id: UUID | None = None
    subject: str | None = None
    scopes: frozenset[str] = frozenset()
    expires_at: datetime | None = None

    @property
    def name(self) -> str:
        """As logs and the audit name them."""
        if self.key_id:
            return f"key:{self.key_id}"
        return f"token:{self.subject}" if self.subject else "anybody"


class Write(BaseModel):
    """An entry of the audit: a request that changes something, and how it ended; without a status that is not known."""

    id: UUID
    caller: str
    method: str
    path: str
    request_id: str | None = None
    route: str | None = None
    ids: dict[str, str] = Field(default_factory=dict)
    location: str | None = None
    status: int | None = None


class RunOrder(BaseModel):
    """All that a worker needs for one attempt of a run; `attempt` is its number."""

    run: AnalysisRun
    imagery: Imagery
    tenant: str
    attempt: int = 1


class ReportOrder(BaseModel):
    """All that a worker needs for one attempt of a report; `attempt` is its number."""

    report: Report
    run: AnalysisRun
    imagery: Imagery
    tenant: str
    attempt: int = 1


class CallbackOrder(BaseModel):
    """One attempt, the `attempts`-th, to tell somebody of the end of a run or report."""

    subject: UUID
    tenant: str
    url: str = Field(repr=False)
    event_id: str
    body: str = Field(repr=False)
    attempts: int


class ImageryPort(Protocol):
    async def register(self, tenant: str, upload: Upload) -> Imagery:
        """Catalogue stored files, once however often it is called; removes them when they are no image together."""

    async def get(self, tenant: str, imagery_id: UUID) -> Imagery: ...

    async def get_many(self, tenant: str, imagery_ids: Sequence[UUID]) -> list[Imagery]:
        """Those of them that there are, in no order."""

    async def search(self, tenant: str, query: ImageryQuery) -> Page[Imagery]: ...

    async def search_items(self, tenant: str, query: ItemQuery) -> Page[Imagery]:
        """Those that meet the query, newest first; images without a place only where the query asks for none."""

    async def extent(self, tenant: str) -> Extent:
        """Where and when the images of the catalogue are."""

    async def delete(self, tenant: str, imagery_id: UUID) -> None:
        """Remove the record now, and its files, runs and reports durably."""

    async def clean_up(self, tenant: str, imagery_id: UUID, keys: Sequence[str] = ()) -> None:
        """What is left of a deleted imagery, or of one that was never catalogued; `keys` are those of objects that nobody
        else used. May be repeated."""

    async def begin_upload(self, tenant: str, wish: UploadWish) -> PartedUpload:
        """A place for a file that arrives in parts."""

    async def get_upload(self, tenant: str, upload_id: UUID, first: int, limit: int) -> PartedUpload:
        """How far it is, with fresh addresses of its parts from `first` on."""

    async def place_of_part(self, tenant: str, upload_id: UUID, number: int) -> PartPlace:
        """Where a part goes that does not go straight to the storage."""

    async def complete_upload(self, tenant: str, upload_id: UUID, completion: UploadCompletion) -> Imagery:
        """Join the parts and catalogue the file, once however often it is called."""

    async def abort_upload(self, tenant: str, upload_id: UUID) -> None:
        """Forget an upload with its parts; an imagery that it has become stays."""

    async def sweep_uploads(self) -> int:
        """Give up uploads that nobody has gone on with; how many there were."""

    async def identify(self, key: str) -> Caller:
        """Whose API key this is."""

    async def reconcile(self, order: ReconcileOrder) -> Reconciled:
        """Compare rows with objects, those of all tenants."""

    async def record_write(self, tenant: str, write: Write) -> None:
        """Keep an entry of the audit; called again with its status, complete it."""

    async def claim_request(self, tenant: str, claim: Claim) -> Claimed:
        """Take an Idempotency-Key that nobody holds, or see what became of it; see `orthoray.idempotency`."""

    async def prolong_claim(self, tenant: str, key: str, holder: UUID, fingerprint: str | None) -> str | None:
        """Hold it on, and note what the request is about; what is noted, or None where another holder has it now."""

    async def keep_answer(self, tenant: str, key: str, subject: UUID, answer: KeptAnswer) -> None:
        """The answer that repeats get; the first one stays."""

    async def end_claim(self, tenant: str, key: str, holder: UUID, forget: bool) -> None:
        """Let others have the key at once: for anything (`forget`), or for a repeat of the same request."""

    async def sweep_claims(self) -> int:
        """Forget keys that have expired; how many there were."""

    async def check(self) -> Mapping[str, str]:
        """What does not answer, by name, with the reason."""


class AnalysisPort(Protocol):
    async def create(self, tenant: str, request: AnalysisRequest, run_id: UUID | None = None) -> AnalysisRun:
        """A new run. Where it has to be of a certain id, and is there already, it is that one."""

    async def get(self, tenant: str, run_id: UUID) -> AnalysisRun: ...

    async def get_many(self, tenant: str, run_ids: Sequence[UUID]) -> list[AnalysisRun]:
        """Those of them that there are, in no order."""

    async def search_of_imagery(
        self,
        tenant: str,
        imagery_ids: Sequence[UUID],
        limit: int,
        token: str | None,
        status: RunStatus | None,
    ) -> dict[UUID, Page[AnalysisRun]]:
        """What `search` gives for each of several imageries, in one call."""

    async def search(
        self, tenant: str, limit: int, token: str | None, imagery_id: UUID | None, status: RunStatus | None
    ) -> Page[AnalysisRun]: ...

    async def search_results(
        self, tenant: str, query: ItemQuery, indices: Sequence[str] | None
    ) -> Page[Result]:
        """Completed runs, of these indices or of all, whose images meet the query; newest first."""

    async def result_extents(self, tenant: str, indices: Sequence[str] | None) -> dict[str, Extent]:
        """Where and when the images of completed runs are, by index; an index without any is not there."""

    async def delete(self, tenant: str, run_id: UUID) -> RunStatus | None:
        """Cancel a run that is not finished (its state afterwards), or delete one that is (None)."""

    async def delete_of_imagery(self, tenant: str, imagery_id: UUID) -> None:
        """Delete the runs of a deleted imagery with their objects and reports; may be repeated."""

    async def clean_up(self, tenant: str, run_id: UUID) -> None:
        """The objects of a run's attempts that are not its result, and the reports of one that is gone; may be repeated."""

    async def standings(self, run_ids: Sequence[UUID]) -> Sequence[Standing]:
        """How far these runs are, whosever they are; those that are gone are not there."""

    async def start_run(self, run_id: UUID) -> RunOrder | None:
        """Begin an attempt; None when there is nothing to do any more, be it that the run was given up just now."""

    async def report_progress(
        self, run_id: UUID, attempt: int, progress: float, node: str | None = None
    ) -> bool:
        """Whether this attempt is still wanted."""

    async def complete_run(self, run_id: UUID, attempt: int, outcome: Outcome) -> bool:
        """Store the result; False when it came too late to matter. Its objects are removed then."""

    async def end_attempt(self, run_id: UUID, attempt: int, ending: Ending) -> bool:
        """An attempt was in vain: whether the run is open still, so that there is another one."""

    async def start_callback(self, run_id: UUID) -> CallbackOrder | None:
        """Begin an attempt to tell of the run's end; None when there is nothing to tell any more."""

    async def end_callback(self, run_id: UUID, error: str | None, given_up: bool) -> None:
        """How the attempt ended: delivered where there is no error."""

    async def census(self) -> Mapping[RunStatus, int]:
        """How many runs are queued and processing; a state that none is in is not there."""

    async def reconcile(self, order: ReconcileOrder) -> Reconciled: ...

    async def check(self) -> Mapping[str, str]: ...


class BatchPort(Protocol):
    """The ledger of batches, which the analysis-service keeps. An item that is completed stays so until its content or
    the parameters change; every call may be repeated.

    A batch has one job at a time, whose listing it knows. What a job before it still does comes too late: `enlist`,
    `end_listing` and `close_batch` raise `WrongState` then.
    """

    async def storage_config(self) -> StorageConfig:
        """Where images and results lie, for jobs inside the cluster: they get no secrets by other ways."""

    async def open_batch(self, tenant: str, request: BatchRequest, listing: Listing) -> Batch:
        """The batch of a request, under way (again); from now on its listing is this one."""

    async def enlist(self, listing: Listing, items: Sequence[ItemRef]) -> None:
        """These images belong to the batch; those that are not completed with these parameters wait (again)."""

    async def end_listing(self, listing: Listing) -> None:
        """No others than those of this listing belong to the batch."""

    async def beat(self, listing: Listing) -> bool:
        """A sign of life of the batch's job; whether it is still the batch's."""

    async def waiting_items(self, batch_id: UUID) -> list[str]:
        """The sources of the images that are not completed."""

    async def start_item(self, listing: Listing, item: ItemRef) -> int | None:
        """Mark an image as being worked on: how many times that happened; None when there is nothing to do any more."""

    async def find_result(self, tenant: str, key: str) -> ItemResult | None:
        """A result of the same content by the same parameters, of whichever batch."""

    async def complete_item(self, listing: Listing, item: ItemRef, result: ItemResult) -> bool:
        """Store the result; False when it came too late to matter, or the image or the parameters are others by now.
        It counts from a job that was replaced, too."""

    async def fail_item(self, listing: Listing, item: ItemRef, reason: str, code: str) -> bool:
        """Store why there is no result; `code` is a word of `orthoray.errors.REASONS`, for counting."""

    async def batch_items(self, batch_id: UUID, after: str, limit: int) -> list[ItemRow]:
        """The images whose source comes after `after`, in its order."""

    async def close_batch(self, listing: Listing, error: str | None) -> None:
        """The job is over: its results are complete, or it failed for this reason."""

    async def get_batch(self, tenant: str, batch_id: UUID) -> Batch: ...

    async def search_batches(self, tenant: str, limit: int, token: str | None) -> Page[Batch]: ...


class ReportPort(Protocol):
    async def create(self, tenant: str, request: ReportRequest, priority: Priority = "high") -> Report:
        """The report of a run in a language: made when absent, queued again when it had failed.

        What a person asks for goes before what comes with runs.
        """

    async def get(self, tenant: str, report_id: UUID) -> Report: ...

    async def get_many(self, tenant: str, report_ids: Sequence[UUID]) -> list[Report]:
        """Those of them that there are, in no order."""

    async def search_of_runs(
        self,
        tenant: str,
        run_ids: Sequence[UUID],
        limit: int,
        token: str | None,
        status: RunStatus | None,
    ) -> dict[UUID, Page[Report]]:
        """What `search` gives for each of several runs, in one call."""

    async def search(
        self, tenant: str, limit: int, token: str | None, run_id: UUID | None, status: RunStatus | None
    ) -> Page[Report]: ...

    async def delete(self, tenant: str, report_id: UUID) -> None: ...

    async def delete_of_run(self, tenant: str, run_id: UUID) -> None:
        """Delete the reports of a deleted run; may be repeated."""

    async def clean_up(self, tenant: str, report_id: UUID) -> None:
        """The objects of a report's attempts that are not its result; may be repeated."""

    async def standings(self, report_ids: Sequence[UUID]) -> Sequence[Standing]:
        """As `AnalysisPort.standings`."""

    async def start_report(self, report_id: UUID) -> ReportOrder | None:
        """Begin an attempt; None when there is nothing to do any more, be it that the report was given up just now."""

    async def is_wanted(self, report_id: UUID, attempt: int) -> bool:
        """Whether this attempt is under way still, as far as its row knows."""

    async def complete_report(self, report_id: UUID, attempt: int, bucket: str, key: str) -> bool:
        """Store where the PDF is; False when it came too late to matter. It is removed then."""

    async def end_attempt(self, report_id: UUID, attempt: int, ending: Ending) -> bool:
        """As `AnalysisPort.end_attempt`."""

    async def start_callback(self, report_id: UUID) -> CallbackOrder | None:
        """As `AnalysisPort.start_callback`."""

    async def end_callback(self, report_id: UUID, error: str | None, given_up: bool) -> None:
        """As `AnalysisPort.end_callback`."""

    async def census(self) -> Mapping[RunStatus, int]:
        """How many reports are queued and processing; a state that none is in is not there."""

    async def reconcile(self, order: ReconcileOrder) -> Reconciled: ...

    async def check(self) -> Mapping[str, str]: ...
