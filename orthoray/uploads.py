"""Files that arrive in parts: what is asked for and what is answered. Field names are the public contract."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from orthoray.contracts import Gps

SHA256 = r"^[0-9a-f]{64}$"
MAX_PARTS_SHOWN = 1000

Digest = Annotated[str, Field(pattern=SHA256)]


class UploadWish(BaseModel):
    """One file that will arrive in parts, with what is said of it; `scale` and `offset` hold one number, or one per band.

    `sha256` is that of the whole file, where it is known. `imagery_id` is that of the record to be, and `id` that of the
    upload, where they have to be certain ones.
    """

    filename: str
    size: int
    content_type: str | None = None
    sha256: str | None = None
    bands: str | None = None
    sensor: str | None = None
    scale: list[float] | None = None
    offset: list[float] | None = None
    captured_at: datetime | None = None
    gps: Gps | None = None
    imagery_id: UUID | None = None
    id: UUID | None = None

    def facts(self) -> dict[str, Any]:
        """What is said of the image, as JSON."""
        said = {"bands", "sensor", "scale", "offset", "captured_at", "gps"}
        return self.model_dump(mode="json", include=said, exclude_none=True)


class UploadPart(BaseModel):
    """One part of a file: where it is PUT, and whether it is there."""

    number: int = Field(description="from 1")
    size_bytes: int
    url: str = Field(description="where to PUT the part: absolute on S3, else a path of this API")
    received: bool = False
    etag: str | None = Field(default=None, description="of the part that is there")


class PartedUpload(BaseModel):
    """A file on its way, part by part."""

    id: UUID
    status: Literal["open", "completed", "refused"]
    filename: str
    size_bytes: int
    part_bytes: int = Field(description="of every part but the last")
    part_count: int
    received_bytes: int
    parts: list[UploadPart] = Field(description=f"at most {MAX_PARTS_SHOWN}, beginning with the part `first`")
    next_part: int | None = Field(default=None, description="`first` of the parts after these")
    imagery_id: UUID = Field(description="of the record, as soon as the upload is completed")
    error: str | None = Field(default=None, description="why it was refused")
    created_at: datetime
    expires_at: datetime = Field(description="when it is given up unless parts arrive meanwhile")


class PartPlace(BaseModel):
    """Where the gateway puts a part that goes through it."""

    bucket: str
    object_key: str
    token: str
    size_bytes: int


class ReceivedPart(BaseModel):
    """A part as its sender knows it."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1, le=10_000)
    etag: str | None = Field(default=None, max_length=128)
    sha256: Digest | None = None


class UploadCompletion(BaseModel):
    """The body of POST /imagery/uploads/{id}/complete: all of it may be left out, and is checked where it is given."""

    model_config = ConfigDict(extra="forbid")

    parts: list[ReceivedPart] | None = Field(default=None, max_length=10_000)
    sha256: Digest | None = None
