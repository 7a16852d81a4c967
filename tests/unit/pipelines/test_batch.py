"""Batches from folder to folder in one process: what is done, what is told of it, and what a second time finds to do."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pystac
import pytest
from batches import a_request, write_images
from PIL import Image
from pypdf import PdfReader
from stac_rules import expect_valid

from orthoray.batches import BatchRequest
from orthoray.errors import BadInput, OrthoRayError, Unavailable, WrongState
from orthoray.storage.config import StorageConfig
from pipelines import images
from pipelines.batch import find_items, make_job, read_request, run_batch
from pipelines.campaign import Tally, in_turn, memory_needed, per_task, run_campaign
from pipelines.images import MAX_ATTEMPTS, Job
from pipelines.ledger import ServiceLedger
from pipelines.output import FolderOutput, StoredOutput
from pipelines.signs import SignsOfLife
from pipelines.sources import prefix_items, split_uri


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", 4, broken=True)


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that were analysed, in order."""
    names: list[str] = []
    real = images._analysed

    def noting(job: Job, item: Any, *rest: Any) -> Any:
        names.append(item.name)
        return real(job, item, *rest)

    monkeypatch.setattr(images, "_analysed", noting)
    return names


def run(source: Path, out: Path, **wanted: Any) -> Tally:
    return run_batch(a_request(source, **wanted), out, spread=in_turn)


