"""Folders of small images, and batches of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
from rasters import RGBN, UTM, fields, write_bands

from orthoray.batches import BatchRequest, ItemRef, ItemResult
from orthoray.contracts import CalibrationRecord, Findings, Imagery
from pipelines.batch import read_request

BATCH = UUID(int=7)


def write_images(folder: Path, count: int, *, broken: bool = False, side: int = 12) -> Path:
    """Images `field-000.tif` ... of which every other one is on the map, no two alike; with `broken` one that is no image."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        bands = fields(side, side)
        bands[3, 0, 0] = np.float32(0.3 + number / 1000)
        write_bands(folder / f"field-{number:03}.tif", bands, RGBN, **(UTM if number % 2 else {}))
    if broken:
        (folder / "broken.tif").write_bytes(b"II*\0rubbish")
    return folder


def a_request(source: Path | str | None, **wanted: object) -> BatchRequest:
    return read_request(prefix=None if source is None else str(source), index="NDVI", **wanted)  # type: ignore[arg-type]


def a_ref(source: str, version: str = "1") -> ItemRef:
    return ItemRef(source=source, version=version, name=source)


def a_result(key: str = "k", batch_id: UUID = BATCH) -> ItemResult:
    """The result of an image that says little of itself."""
    from fakes import an_outcome

    outcome = an_outcome(UUID(int=1))
    return ItemResult(
        key=key,
        batch_id=batch_id,
        imagery=an_imagery(),
        findings=Findings.model_validate(outcome.model_dump()),
        files={"heatmap": f"heatmaps/field-{key}.png", "index": f"indices/field-{key}.tif"},
    )


def an_imagery(**facts: object) -> Imagery:
    known = {
        "id": UUID(int=3),
        "original_filename": "field.tif",
        "bucket": "",
        "object_key": "/images/field.tif",
        "content_type": "image/tiff",
        "size_bytes": 10,
        "sha256": "0" * 64,
        "width": 2,
        "height": 2,
        "band_count": 2,
        "dtype": "uint8",
        "bands": {"R": 1, "N": 2},
        "bands_source": "caller",
        "calibration": CalibrationRecord(state="dn", scales=[1, 1], offsets=[0, 0], source="none"),
        "created_at": datetime(2026, 5, 1, tzinfo=UTC),
    }
    return Imagery.model_validate({**known, **facts})
