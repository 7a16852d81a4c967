"""One image from a file to its findings, against NumPy."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
import pytest
import rasterio
from fakes import stored_file
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasters import RGBN, UTM, fields, write_bands

from OLD.image_processing import classify_index, compute_indices
from orthoray.contracts import Findings
from orthoray.errors import Impossible, NotAnImage, TooLarge, TruncatedImage
from orthoray.ports import Upload
from orthoray.spectral import survey
from orthoray.spectral.bands import resolve_bands
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.orientation import turned
from orthoray.spectral.raster import inspect
from pipelines import old_way, planning, single
from pipelines.facts import describe
from pipelines.planning import make_plan, old_indices

LEGACY = ("NDVI_emp", "VARI", "GLI", "ExG", "CIVE", "MGRVI")


class Analysed:
    """An analysis of `source` with what it has written."""

    def __init__(
        self, source: Path, index: str, *, language: Any = "ru", bands: str | None = None, **wishes: Any
    ) -> None:
        band_map = resolve_bands(inspect(source), bands=bands, sensor=None)
        self.heatmap, self.raster = source.with_name("out.heatmap.png"), source.with_name("out.index.tif")
        self.steps: list[float] = []
        self.findings: Findings = single.analyse_files(
            [source],
            [source.name],
            make_plan(band_map, index, **wishes),
            language=language,
            heatmap_path=self.heatmap,
            index_path=self.raster,
            progress=self.steps.append,
        )
        self.statistics = self.findings.statistics

    @property
    def values(self) -> Any:
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.open(self.raster) as dataset,
        ):
            return dataset.read(1, masked=True).filled(np.nan)

    @property
    def picture_size(self) -> tuple[int, int]:
        return Image.open(io.BytesIO(self.heatmap.read_bytes())).size


@pytest.fixture
def another_old(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user's own OLD package: one index more, other labels, a plain heatmap."""

    def compute(image: Any) -> dict[str, Any]:
        red = image[..., 0].astype(np.float64)
        return {"NDVI_emp": red / 255, "Redness": red}

    def classify(index_map: Any) -> tuple[dict[str, float], str]:
        share = float((np.asarray(index_map) > 0.5).mean() * 100)
        return {"красное": share, "прочее": 100 - share}, "Судит чужой пакет."

    monkeypatch.setattr(planning, "compute_indices", compute)
    monkeypatch.setattr(old_way, "compute_indices", compute)
    monkeypatch.setattr(old_way, "classify_index", classify)
    monkeypatch.setattr(old_way, "load_image", lambda path: np.full((4, 5, 3), 204, dtype=np.uint8))
    monkeypatch.setattr(
        old_way,
        "generate_heatmap",
        lambda index_map, path: cv2.imwrite(path, np.zeros(index_map.shape, dtype=np.uint8)),
    )
    old_indices.cache_clear()
    yield
    old_indices.cache_clear()


def photo(path: Path, *, seed: int = 1, size: tuple[int, int] = (9, 7)) -> tuple[Path, Any]:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path, pixels


def test_ndvi_of_a_multispectral_image(tmp_path: Path) -> None:
    bands = fields()
    done = Analysed(write_bands(tmp_path / "a.tif", bands, RGBN, **UTM), "NDVI", language="en")
    expected = (bands[3] - bands[0]) / (bands[3] + bands[0])
    np.testing.assert_allclose(done.values, expected, atol=1e-6)
    assert done.statistics.valid_pixels == 48
    assert done.statistics.mean == pytest.approx(expected.mean())
    assert done.statistics.area_m2 == pytest.approx(4800, rel=1e-3)
    classes = {row.name: row for row in done.statistics.classes}
    assert (classes["healthy"].pixels, classes["critical"].pixels) == (24, 24)
    assert classes["healthy"].area_m2 == pytest.approx(2400, rel=1e-3)
    assert list(done.findings.stats.values()) == [50.0, 0.0, 0.0, 50.0]
    assert sum(done.statistics.histogram.counts) == 48
    assert done.picture_size == (6, 8)
    with rasterio.open(done.raster) as dataset:
        assert dataset.crs.to_epsg() == 32635
        assert dataset.transform == UTM["transform"]
    assert done.findings.provenance["band_map"] == {"N": 4, "R": 1}
    assert done.steps[-1] == 1.0
    assert done.steps == sorted(done.steps)


@pytest.mark.parametrize("name", LEGACY)
def test_the_six_legacy_indices_of_a_photo(tmp_path: Path, name: str) -> None:
    path, pixels = photo(tmp_path / "a.png")
    done = Analysed(path, name)
    expected = compute_indices(pixels)[name]
    np.testing.assert_array_equal(done.values, expected)
    stats, verdict = classify_index(expected)
    assert done.findings.stats == stats
    assert list(done.findings.stats) == ["Здоровые", "Легкий стресс", "Сильный стресс", "Критическое"]
    assert done.findings.conclusion == verdict
    assert done.findings.provenance["engine"] == "OLD.image_processing"
    assert done.findings.legend["title"] == name
    assert done.picture_size == (7, 9)


