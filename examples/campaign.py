"""A campaign of a season: one batch for each flight, and one table of how the fields changed.

    python examples/campaign.py flights/ results/

`flights/` has a folder for each flight, called by its day (`2026-05-01`, `2026-06-01`, ...), with the images in it. Each
becomes a batch with its own folder of results: heatmaps, index rasters, a STAC collection, `statistics.parquet` and
`summary.pdf`. Run it again after the next flight: only that one is computed.

It uses the installed package alone: no server has to run. Ray starts here for the time of the script, on all processors
of this machine; with RAY_ADDRESS set the work goes to that cluster, if all of its nodes see both folders.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray

from pipelines.batch import read_request, run_batch


def season(flights: Path, results: Path, index: str = "NDVI") -> pa.Table:
    """Analyse every flight and return one row for each: day, images, those that failed, mean, healthy percent."""
    rows = []
    for flight in sorted(path for path in flights.iterdir() if path.is_dir()):
        request = read_request(prefix=str(flight), index=index, report=True)
        out = results / flight.name
        tally = run_batch(request, out)
        images = pq.read_table(out / "statistics.parquet")
        done = images.filter(pc.equal(images["status"], "completed"))
        rows.append(
            {
                "day": flight.name,
                "images": tally.total,
                "failed": tally.failed,
                "mean": weighted(done, "mean"),
                "healthy_percent": weighted(done, "healthy_percent"),
            }
        )
    return pa.Table.from_pylist(rows)


def weighted(images: pa.Table, column: str) -> float | None:
    """The mean of a column in which every pixel counts the same, whatever the sizes of the images."""
    pixels = pc.sum(images["valid_pixels"]).as_py()
    return pc.sum(pc.multiply(images[column], images["valid_pixels"])).as_py() / pixels if pixels else None


def main() -> None:
    """Write `season.parquet` into the folder of results, and show it."""
    parser = argparse.ArgumentParser(description="One batch for each flight, and a table of the season.")
    parser.add_argument("flights", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--index", default="NDVI")
    asked = parser.parse_args()
    ray.init(os.environ.get("RAY_ADDRESS", "local"), log_to_driver=False)
    table = season(asked.flights, asked.results, asked.index)
    pq.write_table(table, asked.results / "season.parquet")
    for row in table.to_pylist():
        mean = "-" if row["mean"] is None else f"{row['mean']:.3f}"
        sys.stdout.write(f"{row['day']}  {row['images']} images, {row['failed']} failed, mean {mean}\n")


if __name__ == "__main__":
    main()
