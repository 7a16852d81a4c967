"""From a multipart body to an object in storage: by way of a temporary file, never whole in this code's memory.

What Ray Serve buffers of a body that comes faster than it is written is not in our hands; MAX_UPLOAD_BYTES bounds it.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError, field_validator
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from orthoray.contracts import PLAIN_TEXT, Gps
from orthoray.errors import BadInput, Impossible, NotAnImage, TooLarge
from orthoray.keys import imagery_key
from orthoray.moments import Moment
from orthoray.ports import Upload
from orthoray.storage.base import CHUNK_BYTES, Storage
from orthoray.storage.keys import safe_filename

MAX_FIELDS = 16
MAX_FIELD_BYTES = 4096


class UploadFields(BaseModel):
    """The form fields beside `file`."""

    captured_at: Moment | None = None
    gps_lat: float | None = Field(default=None, ge=-90, le=90)
    gps_lon: float | None = Field(default=None, ge=-180, le=180)
    sensor: str | None = Field(default=None, max_length=64, pattern=PLAIN_TEXT)
    bands: str | None = Field(default=None, max_length=512, pattern=PLAIN_TEXT)

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        return None if value == "" else value

    def gps(self) -> Gps | None:
        """
        Raises:
            Impossible: one coordinate without the other.
        """
        if self.gps_lat is None and self.gps_lon is None:
            return None
        if self.gps_lat is None or self.gps_lon is None:
            raise Impossible("gps_lat and gps_lon belong together: send both or neither.")
        return Gps(latitude=self.gps_lat, longitude=self.gps_lon)


@dataclass(frozen=True)
class Digest:
    size_bytes: int
    sha256: str


async def receive_upload(
    request: Request, storage: Storage, bucket: str, tenant: str, max_bytes: int
) -> Upload:
    """Read the form of `POST /imagery` and store its file.

    Raises:
        BadInput: not a multipart form, or no file in it.
        Impossible: a field that does not fit.
        TooLarge: the file is larger than `max_bytes`.
        NotAnImage: the file is empty.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise BadInput(
            "Send the image as multipart/form-data in the field `file`: curl -F file=@field.jpg ..."
        )
    try:
        async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES) as form:
            fields, file = _read_form(form)
            imagery_id = uuid4()
            filename = safe_filename(file.filename or "")
            key = imagery_key(tenant, imagery_id, filename)
            digest = await asyncio.to_thread(
                _store, file.file, storage, bucket, key, file.content_type, max_bytes
            )
    except HTTPException as error:  # Starlette's answer to a form that cannot be read
        if error.detail.startswith("Too many files"):
            raise Impossible("One imagery is one file: send each image in a request of its own.") from error
        raise BadInput(f"The multipart form cannot be read: {error.detail}") from error
    return _upload(imagery_id, filename, key, digest, fields)


def _read_form(form: FormData) -> tuple[UploadFields, UploadFile]:
    files = [value for value in form.getlist("file") if isinstance(value, UploadFile)]
    if not files:
        raise BadInput("There is no file in the form: send the image in the field `file`.")
    values = {name: value for name, value in form.items() if name in UploadFields.model_fields}
    try:
        fields = UploadFields.model_validate(values)
    except ValidationError as error:
        errors = [{"where": str(item["loc"][0]), "problem": item["msg"]} for item in error.errors()]
        raise Impossible(f"{errors[0]['where']}: {errors[0]['problem']}", errors=errors) from None
    fields.gps()
    return fields, files[0]


def _store(
    source: BinaryIO, storage: Storage, bucket: str, key: str, content_type: str | None, max_bytes: int
) -> Digest:
    with _copied(source, max_bytes) as (path, digest):
        storage.put_file(bucket, key, path, content_type)
    return digest


@contextmanager
def _copied(source: BinaryIO, max_bytes: int) -> Iterator[tuple[Path, Digest]]:
    """A named file with the content, for storage wants a path, and its digest from the same pass."""
    digest = hashlib.sha256()
    size = 0
    with tempfile.NamedTemporaryFile(prefix="orthoray-upload-") as target:
        while chunk := source.read(CHUNK_BYTES):
            size += len(chunk)
            if size > max_bytes:
                raise TooLarge(
                    f"The file is larger than the limit of {max_bytes} bytes.", max_bytes=max_bytes
                )
            digest.update(chunk)
            target.write(chunk)
        if not size:
            raise NotAnImage("The file is empty: check it and upload it again.")
        target.flush()
        yield Path(target.name), Digest(size, digest.hexdigest())


def _upload(imagery_id: UUID, filename: str, key: str, digest: Digest, fields: UploadFields) -> Upload:
    return Upload(
        id=imagery_id,
        filename=filename,
        object_key=key,
        size_bytes=digest.size_bytes,
        sha256=digest.sha256,
        bands=fields.bands,
        sensor=fields.sensor,
        captured_at=fields.captured_at,
        gps=fields.gps(),
    )