@pytest.mark.parametrize("suffix", ["png", "bmp", "jpg", "tif"])
def test_every_format_of_a_photo(tmp_path: Path, suffix: str) -> None:
    path, pixels = photo(tmp_path / f"a.{suffix}")
    done = Analysed(path, "NDVI_emp")
    if suffix == "jpg":
        pixels = np.asarray(Image.open(path))
        np.testing.assert_allclose(done.values, compute_indices(pixels)["NDVI_emp"], atol=0.2)
    else:
        np.testing.assert_array_equal(done.values, compute_indices(pixels)["NDVI_emp"])


@pytest.mark.parametrize("language", ["ru", "ro", "en"])
def test_languages(tmp_path: Path, language: str) -> None:
    path, pixels = photo(tmp_path / "a.png")
    done = Analysed(path, "VARI", language=language)
    assert [*done.findings.stats.values()] == pytest.approx(
        [*classify_index(compute_indices(pixels)["VARI"])[0].values()]
    )
    assert ("Здоровые" in done.findings.stats) == (language == "ru")
    assert any("а" <= letter <= "я" for letter in done.findings.conclusion) == (language == "ru")
    assert [row.label for row in done.statistics.classes] == list(done.findings.stats)


def test_own_thresholds_judge_legacy_indices_too(tmp_path: Path) -> None:
    path, pixels = photo(tmp_path / "a.png")
    done = Analysed(path, "NDVI_emp", thresholds=[0.5, 0.2, -0.2])
    values = compute_indices(pixels)["NDVI_emp"]
    assert next(iter(done.findings.stats.values())) == pytest.approx((values > 0.5).mean() * 100)
    assert done.findings.provenance["thresholds"]["cuts"] == [0.5, 0.2, -0.2]
    assert done.statistics.classes[0].lower == 0.5


def test_bands_in_another_order_named_by_the_caller(tmp_path: Path) -> None:
    _, pixels = photo(tmp_path / "a.png")
    source = write_bands(tmp_path / "bgr.tif", np.moveaxis(pixels[..., ::-1], -1, 0).copy())
    done = Analysed(source, "NDVI_emp", bands="B,G,R")
    np.testing.assert_array_equal(done.values, compute_indices(pixels)["NDVI_emp"])


def test_sixteen_bits_are_scaled_as_a_photo(tmp_path: Path) -> None:
    _, pixels = photo(tmp_path / "a.png")
    wide = np.moveaxis(pixels.astype(np.uint16) * 257, -1, 0)
    done = Analysed(write_bands(tmp_path / "wide.tif", wide), "NDVI_emp", bands="R,G,B")
    np.testing.assert_allclose(done.values, compute_indices(pixels)["NDVI_emp"], atol=0.02)


def test_a_photo_of_floats_is_refused_with_another_way(tmp_path: Path) -> None:
    source = write_bands(tmp_path / "a.tif", fields()[:3])
    with pytest.raises(Impossible, match="NDVI"):
        Analysed(source, "NDVI_emp", bands="R,G,B")


@pytest.mark.parametrize(
    ("index", "dtype"), [("NDVI_emp", np.uint8), ("NDVI", np.float32), ("NDVI", np.uint16)]
)
def test_pixels_without_data_are_kept_out(tmp_path: Path, index: str, dtype: Any) -> None:
    bands = np.full((4, 10, 10), 100, dtype=dtype)
    bands[1], bands[3] = 200, 200
    bands[:, :4] = 0
    done = Analysed(write_bands(tmp_path / "a.tif", bands, RGBN, nodata=0), index)
    assert done.statistics.nodata_pixels == 40
    assert done.statistics.valid_pixels == 60
    assert done.statistics.min == done.statistics.max == pytest.approx(1 / 3, abs=1e-5)
    assert sum(done.findings.stats.values()) == pytest.approx(100)
    assert np.isnan(done.values[:4]).all()
    assert next(iter(done.findings.stats.values())) == pytest.approx(100.0 if index == "NDVI_emp" else 0.0)


@pytest.mark.parametrize("index", ["NDVI_emp", "NDVI"])
def test_an_image_without_any_data(tmp_path: Path, index: str) -> None:
    bands = np.zeros((4, 5, 5), dtype=np.uint8)
    done = Analysed(write_bands(tmp_path / "a.tif", bands, RGBN, nodata=0), index)
    assert done.statistics.valid_pixels == 0
    assert done.statistics.mean is None
    assert done.findings.conclusion
    assert done.picture_size == (5, 5)


@pytest.mark.parametrize("index", ["NDVI_emp", "NDVI"])
def test_one_pixel(tmp_path: Path, index: str) -> None:
    bands = np.array([10, 30, 20, 30], dtype=np.uint8).reshape(4, 1, 1)
    done = Analysed(write_bands(tmp_path / "a.tif", bands, RGBN), index)
    assert done.statistics.mean == pytest.approx(0.5, abs=1e-5)
    assert done.picture_size == (1, 1)


