"""One image of a batch: what a task does, from the files to the ledger's row. Whatever is wrong with an image becomes a row."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

import structlog

import OLD
from orthoray import telemetry
from orthoray.batches import BatchRequest, ItemRef, ItemResult, digest_of, item_key, result_name
from orthoray.contracts import Imagery
from orthoray.errors import OrthoRayError, Unavailable, reason_code
from orthoray.ports import StoredFile, Upload
from orthoray.spectral.engine import ENGINE
from orthoray.spectral.survey import Blocks
from orthoray.spectral.work import BandWork
from orthoray.storage.base import CHUNK_BYTES
from orthoray.storage.config import StorageConfig, opened
from pipelines.facts import examine, record_of
from pipelines.ledger import Ledger
from pipelines.output import Output, content_type_of
from pipelines.planning import plan_of_record
from pipelines.single import analyse_files
from pipelines.sources import Item, local_files

# An image that ends its process each time, by a crash or by the memory it takes, is given up after so many.
MAX_ATTEMPTS = 4
# Storage that does not answer is asked again after these.
WAITS_S = (1.0, 5.0, 20.0)

TRACED_AS = "batch"

Ended = Literal["completed", "failed", "known", "unfinished"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Device:
    """What computes the index of images: the process that decodes them, or with `elsewhere`, as `analyse_files` takes it, the
    array library called `name` in others."""

    name: str
    elsewhere: Callable[[BandWork], Blocks] | None = None


HERE = Device("cpu")


@dataclass(frozen=True)
class Job:
    """What all images of a batch have in common; it travels pickled to the tasks.

    `storage` is where images with a bucket lie.
    """

    request: BatchRequest
    ledger: Ledger
    output: Output
    storage: StorageConfig | None = None

    @property
    def parameters(self) -> str:
        """The digest of all that a result depends on beside its image, so that another engine's results are not reused."""
        asked = {
            "wish": self.request.wish.model_dump(mode="json", exclude_defaults=True),
            "language": self.request.language,
        }
        return digest_of({**asked, "engine": engine_facts()})

    def begun(self, items: Sequence[ItemRef]) -> Job:
        """The same in the hands of a driver: the batch is under way with these images. Raises as `Ledger.opened`."""
        return replace(self, ledger=self.ledger.opened(self.request, self.parameters, items))


def engine_facts() -> dict[str, str]:
    """What computes: the engine, the package, and the OLD package, which may be a user's own."""
    sources = sorted(path for folder in OLD.__path__ for path in Path(folder).rglob("*.py"))
    old = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    return {"engine": ENGINE, "orthoray": version("orthoray"), "old": old}


def do_item(job: Job, item: Item, device: Device = HERE) -> Ended:
    """Analyse one image and write its row; "known" when there was nothing to do, "unfinished" when a part of the system
    does not answer and the row waits for another job."""
    ids = {"batch_id": str(job.ledger.batch_id)}
    # A trace of its own: one of a whole batch would have more spans than anything can show.
    with telemetry.step("image", ids, root=True):
        try:
            end = _done(job, item, device)
        except Unavailable as error:
            log.warning("image left for another job", source=item.source, reason=error.detail)
            end = "unfinished"
        telemetry.note({"orthoray.end": end}, failed=end == "failed")
    telemetry.flush_soon()
    return end


def _done(job: Job, item: Item, device: Device) -> Ended:
    """Raises `Unavailable` where a part of the system does not answer."""
    attempts = job.ledger.start(item.ref)
    if attempts is None:
        return "known"
    if attempts > MAX_ATTEMPTS:
        reason = (
            f"The process that analysed this image ended {MAX_ATTEMPTS} times before it was done: the image needs more "
            "memory than a task may have, or it is damaged. Analyse it alone (`orthoray analyze`) to see why."
        )
        return _failed(job, item, reason, "process_lost")
    try:
        result = _patiently(job, item, device)
    except Unavailable:
        raise
    except OrthoRayError as error:
        return _failed(job, item, error.detail, reason_code(error))
    except Exception as error:  # a batch goes on, whatever the libraries make of one image
        log.exception("unexpected failure", source=item.source)
        reason = (
            f"The analysis met an unexpected error ({type(error).__name__}), which the log of the job tells in full. Submit the "
            "batch again; if it comes again, analyse the image alone (`orthoray analyze`) and report it."
        )
        return _failed(job, item, reason, "internal")
    job.ledger.complete(item.ref, result)
    return "completed"


