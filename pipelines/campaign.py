"""A batch from its images to its table, collection and summary. The work on the images is spread by Ray Data; the rows are
the ledger's, so a batch that was cut off goes on where it was."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from orthoray import telemetry
from orthoray.errors import OrthoRayError
from orthoray.logs import configure_logs
from orthoray.spectral.loops import load_compiled
from pipelines.demands import analysis_memory
from pipelines.images import TRACED_AS, Ended, Job, do_item
from pipelines.services import insist
from pipelines.signs import SignsOfLife
from pipelines.sources import Item, Items
from pipelines.writing import remove_results, write_results

if TYPE_CHECKING:
    from pipelines.raster import Placement

# Images of one task. Their rows are written one by one, so a lost task costs one image; more of them would leave
# processors idle at the end.
MAX_PER_TASK = 8
TASKS_PER_CPU = 8

Spread = Callable[[Job, Items], Iterable[Ended]]

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
    job: Job, items: Iterable[Item], *, spread: Spread, tell: Callable[[int, int], None] | None = None
) -> Tally:
    """Do what is missing of a batch, and write what tells of all of it; may be repeated, at any point.

    `spread` carries the images to where they are analysed: `on_ray`, or `in_turn` in this process. `tell` hears how many
    of how many are over.

    Raises:
        WrongState: another driver has taken over the batch.
        OrthoRayError: the ledger or the output cannot be used. An image that cannot be analysed raises nothing.
    """
    listed = items if isinstance(items, Items) else Items(items)
    ids = {"batch_id": str(job.ledger.batch_id)}
    with telemetry.step("batch", ids, root=True, attributes={"orthoray.images": len(listed)}):
        job = job.begun(listed)
        try:
            with SignsOfLife(job.ledger) as signs:
                states, known = _carried_out(job, listed, spread, tell, signs)
        except Exception as error:
            reason = (
                error.detail if isinstance(error, OrthoRayError) else f"unexpected: {type(error).__name__}"
            )
            with suppress(OrthoRayError):  # it may be another driver's
                job.ledger.close(f"The batch was interrupted ({reason}): submit it again.")
            raise
        tally = Tally(states.total(), states["completed"], states["failed"], known, job.output.place)
        left = (
            f"{tally.unfinished} images are not done: submit the batch again." if tally.unfinished else None
        )
        job.ledger.close(left)
        telemetry.note({"orthoray.completed": tally.completed, "orthoray.failed": tally.failed})
        return tally


def _carried_out(
    job: Job, items: Items, spread: Spread, tell: Callable[[int, int], None] | None, signs: SignsOfLife
) -> tuple[Counter[str], int]:
    """The images of the batch by state, after what was missing has been done and written, and how many were known before."""
    todo = items.only(job.ledger.waiting())
    known = len(items) - len(todo)
    if todo:
        signs.ask()
        insist(lambda: remove_results(job.output))
    ends: Counter[str] = Counter()
    for end in spread(job, todo) if todo else ():
        signs.expect_own()
        ends[end] += 1
        if tell is not None:
            tell(known + ends.total(), len(items))
    log.info("images done", **ends)
    return insist(lambda: write_results(job.request, job.ledger, job.output, signs.ask)), known


def in_turn(job: Job, items: Iterable[Item]) -> Iterator[Ended]:
    """One image after another, in this process."""
    for item in items:
        yield do_item(job, item)


def on_ray(job: Job, items: Iterable[Item], placement: Placement | None = None) -> Iterator[Ended]:
    """On all processors of the cluster, by Ray Data; the index on its GPUs, where it has some that can be used.

    Tasks, not actors: a task of a lost node begins anew on any other, while an actor waits for room to be made again. Ray
    Data starts a task again for as long as it takes; how often one image may end its process is what `do_item` decides.
    """
    import ray  # here, all: a batch in one process needs no Ray

    from pipelines.nodes import Demand, alive_nodes, cluster_resources, placed
    from pipelines.offload import device_of
    from pipelines.raster import best_placement

    listed = items if isinstance(items, Items) else Items(items)
    place = placement or best_placement()
    device = device_of(place)

    def do_row(row: dict[str, Any]) -> dict[str, Any]:
        configure_logs()
        telemetry.start_tracing(TRACED_AS)
        load_compiled()
        item = Item.model_validate_json(row["item"])
        return {"source": item.source, "end": do_item(job, item, device)}

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    options = placed(Demand(1, memory_needed(job, listed)), alive_nodes())
    if place.cpu_labels:
        options |= {"label_selector": dict(place.cpu_labels), "fallback_strategy": None}
    blocks = math.ceil(len(listed) / per_task(len(listed), cluster_resources().get("CPU", 1.0)))
    rows = ray.data.from_items([{"item": text} for text in listed.texts], override_num_blocks=blocks).map(
        do_row, **options
    )
    for row in rows.iter_rows():
        yield row["end"]


def per_task(images: int, cpus: float) -> int:
    """How many images one task takes."""
    return min(MAX_PER_TASK, max(1, math.ceil(images / (TASKS_PER_CPU * cpus))))


def memory_needed(job: Job, items: Items) -> int:
    """Bytes that a task must be able to take; Ray starts no more on a node than fit there."""
    return analysis_memory(job.request.wish.index_type, items.most_pixels, by_windows=items.are_tiffs)
