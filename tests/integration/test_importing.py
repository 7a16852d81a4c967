"""`orthoray import` of large files, into a catalogue on a real PostgreSQL and a real folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasters import RGBN, UTM, write_bands
from wired import Services

from orthoray.errors import Unavailable
from orthoray.ports import ImageryQuery
from orthoray.storage.parts import PART_BYTES, part_store
from serve_app.local import importing
from serve_app.local.importing import _Catalogue, _import_one

pytestmark = pytest.mark.anyio
SIZE = 8 * PART_BYTES + 17


@pytest.fixture
def catalogue(services: Services) -> _Catalogue:
    return _Catalogue(
        services.imagery, services.storage, part_store(services.storage), "imagery", "R,G,B,N", None
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine parts: an image of 80 x 80 pixels, and zeros behind it."""
    values = np.full((4, 80, 80), 0.2, dtype=np.float32)
    path = write_bands(tmp_path_factory.mktemp("large") / "large.tif", values, RGBN, **UTM)
    with path.open("r+b") as file:
        file.truncate(SIZE)
    return path


async def test_a_large_file_goes_on_where_it_was_broken_off(
    services: Services, catalogue: _Catalogue, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    genuine = importing._send

    async def fails_at_the_fifth(catalogue: Any, path: Any, upload: Any, part: Any, tell: Any) -> None:
        if not part.received:
            if len(sent) == 4:
                raise Unavailable
            sent.append(part.number)
        await genuine(catalogue, path, upload, part, tell)

    monkeypatch.setattr(importing, "_send", fails_at_the_fifth)
    with pytest.raises(Unavailable):
        await _import_one(catalogue, [large], lambda _: None)
    assert len(sent) == 4
    monkeypatch.setattr(importing, "_send", genuine)
    told: list[int] = []
    writes = 0
    genuine_writer = catalogue.parts.writer

    def counted(*arguments: Any) -> Any:
        nonlocal writes
        writes += 1
        return genuine_writer(*arguments)

    monkeypatch.setattr(catalogue.parts, "writer", counted)
    assert await _import_one(catalogue, [large], told.append)
    assert writes <= 9 - 3, "what had arrived was not sent again"
    assert sum(told) == 2 * SIZE
    assert not await _import_one(catalogue, [large], told.append), "it is there"
    (imagery,) = (await services.imagery.search("default", ImageryQuery())).items
    assert imagery.bands == {"R": 1, "G": 2, "B": 3, "N": 4}
    assert services.storage.size("imagery", imagery.object_key) == SIZE
    assert services.query("imagery", "select id from uploads where status = 'open'") == []


async def test_a_deleted_file_can_be_imported_again(
    services: Services, catalogue: _Catalogue, large: Path
) -> None:
    found = []
    for path in (large, services.image):
        for _ in range(2):
            assert await _import_one(catalogue, [path], lambda _: None)
            (imagery,) = (await services.imagery.search("default", ImageryQuery())).items
            assert services.storage.exists("imagery", imagery.object_key)
            found.append((imagery.id, imagery.object_key))
            await services.imagery.delete("default", imagery.id)
            assert services.objects() == []
    assert len({imagery_id for imagery_id, _ in found}) == 2
    assert len({key for _, key in found}) == 4, "keys are never used again"
