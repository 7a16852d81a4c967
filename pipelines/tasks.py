"""The Ray tasks of single runs and reports: from storage to storage, idempotent, under keys that depend on ids alone."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import ray

from orthoray import telemetry
from orthoray.contracts import Outcome
from orthoray.errors import NotFound, WrongState
from orthoray.keys import heatmap_key, index_key, report_key, thumbnail_key
from orthoray.logs import configure_logs
from orthoray.ports import ReportOrder, RunOrder
from orthoray.reporting.content import content_from_records
from orthoray.reporting.document import report_pdf
from orthoray.spectral.formats import TIFF
from orthoray.spectral.loops import load_compiled
from orthoray.spectral.survey import Blocks
from orthoray.spectral.work import BandWork
from orthoray.storage.base import Storage
from orthoray.storage.config import StorageConfig
from pipelines.nodes import Demand
from pipelines.planning import old_indices, plan_of_record
from pipelines.readable import for_bands
from pipelines.single import analyse_files
from pipelines.styling import crop_of, read_styling
from pipelines.wording import in_language

PROGRESS_INTERVAL_S = 0.5
# What a task takes for an image of any size that is read by windows, Python and its libraries included; what it takes more for
# each pixel of a photo, which is decoded as a whole; and for what a deployment's own `OLD` computes of one.
_TASK_BYTES, _PHOTO_BYTES_PER_PIXEL, _OLD_BYTES_PER_PIXEL = 350_000_000, 12, 30
RENDERING = Demand(0.5, 350_000_000)


@dataclass(frozen=True)
class Opened:
    """An imagery's files, assets' order: to be described only, for `elsewhere` computes its blocks, on `device`."""

    sources: Sequence[Path]
    elsewhere: Callable[[BandWork], Blocks]
    device: str


def demand_of(order: RunOrder) -> Demand:
    """What `analyse_object` asks for."""
    imagery = order.imagery
    by_windows = all(asset.content_type == TIFF.media_type for asset in imagery.images)
    by_old = order.run.wish.index_type.strip().lower() in {name.lower() for name in old_indices()}
    each = _OLD_BYTES_PER_PIXEL if by_old else 0 if by_windows else _PHOTO_BYTES_PER_PIXEL
    return Demand(1, _TASK_BYTES + each * imagery.width * imagery.height)


# The queue retries, with back-off and an end; Ray must not retry beside it.
@ray.remote(num_cpus=1, max_retries=0)
def analyse_object(
    config: StorageConfig, order: RunOrder, carried: Mapping[str, str]
) -> Iterator[float | Outcome]:
    """Yields fractions 0..1 while it works, at most two a second, and the outcome at the end."""
    configure_logs()
    telemetry.start_tracing(telemetry.TRACED_AS)
    yield from analyse_order(config, order, carried=carried)
    # this process is kept for further runs: they find the faster loops
    threading.Thread(target=load_compiled, name="loops", daemon=True).start()


@ray.remote(num_cpus=RENDERING.cpus, max_retries=0)
def render_report(config: StorageConfig, order: ReportOrder, carried: Mapping[str, str]) -> str:
    """The key of the PDF."""
    configure_logs()
    telemetry.start_tracing(telemetry.TRACED_AS)
    try:
        with telemetry.step("render", carried):
            return render_order(config, order)
    finally:
        telemetry.flush_soon()


def analyse_order(
    config: StorageConfig,
    order: RunOrder,
    by_blocks: Opened | None = None,
    carried: Mapping[str, str] | None = None,
) -> Iterator[float | Outcome]:
    """What `analyse_object` does, without Ray. Closing the iterator, or cancelling the task, ends the work."""
    steps: SimpleQueue[float | Outcome | BaseException] = SimpleQueue()
    unwanted = threading.Event()

    def work() -> None:
        started = time.monotonic()
        try:
            with telemetry.step("analyse", carried):
                outcome = _analyse(config, order, steps.put, unwanted, by_blocks)
            steps.put(outcome.model_copy(update={"seconds": time.monotonic() - started}))
        except BaseException as error:
            steps.put(error)
        finally:
            telemetry.flush_soon()

    threading.Thread(target=work, name="analyse", daemon=True).start()
    told_at = 0.0
    try:
        while not isinstance(step := steps.get(), Outcome):
            if isinstance(step, BaseException):
                raise step
            if time.monotonic() - told_at >= PROGRESS_INTERVAL_S:
                told_at = time.monotonic()
                yield step
        yield step
    finally:
        unwanted.set()


def _analyse(
    config: StorageConfig,
    order: RunOrder,
    tell: Callable[[float], None],
    unwanted: threading.Event,
    by_blocks: Opened | None,
) -> Outcome:
    """Stores nothing, or nothing that stays, once `unwanted` is set.

    Raises:
        WrongState: it is set.
    """

    def go_on(fraction: float) -> None:
        if unwanted.is_set():
            raise WrongState("The run is not wanted any more.")
        tell(fraction)

    run, storage = order.run, config.open()
    plan = plan_of_record(order.imagery, run.wish)
    heatmap, index = heatmap_key(order.tenant, run.id), index_key(order.tenant, run.id)
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="orthoray-run-")))
        assets = order.imagery.assets
        with telemetry.step("read"):
            sources = (
                by_blocks.sources if by_blocks else opened.enter_context(for_bands(storage, order, plan))
            )
        heatmap_path, index_path = folder / "heatmap.png", folder / "index.tif"
        with telemetry.step("compute"):
            findings = analyse_files(
                sources,
                [asset.filename for asset in assets],
                plan,
                language=run.language,
                heatmap_path=heatmap_path,
                index_path=index_path,
                progress=lambda fraction: go_on(0.95 * fraction),
                elsewhere=by_blocks.elsewhere if by_blocks else None,
            )
        go_on(0.95)
        with telemetry.step("write"):
            storage.put_file(config.heatmaps, index, index_path, "image/tiff")
            if not unwanted.is_set():
                storage.put_file(config.heatmaps, heatmap, heatmap_path, "image/png")
    if unwanted.is_set():
        # Whoever cleaned up after the run may have been here before these came.
        for key in (index, heatmap):
            storage.delete(config.heatmaps, key)
        raise WrongState("The run is not wanted any more.")
    findings.provenance["image_sha256"] = order.imagery.sha256
    findings.provenance["way"] = "blocks" if by_blocks else "one task"
    findings.provenance["device"] = by_blocks.device if by_blocks else "cpu"
    return Outcome(
        **findings.model_dump(), heatmap_bucket=config.heatmaps, heatmap_key=heatmap, index_key=index
    )


def render_order(config: StorageConfig, order: ReportOrder) -> str:
    """What `render_report` does, without Ray."""
    storage, language = config.open(), order.report.language
    run, styling = in_language(order.run, language), read_styling()
    with telemetry.step("read"):
        original = _picture(storage, config.imagery, thumbnail_key(order.tenant, order.imagery.id))
        heatmap = _picture(storage, run.heatmap_bucket, run.heatmap_key)
    content = content_from_records(
        run.model_dump(mode="json"),
        order.imagery.model_dump(mode="json"),
        language=language,
        report_id=str(order.report.id),
        created_at=datetime.now(UTC),
        original=original,
        heatmap=heatmap,
        legend=run.legend,
        index_text=styling.index_text(run.index_type, language),
        crop_text=styling.crop_text(crop_of(run), language),
        palette=styling.palette,
    )
    with telemetry.step("draw"):
        pdf = report_pdf(content)
    key = report_key(order.tenant, order.report.id)
    with telemetry.step("write"):
        storage.put_bytes(config.reports, key, pdf, "application/pdf")
    return key


def _picture(storage: Storage, bucket: str | None, key: str | None) -> bytes | None:
    """None where the picture is gone: the report says so in its place."""
    try:
        return storage.get_bytes(bucket, key) if bucket and key else None
    except NotFound:
        return None
