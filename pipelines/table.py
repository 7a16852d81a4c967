"""The table of a batch: one row an image, as a Parquet file. Its schema is part of the public contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from orthoray.batches import ItemResult, ItemRow

CLASSES = ("healthy", "mild_stress", "severe_stress", "critical")
_COUNTS = ("valid_pixels", "nodata_pixels", "invalid_pixels", "background_pixels", "out_of_range_pixels")
_VALUES = ("min", "max", "mean", "std", "median", "p2", "p98", "percentile_error", "area_m2")
_BOUNDS = ("west", "south", "east", "north")
# Rows of a row group; so many are in memory at once, some ten kilobytes each as Python's objects.
_GROUP = 2_000

SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        ("error", pa.string()),
        pa.field("filename", pa.string(), nullable=False),
        ("imagery_id", pa.string()),
        ("image_sha256", pa.string()),
        ("key", pa.string()),
        ("index_type", pa.string()),
        ("captured_at", pa.timestamp("us", tz="UTC")),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("band_count", pa.int32()),
        ("dtype", pa.string()),
        ("epsg", pa.int32()),
        ("gsd_m", pa.float64()),
        *((name, pa.float64()) for name in _BOUNDS),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        *((name, pa.int64()) for name in _COUNTS),
        *((name, pa.float64()) for name in _VALUES),
        *(
            (f"{name}_{what}", kind)
            for name in CLASSES
            for what, kind in (("pixels", pa.int64()), ("percent", pa.float64()), ("area_m2", pa.float64()))
        ),
        ("cuts", pa.list_(pa.float64())),
        ("conclusion", pa.string()),
        ("warnings", pa.list_(pa.string())),
        ("heatmap", pa.string()),
        ("index_raster", pa.string()),
        ("preview", pa.string()),
        ("provenance", pa.string()),
    ]
)


class TableFile:
    """The Parquet file (zstd) while it is written, row by row; a context. Images that failed have a row too, with their reason
    and nothing else."""

    def __init__(self, path: Path, batch_id: UUID) -> None:
        self._schema = SCHEMA.with_metadata({"orthoray:batch": str(batch_id)})
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[dict[str, Any]] = []

    def add(self, row: ItemRow) -> None:
        self._waiting.append(_record(row))
        if len(self._waiting) == _GROUP:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._waiting, self._schema))
        self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def _record(row: ItemRow) -> dict[str, Any]:
    found = {"source": row.source, "filename": row.name, "status": row.status, "error": row.error}
    return found if row.result is None else {**found, **_facts(row.result)}


def _facts(result: ItemResult) -> dict[str, Any]:
    imagery, findings = result.imagery, result.findings
    statistics = findings.statistics
    provenance = findings.provenance
    facts: dict[str, Any] = {
        "imagery_id": str(imagery.id),
        "image_sha256": imagery.sha256,
        "key": result.key,
        "index_type": provenance.get("index"),
        "captured_at": imagery.captured_at,
        "width": imagery.width,
        "height": imagery.height,
        "band_count": imagery.band_count,
        "dtype": imagery.dtype,
        "epsg": (imagery.crs or {}).get("epsg"),
        "gsd_m": imagery.gsd_m,
        "latitude": imagery.gps.latitude if imagery.gps else None,
        "longitude": imagery.gps.longitude if imagery.gps else None,
        "cuts": (provenance.get("thresholds") or {}).get("cuts"),
        "conclusion": findings.conclusion,
        "warnings": [note.text for note in findings.warnings],
        "heatmap": result.files.get("heatmap"),
        "index_raster": result.files.get("index"),
        "preview": result.files.get("preview"),
        "provenance": json.dumps(provenance, ensure_ascii=False),
    }
    facts |= dict(zip(_BOUNDS, imagery.bounds_wgs84 or (None,) * 4, strict=True))
    facts |= {name: getattr(statistics, name) for name in (*_COUNTS, *_VALUES)}
    for row in statistics.classes:
        facts |= {f"{row.name}_{what}": getattr(row, what) for what in ("pixels", "percent", "area_m2")}
    return facts
