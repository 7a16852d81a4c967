from __future__ import annotations

import pytest
from storage_contract import StorageContract

from orthoray.storage import MemoryStorage


class TestMemoryStorage(StorageContract):
    picklable = False

    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()


def test_remembers_content_types() -> None:
    storage = MemoryStorage()
    storage.put_bytes("imagery", "a", b"x", "image/png")
    assert storage.content_type("imagery", "a") == "image/png"
