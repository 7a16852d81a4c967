"""What one analysis takes of memory, beside what its task asks Ray for, and what the report on it takes.

    python -m benchmarks.memory FILE [INDEX [BANDS]]

Each stage runs alone in a process of its own, as a worker does it, on a storage folder. Counted is the memory that is the
process's own (RssAnon: neither files nor shared memory), asked for every 10 ms.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from orthoray.contracts import AnalysisRun, Imagery, Outcome, Report
from orthoray.keys import imagery_key, report_id, thumbnail_key
from orthoray.ports import ReportOrder, RunOrder, StoredFile, Upload
from orthoray.storage.config import StorageConfig
from pipelines.facts import describe
from pipelines.tasks import RENDERING, analyse_order, demand_of, render_order

TENANT = "default"
_EVERY_S = 0.01
Found = TypeVar("Found")


def own_mb() -> float:
    """MB of 2**20 bytes that are this process's own."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def watched(work: Callable[[], Found]) -> tuple[Found, float]:
    """What the work gives, and the most memory that it had meanwhile."""
    over, most = threading.Event(), [own_mb()]

    def watch() -> None:
        while not over.wait(_EVERY_S):
            most.append(max(most[-1], own_mb()))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    found = work()
    over.set()
    thread.join()
    return found, max(most[-1], own_mb())


def catalogued(config: StorageConfig, file: Path, index: str, bands: str | None) -> RunOrder:
    """A run of a file that lies in storage, as the services make it."""
    storage, imagery_id = config.open(), uuid4()
    storage.ensure_buckets(config.buckets)
    key = imagery_key(TENANT, imagery_id, file.name)
    storage.put_file(config.imagery, key, file)
    stored = StoredFile(filename=file.name, object_key=key, size_bytes=file.stat().st_size, sha256="0" * 64)
    upload = Upload(id=imagery_id, files=[stored])
    record, thumbnail = describe([file], upload, bucket=config.imagery, max_pixels=10**10)
    storage.put_bytes(config.imagery, thumbnail_key(TENANT, imagery_id), thumbnail)
    now = datetime.now(UTC)
    run = AnalysisRun(
        id=uuid4(),
        imagery_id=imagery_id,
        index_type=index,
        status="processing",
        auto_report=True,
        language="ru",
        bands=bands,
        imagery_bucket=config.imagery,
        imagery_object_key=key,
        created_at=now,
    )
    return RunOrder(run=run, imagery=Imagery(**record, created_at=now), tenant=TENANT)


def analysed(config: StorageConfig, order: RunOrder) -> tuple[Outcome, float]:
    def work() -> Outcome:
        *_, outcome = analyse_order(config, order)
        assert isinstance(outcome, Outcome)
        return outcome

    return watched(work)


def rendered(config: StorageConfig, order: RunOrder, outcome: Outcome) -> float:
    now = datetime.now(UTC)
    run = order.run.model_copy(update={**dict(outcome), "status": "completed", "completed_at": now})
    report = Report(
        id=report_id(run.id, run.language),
        analysis_run_id=run.id,
        status="processing",
        language=run.language,
        created_at=now,
    )
    wanted = ReportOrder(report=report, run=run, imagery=order.imagery, tenant=TENANT)
    return watched(lambda: render_order(config, wanted))[1]


def alone(work: Callable[..., Found], *arguments: Any) -> Found:
    """What a function gives in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def main(file: str, index: str = "NDVI", bands: str | None = None) -> None:
    """Prints a line for each stage."""
    with tempfile.TemporaryDirectory(prefix="orthoray-memory-") as folder:
        config = StorageConfig(root=Path(folder))
        order = alone(catalogued, config, Path(file), index, bands)
        outcome, analysis = alone(analysed, config, order)
        report = alone(rendered, config, order, outcome)
    megapixels = order.imagery.width * order.imagery.height / 1e6
    for what, held, asked in (
        (f"{index} of {megapixels:.0f} megapixels", analysis, demand_of(order).memory),
        ("its report", report, RENDERING.memory),
    ):
        sys.stdout.write(f"{what}: {held:.0f} MB of the {asked / 2**20:.0f} MB that are asked for\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
