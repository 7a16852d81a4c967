"""Batches: many images analysed in one job. The records that a job and its ledger exchange, and that clients read."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import PurePath
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import BaseModel, ConfigDict, model_validator

from orthoray.contracts import Findings, Imagery, Language
from orthoray.options import AnalysisWish
from orthoray.storage.keys import safe_filename

BatchStatus = Literal["running", "completed", "failed"]
ItemStatus = Literal["waiting", "processing", "completed", "failed"]
Bounds = tuple[float, float, float, float]

CATALOGUE = ""
"""The source that is the whole catalogue."""
# What tells of a whole batch, below its folder.
TABLE = "statistics.parquet"
COLLECTION = "collection.json"
SUMMARY = "summary.pdf"
FILE_TYPES = {
    ".png": "image/png",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
}
"""The media types of what a batch writes, by suffix."""


class BatchRequest(BaseModel):
    """Which images, and what is computed of each; `report` asks for the summary as a PDF too.

    `source` is empty for the catalogue, else a prefix in storage (`s3://bucket/prefix/`) or an absolute folder. The
    filters are the catalogue's; `bbox` is west, south, east, north in degrees.
    """

    model_config = ConfigDict(extra="forbid")

    source: str = CATALOGUE
    bbox: Bounds | None = None
    captured_after: datetime | None = None
    captured_before: datetime | None = None
    wish: AnalysisWish = AnalysisWish(index_type="NDVI")
    language: Language = "en"
    report: bool = False

    @model_validator(mode="after")
    def _filters_need_the_catalogue(self) -> BatchRequest:
        if self.source != CATALOGUE and (self.bbox or self.captured_after or self.captured_before):
            raise ValueError(
                "place and time select from the catalogue only: leave out the prefix or the filters"
            )
        return self

    def batch_id(self, tenant: str) -> UUID:
        """The same request is the same batch, whoever sends it and however often; defaults do not count, so that an option
        which is added one day changes no id."""
        asked = digest_of(self.model_dump(mode="json", exclude={"report"}, exclude_defaults=True))
        return uuid5(NAMESPACE_URL, f"orthoray:batch:{tenant}:{asked}")


class ItemRef(BaseModel):
    """One image of a batch. `source` is its place (a key, a path, an id in the catalogue), `version` tells one content of
    that place from the next, and people know it by `name`."""

    source: str
    version: str
    name: str


class ItemResult(BaseModel):
    """What was found in one image.

    `key` says by which content and parameters; `files` are names below the folder of batch `batch_id`, by role
    (heatmap, index, preview).
    """

    key: str
    batch_id: UUID
    imagery: Imagery
    findings: Findings
    files: dict[str, str]

    @property
    def name(self) -> str:
        return result_name(self.imagery.original_filename, self.key)


class ItemRow(ItemRef):
    """The state of one image of a batch."""

    status: ItemStatus
    error: str | None = None
    result: ItemResult | None = None


class Batch(BaseModel):
    """A batch and how far it is; its results are in `bucket` below `prefix`, which a person finds at `place`."""

    id: UUID
    status: BatchStatus
    request: BatchRequest
    bucket: str
    prefix: str
    place: str
    total: int = 0
    completed: int = 0
    failed: int = 0
    error: str | None = None
    created_at: datetime
    completed_at: datetime | None = None

    @property
    def open(self) -> int:
        """How many images are still to be done."""
        return self.total - self.completed - self.failed


def digest_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def item_key(imagery: Imagery, parameters: str) -> str:
    """What a result depends on: the content of the files, what the record says of it, and the parameters' digest."""
    return digest_of(
        {
            "image": imagery.sha256,
            "parameters": parameters,
            "record": imagery.model_dump(
                mode="json",
                include={"bands", "alpha_band", "sensor", "raw_capture", "calibration"},
            ),
        }
    )


def result_name(filename: str, key: str) -> str:
    """How the files of a result are called before their suffixes: a name that people know, and of which content it is."""
    return f"{safe_filename(PurePath(filename).stem)}-{key[:12]}"
