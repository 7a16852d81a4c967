"""Objects that arrive in numbered parts, for files that are too large for one request.

Nothing is under the key until `complete`. Like those of a storage, all methods are synchronous and may be called from several
threads and processes at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from orthoray.errors import WrongState
from orthoray.storage.base import Storage
from orthoray.storage.local import LocalStorage
from orthoray.storage.memory import MemoryStorage

PART_BYTES = 8 << 20
"""Of every part but the last, as long as `MAX_PART_COUNT` allows it. S3 wants 5 MiB at least."""
MAX_PART_COUNT = 10_000  # S3
UNREACHABLE = "none"
"""In the place of a public endpoint: clients do not reach the S3 server, so parts go through us."""
MAX_PARTS_NAMED = 100
"""In an answer."""
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that is there, `size` in bytes; `number` counts from 1. `etag` changes with the content: on a disk it is the
    SHA-256 of the part, on S3 what the server says."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class PendingObject:
    """Parts of an object that has not been completed; `started` in UTC."""

    key: str
    token: str
    started: datetime


class PartWriter(Protocol):
    """One part on its way."""

    def write(self, data: bytes) -> None: ...

    def commit(self) -> StoredPart:
        """The part is there now, in the place of an earlier one of its number. Without this nothing of it stays."""


def other_content(sha256: str, wrong: Sequence[int] = ()) -> WrongState:
    """What is said when an object of all parts is not the one that was meant; `wrong` are the parts, where they are known."""
    if wrong:
        which = (
            f"{len(wrong)} of its parts are not those that you sent, the first is part {wrong[0]}: GET the upload for "
            "fresh addresses, send them and complete again."
        )
    else:
        which = (
            "Its parts are kept: complete with the `sha256` of each of `parts` to be told which to send again, or GET the "
            "upload for fresh addresses and send them all."
        )
    return WrongState(
        f"The file that arrived is not the one that was meant, for its SHA-256 is {sha256}. {which}",
        sha256=sha256,
        missing_parts=list(wrong)[:MAX_PARTS_NAMED],
    )


class PartStore(Protocol):
    """Parts of objects by bucket, key and the token that `begin` gave.

    All methods raise `NotFound` for a token that is not known (any more), and else what a `Storage` does; but `complete` may
    answer again as it did before.
    """

    knows_digests: ClassVar[bool]
    """The `etag` of a part is its SHA-256."""

    def begin(self, bucket: str, key: str, content_type: str | None = None) -> str:
        """A token for the parts of a new object."""

    def writer(self, bucket: str, key: str, token: str, number: int) -> AbstractContextManager[PartWriter]:
        """Write a part; it is there whole, or not at all."""

    def parts(self, bucket: str, key: str, token: str) -> list[StoredPart]:
        """Those that are there, in their order."""

    def complete(
        self, bucket: str, key: str, token: str, parts: Sequence[StoredPart], sha256: str | None = None
    ) -> str | None:
        """Make the object of these parts, which `parts` has told of, and forget the token.

        The SHA-256 of the object where joining the parts has shown it, else None.

        Raises:
            WrongState: a part is not (any more) the one that is meant; or, where the parts show that, the object would not be
                that of the digest `sha256`. The parts are there still.
        """

    def abort(self, bucket: str, key: str, token: str) -> None:
        """Forget the token with its parts; nothing happens when it is not known."""

    def pending(self, bucket: str) -> Iterator[PendingObject]:
        """All that has begun and neither been completed nor aborted, in no particular order."""

    def url(self, bucket: str, key: str, token: str, number: int, seconds: int) -> str | None:
        """Where whoever knows this may PUT the part for so long; None where parts go through us."""


def part_store(storage: Storage, public_endpoint: str | None = None) -> PartStore:
    """That of a storage. `public_endpoint` is the S3 server's address for clients where that is another than ours, or
    `UNREACHABLE`."""
    if isinstance(storage, LocalStorage):
        from orthoray.storage.local_parts import LocalParts

        return LocalParts(storage)
    if isinstance(storage, MemoryStorage):
        from orthoray.storage.memory_parts import MemoryParts

        return MemoryParts(storage)
    from orthoray.storage.s3 import S3Storage  # here: s3fs is slow to import and rarely needed
    from orthoray.storage.s3_parts import S3Parts

    assert isinstance(storage, S3Storage), type(storage)
    return S3Parts(storage, public_endpoint)


def part_bytes_of(size: int) -> int:
    """The bytes of each part but the last of a file of `size` bytes: whole MiB."""
    needed = -(-size // MAX_PART_COUNT)
    return max(PART_BYTES, -(-needed // _MEBIBYTE) * _MEBIBYTE)


def part_count_of(size: int, part_bytes: int) -> int:
    return -(-size // part_bytes)


def size_of_part(number: int, size: int, part_bytes: int) -> int:
    """The bytes of part `number` of a file of `size` bytes; 0 or less where there is no such part."""
    return min(part_bytes, size - (number - 1) * part_bytes) if number >= 1 else 0
