"""The three services in memory, for tests of what calls them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from orthoray.attempts import Ending
from orthoray.batches import Batch
from orthoray.contracts import (
    AnalysisRequest,
    AnalysisRun,
    Imagery,
    Outcome,
    Page,
    Priority,
    Report,
    ReportRequest,
    RunStatus,
)
from orthoray.errors import NotAuthenticated, NotFound, OrthoRayError, WrongState
from orthoray.idempotency import Claim, Claimed, KeptAnswer
from orthoray.items import Extent, ItemQuery, Result
from orthoray.keys import heatmap_key, imagery_prefix, index_key, report_id, report_key, thumbnail_key
from orthoray.pages import check_many, decode_cursor, split_page
from orthoray.ports import Caller, ImageryQuery, ReportOrder, RunOrder, StoredFile, Upload, Write
from orthoray.standings import Standing
from orthoray.storage.base import Storage
from orthoray.storage.parts import PartStore, part_count_of, part_store, size_of_part
from orthoray.uploads import PartedUpload, PartPlace, UploadCompletion, UploadPart, UploadWish
from pipelines.facts import describe
from pipelines.planning import plan_of_record

FINISHED = ("completed", "failed", "cancelled")


class Rows(dict[UUID, tuple[str, Any]]):
    """Records by id, each with its tenant; newest last."""

    def of(self, tenant: str, key: UUID, what: str) -> Any:
        owner, record = self.get(key, (None, None))
        if owner != tenant:
            raise NotFound(f"There is no {what} {key}.")
        return record

    def page(self, tenant: str, limit: int, token: str | None, **wanted: Any) -> Page[Any]:
        place = decode_cursor(token)
        rows = [record for owner, record in reversed(self.values()) if owner == tenant]
        rows = [r for r in rows if all(v is None or getattr(r, name) == v for name, v in wanted.items())]
        if token:
            rows = [r for r in rows if (r.created_at, r.id) < (place["before"], place["before_id"])]
        found, following = split_page(
            [{"id": r.id, "created_at": r.created_at, "record": r} for r in rows], limit
        )
        return Page[Any](items=[row["record"] for row in found], next=following)

    def matching(self, tenant: str, query: ItemQuery, **wanted: Any) -> Page[Any]:
        """By ids and pages; places and times are the databases' business."""
        chosen = {key: row for key, row in self.items() if query.ids is None or key in query.ids}
        return Rows(chosen).page(tenant, query.limit, query.next, **wanted)

    def many(self, tenant: str, ids: Sequence[UUID]) -> list[Any]:
        check_many(ids)
        return [record for key, (owner, record) in self.items() if owner == tenant and key in ids]

    def pages(
        self, tenant: str, column: str, ids: Sequence[UUID], limit: int, token: str | None, **wanted: Any
    ) -> dict[UUID, Page[Any]]:
        check_many(ids, limit)
        return {key: self.page(tenant, limit, token, **{column: key}, **wanted) for key in ids}

    def standings(self, keys: Sequence[UUID]) -> list[Standing]:
        return [Standing.of(*self[key]) for key in keys if key in self]

    def open(self) -> dict[RunStatus, int]:
        return dict(Counter(record.status for _, record in self.values() if record.status not in FINISHED))


@dataclass
class Fake:
    """What the three have in common: every call is noted, and may be told to fail."""

    calls: list[str] = field(default_factory=list)
    error: Exception | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.error is not None:
            raise self.error

    async def check(self) -> Mapping[str, str]:
        self._called("check")
        return self.failures


