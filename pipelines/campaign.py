"""A batch from its images to its table, collection and summary. The work on the images is spread by Ray Data; the rows are
the ledger's, so a batch that was cut off goes on where it was."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from orthoray.batches import COLLECTION, SUMMARY, TABLE, ItemResult, ItemRow
from orthoray.errors import OrthoRayError
from orthoray.logs import configure_logs
from orthoray.spectral.loops import load_compiled
from pipelines.images import Ended, Job, do_item
from pipelines.output import RESULT_FOLDERS, content_type_of
from pipelines.planning import old_indices
from pipelines.services import insist
from pipelines.sources import Item
from pipelines.stac import collection_dict, item_dict, item_file
from pipelines.summary import summary_pdf
from pipelines.table import table_bytes

# Images of one task. Their rows are written one by one, so a lost task costs one image; more of them would leave
# processors idle at the end.
MAX_PER_TASK = 8
TASKS_PER_CPU = 8
# What the engine takes for an image of any size, Python and its libraries included.
TASK_MEMORY_BYTES = 700 * 1024**2
# OLD's functions hold whole photos.
OLD_BYTES_PER_PIXEL = 30
# Of a JPEG of usual quality.
PIXELS_PER_BYTE = 4

# Small files that are on their way to storage at once.
_WRITING = 8


Spread = Callable[[Job, Sequence[Item]], Iterable[Ended]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Tally:
    """How a batch ended: images by state, and how many of them this job did not have to touch."""

    total: int
    completed: int
    failed: int
    known: int
    place: str

    @property
    def unfinished(self) -> int:
        return self.total - self.completed - self.failed


def run_campaign(
    job: Job, items: Sequence[Item], *, spread: Spread, tell: Callable[[int, int], None] | None = None
) -> Tally:
    """Do what is missing of a batch, and write what tells of all of it; may be repeated, at any point.

    `spread` carries the images to where they are analysed: `on_ray`, or `in_turn` in this process. `tell` hears how many
    of how many are over.

    Raises:
        OrthoRayError: the ledger or the output cannot be used. An image that cannot be analysed raises nothing.
    """
    job.ledger.open(job.request, job.parameters, items)
    try:
        rows, known = _carried_out(job, items, spread, tell)
    except Exception as error:
        reason = error.detail if isinstance(error, OrthoRayError) else f"unexpected: {type(error).__name__}"
        with suppress(OrthoRayError):
            job.ledger.close(f"The batch was interrupted ({reason}): submit it again.")
        raise
    states = Counter(row.status for row in rows)
    tally = Tally(len(rows), states["completed"], states["failed"], known, job.output.place)
    left = f"{tally.unfinished} images are not done: submit the batch again." if tally.unfinished else None
    job.ledger.close(left)
    return tally


def _carried_out(
    job: Job, items: Sequence[Item], spread: Spread, tell: Callable[[int, int], None] | None
) -> tuple[list[ItemRow], int]:
    """All rows of the batch, after what was missing has been done and written, and how many were known before."""
    waiting = job.ledger.waiting()
    todo = [item for item in items if item.source in waiting]
    known = len(items) - len(todo)
    ends: Counter[str] = Counter()
    for end in spread(job, todo) if todo else ():
        ends[end] += 1
        if tell is not None:
            tell(known + ends.total(), len(items))
    log.info("images done", **ends)
    rows = list(job.ledger.rows())
    insist(lambda: _write(job, rows))
    return rows, known


def in_turn(job: Job, items: Sequence[Item]) -> Iterator[Ended]:
    """One image after another, in this process."""
    for item in items:
        yield do_item(job, item)


def on_ray(job: Job, items: Sequence[Item]) -> Iterator[Ended]:
    """On all processors of the cluster, by Ray Data.

    Tasks, not actors: a task of a lost node begins anew on any other, while an actor waits for room to be made again. Ray
    Data starts a task again for as long as it takes; how often one image may end its process is what `do_item` decides.
    """
    import ray  # here, both: a batch in one process needs no Ray

    from pipelines.raster import on_some_node

    def do_row(row: dict[str, Any]) -> dict[str, Any]:
        configure_logs()
        load_compiled()
        item = Item.model_validate_json(row["item"])
        return {"source": item.source, "end": do_item(job, item)}

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    cpus = float(ray.cluster_resources().get("CPU", 1.0))  # type: ignore[no-untyped-call]  # Ray gives it no types
    blocks = math.ceil(len(items) / per_task(len(items), cpus))
    rows = ray.data.from_items(
        [{"item": item.model_dump_json()} for item in items], override_num_blocks=blocks
    ).map(
        do_row,
        num_cpus=1,
        memory=on_some_node(memory_needed(job, items)),
    )
    for row in rows.iter_rows():
        yield row["end"]


def per_task(images: int, cpus: float) -> int:
    """How many images one task takes."""
    return min(MAX_PER_TASK, max(1, math.ceil(images / (TASKS_PER_CPU * cpus))))


def memory_needed(job: Job, items: Iterable[Item]) -> int:
    """Bytes that a task must be able to take; Ray starts no more on a node than fit there."""
    by_old = job.request.wish.index_type.strip().lower() in {name.lower() for name in old_indices()}
    pixels = max((_pixels(item) for item in items), default=0) if by_old else 0
    return TASK_MEMORY_BYTES + OLD_BYTES_PER_PIXEL * pixels


def _pixels(item: Item) -> int:
    if item.imagery is not None:
        return item.imagery.width * item.imagery.height
    return PIXELS_PER_BYTE * sum(file.size_bytes for file in item.files)


def _write(job: Job, rows: Sequence[ItemRow]) -> None:
    """The table, the STAC collection with its items, the summary; and nothing is left of results that are no more."""
    output, request = job.output, job.request
    batch_id = job.ledger.batch_id

    def put(name: str, data: bytes) -> None:
        output.put_bytes(name, data, content_type_of(name))

    results = list({row.result.name: row.result for row in rows if row.result is not None}.values())
    with ThreadPoolExecutor(_WRITING) as pool:
        list(pool.map(lambda result: put(item_file(result), _json(item_dict(result))), results))
    if results:
        put(COLLECTION, _json(collection_dict(results)))
    put(TABLE, table_bytes(rows, batch_id))
    if request.report:
        put(SUMMARY, summary_pdf(rows, request, output, batch_id=batch_id, created_at=datetime.now(UTC)))
    output.keep_only(RESULT_FOLDERS, _names(results))


def _names(results: Iterable[ItemResult]) -> set[str]:
    return {name for result in results for name in (*result.files.values(), item_file(result))}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False).encode()
