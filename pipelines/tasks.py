"""The Ray tasks of single runs and reports: from storage to storage, idempotent, under keys that depend on ids alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue

import ray

from orthoray import telemetry
from orthoray.contracts import Outcome
from orthoray.errors import NotFound, OrthoRayError, WrongState
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
from pipelines.demands import analysis_memory
from pipelines.nodes import Demand
from pipelines.planning import plan_of_record
from pipelines.readable import for_bands
from pipelines.scratch import scratch_folder
from pipelines.single import analyse_files
from pipelines.styling import crop_of, read_styling
from pipelines.wording import in_language

PROGRESS_INTERVAL_S = 0.5
RENDERING = Demand(0.5, 350_000_000)
LOOK_UP_S = 0.2
Step = float | Outcome | BaseException


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
    pixels = imagery.width * imagery.height
    return Demand(1, analysis_memory(order.run.wish.index_type, pixels, by_windows=by_windows))


# The queue retries, with back-off and an end; Ray must not retry beside it.
@ray.remote(num_cpus=1, max_retries=0)
def analyse_object(
    config: StorageConfig, order: RunOrder, carried: Mapping[str, str]
) -> Iterator[str | float | Outcome]:
    """Yields the node that it runs on, fractions 0..1 while it works, at most two a second, and the outcome at the end.

    A task that is cancelled ends when its work has ended, so that whoever cancels it knows, and may lose patience.
    """
    configure_logs()
    telemetry.start_tracing(telemetry.TRACED_AS)
    yield this_node()
    yield from analyse_order(config, order, carried=carried, patience_s=None)
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


def this_node() -> str:
    """A short name of the Ray node that this process runs on."""
    return ray.get_runtime_context().get_node_id()[:12]


def analyse_order(
    config: StorageConfig,
    order: RunOrder,
    by_blocks: Opened | None = None,
    carried: Mapping[str, str] | None = None,
    patience_s: float | None = 0.0,
) -> Iterator[float | Outcome]:
    """What `analyse_object` does, without Ray. Closing the iterator, or cancelling the task, ends the work.

    The iterator waits for that end as long as `patience_s` says, None: whatever it takes.
    """
    steps: SimpleQueue[Step] = SimpleQueue()
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

    worker = threading.Thread(target=work, name="analyse", daemon=True)
    worker.start()
    told_at = 0.0
    try:
        while not isinstance(step := _next_of(steps), Outcome):
            if isinstance(step, BaseException):
                raise step
            if time.monotonic() - told_at >= PROGRESS_INTERVAL_S:
                told_at = time.monotonic()
                yield step
        yield step
    finally:
        unwanted.set()
        worker.join(patience_s)


def _next_of(steps: SimpleQueue[Step]) -> Step:
    """Looks up now and then: a thread that waits in a lock hears of no cancellation."""
    while True:
        try:
            return steps.get(timeout=LOOK_UP_S)
        except Empty:
            continue


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
    heatmap = heatmap_key(order.tenant, run.id, order.attempt)
    index = index_key(order.tenant, run.id, order.attempt)
    with ExitStack() as opened:
        folder = opened.enter_context(scratch_folder())
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
        with telemetry.step("write"), _all_or_none(storage, config.heatmaps, (index, heatmap)):
            storage.move_file(config.heatmaps, index, index_path, "image/tiff")
            go_on(0.97)
            storage.move_file(config.heatmaps, heatmap, heatmap_path, "image/png")
            # Whoever cleaned up after the run may have been here before these came.
            go_on(0.99)
    findings.provenance["image_sha256"] = order.imagery.sha256
    findings.provenance["way"] = "blocks" if by_blocks else "one task"
    findings.provenance["device"] = by_blocks.device if by_blocks else "cpu"
    return Outcome(
        **findings.model_dump(), heatmap_bucket=config.heatmaps, heatmap_key=heatmap, index_key=index
    )


@contextmanager
def _all_or_none(storage: Storage, bucket: str, keys: Sequence[str]) -> Iterator[None]:
    """Remove the objects again when they are not all wanted: they are this attempt's own, so nobody else's are lost."""
    try:
        yield
    except BaseException:
        with suppress(OrthoRayError):  # the service removes them too
            for key in keys:
                storage.delete(bucket, key)
        raise


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
    key = report_key(order.tenant, order.report.id, order.attempt)
    with telemetry.step("write"):
        storage.put_bytes(config.reports, key, pdf, "application/pdf")
    return key


def _picture(storage: Storage, bucket: str | None, key: str | None) -> bytes | None:
    """None where the picture is gone: the report says so in its place."""
    try:
        return storage.get_bytes(bucket, key) if bucket and key else None
    except NotFound:
        return None
