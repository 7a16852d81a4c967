"""What a caller may ask beside the index, from a file to the findings."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasters import RGBN, UTM, fields, write_bands
from raws import write_dng

from orthoray.contracts import Findings
from orthoray.errors import Impossible, MissingBands
from orthoray.options import AnalysisOptions
from orthoray.spectral import work
from orthoray.spectral.bands import resolve_bands
from orthoray.spectral.calibration import calibrate
from orthoray.spectral.colormaps import palette
from orthoray.spectral.maskfiles import split_masks
from orthoray.spectral.orientation import turned
from orthoray.spectral.sensors import Recognition
from orthoray.spectral.stack import inspect_stack
from orthoray.spectral.texts import LEGACY_CONCLUSIONS, TEXTS
from pipelines.planning import make_plan
from pipelines.single import analyse_files

Array = npt.NDArray[Any]


def analyse(
    sources: Path | Sequence[Path],
    index: str = "NDVI",
    *,
    bands: str | None = None,
    language: Any = "en",
    thresholds: Any = None,
    **options: Any,
) -> tuple[Findings, Array, Image.Image]:
    """The findings, the index raster in units of the index, and the picture."""
    files = [sources] if isinstance(sources, Path) else list(sources)
    wish = AnalysisOptions.model_validate(options)
    images, names, _ = split_masks(files, [file.name for file in files])
    info = inspect_stack(images).info
    plan = make_plan(
        resolve_bands(info, bands=bands, filenames=names),
        index,
        thresholds=thresholds,
        options=wish,
        calibration=calibrate(info, scale=wish.scale, offset=wish.offset),
    )
    heatmap, raster = files[0].with_name("out-heatmap.png"), files[0].with_name("out-index.tif")
    findings = analyse_files(
        files,
        [file.name for file in files],
        plan,
        language=language,
        heatmap_path=heatmap,
        index_path=raster,
        progress=lambda _: None,
    )
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(raster) as dataset,
    ):
        stored = dataset.read(1, masked=True).astype(np.float64).filled(np.nan) * dataset.scales[0]
        assert json.loads(dataset.tags()["ORTHORAY_PROVENANCE"])["index"] == findings.provenance["index"]
    return findings, stored, Image.open(io.BytesIO(heatmap.read_bytes()))


def codes(findings: Findings) -> set[str]:
    return {note.code for note in findings.warnings}


def counted(bands: Array, scale: float = 10_000) -> npt.NDArray[np.uint16]:
    return np.asarray(np.rint(bands * scale), dtype=np.uint16)


def test_a_formula_with_a_constant(tmp_path: Path) -> None:
    bands = fields()
    path = write_bands(tmp_path / "a.tif", bands, RGBN)
    found, values, _ = analyse(path, "expr", expression="(N-R)/(N+R+L)", constants={"L": 0.25})
    np.testing.assert_allclose(values, (bands[3] - bands[0]) / (bands[3] + bands[0] + 0.25), atol=1e-6)
    assert found.provenance["constants"] == {"L": 0.25}
    assert found.provenance["thresholds"]["id"] == "quantiles/1"
    assert {"relative", "own_formula"} <= codes(found)


@pytest.mark.parametrize("index", ["SAVI", "NDVI"])
def test_scaled_numbers_are_reflectance(tmp_path: Path, index: str) -> None:
    bands = fields()
    plain, expected, _ = analyse(write_bands(tmp_path / "a.tif", bands, RGBN), index)
    path = write_bands(tmp_path / "b.tif", counted(bands), RGBN)
    found, values, _ = analyse(path, index, scale=0.0001)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    assert found.provenance["calibration"]["state"] == "reflectance"
    assert found.provenance["scale"] == {"N": 0.0001, "R": 0.0001}
    assert (found.stats, found.conclusion.split(".")[0]) == (plain.stats, plain.conclusion.split(".")[0])
    raw, _, _ = analyse(path, index)
    assert raw.provenance["calibration"]["state"] == "dn"
    assert ("not_reflectance" in codes(raw)) == (index == "SAVI")


def test_offsets_count_by_band(tmp_path: Path) -> None:
    bands = fields()
    stored = counted(bands + 0.1)
    path = write_bands(tmp_path / "a.tif", stored, RGBN)
    _, values, _ = analyse(path, scale=0.0001, offset=[-0.1, -0.1, -0.1, -0.1])
    np.testing.assert_allclose(values, (bands[3] - bands[0]) / (bands[3] + bands[0]), atol=1e-6)


def test_reflectance_that_is_none_is_told(tmp_path: Path) -> None:
    found, _, _ = analyse(write_bands(tmp_path / "a.tif", counted(fields()), RGBN), scale=0.01)
    assert "odd_reflectance" in codes(found)


def test_bare_soil_is_left_out(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "a.tif", fields(), RGBN, **UTM)
    found, values, picture = analyse(path, soil_mask={"index_type": "NDVI", "above": 0.5})
    statistics = found.statistics
    assert (statistics.valid_pixels, statistics.background_pixels, statistics.nodata_pixels) == (24, 24, 0)
    assert statistics.area_m2 == pytest.approx(2400, rel=1e-3)
    assert np.isnan(values[:, 3:]).all()
    assert np.asarray(picture)[0, 5] == 0
    assert found.provenance["background"] == {
        "index": "NDVI",
        "formula": "(N - R) / (N + R)",
        "constants": {},
        "above": 0.5,
    }
    assert "background" in codes(found)
    with pytest.raises(MissingBands):
        analyse(path, soil_mask={"index_type": "NDRE", "above": 0.1})


def test_bare_soil_under_an_index_of_photos(tmp_path: Path) -> None:
    pixels = np.full((6, 8, 3), (90, 60, 30), dtype=np.uint8)
    pixels[:3] = 30, 120, 40
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    found, values, _ = analyse(path, "NDVI_emp", soil_mask={"index_type": "ExG", "above": 20})
    assert (found.statistics.valid_pixels, found.statistics.background_pixels) == (24, 24)
    assert np.isnan(values[3:]).all()
    assert found.stats["Healthy"] == 100.0


@pytest.mark.parametrize("thresholds", ["quantiles", "jenks"])
def test_classes_of_the_image_itself(tmp_path: Path, thresholds: str) -> None:
    bands = np.full((4, 8, 8), 0.1, dtype=np.float32)
    bands[3] = np.repeat([0.2, 0.3, 0.5, 0.9], 2)[:, None]
    found, _, _ = analyse(write_bands(tmp_path / "a.tif", bands, RGBN), thresholds=thresholds)
    assert [row.pixels for row in found.statistics.classes] == [16, 16, 16, 16]
    assert found.provenance["thresholds"]["id"] == f"{thresholds}/1"
    assert found.statistics.classes[0].lower == found.provenance["thresholds"]["cuts"][0]
    assert "relative" in codes(found)


def test_a_map_of_the_callers_choice(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "a.tif", fields(), RGBN)
    found, _, picture = analyse(path, cmap="magma_r", stretch="minmax")
    assert (found.legend["colormap"], found.legend["vmin"], found.legend["vmax"]) == (
        "magma_r",
        found.statistics.min,
        found.statistics.max,
    )
    assert picture.convert("RGB").getpixel((0, 0)) == tuple(palette("magma_r")[255])
    fixed, _, _ = analyse(path, stretch=[0.0, 1.0])
    assert (fixed.legend["vmin"], fixed.legend["vmax"]) == (0.0, 1.0)
    with pytest.raises(Impossible, match="colour map"):
        analyse(path, cmap="rainbow")


@pytest.mark.parametrize("index", ["NDVI", "GLI"])
def test_a_heatmap_over_the_photo(tmp_path: Path, index: str) -> None:
    bands = np.full((4, 8, 8), 200, dtype=np.uint8)
    bands[0] = 10
    bands[3, 4:] = 10
    path = write_bands(tmp_path / "a.tif", bands, RGBN)
    _, _, alone = analyse(path, index, cmap="viridis")
    _, _, blended = analyse(path, index, cmap="viridis", blend=0.5)
    colours = np.asarray(alone.convert("RGB"), dtype=float)
    expected = (colours + np.array([10, 200, 200])) / 2
    np.testing.assert_allclose(np.asarray(blended.convert("RGB")), expected, atol=1)


def test_whole_numbers_in_the_raster(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "a.tif", fields(), RGBN)
    _, full, _ = analyse(path)
    found, values, _ = analyse(path, raster="int16")
    np.testing.assert_allclose(values, full, atol=0.00005)
    assert found.statistics.mean == pytest.approx(float(np.mean(full)), abs=1e-7)
    with pytest.raises(Impossible, match="float32"):
        analyse(path, "SR", raster="int16")


def test_one_band_in_a_file(tmp_path: Path) -> None:
    bands = fields()
    one = write_bands(tmp_path / "field_reflectance_red.tif", bands[:1], **UTM)
    two = write_bands(tmp_path / "field_reflectance_nir.tif", bands[3:], **UTM)
    _, values, _ = analyse([one, two])
    np.testing.assert_allclose(values, (bands[3] - bands[0]) / (bands[3] + bands[0]), atol=1e-6)
    shifted = write_bands(tmp_path / "other_nir.tif", bands[3:, :4], **UTM)
    with pytest.raises(Impossible, match="differ in size"):
        analyse([one, shifted])


def hide_left_half(image: Path, shape: tuple[int, int], **profile: Any) -> Path:
    """A mask file as GDAL writes it; the left half is no data."""
    values = np.full((1, *shape), 255, dtype=np.uint8)
    values[:, :, : shape[1] // 2] = 0
    return write_bands(image.with_name(f"{image.name}.msk"), values, compress="deflate", **profile)


@pytest.mark.parametrize("stored", ["tiles", "strips", "one strip"])
def test_a_mask_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: str) -> None:
    layout: dict[str, Any] = {
        "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 16},
        "strips": {"blockysize": 2},
        "one strip": {"blockysize": 80, "compress": "packbits"},
    }[stored]
    if stored == "one strip":  # it is unpacked first, and the mask has to come along
        monkeypatch.setattr(work, "_SMALL_PIXELS", 0)
        monkeypatch.setattr(work, "_MOST_READ", 0)
    image = write_bands(tmp_path / "a.tif", fields(80, 60), RGBN, **UTM, **layout)
    mask = hide_left_half(image, (80, 60))
    found, values, picture = analyse([image, mask], soil_mask={"index_type": "NDVI", "above": -0.5})
    statistics = found.statistics
    assert (statistics.valid_pixels, statistics.nodata_pixels, statistics.background_pixels) == (
        2400,
        2400,
        0,
    )
    assert np.isnan(values[:, :30]).all()
    np.testing.assert_allclose(values[:, 30:], 0, atol=1e-6)
    assert np.asarray(picture.convert("RGBA"))[:, :30, 3].max() == 0
    whole, _, _ = analyse(image)
    assert whole.statistics.valid_pixels == 4800


def test_a_mask_file_of_one_of_several_files(tmp_path: Path) -> None:
    red = write_bands(tmp_path / "field_red.tif", fields()[:1], **UTM)
    near_infrared = write_bands(tmp_path / "field_nir.tif", fields()[3:], **UTM)
    mask = hide_left_half(near_infrared, (8, 6), **UTM)
    found, values, _ = analyse([mask, red, near_infrared])
    assert (found.statistics.valid_pixels, found.statistics.nodata_pixels) == (24, 24)
    assert np.isnan(values[:, :3]).all()
    with pytest.raises(Impossible, match="its image is missing"):
        analyse([red, mask])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("index", ["NDVI_emp", "NDVI"])
def test_a_mask_file_of_a_photo_that_its_exif_turns(tmp_path: Path, index: str, orientation: int) -> None:
    pixels = np.random.default_rng(3).integers(1, 255, (6, 8, 3), dtype=np.uint8)
    photo = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(photo, exif=exif)
    mask = hide_left_half(photo, (6, 8))
    found, values, _ = analyse([photo, mask], index, bands="N,R,G" if index == "NDVI" else None)
    assert (found.statistics.valid_pixels, found.statistics.nodata_pixels) == (24, 24)
    hidden = np.zeros((6, 8), dtype=bool)
    hidden[:, :4] = True
    np.testing.assert_array_equal(np.isnan(values), turned(hidden, orientation))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("index", ["NDVI_emp", "NGRDI"])
def test_a_photo_under_its_heatmap_is_transparent_where_a_mask_file_hides_it(
    tmp_path: Path, index: str, orientation: int
) -> None:
    photo = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.random.default_rng(3).integers(1, 255, (6, 8, 3), dtype=np.uint8)).save(
        photo, exif=exif
    )
    _, values, picture = analyse([photo, hide_left_half(photo, (6, 8))], index, blend=0.5)
    alpha = np.asarray(picture.convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(alpha == 0, np.isnan(values))
    assert np.isnan(values).sum() == 24


def test_reflectance_beside_camera_numbers_is_refused(tmp_path: Path) -> None:
    red = write_bands(tmp_path / "field_red.tif", fields()[:1], **UTM)
    near_infrared = write_bands(tmp_path / "field_nir.tif", counted(fields()[3:]), **UTM)
    with pytest.raises(Impossible, match=r"N \(uint16\) in plain camera numbers.*such as 1,0.0001"):
        analyse([red, near_infrared])
    _, values, _ = analyse([red, near_infrared], scale=[1, 0.0001])
    np.testing.assert_allclose(values[:, 0], 0.8, atol=1e-4)


def test_a_cameras_raw_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.dng"
    write_dng(path)
    found, values, _ = analyse(path, "GLI")
    assert found.statistics.valid_pixels == values.size
    assert found.provenance["engine"] == "OLD.image_processing"


def test_what_photos_cannot_have_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.full((4, 4, 3), 90, dtype=np.uint8)).save(path)
    for options in ({"scale": 0.1}, {"offset": 1.0}, {"constants": {"e": 1.0}}, {"expression": "G-R"}):
        with pytest.raises(Impossible, match="leave out"):
            analyse(path, "GLI", **options)


@pytest.mark.parametrize("index", ["NDVI", "NDVI_emp"])
def test_a_raw_capture_gets_no_advice_on_a_field(tmp_path: Path, index: str) -> None:
    path = write_bands(tmp_path / "a.tif", (fields() * 255).astype(np.uint8), RGBN)
    info = inspect_stack([path]).info
    raw = Recognition("mapir-rgn", "a camera", "Its tags.", raw_capture=True)
    plan = make_plan(
        resolve_bands(info), index, calibration=calibrate(info, recognition=raw), recognition=raw
    )
    found = analyse_files(
        [path],
        [path.name],
        plan,
        language="ru",
        heatmap_path=tmp_path / "h.png",
        index_path=None,
        progress=lambda _: None,
    )
    assert "unaligned" in codes(found)
    assert found.provenance["circumstances"]["describes_health"] is False
    said = {*TEXTS["ru"].advice.values(), *LEGACY_CONCLUSIONS.values()}
    assert not [words for words in said if words in found.conclusion]