def test_another_old_package_judges(tmp_path: Path, another_old: None) -> None:
    path, _ = photo(tmp_path / "a.png", size=(4, 5))
    done = Analysed(path, "NDVI_emp", language="en")
    np.testing.assert_allclose(done.values, 0.8, rtol=1e-6)
    assert done.findings.stats == {"красное": 100.0, "прочее": 0.0}
    assert done.findings.conclusion == "Судит чужой пакет."
    assert [(row.name, row.pixels, row.lower) for row in done.statistics.classes] == [
        ("красное", 20, None),
        ("прочее", 0, None),
    ]


def test_an_index_that_only_another_old_has(tmp_path: Path, another_old: None) -> None:
    path, _ = photo(tmp_path / "a.png", size=(4, 5))
    done = Analysed(path, "Redness")
    assert done.statistics.mean == 204.0
    assert done.findings.provenance["index"] == "Redness"
    assert done.findings.stats == {"красное": 100.0, "прочее": 0.0}


@pytest.mark.parametrize("old_looks", [True, False])
def test_damaged_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, old_looks: bool
) -> None:
    looked: list[Path] = []

    def look(path: Path) -> None:
        looked.append(path)
        check_complete(path)

    monkeypatch.setattr(single, "check_complete", look)
    if not old_looks:
        monkeypatch.delattr("OLD.image_processing.REFUSES_INCOMPLETE")
    path, _ = photo(tmp_path / "a.png", size=(60, 60))
    plan = make_plan(resolve_bands(inspect(path)), "NDVI_emp")
    whole = path.read_bytes()
    for content, kind in ((whole[: len(whole) // 2], TruncatedImage), (b"not an image", NotAnImage)):
        path.write_bytes(content)
        with pytest.raises(kind) as caught:
            single.analyse_files(
                [path],
                [path.name],
                plan,
                language="ru",
                heatmap_path=tmp_path / "h",
                index_path=tmp_path / "i",
                progress=lambda _: None,
            )
        assert str(tmp_path) not in caught.value.detail
    assert bool(looked) != old_looks, "one look is enough"


def test_too_large_for_the_way_through_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = photo(tmp_path / "a.png")
    monkeypatch.setattr(planning, "PHOTO_MAX_PIXELS", 10)
    with pytest.raises(TooLarge, match="NDVI"):
        Analysed(path, "NDVI_emp")


def test_large_heatmaps_are_drawn_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "FULL_PIXELS", 4000)
    monkeypatch.setattr(survey, "PICTURE_PIXELS", 400)
    done = Analysed(write_bands(tmp_path / "a.tif", fields(80, 60), RGBN), "NDVI")
    assert done.picture_size == (15, 20)
    assert done.values.shape == (80, 60)


def stored_turned(path: Path, upright: Any, orientation: int) -> Path:
    """A photo that shows `upright` by its EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    back = {6: 8, 8: 6}.get(orientation, orientation)
    Image.fromarray(np.ascontiguousarray(turned(upright, back))).save(path, exif=exif)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("index", "bands"), [("NDVI", "N,R,B,-"), ("GLI", None)])
def test_photos_are_analysed_upright(
    tmp_path: Path, orientation: int, suffix: str, index: str, bands: str | None
) -> None:
    pixels = np.random.default_rng(2).integers(1, 255, (40, 56, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[:9, :20, 3] = 0
    expected = Analysed(stored_turned(tmp_path / "upright.png", pixels, 1), index, bands=bands)
    expected_values = expected.values
    assert np.isnan(expected_values[:9, :20]).all()
    found = Analysed(stored_turned(tmp_path / f"turned.{suffix}", pixels, orientation), index, bands=bands)
    np.testing.assert_array_equal(found.values, expected_values)
    assert found.picture_size == (56, 40)
    assert np.asarray(Image.open(found.heatmap).convert("RGBA"))[0, 0, 3] == 0
    assert found.findings.statistics == expected.findings.statistics


@pytest.mark.parametrize("index", ["GLI", "NDVI"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_agrees_in_all_its_sizes(tmp_path: Path, orientation: int, index: str) -> None:
    pixels = np.full((32, 48, 3), 90, np.uint8)
    pixels[:16, :16] = 20, 200, 40
    path = stored_turned(tmp_path / "photo.jpg", pixels, orientation)
    found = Analysed(path, index, bands="N,R,B" if index == "NDVI" else None)
    upload = Upload(id=uuid4(), files=[stored_file(path.name, "x", path.read_bytes())])
    record, thumbnail = describe([path], upload, bucket="b", max_pixels=10**6)
    assert (record["width"], record["height"]) == found.picture_size == (48, 32)
    assert Image.open(io.BytesIO(thumbnail)).size == (48, 32)
    assert found.values.shape == (32, 48)
    corner, rest = found.values[4:12, 4:12], found.values[20:, 20:]
    assert abs(corner.mean() - rest.mean()) > 0.3
    assert corner.std() < 0.05
    assert rest.std() < 0.05
