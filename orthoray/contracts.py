"""The records and requests that travel between services and to clients. Field names are the public contract."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Generic, Literal, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orthoray.options import AnalysisOptions, AnalysisWish, Thresholds

DEFAULT_TENANT = "default"

RunStatus = Literal["queued", "processing", "completed", "failed", "cancelled"]
Language = Literal["ru", "ro", "en"]
CallbackStatus = Literal["waiting", "delivered", "given_up"]
Priority = Literal["low", "normal", "high"]
AttemptOutcome = Literal["completed", "failed", "lost", "unavailable", "cancelled"]
Record = TypeVar("Record", bound=BaseModel)


class Gps(BaseModel):
    """Where the picture was taken, in signed decimal degrees (WGS 84) and metres."""

    latitude: float
    longitude: float
    altitude_m: float | None = None


class Camera(BaseModel):
    """Who took the picture."""

    make: str | None = None
    model: str | None = None
    lens: str | None = None
    serial: str | None = None


class Asset(BaseModel):
    """One file of an imagery: an image with bands, or the mask of another file, called as that with `.msk` behind it."""

    role: Literal["data", "mask"] = "data"
    filename: str
    object_key: str
    content_type: str
    size_bytes: int
    sha256: str
    band_count: int
    width: int
    height: int
    dtype: str


def digest_of_assets(digests: Iterable[str]) -> str:
    """The SHA-256 of an imagery: its only file's, or that of its files' hexadecimal digests one after another."""
    found = list(digests)
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


class CalibrationRecord(BaseModel):
    """What pixels are: value = pixel * scale + offset, band by band, and in which state that leaves them."""

    state: Literal["dn", "reflectance", "unknown"]
    scales: list[float]
    offsets: list[float]
    source: str
    aligned: bool = True
    reason: str = ""
    per_band: bool = Field(default=False, description="the caller gave a scale for each band")


class Imagery(BaseModel):
    """One upload in the catalogue: one file, or several whose bands belong together.

    `object_key`, `original_filename` and `content_type` are those of the first file; `size_bytes` is the sum and
    `sha256` as `digest_of_assets` says.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    original_filename: str
    bucket: str
    object_key: str
    content_type: str
    status: Literal["uploaded"] = "uploaded"
    size_bytes: int
    sha256: str
    width: int
    height: int
    band_count: int
    dtype: str
    assets: list[Asset] = Field(
        default=[], description="the files, masks last; bands are numbered through those whose role is data"
    )
    bands: dict[str, int] = Field(description="band name -> number, from 1, through all files in their order")
    alpha_band: int | None = Field(default=None, description="number of the band that masks the others")
    bands_source: str = Field(description="who named the bands: the caller, the file's tags, a sensor preset")
    bands_reason: str | None = Field(default=None, description="why the bands have these names")
    sensor: str | None = None
    sensor_reason: str | None = Field(default=None, description="how the sensor was recognised")
    raw_capture: bool = Field(
        default=False, description="a camera's single bands before calibration and alignment"
    )
    calibration: CalibrationRecord | None = None
    nodata: float | str | None = Field(default=None, description="'nan' where the file says NaN")
    crs: dict[str, Any] | None = None
    transform: list[float] | None = None
    footprint: dict[str, Any] | None = Field(default=None, description="GeoJSON polygon, EPSG:4326")
    bounds_wgs84: list[float] | None = None
    gsd_m: float | None = Field(default=None, description="ground sampling distance, metres per pixel")
    captured_at: datetime | None = None
    gps: Gps | None = None
    camera: Camera | None = None
    created_at: datetime

    @model_validator(mode="after")
    def _has_assets(self) -> Self:
        """Records of the time when an imagery was one file do not list it."""
        if not self.assets:
            own = Asset.model_fields.keys() - {"filename", "role"}
            facts = {name: getattr(self, name) for name in own}
            self.assets = [Asset(filename=self.original_filename, **facts)]
        return self

    @property
    def images(self) -> list[Asset]:
        """The files that have bands."""
        return [asset for asset in self.assets if asset.role == "data"]


class AnalysisRequest(AnalysisWish):
    """The body of POST /analysis-runs."""

    model_config = ConfigDict(extra="forbid")

    imagery_id: UUID
    auto_report: bool = False
    language: Language | None = None
    callback: str | None = Field(
        default=None,
        max_length=2048,
        description="where the end of the run is told to by a signed POST; https://host/path",
    )
    priority: Priority = Field(
        default="normal",
        description="among the caller's own runs; low ones wait until nobody has others waiting",
    )


class ClassRow(BaseModel):
    """One line of the class table; `lower` is excluded from the class, `upper` belongs to it."""

    name: str
    label: str
    lower: float | None
    upper: float | None
    pixels: int
    percent: float
    area_m2: float | None


