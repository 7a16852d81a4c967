"""Batches: many images analysed in one job. The records that a job and its ledger exchange, and that clients read."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import PurePath
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from orthoray.contracts import Findings, Imagery, Language
from orthoray.moments import Moment
from orthoray.options import AnalysisWish
from orthoray.storage.keys import safe_filename

BatchStatus = Literal["running", "completed", "failed", "interrupted"]
"""`interrupted` is what a running batch is called whose job has given no sign of life lately."""
ItemStatus = Literal["waiting", "processing", "completed", "failed"]
Bounds = tuple[float, float, float, float]

CATALOGUE = ""
"""The source that is the whole catalogue."""
SCHEME = "s3://"
"""How sources in storage begin."""
MAX_SOURCE = 1024
BEAT_S = 10.0
"""How often the job of a batch gives a sign of life."""
SUPERSEDED = "Another job has taken over this batch: this one ends here and removes nothing. What it has computed counts."
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


class BatchWish(BaseModel):
    """What a batch was asked for, as it is shown: of a folder on the server its name alone."""

    source: str = CATALOGUE
    bbox: Bounds | None = None
    captured_after: Moment | None = None
    captured_before: Moment | None = None
    wish: AnalysisWish = AnalysisWish(index_type="NDVI")
    language: Language = "en"
    report: bool = False

    @property
    def shown_source(self) -> str:
        """The source without the server's folders."""
        return PurePath(self.source).name if self.source.startswith("/") else self.source

    def shown(self) -> BatchWish:
        """The wish as people may see it."""
        return BatchWish(**{**dict(self), "source": self.shown_source})


class BatchRequest(BatchWish):
    """Which images, and what is computed of each; `report` asks for the summary as a PDF too.

    `source` is empty for the catalogue, else a prefix in storage (`s3://bucket/prefix/`) or an absolute folder. The
    filters are the catalogue's; `bbox` is west, south, east, north in degrees.
    """

    model_config = ConfigDict(extra="forbid")

    @field_validator("source")
    @classmethod
    def _is_a_source(cls, source: str) -> str:
        if len(source) > MAX_SOURCE:
            raise ValueError(f"a prefix or folder has at most {MAX_SOURCE} characters")
        if not source.isprintable():
            raise ValueError("a prefix or folder has no line breaks or other characters that cannot be seen")
        if source.startswith(SCHEME):
            if not source.removeprefix(SCHEME).partition("/")[0]:
                raise ValueError("a prefix in storage names its bucket: s3://imagery/2026/")
        elif source != CATALOGUE and not source.startswith("/"):
            raise ValueError("a source is a prefix like s3://imagery/2026/ or the full path of a folder")
        return source

    @field_validator("bbox")
    @classmethod
    def _is_on_earth(cls, bbox: Bounds | None) -> Bounds | None:
        if bbox is not None:
            west, south, east, north = bbox
            # NaN fails every comparison
            if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
                raise ValueError(
                    "west,south,east,north are degrees, with -180 <= west <= east <= 180 and -90 <= south <= north <= 90"
                )
        return bbox

    @model_validator(mode="after")
    def _filters_fit(self) -> BatchRequest:
        if self.source != CATALOGUE and (self.bbox or self.captured_after or self.captured_before):
            raise ValueError(
                "place and time select from the catalogue only: leave out the prefix or the filters"
            )
        if self.captured_after and self.captured_before and self.captured_after > self.captured_before:
            raise ValueError("captured_after lies after captured_before: exchange them")
        return self

    def batch_id(self, tenant: str) -> UUID:
        """The same request is the same batch, whoever sends it and however often; defaults do not count, so that an option
        which is added one day changes no id."""
        asked = digest_of(self.model_dump(mode="json", exclude={"report"}, exclude_defaults=True))
        return uuid5(NAMESPACE_URL, f"orthoray:batch:{tenant}:{asked}")


class Listing(BaseModel):
    """The images of a batch as one job listed them, and the digest of what is computed of each: in its name rows are
    changed. The batch knows the listing of its newest job; those of jobs before it count no more."""

    batch_id: UUID
    id: UUID
    parameters: str


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
    seconds: float = 0.0
    """How long it took to compute; none where the result was known."""

    @property
    def pixels(self) -> int:
        """How many pixels were analysed."""
        found = self.findings.statistics
        return found.valid_pixels + found.nodata_pixels + found.invalid_pixels + found.background_pixels

    @property
    def name(self) -> str:
        return result_name(self.imagery.original_filename, self.key)


class ItemRow(ItemRef):
    """The state of one image of a batch."""

    status: ItemStatus
    error: str | None = None
    result: ItemResult | None = None


class Batch(BaseModel):
    """A batch and how far it is; its results are in `bucket` of the installation's storage, below `prefix`. `seen_at` is when
    its job last gave a sign of life."""

    id: UUID
    status: BatchStatus
    request: BatchWish
    bucket: str
    prefix: str
    total: int = 0
    completed: int = 0
    failed: int = 0
    error: str | None = None
    created_at: datetime
    seen_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def place(self) -> str:
        """Where the results are, as sources of batches are written."""
        return f"{SCHEME}{self.bucket}/{self.prefix}"

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
