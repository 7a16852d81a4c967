"""The storage port: what the services ask of a folder, an S3 server or a test's dictionary.

All methods are synchronous and may be called from several threads at once; asynchronous callers run them in
threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from orthoray.errors import BadInput

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One line of a listing; `size` in bytes."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What is known of an object without reading it.

    `size` is in bytes, `modified` in UTC; `etag` (unquoted, or None where a back end has none) changes when
    the content is replaced.
    """

    size: int
    modified: datetime
    etag: str | None


def byte_range(start: int, end: int | None, size: int) -> tuple[int, int]:
    """The half-open range `start`..`end` (None: to the end) cut to an object of `size` bytes.

    Raises:
        BadInput: the range is negative or runs backwards.
    """
    if start < 0 or (end is not None and end < start):
        raise BadInput("The byte range is negative or runs backwards.")
    stop = size if end is None else min(end, size)
    return min(start, stop), stop


class Storage(Protocol):
    """Objects by bucket and key.

    Writing replaces a whole object at once: a reader gets the old or the new content, never a mixture, and a
    write that fails leaves the old object. Where content changes under a reader that has not got all of it
    yet and the back end does not keep the old one (S3), the reader gets `Unavailable`.

    A key is a relative path (see `keys.check_key`); no key may be a folder of another (`a` beside `a/b`).

    All methods raise `BadInput` for a key that is refused, `NotFound` for an object that is not there, and
    `Unavailable` when the storage does not answer, refuses our credentials or is full.
    """

    def put_file(self, bucket: str, key: str, local: Path, content_type: str | None = None) -> None:
        """Store a copy of the file `local`."""

    def move_file(self, bucket: str, key: str, local: Path, content_type: str | None = None) -> None:
        """Store the file `local`, which may be gone afterwards, whether that succeeds or fails."""

    def put_bytes(self, bucket: str, key: str, data: bytes, content_type: str | None = None) -> None:
        """Store `data`."""

    def get_bytes(self, bucket: str, key: str, max_bytes: int | None = None) -> bytes:
        """The whole object.

        Raises:
            TooLarge: it is longer than `max_bytes`; it has not been read.
        """

    def open(self, bucket: str, key: str) -> BinaryIO:
        """The object as a seekable, read-only file; the caller closes it."""

    def stat(self, bucket: str, key: str) -> ObjectStat:
        """Size, time and version of the object."""

    def size(self, bucket: str, key: str) -> int:
        """The object's length in bytes."""

    def exists(self, bucket: str, key: str) -> bool:
        """Whether there is an object (a folder of objects is none)."""

    def delete(self, bucket: str, key: str) -> None:
        """Remove the object; nothing happens when there is none."""

    def delete_prefix(self, bucket: str, prefix: str) -> None:
        """Remove every object below the folder `prefix` (`a` and `a/` both mean `a/...`, never `ab/...`).

        Raises:
            BadInput: the prefix is empty.
        """

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """The objects whose key starts with `prefix`, in the order of their keys' code points."""

    def scan(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """What `list` gives, in no particular order and without ever holding all of it."""

    def iter_range(
        self, bucket: str, key: str, start: int = 0, end: int | None = None, chunk: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        """The bytes `start` (included) to `end` (excluded; None: to the end), in pieces of at most `chunk`.

        A range that reaches beyond the object is cut at its end. A missing object is reported by this call,
        not by the first `next`. Closing the iterator (or dropping it) gives up the connection.
        """

    def local_path(self, bucket: str, key: str) -> AbstractContextManager[Path]:
        """A file with the object's content and its key's suffix, for libraries that want a path.

        It may be the stored object itself: do not write to it, and do not use it after the `with` block.
        """

    def ensure_buckets(self, names: Iterable[str]) -> None:
        """Make the buckets that are missing."""

    def check(self, *buckets: str) -> None:
        """Return when the storage (and each of `buckets`) answers.

        Raises:
            Unavailable: it does not.
        """
