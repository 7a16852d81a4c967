"""NDVI of a large raster over the nodes of a cluster; as a program: `over_nodes.py ADDRESS RASTER OUT`.

The program writes, as JSON, the digest of the index raster, the statistics, and the MB that were this process's own at most.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from nodes import MemoryWatch

from orthoray.spectral.bands import BandMap
from orthoray.spectral.engine import analyse_bands
from orthoray.spectral.stack import inspect_stack
from pipelines.raster import OnRay
from pipelines.windows import LocalFiles

# Those of the orthomosaics of the benchmarks.
NAMES = BandMap(("B", "G", "R", "RE1", "N"), "caller")


def analyse(raster: Path, out: Path, cluster: str | None) -> tuple[str, str]:
    """The SHA-256 of the index raster and the statistics as text; by the cluster that this process has joined, or alone."""
    elsewhere = OnRay(LocalFiles((raster,)), [raster]) if cluster else None
    found = analyse_bands(
        inspect_stack([raster]),
        "NDVI",
        band_map=NAMES,
        cuts=(0.6, 0.4, 0.2),
        index_path=out,
        elsewhere=elsewhere,
    )
    with out.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    out.unlink()
    return digest, repr(found.statistics)


if __name__ == "__main__":
    import ray

    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
    with MemoryWatch({}, own=True) as watch:
        digest, statistics = analyse(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[1])
    ray.shutdown()
    sys.stdout.write(
        json.dumps({"digest": digest, "statistics": statistics, "joining_mb": watch.busiest["own"]}) + "\n"
    )
