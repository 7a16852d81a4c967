"""The files of an imagery for processes that read only some windows of them, wherever these run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from rasterio.windows import Window

from orthoray.errors import OrthoRayError, TruncatedImage, Unavailable
from orthoray.spectral.ranges import header_spans, window_spans
from orthoray.spectral.tiff import Span
from orthoray.storage.base import Storage
from orthoray.storage.config import StorageConfig, opened

# Requests at once: they wait for the network, not for the processor.
_REQUESTS = 4
# The most that one request asks for.
_REQUEST_BYTES = 8 << 20


class WindowFiles(Protocol):
    """One or more files; pickles."""

    def described(self) -> AbstractContextManager[list[Path]]:
        """Paths under which the files can be described, but their pixels not be read."""

    def read(
        self, window: Window, numbers: Sequence[Sequence[int] | None]
    ) -> AbstractContextManager[list[Path]]:
        """Paths under which `window` of the 1-based bands `numbers` of each file (None: of all) can be read."""


@dataclass(frozen=True)
class LocalFiles:
    """Files that every process finds under the same path: of one machine, or in a folder that all machines share."""

    paths: tuple[Path, ...]

    @contextmanager
    def described(self) -> Iterator[list[Path]]:
        yield list(self.paths)

    @contextmanager
    def read(self, window: Window, numbers: Sequence[Sequence[int] | None]) -> Iterator[list[Path]]:
        yield list(self.paths)


@dataclass(frozen=True)
class RemoteFile:
    """A TIFF in storage, with the bytes that describe it: by their offsets, in `header`."""

    bucket: str
    key: str
    size: int
    etag: str | None
    header: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True)
class RemoteFiles:
    """TIFFs in storage, of which only the bytes that are needed are fetched.

    They are laid at their places in an otherwise empty file, so that whatever reads files reads these.
    """

    storage: StorageConfig
    files: tuple[RemoteFile, ...]

    @contextmanager
    def described(self) -> Iterator[list[Path]]:
        with sparse_files(self.files) as paths:
            yield paths

    @contextmanager
    def read(self, window: Window, numbers: Sequence[Sequence[int] | None]) -> Iterator[list[Path]]:
        """Raises `Unavailable` where a file is not the one any more that was described."""
        storage = opened(self.storage)
        with sparse_files(self.files) as paths:
            for file, path, wanted in zip(self.files, paths, numbers, strict=True):
                if wanted is not None and not wanted:
                    continue
                with path.open("r+b") as target, same_version(storage, file.bucket, file.key, file.etag):
                    spans = window_spans(target, file.size, window, wanted)
                    fetch(storage, file.bucket, file.key, spans, target)
            yield paths


def remote_files(config: StorageConfig, objects: Iterable[tuple[str, str]]) -> RemoteFiles:
    """Describe TIFFs in storage, given by bucket and key.

    Raises `TruncatedImage` where the directories lie beyond the end, and what the storage raises.
    """
    storage = opened(config)
    return RemoteFiles(config, tuple(describe_object(storage, bucket, key) for bucket, key in objects))


@contextmanager
def same_version(storage: Storage, bucket: str, key: str, etag: str | None) -> Iterator[None]:
    """Raises `Unavailable` where an object is not that version any more once it has been read.

    Asked afterwards: what was replaced between two ranges would give pixels of both, or look like a damaged file.
    """
    try:
        yield
    except OrthoRayError:
        _check_version(storage, bucket, key, etag)
        raise
    _check_version(storage, bucket, key, etag)


def _check_version(storage: Storage, bucket: str, key: str, etag: str | None) -> None:
    if storage.stat(bucket, key).etag != etag:
        raise Unavailable("The image was replaced while it was being read: try again.")


def describe_object(storage: Storage, bucket: str, key: str) -> RemoteFile:
    """A TIFF in storage with the bytes that describe it. Raises as `remote_files`."""
    found = storage.stat(bucket, key)
    with same_version(storage, bucket, key, found.etag), storage.open(bucket, key) as file:
        header = []
        for start, stop in header_spans(file, found.size):
            file.seek(start)
            header.append((start, file.read(stop - start)))
    return RemoteFile(bucket, key, found.size, found.etag, tuple(header))


@contextmanager
def sparse_files(files: Sequence[RemoteFile]) -> Iterator[list[Path]]:
    """Files of the right sizes, of which only the headers take room."""
    with tempfile.TemporaryDirectory(prefix="orthoray-windows-") as folder:
        paths = [Path(folder, f"{place}.tif") for place in range(len(files))]
        for file, path in zip(files, paths, strict=True):
            with path.open("wb") as target:
                target.truncate(file.size)
                for start, data in file.header:
                    target.seek(start)
                    target.write(data)
        yield paths


def fetch(storage: Storage, bucket: str, key: str, spans: Sequence[Span], target: BinaryIO) -> None:
    """Copy spans of an object to the same places of a file."""

    def get(span: Span) -> bytes:
        return b"".join(storage.iter_range(bucket, key, *span))

    pieces = [
        (at, min(at + _REQUEST_BYTES, stop))
        for start, stop in spans
        for at in range(start, stop, _REQUEST_BYTES)
    ]
    with ThreadPoolExecutor(_REQUESTS, thread_name_prefix="ranges") as pool:
        for begin in range(0, len(pieces), _REQUESTS):  # so that no more than these wait to be written
            some = pieces[begin : begin + _REQUESTS]
            for (start, stop), data in zip(some, pool.map(get, some), strict=True):
                if len(data) != stop - start:
                    raise TruncatedImage
                target.seek(start)
                target.write(data)
