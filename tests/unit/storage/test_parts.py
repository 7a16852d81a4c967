"""Parts of objects without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts_contract import PartsContract
from storage_contract import BUCKET, OTHER_BUCKET

from orthoray.storage import LocalStorage, MemoryStorage
from orthoray.storage.parts import (
    MAX_PART_COUNT,
    PART_BYTES,
    PartStore,
    part_bytes_of,
    part_count_of,
    part_store,
    size_of_part,
)


class TestMemoryParts(PartsContract):
    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()

    @pytest.fixture
    def store(self, storage: MemoryStorage) -> PartStore:
        return part_store(storage)


class TestLocalParts(PartsContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        made = LocalStorage(tmp_path)
        made.ensure_buckets([BUCKET, OTHER_BUCKET])
        return made

    @pytest.fixture
    def store(self, storage: LocalStorage) -> PartStore:
        return part_store(storage)


@pytest.mark.parametrize(
    "size", [1, PART_BYTES, PART_BYTES + 1, 5 * 10**9, MAX_PART_COUNT * PART_BYTES + 1, 5 << 40]
)
def test_parts_cover_a_file_once(size: int) -> None:
    part = part_bytes_of(size)
    count = part_count_of(size, part)
    assert part >= PART_BYTES
    assert count <= MAX_PART_COUNT
    sizes = [size_of_part(number, size, part) for number in (1, count)]
    assert all(0 < one <= part for one in sizes)
    assert (count - 1) * part + sizes[-1] == size
    assert size_of_part(count + 1, size, part) <= 0
    assert size_of_part(0, size, part) <= 0