def _failed(job: Job, item: Item, reason: str, code: str) -> Ended:
    telemetry.note({"orthoray.reason": code})
    log.warning("image failed", source=item.source, reason=reason)
    job.ledger.fail(item.ref, reason, code)
    return "failed"


def _patiently(job: Job, item: Item, device: Device) -> ItemResult:
    for wait in WAITS_S:
        try:
            return _result(job, item, device)
        except Unavailable as error:
            log.warning("trying again", source=item.source, reason=error.detail)
            time.sleep(wait)
    return _result(job, item, device)


def _result(job: Job, item: Item, device: Device) -> ItemResult:
    with local_files(item, opened(job.storage) if job.storage else None) as paths:
        imagery = item.imagery or _examined(job, item, paths)
        key = item_key(imagery, job.parameters)
        known = job.ledger.find(key)
        if known and job.output.reuse(known.batch_id, known.files):
            own = {"batch_id": job.ledger.batch_id, "imagery": imagery, "seconds": 0.0}
            return known.model_copy(update=own)
        return _analysed(job, item, paths, imagery, key, device)


def _examined(job: Job, item: Item, paths: Sequence[Path]) -> Imagery:
    """The record that the files would get in the catalogue."""
    wish = job.request.wish
    files = [
        StoredFile(
            filename=file.name,
            object_key=file.path,
            size_bytes=file.size_bytes,
            sha256=file_digest(path),
        )
        for file, path in zip(item.files, paths, strict=True)
    ]
    upload = Upload(
        id=uuid5(NAMESPACE_URL, f"orthoray:item:{job.ledger.batch_id}:{item.source}"),
        files=files,
        bands=wish.bands,
        sensor=wish.sensor,
    )
    record = record_of(examine(paths, upload), upload, bucket=item.files[0].bucket or "")
    written = [file.modified_at for file in item.files if file.modified_at]
    return Imagery(**record, created_at=max(written, default=datetime.now(UTC)))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _analysed(
    job: Job, item: Item, paths: Sequence[Path], imagery: Imagery, key: str, device: Device
) -> ItemResult:
    started = time.monotonic()
    name = result_name(imagery.original_filename, key)
    files = {
        "heatmap": f"heatmaps/{name}.png",
        "index": f"indices/{name}.tif",
        "preview": f"previews/{name}.png",
    }
    with tempfile.TemporaryDirectory(prefix="orthoray-batch-") as scratch:
        local = {role: Path(scratch) / f"{role}{Path(file).suffix}" for role, file in files.items()}
        with telemetry.step("compute"):
            findings = analyse_files(
                paths,
                [file.name for file in item.files],
                plan_of_record(imagery, job.request.wish),
                language=job.request.language,
                heatmap_path=local["heatmap"],
                index_path=local["index"],
                preview_path=local["preview"],
                progress=lambda _fraction: None,
                elsewhere=device.elsewhere,
            )
        findings.provenance["image_sha256"] = imagery.sha256
        findings.provenance["device"] = device.name
        with telemetry.step("write"):
            for role, path in local.items():
                job.output.move_file(files[role], path, content_type_of(files[role]))
    return ItemResult(
        key=key,
        batch_id=job.ledger.batch_id,
        imagery=imagery,
        findings=findings,
        files=files,
        seconds=time.monotonic() - started,
    )