@dataclass
class FakeImagery(Fake):
    """An `orthoray.ports.ImageryPort`; `keys` are the API keys with their tenants, which no error touches.

    A key may do everything, unless `limited` says who has it, or why it is refused.
    """

    storage: Storage | None = None
    bucket: str = "imagery"
    keys: Mapping[str, str] = field(default_factory=dict)
    limited: dict[str, Caller | NotAuthenticated] = field(default_factory=dict)
    writes: dict[UUID, tuple[str, Write]] = field(default_factory=dict)
    max_pixels: int = 10**9
    part_bytes: int = 1000
    uploads: Rows = field(default_factory=Rows)
    claims: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    async def register(self, tenant: str, upload: Upload) -> Imagery:
        self._called("register")
        assert self.storage is not None
        if upload.id in self.rows:
            self._remove([file.object_key for file in upload.files])
            return self.rows.of(tenant, upload.id, "imagery")
        try:
            with ExitStack() as stack:
                paths = [
                    stack.enter_context(self.storage.local_path(self.bucket, file.object_key))
                    for file in upload.files
                ]
                record, thumbnail = describe(paths, upload, bucket=self.bucket, max_pixels=self.max_pixels)
        except OrthoRayError:
            self._remove([file.object_key for file in upload.files])
            raise
        self.storage.put_bytes(self.bucket, thumbnail_key(tenant, upload.id), thumbnail, "image/png")
        imagery = Imagery(**record, created_at=datetime.now(UTC))
        self.rows[imagery.id] = tenant, imagery
        return imagery

    async def get(self, tenant: str, imagery_id: UUID) -> Imagery:
        self._called("get")
        return self.rows.of(tenant, imagery_id, "imagery")

    async def get_many(self, tenant: str, imagery_ids: Sequence[UUID]) -> list[Imagery]:
        self._called("get_many")
        return self.rows.many(tenant, imagery_ids)

    async def search(self, tenant: str, query: ImageryQuery) -> Page[Imagery]:
        self._called("search")
        self.query = query
        return self.rows.page(tenant, query.limit, query.next)

    async def search_items(self, tenant: str, query: ItemQuery) -> Page[Imagery]:
        self._called("search_items")
        self.asked = query
        return self.rows.matching(tenant, query)

    async def extent(self, tenant: str) -> Extent:
        self._called("extent")
        return Extent(count=len(self.rows.page(tenant, 10**6, None).items))

    async def delete(self, tenant: str, imagery_id: UUID) -> None:
        self._called("delete")
        gone = self.rows.of(tenant, imagery_id, "imagery")
        del self.rows[imagery_id]
        await self.clean_up(tenant, imagery_id, [asset.object_key for asset in gone.assets])

    async def clean_up(self, tenant: str, imagery_id: UUID, keys: Sequence[str] = ()) -> None:
        self._called("clean_up")
        assert self.storage is not None
        self.storage.delete_prefix(self.bucket, imagery_prefix(tenant, imagery_id))
        self._remove(keys)
        if imagery_id not in self.rows:
            self.storage.delete(self.bucket, thumbnail_key(tenant, imagery_id))

    def _remove(self, keys: Sequence[str]) -> None:
        """Those that no record has."""
        assert self.storage is not None
        used = {asset.object_key for _, record in self.rows.values() for asset in record.assets}
        for key in set(keys) - used:
            self.storage.delete(self.bucket, key)

    async def begin_upload(self, tenant: str, wish: UploadWish) -> PartedUpload:
        self._called("begin_upload")
        upload_id = wish.id or uuid4()
        if upload_id in self.uploads:
            return await self.get_upload(tenant, upload_id, 1, 1000)
        key = imagery_prefix(tenant, upload_id) + wish.filename
        self.uploads[upload_id] = tenant, (wish, key, self.store.begin(self.bucket, key))
        return await self.get_upload(tenant, upload_id, 1, 1000)

    async def get_upload(self, tenant: str, upload_id: UUID, first: int, limit: int) -> PartedUpload:
        self._called("get_upload")
        wish, key, token = self.uploads.of(tenant, upload_id, "upload")
        there = {part.number: part for part in self.store.parts(self.bucket, key, token)}
        count = part_count_of(wish.size, self.part_bytes)
        return PartedUpload(
            id=upload_id,
            status="open",
            filename=wish.filename,
            size_bytes=wish.size,
            part_bytes=self.part_bytes,
            part_count=count,
            received_bytes=sum(part.size for part in there.values()),
            parts=[
                UploadPart(
                    number=number,
                    size_bytes=size_of_part(number, wish.size, self.part_bytes),
                    url=f"/imagery/uploads/{upload_id}/parts/{number}",
                    received=number in there,
                    etag=there[number].etag if number in there else None,
                )
                for number in range(first, min(first + limit, count + 1))
            ],
            imagery_id=upload_id,
            created_at=datetime.now(UTC),
            expires_at=datetime.now(UTC),
        )

    async def place_of_part(self, tenant: str, upload_id: UUID, number: int) -> PartPlace:
        self._called("place_of_part")
        wish, key, token = self.uploads.of(tenant, upload_id, "upload")
        size = size_of_part(number, wish.size, self.part_bytes)
        if size <= 0:
            raise NotFound(f"This upload has no part {number}.")
        return PartPlace(bucket=self.bucket, object_key=key, token=token, size_bytes=size)

    async def complete_upload(self, tenant: str, upload_id: UUID, completion: UploadCompletion) -> Imagery:
        self._called("complete_upload")
        wish, key, token = self.uploads.of(tenant, upload_id, "upload")
        if upload_id not in self.rows:
            digest = self.store.complete(self.bucket, key, token, self.store.parts(self.bucket, key, token))
            file = StoredFile(
                filename=wish.filename, object_key=key, size_bytes=wish.size, sha256=digest or ""
            )
            await self.register(tenant, Upload(id=upload_id, files=[file], **wish.facts()))
        return self.rows.of(tenant, upload_id, "imagery")

    async def abort_upload(self, tenant: str, upload_id: UUID) -> None:
        self._called("abort_upload")
        _, key, token = self.uploads.of(tenant, upload_id, "upload")
        self.store.abort(self.bucket, key, token)
        del self.uploads[upload_id]

    async def sweep_uploads(self) -> int:
        self._called("sweep_uploads")
        return 0

    @property
    def store(self) -> PartStore:
        assert self.storage is not None
        return part_store(self.storage)

    async def record_write(self, tenant: str, write: Write) -> None:
        """No call in the sense of `calls` and `error`."""
        self.writes[write.id] = tenant, write.model_copy()

    async def claim_request(self, tenant: str, claim: Claim) -> Claimed:
        """No call in the sense of `calls` and `error` either. A lease lasts until a test takes it away."""
        known = self.claims.get((tenant, claim.key))
        is_mine = known is None or (
            known["answer"] is None
            and not known["leased"]
            and (claim.fingerprint is None or known["fingerprint"] in {None, claim.fingerprint})
        )
        if is_mine:
            kept = known or {"subject": claim.subject, "fingerprint": claim.fingerprint, "answer": None}
            known = {**kept, "holder": claim.holder, "leased": True}
            self.claims[tenant, claim.key] = known
        assert known is not None
        told = {name: known[name] for name in ("subject", "fingerprint", "answer")}
        return Claimed(is_mine=is_mine, wait_s=7, **told)

    async def prolong_claim(self, tenant: str, key: str, holder: UUID, fingerprint: str | None) -> str | None:
        known = self.claims.get((tenant, key))
        if known is None or known["holder"] != holder or known["answer"] is not None:
            return None
        known["fingerprint"] = known["fingerprint"] or fingerprint
        return known["fingerprint"]

    async def keep_answer(self, tenant: str, key: str, subject: UUID, answer: KeptAnswer) -> None:
        known = self.claims.get((tenant, key))
        if known is not None and known["subject"] == subject and known["answer"] is None:
            known["answer"] = answer

    async def end_claim(self, tenant: str, key: str, holder: UUID, forget: bool) -> None:
        known = self.claims.get((tenant, key))
        if known is not None and known["holder"] == holder and known["answer"] is None:
            known["leased"] = False
            if forget:
                del self.claims[tenant, key]

    async def sweep_claims(self) -> int:
        self._called("sweep_claims")
        return 0

    async def identify(self, key: str) -> Caller:
        self.calls.append("identify")
        found = self.limited.get(key)
        if isinstance(found, NotAuthenticated):
            raise found
        if found is None and key not in self.keys:
            raise NotAuthenticated("This API key is not known.")
        return found or Caller(tenant=self.keys[key], scopes=frozenset({"admin"}))