def test_a_broken_image_is_reported_and_does_not_stop_the_rest(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tally = run(folder, out, report=True, language="ru")
    assert (tally.total, tally.completed, tally.failed, tally.unfinished) == (5, 4, 1, 0)
    rows = pq.read_table(out / "statistics.parquet").to_pylist()
    assert [row["source"] for row in rows] == ["broken.tif", *(f"field-{n:03}.tif" for n in range(4))]
    assert rows[0]["status"] == "failed"
    assert "damaged" in rows[0]["error"]
    assert rows[0]["mean"] is None
    assert rows[1]["mean"] == pytest.approx(0.4, abs=0.01)
    assert rows[1]["healthy_percent"] == pytest.approx(50, abs=1)
    assert rows[1]["area_m2"] is None
    assert (rows[2]["area_m2"], rows[2]["epsg"]) == (12 * 12 * 100, 32635)
    for row in rows[1:]:
        assert all((out / row[name]).is_file() for name in ("heatmap", "index_raster", "preview"))
    text = "\n".join(page.extract_text() for page in PdfReader(out / "summary.pdf").pages)
    assert "Сводка по съёмке" in text
    assert "broken.tif" in text


def test_the_collection_is_valid_and_leads_to_every_file(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(folder, out)
    collection = pystac.Collection.from_file(str(out / "collection.json"))
    items = sorted(collection.get_items(), key=lambda item: item.id)
    assert len(items) == 4
    for path in (out / "collection.json", *(out / "items").iterdir()):
        expect_valid(json.loads(path.read_text()))
    off, on = items[0], items[1]
    assert (off.geometry, off.bbox) == (None, None)
    assert on.geometry is not None
    assert on.properties["proj:code"] == "EPSG:32635"
    assert collection.extent.spatial.bboxes == [on.bbox]
    for item in items:
        for role in ("heatmap", "index", "preview", "source"):
            href = item.assets[role].href
            assert not href.startswith(("/", "file:")), "no place on the server"
            assert (out / "items" / href).resolve().is_file(), role
    raster = on.assets["index"].to_dict()
    assert raster["bands"][0]["statistics"]["valid_percent"] == 100
    assert [row["percentage"] for row in raster["classification:classes"]][1:3] == [0, 0]
    assert [band["eo:common_name"] for band in on.assets["source"].to_dict()["bands"]] == [
        "red", "green", "blue", "nir",
    ]  # fmt: skip
    assert on.properties["processing:software"]["OrthoRay"]


def test_a_second_time_only_what_is_new_or_other_is_done(
    folder: Path, tmp_path: Path, analysed: list[str]
) -> None:
    out = tmp_path / "out"
    run(folder, out)
    assert len(analysed) == 4
    first = {path: path.stat().st_mtime_ns for path in (out / "heatmaps").iterdir()}
    analysed.clear()
    assert run(folder, out).known == 4
    assert analysed == []
    assert {path: path.stat().st_mtime_ns for path in (out / "heatmaps").iterdir()} == first

    write_images(tmp_path / "more", 6)
    for name in ("field-004.tif", "field-005.tif"):
        (tmp_path / "more" / name).rename(folder / name)
    write_images(tmp_path / "other", 1, side=14)
    (tmp_path / "other" / "field-000.tif").replace(folder / "field-000.tif")
    (folder / "field-003.tif").unlink()
    (folder / "copy.tif").write_bytes((folder / "field-002.tif").read_bytes())
    assert run(folder, out).completed == 6
    assert set(analysed) == {"field-000.tif", "field-004.tif", "field-005.tif"}, "the copy's result is known"
    assert not [path for path in (out / "heatmaps").iterdir() if "field-003" in path.name]


def test_another_engine_or_old_package_does_all_again(
    folder: Path, tmp_path: Path, analysed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(folder, out)
    analysed.clear()
    monkeypatch.setattr(images, "engine_facts", lambda: {"engine": "another"})
    run(folder, out)
    assert len(analysed) == 4


def test_a_users_own_old_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = images.engine_facts()
    (tmp_path / "mine.py").write_text("x = 1")
    monkeypatch.setattr(images.OLD, "__path__", [str(tmp_path)])
    assert images.engine_facts() != before


def test_a_job_that_is_cut_off_leaves_the_rest(folder: Path, tmp_path: Path, analysed: list[str]) -> None:
    out, request = tmp_path / "out", a_request(folder)

    def cut_off(job: Job, items: Any) -> Any:
        yield from in_turn(job, items[:3])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(request, out, spread=cut_off)
    assert not (out / "collection.json").exists()
    done = len(analysed)
    tally = run_batch(request, out, spread=in_turn)
    assert (tally.completed, tally.failed, len(analysed)) == (4, 1, 4)
    assert done == 2


def test_what_tells_of_an_earlier_state_does_not_stay(folder: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "out", ("summary.pdf", "collection.json", "statistics.parquet")
    run(folder, out, report=True)
    assert all((out / name).is_file() for name in told)

    def cut_off(job: Job, items: Any) -> Any:
        yield from in_turn(job, items[:1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(a_request(folder, report=True), out, spread=cut_off)
    assert not any((out / name).exists() for name in told), "the broken image was tried again"
    run(folder, out, report=True)
    run(folder, out)
    assert not (out / "summary.pdf").exists(), "not asked for this time"
    for path in folder.glob("field-*"):
        path.unlink()
    run(folder, out)
    assert not (out / "collection.json").exists(), "there is nothing in it"
    assert not list((out / "heatmaps").iterdir())


def test_a_driver_whose_batch_another_takes_over_ends_and_removes_nothing(
    folder: Path, tmp_path: Path
) -> None:
    out, request = tmp_path / "out", a_request(folder)
    write_images(tmp_path / "more", 5)

    def overtaken(job: Job, items: Any) -> Any:
        yield from in_turn(job, items)
        (tmp_path / "more" / "field-004.tif").rename(folder / "field-004.tif")
        assert run_batch(request, out, spread=in_turn).completed == 5

    with pytest.raises(WrongState, match="Another job has taken over"):
        run_batch(request, out, spread=overtaken)
    assert pq.read_table(out / "statistics.parquet").num_rows == 6
    assert len(list((out / "heatmaps").iterdir())) == 5


def test_signs_of_life_tell_a_driver_that_it_was_replaced(folder: Path, tmp_path: Path) -> None:
    job = make_job(a_request(folder), tmp_path / "out").begun([])
    with SignsOfLife(job.ledger, every_s=0.01) as signs:
        signs.ask()
        make_job(a_request(folder), tmp_path / "out").begun([])
        deadline = time.monotonic() + 10
        while not signs._lost.is_set():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(WrongState):
            signs.expect_own()


def test_files_of_others_in_the_making_are_left_alone(tmp_path: Path) -> None:
    output = FolderOutput(tmp_path)
    for name in ("a.png", "b.png", ".being-written", ".left-over"):
        output.put_bytes(f"heatmaps/{name}", b"", "image/png")
    os.utime(tmp_path / "heatmaps" / ".left-over", (0, 0))
    output.keep_only(("heatmaps", "nowhere"), {"a"}, lambda: None)
    assert {path.name for path in (tmp_path / "heatmaps").iterdir()} == {"a.png", ".being-written"}


def test_an_image_has_a_span_that_tells_how_it_ended(tmp_path: Path, spans: Any) -> None:
    write_images(tmp_path / "images", 0, broken=True)
    run(tmp_path / "images", tmp_path / "out")
    ended = spans()
    assert ended["batch"].attributes["orthoray.failed"] == 1
    told = ended["image"].attributes
    assert told["orthoray.batch_id"] == ended["batch"].attributes["orthoray.batch_id"]
    assert (told["orthoray.end"], told["orthoray.reason"]) == ("failed", "bad_image")
    assert "broken.tif" not in str(dict(told)), "spans name no files"


def test_an_image_that_ends_its_process_each_time_is_given_up(folder: Path, tmp_path: Path) -> None:
    job = make_job(a_request(folder), tmp_path / "out")
    items = find_items(job)
    job = job.begun(items)
    for _ in range(MAX_ATTEMPTS):
        assert job.ledger.start(items[1].ref)
    assert images.do_item(job, items[1]) == "failed"
    failed = next(row for row in job.ledger.rows() if row.source == items[1].source)
    assert "ended 4 times" in (failed.error or "")


def test_what_does_not_answer_leaves_the_image_for_another_job(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(images, "WAITS_S", (0.0,))
    monkeypatch.setattr(images, "_analysed", away)
    tally = run(folder, tmp_path / "out")
    assert (tally.completed, tally.failed, tally.unfinished) == (0, 1, 4)


@pytest.mark.slow
def test_errors_that_nobody_expected_are_rows_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(images, "analyse_files", wrong)
    assert run(folder, tmp_path / "out").failed == 5
    rows = pq.read_table(tmp_path / "out" / "statistics.parquet").to_pylist()
    assert "ZeroDivisionError" in rows[1]["error"]


def test_photos_without_a_place_and_indices_of_old(tmp_path: Path) -> None:
    from scenes import photo

    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(photo(seed=1))
    out = tmp_path / "out"
    request = read_request(prefix=str(tmp_path / "images"), index="ndvi_emp", report=True, language="ro")
    assert run_batch(request, out, spread=in_turn).completed == 1
    item = json.loads(next((out / "items").iterdir()).read_text())
    assert item["properties"]["orthoray:index"] == "NDVI_emp"
    assert item["geometry"] is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"index": "NDWIX"}, "no index named"),
        ({"crop": "bananas"}, "crop"),
        ({"language": "de"}, "language"),
        ({"options": "["}, "--options takes a JSON object"),
        ({"options": "[1]"}, "--options takes a JSON object"),
        ({"options": '{"cmap": "nope"}'}, "no colour map"),
        ({"options": '{"nope": 1}'}, "nope"),
        ({"bbox": "1,2,3"}, "bbox"),
        ({"bbox": "170,-91,171,0"}, "bbox: west,south,east,north are degrees"),
        ({"bbox": "9,0,8,1"}, "west <= east"),
        ({"bbox": "0,0,nan,1"}, "west <= east"),
        ({"prefix": "s3:///x"}, "names its bucket"),
        ({"prefix": "s3://imagery/" + "x" * 1100}, "at most 1024 characters"),
        ({"prefix": "/data/a\nb"}, "line breaks"),
        (
            {"captured_after": "2026-06-01", "captured_before": "2026-05-01"},
            "after captured_before",
        ),
        ({"prefix": "s3://imagery/", "bbox": "1,2,3,4"}, "from the catalogue only"),
    ],
)
def test_a_wrong_request_is_told_before_anything_starts(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OrthoRayError, match=message):
        read_request(**{"prefix": None, "index": "NDVI", **wrong})


def test_a_source_is_a_prefix_or_a_full_path_and_times_have_a_zone() -> None:
    with pytest.raises(ValueError, match="full path of a folder"):
        BatchRequest(source="flights/may")
    read = BatchRequest.model_validate({"captured_after": "2026-05-01T00:00:00"})
    assert read.captured_after == datetime(2026, 5, 1, tzinfo=UTC)
    assert BatchRequest(source="/data/flights/may").shown().source == "may"


def test_the_same_request_is_the_same_batch() -> None:
    first, second = (read_request(prefix=None, index="NDVI", report=report) for report in (True, False))
    assert first.batch_id("default") == second.batch_id("default") != first.batch_id("another")
    again = BatchRequest.model_validate_json(first.model_dump_json())
    assert again.batch_id("default") == first.batch_id("default")
    other = read_request(prefix=None, index="NDVI", crop="corn")
    assert other.batch_id("default") != first.batch_id("default")


def test_where_there_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no images"):
        run(tmp_path, tmp_path / "out")
    with pytest.raises(BadInput, match="no folder"):
        run(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(BadInput, match="write it like"):
        split_uri("s3:///x")


def test_images_below_a_prefix_in_storage(tmp_path: Path) -> None:
    from orthoray.storage.local import LocalStorage

    storage = LocalStorage(tmp_path / "storage")
    storage.ensure_buckets(["imagery"])
    for key in ("2026/a.tif", "2026/a.tif.msk", "2026/notes.txt", "2025/b.tif"):
        storage.put_bytes("imagery", key, key.encode())
    (found,) = prefix_items(storage, "s3://imagery/2026/")
    assert (found.source, [file.name for file in found.files]) == ("2026/a.tif", ["a.tif", "a.tif.msk"])
    before = found.version
    storage.put_bytes("imagery", "2026/a.tif.msk", b"another")
    assert prefix_items(storage, "s3://imagery/2026/")[0].version != before
    assert len(prefix_items(storage, "s3://imagery/")) == 2


def test_an_object_that_goes_while_it_is_listed_is_one_images_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = StorageConfig(tmp_path / "storage")
    storage = config.open()
    storage.ensure_buckets(["imagery"])
    images_in = write_images(tmp_path / "images", 2)
    for path in images_in.iterdir():
        storage.put_file("imagery", f"may/{path.name}", path)
    real = storage.stat

    def stat(bucket: str, key: str) -> Any:
        if key.endswith("000.tif"):
            storage.delete(bucket, key)
        return real(bucket, key)

    monkeypatch.setattr(storage, "stat", stat)
    items = prefix_items(storage, "s3://imagery/may/")
    monkeypatch.undo()
    job = make_job(a_request(images_in), tmp_path / "out")
    tally = run_campaign(replace(job, storage=config), items, spread=in_turn)
    assert (tally.completed, tally.failed) == (1, 1)


def test_a_file_that_goes_after_it_was_listed_says_so(folder: Path, tmp_path: Path) -> None:
    job = make_job(a_request(folder), tmp_path / "out")
    items = find_items(job)
    (folder / "field-000.tif").unlink()
    run_campaign(job, items, spread=in_turn)
    row = pq.read_table(tmp_path / "out" / "statistics.parquet").to_pylist()[1]
    assert "removed or renamed" in row["error"]
    assert str(tmp_path) not in row["error"]


def test_items_are_kept_as_text(folder: Path, tmp_path: Path) -> None:
    items = find_items(make_job(a_request(folder), tmp_path / "out"))
    assert [item.source for item in items[1:3]] == ["field-000.tif", "field-001.tif"]
    assert [item.source for item in items.only({"broken.tif"})] == ["broken.tif"]
    assert items[0].files[0].size_bytes == 11


def test_tasks_take_more_images_the_more_there_are(folder: Path, tmp_path: Path) -> None:
    assert [per_task(count, 2) for count in (1, 16, 17, 500, 10**6)] == [1, 1, 2, 8, 8]
    job = make_job(a_request(folder), tmp_path / "out")
    by_old = make_job(read_request(prefix=str(folder), index="NDVI_emp"), tmp_path / "out")
    items = find_items(job)
    rasters = items.only({"field-000.tif", "field-001.tif"})
    Image.new("RGB", (8, 6)).save(folder / "photo.jpg")
    with_photo = find_items(job)
    least = memory_needed(job, rasters)
    assert memory_needed(job, with_photo) - least == 12 * with_photo.most_pixels > 0
    assert memory_needed(by_old, rasters) - least == 30 * rasters.most_pixels > 0


def test_no_secret_is_shown_of_a_job(tmp_path: Path) -> None:
    config = StorageConfig(tmp_path, "http://s3", "id", "the-secret")
    request = a_request("s3://imagery/2026/")
    batch_id = request.batch_id("default")
    job = Job(request, ServiceLedger(batch_id), StoredOutput(config, batch_id), config)
    assert "the-secret" not in repr(job)
    assert job.output.place == f"s3://heatmaps/batches/{batch_id}/"
