"""Which way a run goes: a large imagery by blocks over the whole cluster, any other in one task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import ray
import structlog
from ray import ObjectRefGenerator

from orthoray.contracts import Outcome
from orthoray.logs import configure_logs
from orthoray.ports import RunOrder
from orthoray.spectral.formats import TIFF
from orthoray.storage.config import StorageConfig
from orthoray.telemetry import start_tracing
from pipelines.planning import plan_of_record
from pipelines.raster import OnRay, best_placement, cluster_resources, fetched
from pipelines.single import obstacle
from pipelines.tasks import TRACED_AS, Opened, analyse_object, analyse_order, this_node
from pipelines.windows import LocalFiles, WindowFiles, remote_files

LARGE_PIXELS = 200_000_000
"""From here on spreading a raster over processors saves more time than it costs."""
# What joins the blocks holds the picture, some finished blocks and what draws the heatmap.
_JOINING_BYTES = 600_000_000
# Its disk and memory are better taken from nodes that compute than from those of the services.
_NOT_BESIDE_SERVICES = {"role": "!in(head,services)"}

log = structlog.get_logger(__name__)


def task_for(order: RunOrder, large_pixels: int = LARGE_PIXELS) -> Any:
    """The Ray task for a run: `analyse_large_object` from `large_pixels` on, else `analyse_object`."""
    imagery = order.imagery
    is_tiff = all(asset.content_type == TIFF.media_type for asset in imagery.images)
    is_large = imagery.width * imagery.height >= large_pixels
    return analyse_large_object if is_tiff and is_large else analyse_object


# It only waits for blocks and joins them, so it takes no CPU from them. As to retries see `analyse_object`.
@ray.remote(num_cpus=0, memory=_JOINING_BYTES, max_retries=0, label_selector=_NOT_BESIDE_SERVICES)
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
    stream = cast(ObjectRefGenerator, analyse_object.remote(config, order, carried))
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