@dataclass
class FakeAnalysis(Fake):
    """An `orthoray.ports.AnalysisPort`: nothing is computed until a test completes a run."""

    imagery: FakeImagery = field(default_factory=FakeImagery)

    async def create(self, tenant: str, request: AnalysisRequest, run_id: UUID | None = None) -> AnalysisRun:
        self._called("create")
        if run_id in self.rows:
            return self.rows.of(tenant, run_id, "analysis run")
        imagery = await self.imagery.get(tenant, request.imagery_id)
        plan_of_record(imagery, request)
        run = AnalysisRun(
            **request.model_dump(exclude={"language"}),
            options=request.options,
            id=run_id or uuid4(),
            status="queued",
            language=request.language or "ru",
            imagery_bucket=imagery.bucket,
            imagery_object_key=imagery.object_key,
            created_at=datetime.now(UTC),
        )
        if run.auto_report:
            run.report_id = report_id(run.id, run.language)
        self.rows[run.id] = tenant, run
        return run

    async def get(self, tenant: str, run_id: UUID) -> AnalysisRun:
        self._called("get")
        return self.rows.of(tenant, run_id, "analysis run")

    async def get_many(self, tenant: str, run_ids: Sequence[UUID]) -> list[AnalysisRun]:
        self._called("get_many")
        return self.rows.many(tenant, run_ids)

    async def search_of_imagery(
        self,
        tenant: str,
        imagery_ids: Sequence[UUID],
        limit: int,
        token: str | None,
        status: RunStatus | None,
    ) -> dict[UUID, Page[AnalysisRun]]:
        self._called("search_of_imagery")
        return self.rows.pages(tenant, "imagery_id", imagery_ids, limit, token, status=status)

    async def search(
        self, tenant: str, limit: int, token: str | None, imagery_id: UUID | None, status: RunStatus | None
    ) -> Page[AnalysisRun]:
        self._called("search")
        return self.rows.page(tenant, limit, token, imagery_id=imagery_id, status=status)

    async def standings(self, run_ids: Sequence[UUID]) -> Sequence[Standing]:
        return self.rows.standings(run_ids)

    async def search_results(
        self, tenant: str, query: ItemQuery, indices: Sequence[str] | None
    ) -> Page[Result]:
        self._called("search_results")
        page = self.rows.matching(tenant, query, status="completed")
        runs = [run for run in page.items if indices is None or run.index_type in indices]
        found = [Result(run=run, imagery=self.imagery.rows[run.imagery_id][1]) for run in runs]
        return Page[Result](items=found, next=page.next)

    async def result_extents(self, tenant: str, indices: Sequence[str] | None) -> dict[str, Extent]:
        self._called("result_extents")
        runs = self.rows.page(tenant, 10**6, None, status="completed").items
        counts = Counter(run.index_type for run in runs if indices is None or run.index_type in indices)
        return {index: Extent(count=count) for index, count in sorted(counts.items())}

    async def delete(self, tenant: str, run_id: UUID) -> RunStatus | None:
        self._called("delete")
        run: AnalysisRun = self.rows.of(tenant, run_id, "analysis run")
        if run.status in FINISHED:
            del self.rows[run_id]
            return None
        run.status = "cancelled"
        return "cancelled"

    async def delete_of_imagery(self, tenant: str, imagery_id: UUID) -> None:
        self._called("delete_of_imagery")
        for run in self.rows.page(tenant, 10**6, None, imagery_id=imagery_id).items:
            del self.rows[run.id]

    async def clean_up(self, tenant: str, run_id: UUID) -> None:
        self._called("clean_up")

    async def start_run(self, run_id: UUID) -> RunOrder | None:
        self._called("start_run")
        tenant, run = self.rows.get(run_id, ("", None))
        if run is None or run.status in FINISHED:
            return None
        run.status, run.attempts = "processing", run.attempts + 1
        imagery = await self.imagery.get(tenant, run.imagery_id)
        return RunOrder(run=run, imagery=imagery, tenant=tenant, attempt=run.attempts)

    async def report_progress(
        self, run_id: UUID, attempt: int, progress: float, node: str | None = None
    ) -> bool:
        self._called("report_progress")
        run = self._processing(run_id, attempt)
        if run is None:
            return False
        run.progress = max(run.progress, progress)
        return True

    async def complete_run(self, run_id: UUID, attempt: int, outcome: Outcome) -> bool:
        self._called("complete_run")
        run = self._processing(run_id, attempt)
        if run is None:
            return False
        run.status, run.progress, run.completed_at = "completed", 1.0, datetime.now(UTC)
        for name in type(outcome).model_fields.keys() & type(run).model_fields.keys():
            setattr(run, name, getattr(outcome, name))
        return True

    async def end_attempt(self, run_id: UUID, attempt: int, ending: Ending) -> bool:
        self._called("end_attempt")
        run = self._processing(run_id, attempt)
        if run is None:
            return False
        run.last_error = ending.reason
        if ending.outcome != "failed":
            run.status = "queued"
            return True
        run.status, run.error = "failed", ending.reason
        return False

    async def census(self) -> Mapping[RunStatus, int]:
        self._called("census")
        return self.rows.open()

    def _processing(self, run_id: UUID, attempt: int) -> AnalysisRun | None:
        _, run = self.rows.get(run_id, ("", None))
        return run if run is not None and (run.status, run.attempts) == ("processing", attempt) else None


