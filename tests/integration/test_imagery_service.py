"""The catalogue on a real PostgreSQL and a real folder."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from fakes import stored_file
from PIL import Image
from rasters import RGBN, UTM, fields, write_bands
from wired import Services

from orthoray.contracts import AnalysisRequest, Gps, Outcome, ReportRequest, digest_of_assets
from orthoray.database import ALL_ROWS
from orthoray.errors import (
    Impossible,
    NotAnImage,
    NotAuthenticated,
    NotFound,
    OrthoRayError,
    TooLarge,
    TruncatedImage,
    Unavailable,
)
from orthoray.events import Outbox
from orthoray.ports import ImageryQuery, Upload
from orthoray.storage.config import StorageConfig
from pipelines.tasks import analyse_order
from serve_app.imagery.repository import SQL, key_row
from serve_app.local.credentials import first_api_key

pytestmark = pytest.mark.anyio


def jpeg(width: int = 200, height: int = 100) -> bytes:
    target = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)).save(
        target, "JPEG"
    )
    return target.getvalue()


async def test_a_record_an_event_and_a_thumbnail(services: Services) -> None:
    imagery = await services.register()
    assert await services.imagery.get("default", imagery.id) == imagery
    assert imagery.bands == {"R": 1, "G": 2, "B": 3, "N": 4}
    assert (imagery.width, imagery.height, imagery.dtype) == (6, 8, "float32")
    assert services.events("imagery", imagery.id) == ["imagery.created"]
    assert services.objects() == [imagery.object_key, f"thumbnails/{imagery.id}.png"]


async def test_several_files_are_one_record(services: Services, tmp_path: Path) -> None:
    scene = (fields() * 10_000).astype(np.uint16)
    files = {
        f"field_{name}.tif": write_bands(
            tmp_path / "band.tif", scene[number : number + 1], **UTM
        ).read_bytes()
        for number, name in enumerate(RGBN)
    }
    imagery = await services.register(files=files, scale=[0.0001])
    assert await services.imagery.get("default", imagery.id) == imagery
    assert imagery.bands == {"R": 1, "G": 2, "B": 3, "N": 4}
    assert [asset.filename for asset in imagery.assets] == list(files)
    assert {asset.band_count for asset in imagery.assets} == {1}
    assert imagery.object_key == imagery.assets[0].object_key
    assert imagery.sha256 == digest_of_assets(asset.sha256 for asset in imagery.assets)
    assert imagery.size_bytes == sum(map(len, files.values()))
    assert imagery.calibration is not None
    assert (imagery.calibration.state, imagery.calibration.scales) == ("reflectance", [0.0001] * 4)
    run = await services.analysis.create("default", AnalysisRequest(imagery_id=imagery.id, index_type="NDVI"))
    order = await services.analysis.start_run(run.id)
    assert order is not None
    assert order.imagery == imagery
    await services.imagery.delete("default", imagery.id)
    assert services.objects() == []


async def test_a_mask_is_kept_with_its_image(services: Services, tmp_path: Path) -> None:
    values = np.full((1, 8, 6), 255, dtype=np.uint8)
    values[:, :4] = 0
    mask = write_bands(tmp_path / "mask.tif", values).read_bytes()
    image = write_bands(tmp_path / "field.tif", fields(), RGBN, **UTM).read_bytes()
    imagery = await services.register(files={"field.tif.msk": mask, "field.tif": image})
    assert await services.imagery.get("default", imagery.id) == imagery
    assert [(asset.filename, asset.role) for asset in imagery.assets] == [
        ("field.tif", "data"),
        ("field.tif.msk", "mask"),
    ]
    assert (imagery.band_count, imagery.bands) == (4, {"R": 1, "G": 2, "B": 3, "N": 4})
    run = await services.analysis.create("default", AnalysisRequest(imagery_id=imagery.id, index_type="NDVI"))
    order = await services.analysis.start_run(run.id)
    assert order is not None
    assert order.imagery == imagery
    *_, outcome = analyse_order(StorageConfig(root=tmp_path / "storage"), order)
    assert isinstance(outcome, Outcome)
    assert (outcome.statistics.valid_pixels, outcome.statistics.nodata_pixels) == (24, 24)
    for key in (outcome.heatmap_key, outcome.index_key):
        services.storage.delete("heatmaps", key)
    with pytest.raises(Impossible, match="its image is missing"):
        await services.register(files={"field.tif.msk": mask})
    await services.imagery.delete("default", imagery.id)
    assert services.objects() == []


async def test_files_that_do_not_fit_together_leave_nothing(services: Services, tmp_path: Path) -> None:
    files = {
        f"field_{name}.tif": write_bands(tmp_path / "band.tif", fields(8, width)[:1], **UTM).read_bytes()
        for name, width in (("red", 6), ("nir", 7))
    }
    with pytest.raises(Impossible, match="size"):
        await services.register(files=files)
    assert services.objects() == []
    assert services.query("imagery", "select id from imagery") == []


async def test_a_row_of_the_time_of_single_files_is_still_read(services: Services) -> None:
    imagery = await services.register()
    services.query(
        "imagery",
        "update imagery set assets = '[]', calibration = null, bands_reason = null, sensor_reason = null returning id",
    )
    old = await services.imagery.get("default", imagery.id)
    assert old.assets == imagery.assets
    assert old.calibration is None
    await services.analysis.create("default", AnalysisRequest(imagery_id=imagery.id, index_type="NDVI"))


async def test_registering_again_changes_nothing(services: Services) -> None:
    imagery = await services.register()
    again = Upload(id=imagery.id, files=[stored_file("other.tif", imagery.object_key, b"other")])
    assert await services.imagery.register("default", again) == imagery
    assert services.events("imagery", imagery.id) == ["imagery.created"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", NotAnImage),
        (b"not an image at all", NotAnImage),
        (jpeg()[:-2000], TruncatedImage),
        (jpeg(200, 100), TooLarge),
    ],
)
async def test_what_is_refused_leaves_nothing(
    services: Services, content: bytes, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await services.register(content=content)
    assert services.objects() == []
    assert services.query("imagery", "select id from imagery") == []
    assert services.jobs("imagery") == []


@pytest.mark.parametrize("facts", [{"bands": "R,G"}, {"sensor": "no such sensor"}])
async def test_facts_that_do_not_fit_leave_nothing(services: Services, facts: dict[str, str]) -> None:
    with pytest.raises(Impossible):
        await services.register(**facts)
    assert services.objects() == []


async def test_the_row_and_its_event_are_written_together_or_not_at_all(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*args: object, **kwargs: object) -> None:
        raise Unavailable

    monkeypatch.setattr(Outbox, "emit", refuse)
    with pytest.raises(Unavailable):
        await services.register()
    assert services.query("imagery", "select id from imagery") == []


async def test_pages_newest_first(services: Services) -> None:
    made = [(await services.register()).id for _ in range(5)]
    query = ImageryQuery(limit=2)
    seen = []
    while True:
        page = await services.imagery.search("default", query)
        seen.append([imagery.id for imagery in page.items])
        if page.next is None:
            break
        query.next = page.next
    assert seen == [made[:2:-1], made[2:0:-1], made[:1]]


async def test_filters(services: Services, tmp_path: Path) -> None:
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    on_map = write_bands(tmp_path / "map.tif", fields(), RGBN, **UTM)
    mapped = await services.register(content=on_map.read_bytes(), captured_at=moment)
    tagged = await services.register(
        gps=Gps(latitude=-10, longitude=20), captured_at=moment + timedelta(days=1)
    )
    nowhere = await services.register()

    async def found(**query: Any) -> set[Any]:
        return {one.id for one in (await services.imagery.search("default", ImageryQuery(**query))).items}

    assert mapped.bounds_wgs84
    west, south, east, north = mapped.bounds_wgs84
    assert await found() == {mapped.id, tagged.id, nowhere.id}
    assert await found(bbox=(-180, -90, 180, 90)) == {mapped.id, tagged.id}
    assert await found(bbox=(east, north, east + 1, north + 1)) == {mapped.id}, "touching is enough"
    assert await found(bbox=(west - 2, south - 2, west - 1, south - 1)) == set()
    assert await found(bbox=(20, -10, 20, -10)) == {tagged.id}
    assert await found(captured_after=moment) == {mapped.id, tagged.id}
    assert await found(captured_before=moment) == {mapped.id}
    assert await found(
        captured_after=moment + timedelta(hours=1), captured_before=moment + timedelta(days=2)
    ) == {tagged.id}


async def test_deleting_takes_runs_reports_and_objects_along(services: Services) -> None:
    run = await services.completed()
    report = await services.report.create("default", ReportRequest(analysis_run_id=run.id))
    await services.report.start_report(report.id)
    services.storage.put_bytes("reports", f"reports/{report.id}.pdf", b"%PDF")
    await services.report.complete_report(report.id, 1, "reports", f"reports/{report.id}.pdf")
    waiting = await services.analysis.create(
        "default", AnalysisRequest(imagery_id=run.imagery_id, index_type="GNDVI")
    )
    assert len(services.objects()) == 5
    await services.imagery.delete("default", run.imagery_id)
    assert services.objects() == []
    for missing in (
        services.imagery.get("default", run.imagery_id),
        services.analysis.get("default", run.id),
        services.analysis.get("default", waiting.id),
        services.report.get("default", report.id),
        services.imagery.delete("default", run.imagery_id),
    ):
        with pytest.raises(NotFound):
            await missing
    assert services.events("imagery", run.imagery_id) == ["imagery.created", "imagery.deleted"]


async def test_what_a_deletion_could_not_do_now_is_done_by_its_job(services: Services) -> None:
    run = await services.completed()
    services.away["analysis"].error = Unavailable()
    await services.imagery.delete("default", run.imagery_id)
    with pytest.raises(NotFound):
        await services.imagery.get("default", run.imagery_id)
    assert services.objects() != []
    (job,) = services.jobs("imagery", "imagery.clean-up")
    services.away["analysis"].error = None
    for _ in range(2):
        await services.imagery.clean_up(job["args"]["tenant"], run.imagery_id)
    assert services.objects() == []


async def test_another_tenant_has_none_of_it(services: Services) -> None:
    imagery = await services.register()
    for refused in (
        services.imagery.get("other", imagery.id),
        services.imagery.delete("other", imagery.id),
        services.analysis.create("other", AnalysisRequest(imagery_id=imagery.id, index_type="NDVI")),
    ):
        with pytest.raises(NotFound):
            await refused
    assert (await services.imagery.search("other", ImageryQuery())).items == []
    await services.imagery.clean_up("other", imagery.id)
    assert services.storage.exists("imagery", imagery.object_key)
    assert await services.imagery.find("default", imagery.id)


async def test_keys_are_known_by_their_digest(services: Services, tmp_path: Path) -> None:
    path = first_api_key(tmp_path, services.dsns["imagery"])
    assert first_api_key(tmp_path, services.dsns["imagery"]) == path
    key = path.read_text().strip()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (await services.imagery.identify(key)).tenant == "default"
    rows = services.query("imagery", "select * from api_keys")
    assert len(rows) == 1
    assert key not in str(rows)
    with psycopg.connect(services.dsns["imagery"], options=ALL_ROWS) as connection:
        connection.execute(SQL["insert_key"], key_row("farm", "second", "or_second", ["imagery:read"]))
    assert (await services.imagery.identify("or_second")).tenant == "farm"
    services_key = services.query(
        "imagery", "update api_keys set revoked_at = now() where tenant_id = 'farm' returning id"
    )
    assert services_key
    for wrong in ("or_second", "", key[:-1], "\x00", "ключ"):
        with pytest.raises(NotAuthenticated):
            await services.imagery.identify(wrong)


async def test_the_service_checks_database_and_storage(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await services.imagery.check() == {}

    def broken() -> None:
        raise Unavailable("The storage does not answer.")

    monkeypatch.setattr(services.storage, "check", broken)
    assert await services.imagery.check() == {"storage": "The storage does not answer."}


async def test_ids_that_nobody_has(services: Services) -> None:
    with pytest.raises(OrthoRayError, match="GET /imagery"):
        await services.imagery.get("default", uuid4())
