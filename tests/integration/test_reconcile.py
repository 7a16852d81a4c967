"""Rows and objects of the three services, compared on a real PostgreSQL and a real folder."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from wired import Services

from orthoray.contracts import ReportRequest
from orthoray.keys import heatmap_key, index_key, report_key, thumbnail_key
from orthoray.ports import ReportOrder
from orthoray.reconciling import CAREFUL_COUNT, Reconciled, ReconcileOrder
from orthoray.storage.parts import part_store
from orthoray.uploads import UploadWish

pytestmark = pytest.mark.anyio
LOOK, FIX = ReconcileOrder(), ReconcileOrder(fix=True)


def put(services: Services, bucket: str, key: str, *, hours: float = 25) -> str:
    """An object of that age."""
    services.storage.put_bytes(bucket, key, b"something")
    moment = time.time() - 3600 * hours
    os.utime(services.storage.root / bucket / key, (moment, moment))
    return key


async def looks(services: Services, order: ReconcileOrder = LOOK) -> dict[str, Reconciled]:
    return {
        "imagery": await services.imagery.reconcile(order),
        "analysis": await services.analysis.reconcile(order),
        "report": await services.report.reconcile(order),
    }


async def reported(services: Services, run_id: object) -> ReportOrder:
    """A completed report of a run."""
    report = await services.report.create(
        "default", ReportRequest.model_validate({"analysis_run_id": run_id})
    )
    order = await services.report.start_report(report.id)
    assert order is not None
    services.storage.put_bytes("reports", report_key("default", report.id), b"%PDF")
    await services.report.complete_report(
        report.id, order.attempt, "reports", report_key("default", report.id)
    )
    return order


def age_all(services: Services) -> None:
    for bucket in ("imagery", "heatmaps", "reports"):
        for info in services.storage.list(bucket):
            os.utime(services.storage.root / bucket / info.key, (0, 0))


async def test_all_is_well(services: Services) -> None:
    run = await services.completed()
    await reported(services, run.id)
    await services.run()
    waiting = await services.run()
    for key in (heatmap_key("default", waiting.id), index_key("default", waiting.id)):
        put(services, "heatmaps", key)  # a worker is about to report them
    upload = await services.imagery.begin_upload("default", UploadWish(filename="a.tif", size=5))
    place = await services.imagery.place_of_part("default", upload.id, 1)
    put(services, "imagery", place.object_key)  # joined, but not catalogued yet
    age_all(services)
    found = await looks(services, FIX)
    assert {name: one.open for name, one in found.items()} == {"imagery": 0, "analysis": 0, "report": 0}
    assert [one.fixed for one in found.values()] == [0, 0, 0]
    assert found["imagery"].rows == 3
    assert found["imagery"].objects == 5, "three share a file"
    assert (found["analysis"].rows, found["analysis"].objects) == (1, 4)
    assert (found["report"].rows, found["report"].objects) == (1, 1)
    assert services.storage.exists("imagery", place.object_key)


async def test_orphans_are_found_and_removed(services: Services) -> None:
    kept = await services.register()
    completed = await services.completed()
    cancelled = await services.run()
    await services.analysis.delete("default", cancelled.id)
    orphans = {
        "imagery": {
            put(services, "imagery", f"imagery/{uuid4()}/field.tif"),
            put(services, "imagery", f"farm/imagery/{uuid4()}/field.tif"),
            put(services, "imagery", thumbnail_key("default", uuid4())),
            put(services, "imagery", f"imagery/{kept.id}/copy.tif"),
        },
        "analysis": {
            put(services, "heatmaps", heatmap_key("default", cancelled.id)),
            put(services, "heatmaps", heatmap_key("default", completed.id, 2)),
            put(services, "heatmaps", index_key("farm", uuid4())),
            put(services, "heatmaps", f"batches/{uuid4()}/index/a.tif"),
        },
        "report": {put(services, "reports", report_key("default", uuid4()))},
    }
    strangers = [
        put(services, "imagery", "holiday/photo.jpg"),
        put(services, "imagery", "imagery/readme.txt"),
        put(services, "heatmaps", "heatmaps/notes.txt"),
        put(services, "reports", "reports/annual.pdf"),
    ]
    young = put(services, "imagery", f"imagery/{uuid4()}/field.tif", hours=23)
    found = await looks(services)
    assert {name: set(one.orphans) for name, one in found.items()} == orphans
    assert found["imagery"].orphan_bytes == 4 * len(b"something")
    assert found["imagery"].young == 1
    assert all(one.open == len(orphans[name]) for name, one in found.items())
    before = set(services.objects())
    found = await looks(services, FIX)
    assert all(one.open == 0 for one in found.values())
    assert before - set(services.objects()) == set().union(*orphans.values())
    assert {*strangers, young} <= set(services.objects())
    assert all(one.orphans == [] for one in (await looks(services)).values())
    await services.imagery.reconcile(ReconcileOrder(fix=True, grace=timedelta(0)))
    assert not services.storage.exists("imagery", young)


async def test_lost_objects_are_told_and_thumbnails_drawn_anew(services: Services) -> None:
    run = await services.completed()
    order = await reported(services, run.id)
    imagery = order.imagery
    thumbnail = thumbnail_key("default", imagery.id)
    drawn = services.storage.get_bytes("imagery", thumbnail)
    services.storage.delete("imagery", thumbnail)
    found = await services.imagery.reconcile(LOOK)
    assert (len(found.lost), found.open) == (1, 1)
    assert f"imagery {imagery.id} lacks {thumbnail}" in found.lost[0]
    found = await services.imagery.reconcile(FIX)
    assert (len(found.lost), found.open) == (1, 0)
    assert services.storage.get_bytes("imagery", thumbnail) == drawn
    services.storage.delete("imagery", imagery.object_key)
    services.storage.delete("imagery", thumbnail)
    services.storage.delete("heatmaps", index_key("default", run.id))
    services.storage.delete("reports", report_key("default", order.report.id))
    found_all = await looks(services, FIX)
    assert [one.open for one in found_all.values()] == [2, 1, 1]
    assert "analyse the image again" in found_all["analysis"].lost[0]
    assert await services.imagery.get("default", imagery.id) == imagery
    await services.imagery.delete("default", imagery.id)
    assert [one.open for one in (await looks(services)).values()] == [0, 0, 0]


async def test_a_service_holds_back_where_orphans_are_many(services: Services) -> None:
    keys = [put(services, "imagery", f"imagery/{uuid4()}/field.tif") for _ in range(CAREFUL_COUNT + 1)]
    careful = ReconcileOrder(fix=True, careful=True)
    found = await services.imagery.reconcile(careful)
    assert found.held_back
    assert (found.fixed, found.open) == (0, len(keys))
    services.storage.delete("imagery", keys.pop())
    found = await services.imagery.reconcile(careful)
    assert (found.held_back, found.open) == (False, 0)


async def test_pages(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orthoray.reconciling.PAGE", 2)
    for _ in range(5):
        await services.register()
    keys = {put(services, "imagery", f"imagery/{uuid4()}/field.tif") for _ in range(5)}
    services.storage.delete("imagery", thumbnail_key("default", (await services.register()).id))
    found = await services.imagery.reconcile(LOOK)
    assert (found.rows, set(found.orphans), len(found.lost)) == (6, keys, 1)
    assert (await services.imagery.reconcile(FIX)).fixed == 6


async def test_swept_parts_are_no_objects(services: Services) -> None:
    upload = await services.imagery.begin_upload("default", UploadWish(filename="a.tif", size=5))
    place = await services.imagery.place_of_part("default", upload.id, 1)
    with part_store(services.storage).writer("imagery", place.object_key, place.token, 1) as part:
        part.write(b"12345")
        part.commit()
    assert (await services.imagery.reconcile(LOOK)).objects == 0
