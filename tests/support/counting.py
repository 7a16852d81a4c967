"""A storage that counts the bytes that are read of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Self

from orthoray.storage.base import CHUNK_BYTES


class CountingStorage:
    """Passes everything on to `storage`."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.read = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def iter_range(
        self, bucket: str, key: str, start: int = 0, end: int | None = None, chunk: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        for piece in self._storage.iter_range(bucket, key, start, end, chunk):
            self.read += len(piece)
            yield piece

    def open(self, bucket: str, key: str) -> Any:
        return _CountedFile(self._storage.open(bucket, key), self)

    def local_path(self, bucket: str, key: str) -> AbstractContextManager[Path]:
        self.read += self._storage.size(bucket, key)
        path: AbstractContextManager[Path] = self._storage.local_path(bucket, key)
        return path


class _CountedFile:
    """What is buffered beyond what was asked for is not counted."""

    def __init__(self, file: BinaryIO, storage: CountingStorage) -> None:
        self._file = file
        self._of = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._of.read += len(data)
        return data
