"""Parts in a local folder: `root/.uploads/<token>/<number>`, joined by copying when all are there.

A part's file ends with the SHA-256 of what stands before it, so that one rename puts content and digest into place.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, ClassVar
from uuid import uuid4

from orthoray.errors import NotFound, WrongState
from orthoray.storage.base import CHUNK_BYTES
from orthoray.storage.keys import check_bucket, check_key
from orthoray.storage.local import LocalStorage, disk_errors
from orthoray.storage.parts import PendingObject, StoredPart, other_content

_FOLDER = ".uploads"  # never a bucket: bucket names start with a letter or a digit
_OBJECT = "object.json"
_JOINED = ".joined"
_TOKEN = re.compile(rf"[0-9a-f]{{32}}({_JOINED})?")
_PART = re.compile(r"\d{5}")
_DIGEST_BYTES = 64


class LocalParts:
    """See `orthoray.storage.parts.PartStore`."""

    knows_digests: ClassVar = True

    def __init__(self, storage: LocalStorage) -> None:
        self._storage = storage
        self._folder = storage.root / _FOLDER

    def begin(self, bucket: str, key: str, content_type: str | None = None) -> str:
        token = uuid4().hex
        place = {"bucket": check_bucket(bucket), "key": check_key(key)}
        with disk_errors():
            folder = self._folder / token
            folder.mkdir(mode=0o700, parents=True)
            (folder / _OBJECT).write_text(json.dumps(place))
        return token

    @contextmanager
    def writer(self, bucket: str, key: str, token: str, number: int) -> Iterator[_Writer]:
        folder = self._known(bucket, key, token)
        with disk_errors():
            handle, name = tempfile.mkstemp(prefix=".part-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as target:
                yield _Writer(target, Path(name), folder / f"{number:05}", number)
        finally:
            Path(name).unlink(missing_ok=True)

    def parts(self, bucket: str, key: str, token: str) -> list[StoredPart]:
        folder = self._known(bucket, key, token)
        with disk_errors():
            names = sorted(entry.name for entry in os.scandir(folder) if _PART.fullmatch(entry.name))
            return [_described(folder / name) for name in names]

    def complete(
        self, bucket: str, key: str, token: str, parts: Sequence[StoredPart], sha256: str | None = None
    ) -> str | None:
        folder = self._known(bucket, key, token)
        digest = hashlib.sha256()

        def join(target: BinaryIO) -> None:
            for part in parts:
                path = folder / f"{part.number:05}"
                if not path.exists() or _described(path) != part:
                    raise WrongState(f"Part {part.number} was replaced in this moment: complete again.")
                with path.open("rb") as source:
                    left = part.size
                    while left and (piece := source.read(min(CHUNK_BYTES, left))):
                        digest.update(piece)
                        target.write(piece)
                        left -= len(piece)
            if sha256 not in {None, digest.hexdigest()}:
                raise other_content(digest.hexdigest())

        self._storage.write(bucket, key, join)
        # At once: nobody may find half of the parts and take the others for missing.
        with disk_errors():
            folder = folder.rename(folder.with_suffix(_JOINED))
        _remove(folder)
        return digest.hexdigest()

    def abort(self, bucket: str, key: str, token: str) -> None:
        with suppress(NotFound):
            _remove(self._known(bucket, key, token))

    def pending(self, bucket: str) -> Iterator[PendingObject]:
        if not self._folder.is_dir():
            return
        for entry in os.scandir(self._folder):
            with suppress(OSError, ValueError):
                facts = Path(entry.path, _OBJECT)
                place = json.loads(facts.read_text())
                if place["bucket"] == bucket:
                    started = datetime.fromtimestamp(facts.stat().st_mtime, UTC)
                    yield PendingObject(place["key"], entry.name, started)

    def url(self, bucket: str, key: str, token: str, number: int, seconds: int) -> None:
        return None

    def _known(self, bucket: str, key: str, token: str) -> Path:
        folder = self._folder / token
        try:
            place = json.loads((folder / _OBJECT).read_text()) if _TOKEN.fullmatch(token) else None
        except (OSError, ValueError):
            place = None
        if place != {"bucket": bucket, "key": key}:
            raise NotFound("There is no such upload in the storage.")
        return folder


class _Writer:
    def __init__(self, target: BinaryIO, written: Path, place: Path, number: int) -> None:
        self._target, self._written, self._place, self._number = target, written, place, number
        self._digest, self._size = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        with disk_errors():
            self._target.write(data)
        self._digest.update(data)
        self._size += len(data)

    def commit(self) -> StoredPart:
        etag = self._digest.hexdigest()
        with disk_errors():
            self._target.write(etag.encode())
            self._target.flush()
            os.fsync(self._target.fileno())
            self._written.replace(self._place)
        return StoredPart(self._number, self._size, etag)


def _remove(folder: Path) -> None:
    """Last of all what says whose parts these are, so that a sweep finds what is left of this."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name != _OBJECT:
                Path(entry.path).unlink()
        shutil.rmtree(folder)


def _described(path: Path) -> StoredPart:
    with path.open("rb") as file:
        size = file.seek(-_DIGEST_BYTES, os.SEEK_END)
        return StoredPart(int(path.name), size, file.read().decode("ascii"))