@dataclass
class FakeReport(Fake):
    """An `orthoray.ports.ReportPort`."""

    analysis: FakeAnalysis = field(default_factory=FakeAnalysis)

    async def create(self, tenant: str, request: ReportRequest, priority: Priority = "high") -> Report:
        self._called("create")
        run = await self.analysis.get(tenant, request.analysis_run_id)
        if run.status != "completed":
            raise WrongState(f"The analysis run is {run.status}.")
        language = request.language or run.language
        known = report_id(run.id, language)
        if known not in self.rows or self.rows[known][1].status == "failed":
            report = Report(
                id=known,
                analysis_run_id=run.id,
                status="queued",
                language=language,
                heatmap_key=run.heatmap_key,
                imagery_key=run.imagery_object_key,
                stats=run.stats,
                conclusion=run.conclusion,
                callback=request.callback,
                callback_status="waiting" if request.callback else None,
                created_at=datetime.now(UTC),
            )
            self.rows[known] = tenant, report
        return self.rows[known][1]

    async def get(self, tenant: str, report_id: UUID) -> Report:
        self._called("get")
        return self.rows.of(tenant, report_id, "report")

    async def get_many(self, tenant: str, report_ids: Sequence[UUID]) -> list[Report]:
        self._called("get_many")
        return self.rows.many(tenant, report_ids)

    async def search_of_runs(
        self, tenant: str, run_ids: Sequence[UUID], limit: int, token: str | None, status: RunStatus | None
    ) -> dict[UUID, Page[Report]]:
        self._called("search_of_runs")
        return self.rows.pages(tenant, "analysis_run_id", run_ids, limit, token, status=status)

    async def search(
        self, tenant: str, limit: int, token: str | None, run_id: UUID | None, status: RunStatus | None
    ) -> Page[Report]:
        self._called("search")
        return self.rows.page(tenant, limit, token, analysis_run_id=run_id, status=status)

    async def standings(self, report_ids: Sequence[UUID]) -> Sequence[Standing]:
        return self.rows.standings(report_ids)

    async def delete(self, tenant: str, report_id: UUID) -> None:
        self._called("delete")
        self.rows.of(tenant, report_id, "report")
        del self.rows[report_id]

    async def delete_of_run(self, tenant: str, run_id: UUID) -> None:
        self._called("delete_of_run")
        for report in self.rows.page(tenant, 10**6, None, analysis_run_id=run_id).items:
            del self.rows[report.id]

    async def clean_up(self, tenant: str, report_id: UUID) -> None:
        self._called("clean_up")

    async def start_report(self, report_id: UUID) -> ReportOrder | None:
        self._called("start_report")
        tenant, report = self.rows.get(report_id, ("", None))
        if report is None or report.status in FINISHED:
            return None
        report.status, report.attempts = "processing", report.attempts + 1
        run = await self.analysis.get(tenant, report.analysis_run_id)
        imagery = await self.analysis.imagery.get(tenant, run.imagery_id)
        return ReportOrder(report=report, run=run, imagery=imagery, tenant=tenant, attempt=report.attempts)

    async def is_wanted(self, report_id: UUID, attempt: int) -> bool:
        self._called("is_wanted")
        return self._processing(report_id, attempt) is not None

    async def complete_report(self, report_id: UUID, attempt: int, bucket: str, key: str) -> bool:
        self._called("complete_report")
        report = self._processing(report_id, attempt)
        if report is None:
            return False
        report.status, report.report_bucket, report.report_key = "completed", bucket, key
        return True

    async def end_attempt(self, report_id: UUID, attempt: int, ending: Ending) -> bool:
        self._called("end_attempt")
        report = self._processing(report_id, attempt)
        if report is None:
            return False
        report.last_error = ending.reason
        if ending.outcome != "failed":
            report.status = "queued"
            return True
        report.status, report.error = "failed", ending.reason
        return False

    def _processing(self, report_id: UUID, attempt: int) -> Report | None:
        _, report = self.rows.get(report_id, ("", None))
        found = (report.status, report.attempts) if report is not None else None
        return report if found == ("processing", attempt) else None

    async def census(self) -> Mapping[RunStatus, int]:
        self._called("census")
        return self.rows.open()


