"""The records and requests that travel between services and to clients. Field names are the public contract."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_TENANT = "default"
# A database stores no NUL, and no name of ours has control characters.
PLAIN_TEXT = r"^[^\x00-\x1f\x7f]*$"

RunStatus = Literal["queued", "processing", "completed", "failed", "cancelled"]
Language = Literal["ru", "ro", "en"]
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


class Imagery(BaseModel):
    """One upload in the catalogue."""

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
    bands: dict[str, int] = Field(description="band name -> number in the file, from 1")
    alpha_band: int | None = Field(default=None, description="number of the band that masks the others")
    bands_source: str = Field(description="who named the bands: the caller, the file's tags, a sensor preset")
    sensor: str | None = None
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


Threshold = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class AnalysisRequest(BaseModel):
    """The body of POST /analysis-runs."""

    model_config = ConfigDict(extra="forbid")

    imagery_id: UUID
    index_type: str = Field(default="NDVI_emp", min_length=1, max_length=64, pattern=PLAIN_TEXT)
    auto_report: bool = False
    crop: str | None = Field(default=None, max_length=64, pattern=PLAIN_TEXT)
    thresholds: list[Threshold] | None = Field(
        default=None,
        min_length=3,
        max_length=3,
        description="healthy, mild and severe stress begin above these",
    )
    language: Language | None = None
    bands: str | None = Field(
        default=None,
        max_length=512,
        pattern=PLAIN_TEXT,
        description="names of the file's bands in order, such as R,G,B,N",
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
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    median: float | None
    p2: float | None
    p98: float | None
    histogram: Histogram
    classes: list[ClassRow]
    area_m2: float | None


class Findings(BaseModel):
    """What an analysis says of an image, beside its two pictures."""

    stats: dict[str, float] = Field(description="class label -> percent of the valid pixels")
    conclusion: str
    statistics: Statistics
    legend: dict[str, Any]
    provenance: dict[str, Any]


class Outcome(Findings):
    """What a worker reports: the findings, and where the pictures are."""

    heatmap_bucket: str
    heatmap_key: str
    index_key: str


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
    thresholds: list[float] | None = None
    bands: str | None = None
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
    report_id: UUID | None = Field(
        default=None, description="with auto_report: where the report is or will be"
    )
    error: str | None = None
    attempts: int = 0
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None


class ReportRequest(BaseModel):
    """The body of POST /reports."""

    model_config = ConfigDict(extra="forbid")

    analysis_run_id: UUID
    language: Language | None = None


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
    attempts: int = 0
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None


class Page(BaseModel, Generic[Record]):
    """One page of a listing, newest first; `next` asks for the page after it."""

    items: list[Record]
    next: str | None = None
