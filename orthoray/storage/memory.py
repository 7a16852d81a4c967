"""Storage in a dictionary, for tests: the same contract without a disk."""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from orthoray.errors import NotFound, TooLarge
from orthoray.storage.base import CHUNK_BYTES, ObjectInfo, ObjectStat, byte_range
from orthoray.storage.keys import check_bucket, check_folder, check_key, check_prefix


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    content_type: str | None
    modified: datetime


class MemoryStorage:
    """A `Storage` that forgets everything with the process."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], _Object] = {}
        self._lock = threading.Lock()
        self.begun: dict[tuple[str, str, str], tuple[datetime, dict[int, bytes]]] = {}

    def put_file(self, bucket: str, key: str, local: Path, content_type: str | None = None) -> None:
        self.put_bytes(bucket, key, local.read_bytes(), content_type)

    def move_file(self, bucket: str, key: str, local: Path, content_type: str | None = None) -> None:
        self.put_file(bucket, key, local, content_type)

    def put_bytes(self, bucket: str, key: str, data: bytes, content_type: str | None = None) -> None:
        place = check_bucket(bucket), check_key(key)
        with self._lock:
            self._objects[place] = _Object(bytes(data), content_type, datetime.now(UTC))

    def get_bytes(self, bucket: str, key: str, max_bytes: int | None = None) -> bytes:
        data = self._get(bucket, key).data
        if max_bytes is not None and len(data) > max_bytes:
            raise TooLarge(f"The object is larger than {max_bytes} bytes.")
        return data

    def open(self, bucket: str, key: str) -> BinaryIO:
        return io.BytesIO(self._get(bucket, key).data)

    def stat(self, bucket: str, key: str) -> ObjectStat:
        found = self._get(bucket, key)
        return ObjectStat(len(found.data), found.modified, hashlib.sha256(found.data).hexdigest())

    def size(self, bucket: str, key: str) -> int:
        return self.stat(bucket, key).size

    def exists(self, bucket: str, key: str) -> bool:
        return (check_bucket(bucket), check_key(key)) in self._objects

    def delete(self, bucket: str, key: str) -> None:
        with self._lock:
            self._objects.pop((check_bucket(bucket), check_key(key)), None)

    def delete_prefix(self, bucket: str, prefix: str) -> None:
        folder = check_folder(prefix)
        with self._lock:
            for place in [
                p for p in self._objects if p[0] == check_bucket(bucket) and p[1].startswith(folder)
            ]:
                del self._objects[place]

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        check_bucket(bucket)
        check_prefix(prefix)
        with self._lock:
            found = [
                ObjectInfo(key, len(stored.data))
                for (where, key), stored in self._objects.items()
                if where == bucket and key.startswith(prefix)
            ]
        return iter(sorted(found, key=lambda info: info.key))

    def scan(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        return self.list(bucket, prefix)

    def iter_range(
        self, bucket: str, key: str, start: int = 0, end: int | None = None, chunk: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        data = self._get(bucket, key).data
        start, stop = byte_range(start, end, len(data))
        return (data[at : min(at + chunk, stop)] for at in range(start, stop, chunk))

    @contextmanager
    def local_path(self, bucket: str, key: str) -> Iterator[Path]:
        data = self._get(bucket, key).data
        with tempfile.TemporaryDirectory(prefix="orthoray-") as folder:
            path = Path(folder, f"object{PurePosixPath(key).suffix}")
            path.write_bytes(data)
            yield path

    def ensure_buckets(self, names: Iterable[str]) -> None:
        for name in names:
            check_bucket(name)

    def check(self, *buckets: str) -> None:
        self.ensure_buckets(buckets)

    def content_type(self, bucket: str, key: str) -> str | None:
        """What the object was stored as, for tests that ask."""
        return self._get(bucket, key).content_type

    def _get(self, bucket: str, key: str) -> _Object:
        try:
            return self._objects[check_bucket(bucket), check_key(key)]
        except KeyError:
            raise NotFound("There is no such object in the storage.") from None
