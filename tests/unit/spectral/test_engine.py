"""The whole way from files to results, against plain numpy in float64."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from rasters import write_bands

from orthoray.errors import Impossible, MissingBands, TruncatedImage, UnknownIndex
from orthoray.spectral import engine, survey, work
from orthoray.spectral.bands import BandMap, resolve_bands
from orthoray.spectral.blocks import Grid
from orthoray.spectral.breaks import quantile_cuts
from orthoray.spectral.calibration import Calibration, calibrate
from orthoray.spectral.encoding import Encoding
from orthoray.spectral.engine import analyse_array, analyse_bands, background_mask
from orthoray.spectral.indices import Index, get_index, index_from_expression
from orthoray.spectral.kernel import Background
from orthoray.spectral.raster import inspect, open_raster
from orthoray.spectral.stack import Stack, inspect_stack
from orthoray.spectral.survey import IndexResult

WriteTiff = Callable[..., Path]
Array = npt.NDArray[Any]

UTM_CORNER = Affine(0.5, 0.0, 600_000.0, 0.0, -0.5, 5_200_000.0)
CUTS = (0.6, 0.4, 0.2)
RGBN = BandMap(("R", "G", "B", "N"), "caller")


def ndvi(path: Path, output: Path | None, bands: str | None = "R,G,B,N", **options: Any) -> IndexResult:
    band_map = resolve_bands(inspect(path), bands=bands)
    return analyse_bands(path, "NDVI", band_map=band_map, cuts=CUTS, index_path=output, **options)


def written(output: Path) -> Array:
    with open_raster(output) as dataset:
        return np.asarray(dataset.read(1))


def reference(
    index: Index, bands: Mapping[str, Array], pairs: Mapping[str, tuple[float, float]] | None = None
) -> Array:
    """In float64, NaN where it is not finite."""
    with np.errstate(all="ignore"):
        wide = {
            name: bands[name].astype(np.float64) * (pairs or {}).get(name, (1, 0))[0]
            + (pairs or {}).get(name, (1, 0))[1]
            for name in index.bands
        }
        values = np.asarray(index.expression(wide), np.float64)
        values[~np.isfinite(values.astype(np.float32))] = np.nan
    return values


def expect(
    result: IndexResult,
    output: Path,
    values: Array,
    nodata: Array,
    *,
    rtol: float = 0.0,
    gone: Array | None = None,
) -> None:
    """`values` is the index in float64, NaN where invalid; `gone` is background."""
    gone = np.zeros_like(nodata) if gone is None else gone & ~nodata
    valid = ~nodata & ~gone & np.isfinite(values)
    index = written(output)
    np.testing.assert_array_equal(np.isnan(index), ~valid)
    np.testing.assert_allclose(index[valid], values[valid], rtol=rtol, atol=1e-6)
    np.testing.assert_array_equal(result.picture, index)
    stats = result.statistics
    assert stats.valid_pixels == valid.sum()
    assert stats.nodata_pixels == nodata.sum()
    assert stats.background_pixels == gone.sum()
    assert stats.invalid_pixels == (~nodata & ~gone & ~np.isfinite(values)).sum()
    exact = index[valid]
    above = [int((exact > np.float32(cut)).sum()) for cut in CUTS]
    assert stats.class_pixels == tuple(np.diff([0, *above, exact.size]))
    if exact.size:
        wide = exact.astype(np.float64)
        scale = np.abs(wide).max()
        assert stats.mean == pytest.approx(wide.mean(), rel=1e-12, abs=1e-13 * scale)
        assert stats.std == pytest.approx(wide.std(), rel=1e-9, abs=1e-13 * scale)
        assert [stats.p2, stats.median, stats.p98] == np.percentile(wide, [2, 50, 98]).tolist()
        assert stats.percentile_error == 0
        assert sum(stats.histogram_counts) == exact.size


def truth(bands: Array) -> Array:
    return reference(get_index("NDVI"), {"R": bands[0], "N": bands[3]})


def stated(scales: tuple[float, ...], offsets: tuple[float, ...]) -> Calibration:
    return Calibration("reflectance", scales, offsets, "caller")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("layout", [{"blockysize": 5}, {"tiled": True, "blockxsize": 64, "blockysize": 32}])
def test_ndvi_with_borders_and_zero_pixels(
    write_tiff: WriteTiff, tmp_path: Path, dtype: str, interleave: str, layout: dict[str, Any]
) -> None:
    rng = np.random.default_rng(1)
    top = 255 if dtype == "uint8" else 20_000
    bands = rng.integers(0, top, (4, 123, 187)).astype(dtype)
    bands[:, 50:60, 50:60] = 0
    bands[:, :7] = bands[:, :, -9:] = top
    path = write_tiff(
        bands,
        nodata=top,
        interleave=interleave,
        compress="lzw",
        crs="EPSG:32633",
        transform=UTM_CORNER,
        **layout,
    )
    result = ndvi(path, tmp_path / "index.tif")
    expect(result, tmp_path / "index.tif", truth(bands), (bands[[0, 3]] == top).any(axis=0))
    assert result.statistics.invalid_pixels >= 100
    assert result.statistics.pixel_area_m2 == 0.25
    assert result.statistics.area_m2 == result.statistics.valid_pixels * 0.25
    with open_raster(tmp_path / "index.tif") as dataset:
        assert dataset.crs.to_epsg() == 32633
        assert dataset.transform == UTM_CORNER


FORMULAS = ("NDVI", "EVI", "SAVI", "NDVI_emp", "VARI", "ExG", "(N - R) / (G - B) + log(N + 1)", "N")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), formula=st.sampled_from(FORMULAS))
def test_any_image_equals_the_reference(
    write_tiff: WriteTiff, tmp_path: Path, data: st.DataObject, formula: str
) -> None:
    index = (
        get_index(formula)
        if formula.replace("_", "").isalpha() and len(formula) > 1
        else index_from_expression(formula)
    )
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "int16", "float32", "float64"]))
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    bands = rng.integers(0, data.draw(st.sampled_from([3, 200])), (4, height, width)).astype(dtype)
    if dtype[0] == "f" and data.draw(st.booleans()):
        bands /= 100
        bands[0][rng.random((height, width)) < 0.1] = np.nan
    options: dict[str, Any] = {
        "interleave": data.draw(st.sampled_from(["pixel", "band"])),
        "nodata": data.draw(st.sampled_from([None, 0, 1])),
    }
    if data.draw(st.booleans()):
        options |= {"tiled": True, "blockxsize": 16, "blockysize": data.draw(st.sampled_from([16, 32]))}
    else:
        options |= {"blockysize": data.draw(st.integers(1, 40))}
    codec = data.draw(st.sampled_from(["none", "lzw", "deflate", "zstd", "packbits"]))
    if codec in {"lzw", "deflate", "zstd"}:
        options["predictor"] = data.draw(st.sampled_from([1, 3 if dtype[0] == "f" else 2]))
    path = write_tiff(bands, compress=codec, **options)
    named = dict(zip("RGBN", bands, strict=True))
    nodata = np.zeros((height, width), bool)
    for name in index.bands:
        nodata |= np.isnan(named[name].astype(float))
        if options["nodata"] is not None:
            nodata |= named[name] == options["nodata"]
    output = tmp_path / "index.tif"
    result = analyse_bands(path, index, band_map=RGBN, cuts=CUTS, index_path=output)
    # the legacy formulas' own precision is part of what they are
    expected = index.compute(named).astype(float) if index.legacy else reference(index, named)
    expect(result, output, expected, nodata, rtol=1e-6)
    low, high = index.value_range or (-np.inf, np.inf)
    valid = written(output)
    outside = int(((valid < np.float32(low)) | (valid > np.float32(high))).sum())
    assert result.statistics.out_of_range_pixels == outside


@pytest.mark.parametrize("kind", ["alpha", "mask", "nan"])
def test_other_ways_to_say_nodata(write_tiff: WriteTiff, tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(2)
    bands = rng.integers(1, 250, (5, 60, 90)).astype(np.float32 if kind == "nan" else np.uint8)
    nodata = np.zeros((60, 90), bool)
    nodata[:, 30:45] = True
    names = "R,G,B,N,-"
    if kind == "alpha":
        bands[4] = np.where(nodata, 0, 255)
        path = write_tiff(bands, colours=("red", "green", "blue", "undefined", "alpha"))
    elif kind == "mask":
        path = write_tiff(bands, mask=nodata)
    else:
        bands[3, nodata] = np.nan
        bands[2] = np.nan
        path = write_tiff(bands)
    result = ndvi(path, tmp_path / "index.tif", names)
    expect(result, tmp_path / "index.tif", truth(bands), nodata)


def test_a_false_alpha_named_by_the_caller_is_data(write_tiff: WriteTiff, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    bands = rng.integers(0, 200, (4, 40, 50), dtype=np.uint8)
    path = write_tiff(bands, photometric="RGB", alpha="YES")
    result = ndvi(path, tmp_path / "index.tif")
    expect(result, tmp_path / "index.tif", truth(bands), np.zeros((40, 50), bool))


def test_an_unlabelled_fourth_band_needs_the_callers_word(write_tiff: WriteTiff, tmp_path: Path) -> None:
    bands = np.random.default_rng(4).integers(1, 200, (4, 30, 30), dtype=np.uint8)
    path = write_tiff(bands, colours=("red", "green", "blue", "undefined"))
    with pytest.raises(MissingBands) as caught:
        ndvi(path, tmp_path / "index.tif", None)
    assert caught.value.fields["missing_bands"] == ["N"]
    assert list(tmp_path.iterdir()) == [path]
    expect(ndvi(path, tmp_path / "index.tif"), tmp_path / "index.tif", truth(bands), np.zeros((30, 30), bool))


def test_what_cannot_be_computed(write_tiff: WriteTiff, tmp_path: Path) -> None:
    path = write_tiff(np.ones((4, 5, 5), np.uint8))
    with pytest.raises(UnknownIndex):
        analyse_bands(path, "NDVII", band_map=RGBN, cuts=CUTS, index_path=tmp_path / "index.tif")
    with pytest.raises(Impossible, match="cannot be computed from an image"):
        analyse_bands(path, "kNDVI", band_map=RGBN, cuts=CUTS, index_path=tmp_path / "index.tif")
    soil = Background(index_from_expression("(N - RE1) / (N + RE1)"), 0.1)
    with pytest.raises(MissingBands) as caught:
        analyse_bands(path, "NDVI", band_map=RGBN, cuts=CUTS, background=soil)
    assert caught.value.fields["missing_bands"] == ["RE1"]
    assert list(tmp_path.iterdir()) == [path]


def test_integers_do_not_wrap_around(write_tiff: WriteTiff, tmp_path: Path) -> None:
    bands = np.zeros((4, 1, 2), np.uint8)
    bands[0], bands[3] = [[200, 50]], [[100, 250]]
    ndvi(write_tiff(bands), tmp_path / "index.tif")
    np.testing.assert_allclose(written(tmp_path / "index.tif"), [[-100 / 300, 200 / 300]], rtol=1e-6)


def test_all_nodata(write_tiff: WriteTiff, tmp_path: Path) -> None:
    path = write_tiff(np.zeros((4, 20, 20), np.uint8), nodata=0)
    result = ndvi(path, tmp_path / "index.tif")
    expect(result, tmp_path / "index.tif", np.full((20, 20), np.nan), np.ones((20, 20), bool))
    json.dumps(result.statistics.to_dict(), allow_nan=False)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30_000), (30_000, 1)])
def test_odd_shapes(write_tiff: WriteTiff, tmp_path: Path, shape: tuple[int, int]) -> None:
    bands = np.random.default_rng(5).integers(1, 200, (4, *shape), dtype=np.uint8)
    result = ndvi(write_tiff(bands), tmp_path / "index.tif")
    expect(result, tmp_path / "index.tif", truth(bands), np.zeros(shape, bool))


def test_a_photo_by_its_own_colours(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    pixels = np.kron(
        np.random.default_rng(6).integers(0, 255, (12, 16, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8)
    )
    Image.fromarray(pixels).save(path, quality=95)
    band_map = resolve_bands(inspect(path))
    result = analyse_bands(
        path, get_index("VARI"), band_map=band_map, cuts=CUTS, index_path=tmp_path / "index.tif"
    )
    with open_raster(path) as dataset:
        decoded = dataset.read()
    expected = get_index("VARI").compute(dict(zip("RGB", decoded, strict=True)))
    np.testing.assert_array_equal(written(tmp_path / "index.tif"), expected)
    assert result.statistics.area_m2 is None
    assert result.odd_pixels == 0


@pytest.mark.parametrize("kind", ["jpg", "png", "giant strip", "big strip without compression"])
def test_files_that_cannot_be_read_in_any_order_are_unpacked(
    write_tiff: WriteTiff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(work, "_SMALL_PIXELS", 1000)
    ramp = np.random.default_rng(7).integers(1, 255, (3, 1200, 33), dtype=np.uint8)
    path = tmp_path / f"image.{kind}"
    if kind in {"jpg", "png"}:
        Image.fromarray(np.moveaxis(ramp, 0, 2)).save(path)
    else:
        codec = "deflate" if kind == "giant strip" else "none"
        path = write_tiff(ramp, "image.tif", blockysize=1200, compress=codec, nodata=9)
    before = sorted(path.parent.iterdir())
    result = analyse_bands(
        path, "GLI", band_map=BandMap(("R", "G", "B"), "caller"), cuts=CUTS, index_path=tmp_path / "i.tif"
    )
    with open_raster(path) as dataset:
        bands = dataset.read()
    expected = get_index("GLI").compute(dict(zip("RGB", bands, strict=True)))
    nodata = (bands == 9).any(axis=0) if path.suffix == ".tif" else np.zeros(expected.shape, bool)
    expect(result, tmp_path / "i.tif", expected.astype(float), nodata)
    assert sorted(path.parent.iterdir()) == sorted([*before, tmp_path / "i.tif"])


PAIRS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "one for all": ((1e-4,) * 4, (0.0,) * 4),
    "one for each": ((1e-4, 1e-4, 2e-4, 5e-5), (0.0,) * 4),
    "with an offset": ((1e-4,) * 4, (-0.1,) * 4),
    "offsets of their own": ((1e-4,) * 4, (-0.1, 0.0, 0.05, 0.2)),
}


@pytest.mark.parametrize("way", PAIRS)
@pytest.mark.parametrize("formula", ["NDVI", "EVI", "NDVI_emp"])
@pytest.mark.parametrize("by_tags", [True, False])
def test_scale_and_offset(
    write_tiff: WriteTiff, edit_tiff: Any, tmp_path: Path, way: str, formula: str, by_tags: bool
) -> None:
    scales, offsets = PAIRS[way]
    bands = np.random.default_rng(8).integers(0, 12_000, (4, 50, 60), dtype=np.uint16)
    path = write_tiff(bands, nodata=0)
    if by_tags:
        with edit_tiff(path) as dataset:
            dataset.scales, dataset.offsets = scales, offsets
    index, pairs = get_index(formula), dict(zip("RGBN", zip(scales, offsets, strict=True), strict=True))
    named = dict(zip("RGBN", bands, strict=True))
    result = analyse_bands(
        path,
        index,
        band_map=RGBN,
        cuts=CUTS,
        index_path=tmp_path / "index.tif",
        calibration=None if by_tags else stated(scales, offsets),
    )
    nodata = np.any([named[name] == 0 for name in index.bands], axis=0)
    near_poles = np.abs(reference(index, named, pairs)) > 50
    values = np.where(near_poles, written(tmp_path / "index.tif"), reference(index, named, pairs))
    expect(result, tmp_path / "index.tif", values, nodata, rtol=1e-4 if index.legacy else 1e-6)
    odd = np.zeros((50, 60), bool)
    for name in index.bands:
        scaled = named[name] * pairs[name][0] + pairs[name][1]
        odd |= (scaled < 0.001 - 1e-12) | (scaled > 1.5 + 1e-12)
    assert result.odd_pixels == (odd & ~nodata).sum()
    assert result.odd_fraction == pytest.approx((odd & ~nodata).sum() / (~nodata).sum())


@pytest.mark.parametrize(("state", "is_judged"), [("dn", False), ("reflectance", True), ("unknown", True)])
def test_odd_pixels_by_the_state_of_calibration(write_tiff: WriteTiff, state: Any, is_judged: bool) -> None:
    bands = np.full((4, 6, 5), 0.3, np.float32)
    bands[0, 0, 0], bands[3, 0, :2], bands[1] = 1.6, 0.0005, 99.0
    bands[0, 5], bands[3, 5, 0] = np.nan, 7.0
    result = analyse_bands(
        write_tiff(bands),
        "NDVI",
        band_map=RGBN,
        cuts=CUTS,
        calibration=Calibration(state, (1.0,) * 4, (0.0,) * 4, "caller"),
    )
    assert result.odd_pixels == (2 if is_judged else 0), (
        "a band that is not read is not judged, nor is nodata"
    )
    assert result.odd_fraction == pytest.approx((2 if is_judged else 0) / 25)


@pytest.mark.parametrize("formula", ["(G - B) / (G + B)", "NDVI", "EVI"])
def test_a_soil_mask_by_bands_of_its_own(write_tiff: WriteTiff, tmp_path: Path, formula: str) -> None:
    bands = np.random.default_rng(9).integers(0, 60, (4, 70, 80), dtype=np.uint8)
    path = write_tiff(bands, nodata=59)
    index = get_index(formula) if formula.isalpha() else index_from_expression(formula)
    background = Background(index, 0.1)
    result = analyse_bands(
        path, "NDVI", band_map=RGBN, cuts=CUTS, index_path=tmp_path / "index.tif", background=background
    )
    named = dict(zip("RGBN", bands, strict=True))
    values = reference(index, named)
    gone = ~(values > 0.1)
    nodata = np.any([named[name] == 59 for name in {"N", "R", *index.bands}], axis=0)
    expect(result, tmp_path / "index.tif", truth(bands), nodata, gone=gone)
    # the same mask for a whole image, as a ready map needs it
    stack = inspect_stack([path])
    alone = background_mask(stack, background, band_map=RGBN, calibration=calibrate(stack.info))
    hidden = np.any([named[name] == 59 for name in index.bands], axis=0)
    np.testing.assert_array_equal(alone, gone | hidden)


def test_bands_in_files_of_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    near = rng.integers(-5, 300, (1, 75, 90)).astype(np.int16)
    red = rng.integers(0, 200, (1, 75, 90)).astype(np.float32)
    red[0, 3:9] = np.nan
    profiles: tuple[dict[str, Any], ...] = (
        {"nodata": -5, "compress": "zstd", "tiled": True, "blockxsize": 32, "blockysize": 16},
        {"compress": "packbits"},
        {"nodata": 7},
    )
    green = np.full((1, 75, 90), 7, np.uint8)
    files = [
        write_bands(tmp_path / f"{name}.tif", band, (name,), **profile)
        for name, band, profile in zip(("nir", "red", "green"), (near, red, green), profiles, strict=True)
    ]
    stack: Stack = inspect_stack(files)
    band_map = resolve_bands(stack.info)
    result = analyse_bands(stack, "NDVI", band_map=band_map, cuts=CUTS, index_path=tmp_path / "index.tif")
    nodata = (near[0] == -5) | np.isnan(red[0])
    expect(result, tmp_path / "index.tif", reference(get_index("NDVI"), {"N": near[0], "R": red[0]}), nodata)
    lost = analyse_bands(stack, "GNDVI", band_map=band_map, cuts=CUTS)
    assert lost.statistics.nodata_pixels == 75 * 90, "a file whose pixels are all nodata"


def test_values_out_of_range_are_counted(write_tiff: WriteTiff, tmp_path: Path) -> None:
    bands = np.zeros((4, 1, 4), np.float32)
    bands[0], bands[3] = [[-0.1, 0.1, 0.5, 0.0]], [[0.3, 0.3, -0.4, 0.2]]
    result = ndvi(write_tiff(bands), tmp_path / "index.tif")
    expect(result, tmp_path / "index.tif", truth(bands), np.zeros((1, 4), bool))
    assert result.statistics.out_of_range_pixels == 2
    assert result.statistics.valid_pixels == 4


def test_progress_rises_from_zero_to_one(write_tiff: WriteTiff, tmp_path: Path) -> None:
    seen: list[float] = []
    bands = np.ones((4, 9000, 20), np.uint8)
    ndvi(write_tiff(bands, blockysize=8), tmp_path / "index.tif", progress=seen.append)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert len(seen) > 6
    assert seen == sorted(seen)


def test_provenance_goes_into_the_raster_with_the_cuts(write_tiff: WriteTiff, tmp_path: Path) -> None:
    path = write_tiff(np.arange(100, dtype=np.uint16).reshape(4, 5, 5))
    ndvi(path, tmp_path / "index.tif", provenance={"engine": engine.ENGINE, "note": "R & D"})
    with open_raster(tmp_path / "index.tif") as dataset:
        made = json.loads(dataset.tags()["ORTHORAY_PROVENANCE"])
        assert dataset.descriptions == ("NDVI",)
    assert made == {"engine": engine.ENGINE, "note": "R & D", "cuts": list(CUTS)}


@pytest.mark.parametrize("options", [{"compress": "deflate"}, {"compress": "packbits"}, {}])
def test_a_damaged_file_leaves_no_result(
    write_tiff: WriteTiff, tmp_path: Path, options: dict[str, Any]
) -> None:
    noise = np.random.default_rng(8).integers(0, 255, (4, 200, 200), dtype=np.uint8)
    path = write_tiff(noise, **options)
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(TruncatedImage):
        ndvi(path, tmp_path / "index.tif")
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_listener_leaves_no_result(write_tiff: WriteTiff, tmp_path: Path) -> None:
    path = write_tiff(np.ones((4, 200, 200), np.uint8))

    def cancel(fraction: float) -> None:
        if fraction > 0.1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        ndvi(path, tmp_path / "index.tif", progress=cancel)
    assert list(tmp_path.iterdir()) == [path]


def test_a_former_result_stays_where_the_new_one_fails(write_tiff: WriteTiff, tmp_path: Path) -> None:
    noise = np.random.default_rng(8).integers(0, 255, (4, 100, 100), dtype=np.uint8)
    path, output = write_tiff(noise), tmp_path / "index.tif"
    output.write_text("former")
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(TruncatedImage):
        ndvi(path, output)
    assert output.read_text() == "former"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_ready_maps_of_every_precision(write_tiff: WriteTiff, tmp_path: Path, dtype: str) -> None:
    info = inspect(write_tiff(np.zeros((3, 700, 30), np.uint8)))
    index = np.random.default_rng(1).normal(size=(700, 30)).astype(dtype)
    masked = index > 1
    result = analyse_array(
        index, masked, index_name="X", cuts=CUTS, like=info, index_path=tmp_path / "index.tif"
    )
    expect(result, tmp_path / "index.tif", index.astype(float), masked)


def test_threads_do_not_disturb_each_other(write_tiff: WriteTiff, tmp_path: Path) -> None:
    bands = np.random.default_rng(12).integers(1, 200, (4, 90, 90), dtype=np.uint8)
    path = write_tiff(bands)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: ndvi(path, tmp_path / f"{i}.tif"), range(12)))
    assert len({result.statistics for result in results}) == 1
    assert len({(tmp_path / f"{i}.tif").read_bytes() for i in range(12)}) == 1


@pytest.mark.parametrize("is_large", [True, False])
@pytest.mark.parametrize("tiled", [True, False])
def test_one_processor_and_several_give_the_same_bits(
    write_tiff: WriteTiff,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_large: bool,
    tiled: bool,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    if is_large:
        monkeypatch.setattr(survey, "FULL_PIXELS", 10_000)
        monkeypatch.setattr(survey, "PICTURE_PIXELS", 5000)
    bands = np.random.default_rng(13).integers(0, 250, (4, 4100, 40), dtype=np.uint16)
    layout = {"tiled": True, "blockxsize": 128, "blockysize": 64} if tiled else {"blockysize": 7}
    path = write_tiff(bands, nodata=249, compress="zstd", **layout)
    results, files = [], []
    for processors in ("1", "2", "3,1"):
        monkeypatch.setenv("OMP_NUM_THREADS", processors)
        results.append(
            analyse_bands(path, "SR", band_map=RGBN, cuts=quantile_cuts, index_path=tmp_path / "index.tif")
        )
        files.append((tmp_path / "index.tif").read_bytes())
    assert results[0].statistics == results[1].statistics == results[2].statistics
    assert len({result.picture.tobytes() for result in results}) == len(set(files)) == 1
    assert (results[0].statistics.percentile_error == 0) is not is_large


def test_a_large_raster_is_the_small_one_within_its_bounds(
    write_tiff: WriteTiff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bands = np.random.default_rng(14).integers(1, 250, (4, 300, 400), dtype=np.uint8)
    path = write_tiff(bands, nodata=200)
    for name in ("NDVI", "EVI", "SR"):
        small = analyse_bands(path, name, band_map=RGBN, cuts=CUTS, index_path=tmp_path / "small.tif")
        with monkeypatch.context() as patch:
            patch.setattr(survey, "FULL_PIXELS", 1000)
            patch.setattr(survey, "PICTURE_PIXELS", 900)
            large = analyse_bands(path, name, band_map=RGBN, cuts=CUTS, index_path=tmp_path / "large.tif")
        a, b = small.statistics, large.statistics
        same = (
            "valid_pixels",
            "nodata_pixels",
            "invalid_pixels",
            "class_pixels",
            "minimum",
            "maximum",
            "mean",
            "std",
        )
        assert [getattr(a, field) for field in same] == [getattr(b, field) for field in same]
        assert b.percentile_error is not None
        for percentile in ("p2", "median", "p98"):
            assert abs(getattr(a, percentile) - getattr(b, percentile)) <= b.percentile_error
        assert sum(b.histogram_counts) == b.valid_pixels
        assert large.picture.size <= 900
        np.testing.assert_array_equal(written(tmp_path / "small.tif"), written(tmp_path / "large.tif"))


def test_an_index_raster_in_steps(write_tiff: WriteTiff, tmp_path: Path) -> None:
    bands = np.random.default_rng(15).integers(0, 250, (4, 60, 70), dtype=np.uint8)
    path, output = write_tiff(bands, nodata=0), tmp_path / "index.tif"
    result = ndvi(path, output, encoding=Encoding(0.0001))
    with open_raster(output) as dataset:
        stored = dataset.read(1, masked=True)
        assert (stored.dtype, dataset.scales) == (np.int16, (0.0001,))
    np.testing.assert_array_equal(stored.mask, np.isnan(result.picture))
    off = np.abs(stored.astype(float) * 0.0001 - result.picture)
    assert off.max() <= 0.00005 + 1e-7


@pytest.mark.slow
def test_memory_does_not_grow_with_the_raster(
    write_tiff: WriteTiff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "FULL_PIXELS", 10_000)
    monkeypatch.setattr(survey, "PICTURE_PIXELS", 1000)
    monkeypatch.setattr(engine, "grid_for", lambda width, height, **_: Grid(width, height, 32, 32, 128))
    tile = np.random.default_rng(16).integers(0, 250, (4, 256, 256), dtype=np.uint8)
    paths = [
        write_tiff(np.tile(tile, (1, times, times)), f"{times}.tif", tiled=True, blockxsize=32, blockysize=32)
        for times in (1, 2, 3)
    ]
    peaks = []
    for path in paths:
        tracemalloc.start()
        try:
            ndvi(path, tmp_path / "index.tif")
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    # the first warms up; one float32 map would be four bytes a pixel
    assert peaks[2] - peaks[1] < (3**2 - 2**2) * 256**2, peaks


def test_real_multispectral_image(sample: Callable[[str], Path], tmp_path: Path) -> None:
    path = sample("rgbn.tif")
    result = ndvi(path, tmp_path / "index.tif")
    with open_raster(path) as dataset:
        bands = dataset.read()
    expect(result, tmp_path / "index.tif", truth(bands), np.zeros(bands.shape[1:], bool))
    assert result.statistics.area_m2 == 515 * 403 * 25


def test_bands_are_never_exchanged(write_tiff: WriteTiff, tmp_path: Path) -> None:
    bands = np.arange(4 * 6, dtype=np.float32).reshape(4, 2, 3) + 1
    path = write_tiff(bands)
    mapped = BandMap(("N", None, "R", "G"), "caller")
    analyse_bands(path, "NDVI", band_map=mapped, cuts=CUTS, index_path=tmp_path / "index.tif")
    expected = (bands[0] - bands[2]) / (bands[0] + bands[2])
    np.testing.assert_allclose(written(tmp_path / "index.tif"), expected, rtol=1e-6)
