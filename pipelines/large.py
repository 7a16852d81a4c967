"""Which way a run goes: a large imagery by blocks over the whole cluster, any other in one task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, cast

import ray
import structlog
from ray import ObjectRefGenerator

from orthoray.contracts import Outcome
from orthoray.logs import configure_logs
from orthoray.ports import RunOrder
from orthoray.spectral.formats import TIFF
from orthoray.storage.config import StorageConfig
from orthoray.telemetry import TRACED_AS, start_tracing
from pipelines.nodes import LOOK_S, Demand, Patience, alive_nodes, cluster_resources, placed
from pipelines.planning import plan_of_record
from pipelines.raster import OnRay, best_placement, fetched
from pipelines.single import obstacle
from pipelines.tasks import Opened, analyse_object, analyse_order, demand_of, this_node
from pipelines.windows import LocalFiles, WindowFiles, remote_files

LARGE_AT_ONCE = 2
"""Each takes all CPUs; more of them would only hold memory that their blocks wait for."""
# What joins the blocks holds the picture, some finished blocks and what draws the heatmap. It takes no CPU from the blocks.
_JOINING = Demand(0, 600_000_000, share=0.5 / LARGE_AT_ONCE)

log = structlog.get_logger(__name__)


def task_for(order: RunOrder, large_pixels: int) -> tuple[Any, Demand]:
    """The Ray task for a run, `analyse_large_object` for TIFFs from `large_pixels` on, else `analyse_object`; and its demand."""
    imagery = order.imagery
    is_tiff = all(asset.content_type == TIFF.media_type for asset in imagery.images)
    if is_tiff and imagery.width * imagery.height >= large_pixels:
        return analyse_large_object, _JOINING
    return analyse_object, demand_of(order)


# As to retries see `analyse_object`.
@ray.remote(num_cpus=0, max_retries=0)
def analyse_large_object(
    config: StorageConfig, order: RunOrder, carried: Mapping[str, str]
) -> Iterator[str | float | Outcome]:
    """What `analyse_object` does, by blocks over the cluster where that is possible and there is more than one CPU."""
    configure_logs()
    start_tracing(TRACED_AS)
    yield this_node()
    with _by_blocks(config, order) as (opened, reason):
        if opened is not None:
            yield from analyse_order(config, order, opened, carried, patience_s=None)
            return
    log.info("analysed in one task", run_id=str(order.run.id), reason=reason)
    # Ray's types do not know that the reference to a generator's result is itself a generator of references.
    demand = replace(demand_of(order), share=0.5)  # for this task keeps its own memory meanwhile
    task = analyse_object.options(**placed(demand, alive_nodes()))
    stream = cast(ObjectRefGenerator, task.remote(config, order, carried))
    patience = Patience(demand)
    while not ray.wait([stream], timeout=LOOK_S)[0]:
        patience.check()
    for reference in stream:
        yield fetched(reference)


@contextmanager
def _by_blocks(config: StorageConfig, order: RunOrder) -> Iterator[tuple[Opened | None, str]]:
    """The imagery's files as they can be described here, and who computes their blocks; or None and why not."""
    if cluster_resources().get("CPU", 0) < 2:
        yield None, "there is one CPU only"
        return
    bucket, assets = order.run.imagery_bucket, order.imagery.assets
    keys = [asset.object_key for asset in assets]
    with ExitStack() as opened:
        files: WindowFiles
        if config.endpoint:
            files = remote_files(config, [(bucket, key) for key in keys])
        else:
            storage = config.open()
            files = LocalFiles(tuple(opened.enter_context(storage.local_path(bucket, key)) for key in keys))
        paths = opened.enter_context(files.described())
        plan = plan_of_record(order.imagery, order.run.wish)
        reason = obstacle(paths, [asset.filename for asset in assets], plan)
        if reason is None:
            placement = best_placement()
            yield Opened(paths, OnRay(files, paths, placement), placement.device or "cpu"), ""
        else:
            yield None, reason
