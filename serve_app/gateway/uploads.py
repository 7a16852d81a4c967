"""From a multipart body to objects in storage: by way of temporary files, never whole in this code's memory.

What Ray Serve buffers of a body that comes faster than it is written is not in our hands; MAX_UPLOAD_BYTES bounds it.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID, uuid4

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, Field, ValidationError, WithJsonSchema, field_validator
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from orthoray.contracts import Gps
from orthoray.errors import BadInput, Impossible, NotAnImage, TooLarge
from orthoray.keys import imagery_prefix
from orthoray.moments import Moment
from orthoray.options import MAX_BANDS, PLAIN_TEXT
from orthoray.ports import MAX_FILES, MAX_PARTS, StoredFile, Upload
from orthoray.spectral.maskfiles import is_mask
from orthoray.storage.base import CHUNK_BYTES, Storage
from orthoray.storage.keys import distinct_filenames
from serve_app.gateway.problems import misfit

CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
MAX_FIELDS = 16
MAX_FIELD_BYTES = 4096


def _numbers(text: object) -> object:
    """`0.0001` and `0.0001,0.0002`, as a form has them; JSON may have a number too."""
    if isinstance(text, str):
        return text.split(",")
    return [text] if isinstance(text, int | float) else text


PerBand = Annotated[
    list[Annotated[float, Field(allow_inf_nan=False)]],
    Field(min_length=1, max_length=MAX_BANDS),
    BeforeValidator(_numbers),
    WithJsonSchema({"type": "string", "description": "one number, or one for each band with commas between"}),
]


class UploadFields(BaseModel):
    """The form fields beside `file`."""

    captured_at: Moment | None = None
    gps_lat: float | None = Field(default=None, ge=-90, le=90)
    gps_lon: float | None = Field(default=None, ge=-180, le=180)
    sensor: str | None = Field(default=None, max_length=64, pattern=PLAIN_TEXT)
    bands: str | None = Field(default=None, max_length=512, pattern=PLAIN_TEXT)
    scale: PerBand | None = None
    offset: PerBand | None = None

    @field_validator("captured_at", "gps_lat", "gps_lon", "sensor", "bands", "scale", "offset", mode="before")
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


async def receive_upload(
    request: Request,
    storage: Storage,
    bucket: str,
    tenant: str,
    max_bytes: int,
    imagery_id: UUID | None = None,
) -> Upload:
    """Read the form of `POST /imagery` and store its files: all of them or none.

    `imagery_id` is that of the record to be, where it has to be a certain one.

    Raises:
        BadInput: not a multipart form, or no file in it.
        Impossible: a field that does not fit, too many files, or two of one name.
        TooLarge: the files together are larger than `max_bytes`.
        NotAnImage: a file is empty.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise BadInput(
            "Send the image as multipart/form-data in the field `file`: curl -F file=@field.jpg ..."
        )
    _refuse_charset(request.headers["content-type"])
    try:
        async with request.form(
            max_files=MAX_PARTS, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
        ) as form:
            fields, files = _read_form(form)
            return await store_upload(fields, files, storage, bucket, tenant, max_bytes, imagery_id)
    except ClientDisconnect:
        raise BadInput("The connection ended before the form did: send it again.") from None
    except HTTPException as error:  # Starlette's answer to a form that cannot be read
        if error.detail.startswith("Too many files"):
            raise too_many_files() from error
        raise BadInput(f"The multipart form cannot be read: {error.detail}") from error


async def store_upload(
    fields: UploadFields,
    files: Sequence[UploadFile],
    storage: Storage,
    bucket: str,
    tenant: str,
    max_bytes: int,
    imagery_id: UUID | None = None,
) -> Upload:
    """Store the files of one imagery, by whatever way they came: all of them or none.

    Raises:
        Impossible, TooLarge, NotAnImage: as `receive_upload`.
    """
    gps = fields.gps()
    names = distinct_filenames([file.filename or "" for file in files])
    if sum(not is_mask(name) for name in names) > MAX_FILES:
        raise too_many_files()
    # A key of an object is written once: that of another attempt at the same record is not this one's.
    own = uuid4()
    prefix = imagery_prefix(tenant, own)
    stored = await asyncio.to_thread(_store, files, names, storage, bucket, prefix, max_bytes)
    return Upload(
        id=imagery_id or own,
        files=stored,
        bands=fields.bands,
        sensor=fields.sensor,
        scale=fields.scale,
        offset=fields.offset,
        captured_at=fields.captured_at,
        gps=gps,
    )


def _refuse_charset(content_type: str) -> None:
    """Raise `BadInput` for a form in another encoding: the parser would look it up by whatever name it has."""
    _, options = parse_options_header(content_type)
    charset = options.get(b"charset", b"utf-8").decode("latin-1").lower()
    if charset not in CHARSETS:
        raise BadInput("The form says that its texts are in another encoding: send them in UTF-8.")


def _read_form(form: FormData) -> tuple[UploadFields, list[UploadFile]]:
    files = [value for value in form.getlist("file") if isinstance(value, UploadFile)]
    if not files:
        raise BadInput("There is no file in the form: send the image in the field `file`.")
    values = {name: value for name, value in form.items() if name in UploadFields.model_fields}
    try:
        fields = UploadFields.model_validate(values)
    except ValidationError as error:
        raise misfit(error) from None
    return fields, files


def too_many_files() -> Impossible:
    return Impossible(
        f"One imagery has at most {MAX_FILES} files, whose bands belong together, and a mask for each: "
        "send images that stand alone in requests of their own.",
        max_files=MAX_FILES,
    )


def _store(
    files: Sequence[UploadFile],
    names: Sequence[str],
    storage: Storage,
    bucket: str,
    prefix: str,
    max_bytes: int,
) -> list[StoredFile]:
    stored: list[StoredFile] = []
    try:
        for file, name in zip(files, names, strict=True):
            left = max_bytes - sum(one.size_bytes for one in stored)
            with _copied(file.file, left, max_bytes) as (path, size, sha256):
                storage.put_file(bucket, prefix + name, path, file.content_type)
            stored.append(StoredFile(filename=name, object_key=prefix + name, size_bytes=size, sha256=sha256))
    except BaseException:
        if stored:
            storage.delete_prefix(bucket, prefix)
        raise
    return stored


@contextmanager
def _copied(source: BinaryIO, left: int, limit: int) -> Iterator[tuple[Path, int, str]]:
    """A named file with the content, for storage wants a path; its size in bytes and SHA-256 from the same pass.

    `left` is what remains of the `limit` for all files of a request.
    """
    digest = hashlib.sha256()
    size = 0
    with tempfile.NamedTemporaryFile(prefix="orthoray-upload-") as target:
        while chunk := source.read(CHUNK_BYTES):
            size += len(chunk)
            if size > left:
                raise TooLarge(f"The upload is larger than the limit of {limit} bytes.", max_bytes=limit)
            digest.update(chunk)
            target.write(chunk)
        if not size:
            raise NotAnImage("The file is empty: check it and upload it again.")
        target.flush()
        yield Path(target.name), size, digest.hexdigest()