class Histogram(BaseModel):
    edges: list[float]
    counts: list[int]


class Statistics(BaseModel):
    """Of the valid pixels of an index map; None where there are none."""

    valid_pixels: int
    nodata_pixels: int
    invalid_pixels: int
    background_pixels: int = Field(default=0, description="left out by the soil mask")
    out_of_range_pixels: int = Field(default=0, description="valid, but outside of the range of the index")
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    median: float | None
    p2: float | None
    p98: float | None
    percentile_error: float | None = Field(
        default=None, description="median, p2 and p98 are this close, in units of the index; 0 is exact"
    )
    histogram: Histogram
    classes: list[ClassRow]
    area_m2: float | None


class Note(BaseModel):
    """Something that a reader of the result has to know; `text` is in the run's language."""

    code: str
    text: str


class Findings(BaseModel):
    """What an analysis says of an image, beside its two pictures."""

    stats: dict[str, float] = Field(description="class label -> percent of the valid pixels")
    conclusion: str
    statistics: Statistics
    legend: dict[str, Any]
    provenance: dict[str, Any]
    warnings: list[Note] = []


class Outcome(Findings):
    """What a worker reports: the findings, where the pictures are, and how long it took."""

    heatmap_bucket: str
    heatmap_key: str
    index_key: str
    seconds: float = 0.0


class Attempt(BaseModel):
    """One attempt to compute a run or a report. `lost`: its process or node died; `unavailable`: something else was away."""

    number: int
    started_at: datetime
    ended_at: datetime | None = None
    outcome: AttemptOutcome | None = None
    reason: str | None = None
    node: str | None = Field(default=None, description="the Ray node that computed it, where that is known")


class AnalysisRun(BaseModel):
    """One analysis of one imagery, from the request to its result."""

    id: UUID
    imagery_id: UUID
    index_type: str
    status: RunStatus
    progress: float = 0.0
    auto_report: bool
    language: Language
    crop: str | None = None
    thresholds: Thresholds | None = None
    bands: str | None = None
    options: AnalysisOptions = AnalysisOptions()
    imagery_bucket: str
    imagery_object_key: str
    heatmap_bucket: str | None = None
    heatmap_key: str | None = None
    index_key: str | None = None
    stats: dict[str, float] | None = None
    conclusion: str | None = None
    statistics: Statistics | None = None
    legend: dict[str, Any] | None = None
    provenance: dict[str, Any] | None = None
    warnings: list[Note] = []
    report_id: UUID | None = Field(
        default=None, description="with auto_report: where the report is or will be"
    )
    error: str | None = None
    priority: Priority = "normal"
    attempts: int = 0
    last_error: str | None = Field(default=None, description="why the last attempt in vain ended")
    history: list[Attempt] = []
    callback: str | None = None
    callback_status: CallbackStatus | None = Field(
        default=None,
        description="waiting (for the end of the run, or for the next attempt), delivered, given_up",
    )
    callback_attempts: int = 0
    callback_error: str | None = Field(default=None, description="why the last attempt to deliver failed")
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def wish(self) -> AnalysisWish:
        """What this run was asked to compute."""
        return AnalysisWish(
            index_type=self.index_type,
            crop=self.crop,
            thresholds=self.thresholds,
            bands=self.bands,
            **self.options.model_dump(),
        )


class ReportRequest(BaseModel):
    """The body of POST /reports."""

    model_config = ConfigDict(extra="forbid")

    analysis_run_id: UUID
    language: Language | None = None
    callback: str | None = Field(
        default=None,
        max_length=2048,
        description="where the end of the report is told to by a signed POST; https://host/path",
    )


class Report(BaseModel):
    """One PDF of one run in one language."""

    id: UUID
    analysis_run_id: UUID
    status: RunStatus
    language: Language
    heatmap_key: str | None = None
    imagery_key: str | None = None
    stats: dict[str, float] | None = None
    conclusion: str | None = None
    report_bucket: str | None = None
    report_key: str | None = None
    error: str | None = None
    priority: Priority = "normal"
    attempts: int = 0
    last_error: str | None = Field(default=None, description="why the last attempt in vain ended")
    history: list[Attempt] = []
    callback: str | None = None
    callback_status: CallbackStatus | None = Field(
        default=None,
        description="waiting (for the end of the report, or for the next attempt), delivered, given_up",
    )
    callback_attempts: int = 0
    callback_error: str | None = Field(default=None, description="why the last attempt to deliver failed")
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None


class Page(BaseModel, Generic[Record]):
    """One page of a listing, newest first; `next` asks for the page after it."""

    items: list[Record]
    next: str | None = None
