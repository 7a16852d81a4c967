"""What the parts of an upload, the object that they become and whoever sent them say of each other."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from orthoray.errors import NotFound, WrongState
from orthoray.storage.base import Storage
from orthoray.storage.parts import MAX_PARTS_NAMED, PartStore, StoredPart, part_count_of, size_of_part
from orthoray.uploads import UploadCompletion

Row = Mapping[str, Any]
"""Of the table `uploads`."""


class JoinedParts:
    """The object that the parts of an upload have become. Its methods read it, which takes its time."""

    def __init__(self, storage: Storage, bucket: str, row: Row) -> None:
        self._storage = storage
        self._bucket = bucket
        self._key: str = row["object_key"]
        self._row = row

    def digest(self, start: int = 0, end: int | None = None) -> str:
        """The SHA-256 of it, or of a range of its bytes."""
        digest = hashlib.sha256()
        for piece in self._storage.iter_range(self._bucket, self._key, start, end):
            digest.update(piece)
        return digest.hexdigest()

    def wrong_parts(self, completion: UploadCompletion) -> list[int]:
        """The parts that have another SHA-256 than their sender says.

        Raises:
            NotFound: there is no such part.
        """
        told = [(part.number, part.sha256) for part in completion.parts or () if part.sha256]
        if beyond := [number for number, _ in told if bytes_of_part(self._row, number) <= 0]:
            raise NotFound(f"This upload has no part {beyond[0]}.")
        return [number for number, sha256 in told if self.digest(*self._range(number)) != sha256]

    def part_again(self, store: PartStore, wrong: Collection[int]) -> str:
        """Make parts of it again, but for the wrong ones; their token. The object stays."""
        token = store.begin(self._bucket, self._key)
        for number in range(1, part_count_of(self._row["size_bytes"], self._row["part_bytes"]) + 1):
            if number not in wrong:
                with store.writer(self._bucket, self._key, token, number) as part:
                    for piece in self._storage.iter_range(self._bucket, self._key, *self._range(number)):
                        part.write(piece)
                    part.commit()
        return token

    def _range(self, number: int) -> tuple[int, int]:
        start: int = (number - 1) * self._row["part_bytes"]
        return start, start + bytes_of_part(self._row, number)


def bytes_of_part(row: Row, number: int) -> int:
    return size_of_part(number, row["size_bytes"], row["part_bytes"])


def meant_digest(row: Row, completion: UploadCompletion) -> str | None:
    """The SHA-256 that the file shall have."""
    before: str | None = row["sha256"]
    if before and completion.sha256 not in {None, before}:
        raise WrongState(
            f"The upload was begun for a file with the SHA-256 {before}: complete it with that one, or DELETE it and begin "
            "again."
        )
    return completion.sha256 or before


def check_parts(
    parts: Sequence[StoredPart], row: Row, completion: UploadCompletion, knows_digests: bool
) -> None:
    """`knows_digests`: their etags are their SHA-256.

    Raises:
        WrongState: parts are missing, too long or short, or others than the caller knows.
    """
    there = {part.number: part for part in parts}
    count = part_count_of(row["size_bytes"], row["part_bytes"])
    wrong = [
        number
        for number in range(1, count + 1)
        if number not in there or there[number].size != bytes_of_part(row, number)
    ]
    if extra := sorted(number for number in there if number > count):
        raise WrongState(f"The file has {count} parts, and part {extra[0]} is there too: begin a new upload.")
    if wrong:
        raise WrongState(
            f"{len(wrong)} of {count} parts are missing or not as long as they should be, the first is part "
            f"{wrong[0]}: GET the upload for fresh addresses, send them and complete again.",
            missing_parts=wrong[:MAX_PARTS_NAMED],
        )
    others = []
    for known in completion.parts or ():
        etag = there[known.number].etag if known.number in there else ""
        meant = [known.etag and known.etag.strip('"'), known.sha256 if knows_digests else None]
        if any(one not in {None, etag} for one in meant):
            others.append(known.number)
    if others:
        raise WrongState(
            f"{len(others)} parts are not those that you sent, the first is part {others[0]}: GET the upload for fresh "
            "addresses, send them and complete again.",
            missing_parts=others[:MAX_PARTS_NAMED],
        )
