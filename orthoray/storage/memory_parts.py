"""Parts in a dictionary, for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import ClassVar
from uuid import uuid4

from orthoray.errors import NotFound, WrongState
from orthoray.storage.keys import check_bucket, check_key
from orthoray.storage.memory import MemoryStorage
from orthoray.storage.parts import PendingObject, StoredPart, other_content


class MemoryParts:
    """See `orthoray.storage.parts.PartStore`; what the storage is asked twice for is the same."""

    knows_digests: ClassVar = True

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage
        self._begun = storage.begun

    def begin(self, bucket: str, key: str, content_type: str | None = None) -> str:
        token = uuid4().hex
        self._begun[check_bucket(bucket), check_key(key), token] = datetime.now(UTC), {}
        return token

    @contextmanager
    def writer(self, bucket: str, key: str, token: str, number: int) -> Iterator[_Writer]:
        yield _Writer(self._parts(bucket, key, token), number)

    def parts(self, bucket: str, key: str, token: str) -> list[StoredPart]:
        return [_told(number, data) for number, data in sorted(self._parts(bucket, key, token).items())]

    def complete(
        self, bucket: str, key: str, token: str, parts: Sequence[StoredPart], sha256: str | None = None
    ) -> str | None:
        there = self._parts(bucket, key, token)
        if any(part.number not in there or _told(part.number, there[part.number]) != part for part in parts):
            raise WrongState("A part was replaced in this moment: complete again.")
        data = b"".join(there[part.number] for part in parts)
        digest = hashlib.sha256(data).hexdigest()
        if sha256 not in {None, digest}:
            raise other_content(digest)
        self._storage.put_bytes(bucket, key, data)
        del self._begun[bucket, key, token]
        return digest

    def abort(self, bucket: str, key: str, token: str) -> None:
        self._begun.pop((bucket, key, token), None)

    def pending(self, bucket: str) -> Iterator[PendingObject]:
        for (where, key, token), (started, _) in list(self._begun.items()):
            if where == bucket:
                yield PendingObject(key, token, started)

    def url(self, bucket: str, key: str, token: str, number: int, seconds: int) -> None:
        return None

    def _parts(self, bucket: str, key: str, token: str) -> dict[int, bytes]:
        try:
            return self._begun[bucket, key, token][1]
        except KeyError:
            raise NotFound("There is no such upload in the storage.") from None


class _Writer:
    def __init__(self, parts: dict[int, bytes], number: int) -> None:
        self._parts, self._number, self._data = parts, number, b""

    def write(self, data: bytes) -> None:
        self._data += data

    def commit(self) -> StoredPart:
        self._parts[self._number] = self._data
        return _told(self._number, self._data)


def _told(number: int, data: bytes) -> StoredPart:
    return StoredPart(number, len(data), hashlib.sha256(data).hexdigest())