@dataclass
class FakeBatches(Fake):
    """The part of an `orthoray.ports.BatchPort` that the gateway uses; tests put batches into `rows`."""

    async def get_batch(self, tenant: str, batch_id: UUID) -> Batch:
        self._called("get_batch")
        return self.rows.of(tenant, batch_id, "batch")

    async def search_batches(self, tenant: str, limit: int, token: str | None) -> Page[Batch]:
        self._called("search_batches")
        return self.rows.page(tenant, limit, token)


def stored_file(name: str, key: str, content: bytes) -> StoredFile:
    digest = hashlib.sha256(content).hexdigest()
    return StoredFile(filename=name, object_key=key, size_bytes=len(content), sha256=digest)


def an_outcome(run_id: UUID, tenant: str = "default", attempt: int = 1) -> Outcome:
    """A small result of four pixels, all healthy, with keys as a worker makes them."""
    row = {"lower": 0.1, "upper": None, "pixels": 4, "percent": 100.0, "area_m2": None}
    statistics = {
        "valid_pixels": 4,
        "nodata_pixels": 0,
        "invalid_pixels": 0,
        **dict.fromkeys(("min", "max", "mean", "median", "p2", "p98"), 0.5),
        "std": 0.0,
        "histogram": {"edges": [0.0, 1.0], "counts": [4]},
        "classes": [{"name": "healthy", "label": "Здоровые", **row}],
        "area_m2": None,
    }
    return Outcome.model_validate(
        {
            "stats": {"Здоровые": 100.0},
            "conclusion": "Всё хорошо.",
            "statistics": statistics,
            "legend": {"title": "NDVI", "colormap": "rdylgn", "vmin": 0.0, "vmax": 1.0},
            "provenance": {
                "index": "NDVI",
                "thresholds": {"id": "default", "cuts": [0.6, 0.4, 0.2], "crop": None, "source": "a test"},
            },
            "heatmap_bucket": "heatmaps",
            "heatmap_key": heatmap_key(tenant, run_id, attempt),
            "index_key": index_key(tenant, run_id, attempt),
        }
    )


async def complete(
    analysis: FakeAnalysis, storage: Storage, run: AnalysisRun, tenant: str = "default"
) -> None:
    """Bring a run to its end as a worker does, with a heatmap and an index raster of a few bytes in storage."""
    outcome = an_outcome(run.id, tenant)
    storage.put_bytes(outcome.heatmap_bucket, outcome.heatmap_key, b"\x89PNG heatmap", "image/png")
    storage.put_bytes(outcome.heatmap_bucket, outcome.index_key, bytes(range(100)), "image/tiff")
    order = await analysis.start_run(run.id)
    assert order is not None
    await analysis.complete_run(run.id, order.attempt, outcome)


async def complete_report(
    report: FakeReport, storage: Storage, wanted: Report, tenant: str = "default"
) -> None:
    key = report_key(tenant, wanted.id)
    storage.put_bytes("reports", key, b"%PDF-1.7 a report", "application/pdf")
    order = await report.start_report(wanted.id)
    assert order is not None
    await report.complete_report(wanted.id, order.attempt, "reports", key)
