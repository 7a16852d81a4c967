"""From a multispectral image to its report, as a client of the HTTP API goes that way."""

from __future__ import annotations

import io
from pathlib import Path

import httpx2
import numpy as np
import pytest
import rasterio
from journey import Record, finished, start_run, stored_files, upload
from PIL import Image
from pypdf import PdfReader
from scenes import PIXEL_M, Scene, multispectral_scene, photo
from stack import Stack


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return multispectral_scene(tmp_path / "Поле 7.tif")


def test_the_first_journey(stack: Stack, api: httpx2.Client, scene: Scene) -> None:
    height, width = scene.ndvi.shape
    imagery = upload(api, scene.path.name, scene.path, captured_at="2026-06-01T10:00:00Z")
    assert (imagery["width"], imagery["height"], imagery["band_count"]) == (width, height, 4)
    assert imagery["bands"] == {"R": 1, "G": 2, "B": 3, "N": 4}
    assert imagery["original_filename"] == "Поле 7.tif"
    assert api.get(f"/imagery/{imagery['id']}").json() == imagery
    check_content(api, imagery, scene.path.read_bytes())
    check_catalogue(api, imagery)

    run = start_run(api, imagery["id"], "NDVI", auto_report=True, language="ro")
    assert run["status"] == "queued"
    assert run["report_id"]
    run = finished(api, f"/analysis-runs/{run['id']}")
    check_statistics(api, run, scene)
    check_rasters(api, run, scene)

    report = finished(api, f"/reports/{run['report_id']}")
    expanded = api.get(f"/analysis-runs/{run['id']}", params={"expand": "imagery,report"}).json()
    assert expanded["imagery"] == imagery
    assert expanded["report"] == report
    reports = check_reports(api, run)

    assert api.delete(f"/imagery/{imagery['id']}").status_code == 204
    ids = [imagery["id"], run["id"], *reports]
    paths = [f"/imagery/{ids[0]}", f"/imagery/{ids[0]}/content", f"/analysis-runs/{ids[1]}"]
    for path in [*paths, *(f"/reports/{report}" for report in reports)]:
        assert api.get(path).status_code == 404, path
    assert stored_files(stack.home / "storage", *ids) == []


def check_content(api: httpx2.Client, imagery: Record, content: bytes) -> None:
    path = f"/imagery/{imagery['id']}"
    assert api.get(f"{path}/content").content == content
    piece = api.get(f"{path}/content", headers={"Range": "bytes=10-19"})
    assert piece.status_code == 206
    assert piece.content == content[10:20]
    assert piece.headers["content-range"] == f"bytes 10-19/{len(content)}"
    assert api.get(f"{path}/content", headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    with Image.open(io.BytesIO(api.get(f"{path}/thumbnail").content)) as thumbnail:
        assert max(thumbnail.size) <= 1024
        assert thumbnail.width > thumbnail.height


def check_catalogue(api: httpx2.Client, imagery: Record) -> None:
    entries = {
        entry["name"]: entry for entry in api.get("/indices", params={"imagery_id": imagery["id"]}).json()
    }
    assert entries["NDVI"]["computable"]
    assert not entries["NDRE"]["computable"]
    assert entries["NDRE"]["missing_bands"] == ["RE1"]


def check_statistics(api: httpx2.Client, run: Record, scene: Scene) -> None:
    """Against numpy, on the values as the index raster stores them (float32)."""
    found = api.get(f"/analysis-runs/{run['id']}/statistics").json()
    assert found == run["statistics"]
    values = scene.ndvi[np.isfinite(scene.ndvi)]
    assert found["valid_pixels"] == values.size
    assert found["nodata_pixels"] == scene.nodata_pixels
    assert found["invalid_pixels"] == scene.invalid_pixels
    expected = {"min": values.min(), "max": values.max(), "mean": values.mean(), "std": values.std()}
    expected |= dict(zip(("p2", "median", "p98"), np.percentile(values, [2, 50, 98]), strict=True))
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert sum(found["histogram"]["counts"]) == values.size
    assert found["area_m2"] == pytest.approx(
        values.size * PIXEL_M**2, rel=2e-3
    )  # the grid's scale at its place

    cuts = run["provenance"]["thresholds"]["cuts"]
    counts = np.histogram(-values, [-np.inf, *(-np.array(cuts)), np.inf])[0]
    assert any((values == cut).any() for cut in cuts), (
        "the scene should have values on a cut: they belong below it"
    )
    assert [row["pixels"] for row in found["classes"]] == counts.tolist()
    assert all(count > 0 for count in counts)
    assert sum(row["percent"] for row in found["classes"]) == pytest.approx(100, abs=1e-9)
    assert run["stats"] == {row["label"]: pytest.approx(row["percent"]) for row in found["classes"]}


def check_rasters(api: httpx2.Client, run: Record, scene: Scene) -> None:
    height, width = scene.ndvi.shape
    with Image.open(io.BytesIO(api.get(f"/analysis-runs/{run['id']}/heatmap").content)) as heatmap:
        assert heatmap.size == (width, height)
    answer = api.get(f"/analysis-runs/{run['id']}/index.tif")
    assert answer.headers["content-type"] == "image/tiff"
    with rasterio.MemoryFile(answer.content) as file, file.open() as dataset:
        values = dataset.read(1)
        assert dataset.crs.to_epsg() == 32635
        assert values.dtype == np.float32
    np.testing.assert_allclose(values, scene.ndvi, rtol=0, atol=1e-6)
    legend = api.get(f"/analysis-runs/{run['id']}/legend")
    assert legend.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(legend.content)) as picture:
        picture.verify()


def check_reports(api: httpx2.Client, run: Record) -> list[str]:
    """One PDF in each language; their ids."""
    words = {"ru": "Отчёт", "ro": "Raport", "en": "report"}
    ids = []
    for language, word in words.items():
        answer = api.post("/reports", json={"analysis_run_id": run["id"], "language": language})
        assert answer.status_code == 202, answer.text
        report = finished(api, f"/reports/{answer.json()['id']}")
        assert (report["id"] == run["report_id"]) == (language == run["language"])
        pdf = api.get(f"/reports/{report['id']}/pdf")
        assert pdf.headers["content-type"] == "application/pdf"
        text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.content)).pages)
        assert word.lower() in text.lower()
        assert "NDVI" in text
        assert "Поле 7.tif" in text
        ids.append(report["id"])
    assert len(set(ids)) == len(words)
    return ids


def test_photo_of_a_plain_camera(api: httpx2.Client) -> None:
    imagery = upload(api, "field.jpg", photo(), gps_lat="47.02", gps_lon="28.83")
    assert imagery["gps"]["latitude"] == pytest.approx(47.02)
    run = finished(api, f"/analysis-runs/{start_run(api, imagery['id'])['id']}")
    assert list(run["stats"]) == ["Здоровые", "Легкий стресс", "Сильный стресс", "Критическое"]
    assert run["statistics"]["area_m2"] is None
