"""Large rasters on small arrays: the limits are lowered, so that blocks, scales and reduced pictures are at work."""

from __future__ import annotations

import tempfile
import threading
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window
from rasters import write_bands

from orthoray.errors import TruncatedImage
from orthoray.spectral import survey as module
from orthoray.spectral.blocks import Grid, Rows
from orthoray.spectral.breaks import jenks_cuts, quantile_cuts
from orthoray.spectral.distribution import FINE_BINS
from orthoray.spectral.encoding import FLOAT32
from orthoray.spectral.raster import RasterInfo, inspect, open_raster
from orthoray.spectral.sources import MapSource
from orthoray.spectral.survey import Cuts, IndexResult, picture_level, survey

Array = npt.NDArray[Any]
CUTS = (0.6, 0.4, 0.2)
HEIGHT, WIDTH = 210, 307


@pytest.fixture
def canvas(tmp_path: Path) -> RasterInfo:
    return inspect(write_bands(tmp_path / "canvas.tif", np.zeros((1, HEIGHT, WIDTH), np.uint8)))


@pytest.fixture
def _as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FULL_PIXELS", 5000)
    monkeypatch.setattr(module, "PICTURE_PIXELS", 2000)


def index_map(seed: int = 3) -> Array:
    rng = np.random.default_rng(seed)
    made = rng.normal(0.3, 0.2, (HEIGHT, WIDTH)).astype(np.float32)
    made[rng.random(made.shape) < 0.1] = np.nan
    made[20:60, 40:150] = np.nan
    return made


def run(
    values: Array,
    canvas: RasterInfo,
    *,
    cuts: Cuts = CUTS,
    value_range: tuple[float, float] | None = None,
    source: Any = None,
    index_path: Path | None = None,
    **options: Any,
) -> IndexResult:
    return survey(
        source or MapSource(values, None),
        Grid(values.shape[1], values.shape[0], 16, 16, 64),
        canvas=canvas,
        name="NDVI",
        value_range=value_range,
        cuts=cuts,
        index_path=index_path,
        encoding=FLOAT32,
        provenance={},
        progress=options.get("progress"),
    )


def nanmeans(values: Array, side: int) -> Array:
    rows, columns = (-(-length // side) for length in values.shape)
    padded = np.full((rows * side, columns * side), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    squares = padded.reshape(rows, side, columns, side)
    counts = (~np.isnan(squares)).sum(axis=(1, 3))
    return np.asarray(np.nansum(squares, axis=(1, 3)) / np.where(counts, counts, np.nan))


@pytest.mark.usefixtures("_as_if_large")
@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.1, 0.5), None])
def test_statistics_of_a_large_raster_are_as_near_as_they_say(
    canvas: RasterInfo, value_range: tuple[float, float] | None
) -> None:
    values = index_map()
    found = run(values, canvas, value_range=value_range).statistics
    valid = values[~np.isnan(values)].astype(np.float64)
    assert (found.valid_pixels, found.invalid_pixels) == (valid.size, values.size - valid.size)
    assert (found.minimum, found.maximum) == (valid.min(), valid.max())
    assert found.mean == pytest.approx(valid.mean(), rel=1e-12)
    assert found.std == pytest.approx(valid.std(), rel=1e-12)
    assert found.percentile_error is not None
    assert 0 < found.percentile_error < (2 if value_range == (0.1, 0.5) else 3.0 / FINE_BINS)
    for number, percent in ((found.p2, 2), (found.median, 50), (found.p98, 98)):
        assert number is not None
        assert abs(number - np.percentile(valid, percent)) <= found.percentile_error
    above = [int((valid > np.float32(cut)).sum()) for cut in CUTS]
    assert found.class_pixels == tuple(np.diff([0, *above, valid.size]))
    assert sum(found.histogram_counts) == valid.size
    # without a range the thousandth at either end is in the end bins
    low, high = value_range or np.percentile(valid, [0.1, 99.9])
    if value_range is None:
        assert found.out_of_range_pixels == 0
    else:
        assert found.out_of_range_pixels == ((valid < np.float32(low)) | (valid > np.float32(high))).sum()
    assert found.histogram_edges[0] <= max(valid.min(), low) + 0.001
    assert found.histogram_edges[-1] >= min(valid.max(), high) - 0.001
    assert len(found.histogram_counts) <= 64


def test_statistics_of_a_small_raster_are_exact(canvas: RasterInfo) -> None:
    values = index_map()
    result = run(values, canvas, value_range=(-1.0, 1.0))
    valid = values[~np.isnan(values)].astype(np.float64)
    stats = result.statistics
    assert [stats.p2, stats.median, stats.p98] == np.percentile(valid, [2, 50, 98]).tolist()
    assert stats.percentile_error == 0
    edges = np.array(stats.histogram_edges)
    np.testing.assert_array_equal(
        np.histogram(np.clip(valid, edges[0], edges[-1]), edges)[0], stats.histogram_counts
    )
    np.testing.assert_array_equal(result.picture, values)


@pytest.mark.usefixtures("_as_if_large")
def test_the_picture_of_a_large_raster(canvas: RasterInfo) -> None:
    values = index_map()
    result = run(values, canvas)
    assert picture_level(WIDTH, HEIGHT) == 3
    assert result.picture.dtype == np.float32
    np.testing.assert_allclose(result.picture, nanmeans(values, 8), rtol=1e-5)


@pytest.mark.usefixtures("_as_if_large")
@pytest.mark.parametrize("with_raster", [True, False])
def test_pictures_smaller_than_a_blocks(
    canvas: RasterInfo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, with_raster: bool
) -> None:
    monkeypatch.setattr(module, "PICTURE_PIXELS", 70)
    values = index_map()
    result = run(values, canvas, index_path=tmp_path / "index.tif" if with_raster else None)
    assert picture_level(WIDTH, HEIGHT) == 5
    np.testing.assert_allclose(result.picture, nanmeans(values, 32), rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 10**6), height=st.integers(1, 10**6))
def test_pictures_are_no_larger_than_they_need_be(width: int, height: int) -> None:
    def pixels(level: int) -> int:
        return -(-width >> level) * -(-height >> level)

    level = picture_level(width, height)
    if width * height <= 25_000_000:
        assert level == 0
    else:
        assert pixels(level) <= 8_000_000 < pixels(level - 1)


@pytest.mark.usefixtures("_as_if_large")
@pytest.mark.parametrize("cuts", [quantile_cuts, jenks_cuts])
@pytest.mark.parametrize("value_range", [(-1.0, 1.0), None])
def test_cuts_from_the_values_of_a_large_raster(
    canvas: RasterInfo, cuts: Any, value_range: tuple[float, float] | None, tmp_path: Path
) -> None:
    values = index_map()
    found = run(values, canvas, cuts=cuts, value_range=value_range, index_path=tmp_path / "i.tif").statistics
    valid = values[~np.isnan(values)]
    above = [int((valid > np.float32(cut)).sum()) for cut in found.cuts]
    assert list(found.cuts) == sorted(found.cuts, reverse=True)
    assert sum(found.class_pixels) == valid.size
    assert np.cumsum(found.class_pixels)[:-1].tolist() == above
    exact = cuts(*np.histogram(valid.astype(float), 20_000)[::-1])
    np.testing.assert_allclose(found.cuts, exact, atol=0.01)
    with open_raster(tmp_path / "i.tif") as dataset:
        assert str(found.cuts[0]) in dataset.tags()["ORTHORAY_PROVENANCE"]


def test_cuts_from_the_values_of_a_small_raster_count_exactly(canvas: RasterInfo) -> None:
    values = index_map()
    found = run(values, canvas, cuts=quantile_cuts, value_range=(-1.0, 1.0)).statistics
    valid = values[~np.isnan(values)]
    above = [int((valid > np.float32(cut)).sum()) for cut in found.cuts]
    assert found.class_pixels == tuple(np.diff([0, *above, valid.size]))
    assert min(found.class_pixels) > 0.24 * valid.size


@pytest.mark.parametrize("is_large", [True, False])
def test_no_valid_pixel(canvas: RasterInfo, monkeypatch: pytest.MonkeyPatch, is_large: bool) -> None:
    if is_large:
        monkeypatch.setattr(module, "FULL_PIXELS", 5000)
    values = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    for cuts in (CUTS, quantile_cuts):
        result = run(values, canvas, cuts=cuts)
        assert result.statistics.valid_pixels == 0
        assert result.statistics.class_pixels == (0, 0, 0, 0)
        assert result.statistics.histogram_counts == ()
        assert np.isnan(result.picture).all()
        assert result.odd_fraction == 0


@pytest.mark.usefixtures("_as_if_large")
def test_a_narrow_field_of_heavy_tails_is_classed_by_its_own_values(canvas: RasterInfo) -> None:
    values = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    values[:, 7:30] = np.random.default_rng(1).lognormal(0, 2, (HEIGHT, 23))
    found = run(values, canvas, cuts=quantile_cuts, value_range=None).statistics
    assert min(found.class_pixels) > 0.24 * found.valid_pixels
    assert found.median == pytest.approx(np.nanmedian(values), rel=1e-3)


@pytest.mark.usefixtures("_as_if_large")
@pytest.mark.parametrize("kind", ["constant", "outliers", "mostly nothing", "wide"])
def test_rasters_of_odd_values(canvas: RasterInfo, kind: str) -> None:
    values = index_map()
    if kind == "constant":
        values = np.full_like(values, 0.3)
    elif kind == "outliers":
        values[7, 7], values[8, 8] = 3e38, -3e38
    elif kind == "mostly nothing":
        values[:] = np.nan
        values[33, 35:45] = np.linspace(5, 6, 10)
    else:
        values = (np.sign(values) * 10 ** np.minimum(50 * np.abs(values), 38)).astype(np.float32)
    found = run(values, canvas).statistics
    valid = values[~np.isnan(values)].astype(np.float64)
    assert sum(found.histogram_counts) == found.valid_pixels == valid.size
    assert found.percentile_error is not None
    for number, percent in ((found.p2, 2), (found.median, 50), (found.p98, 98)):
        assert number is not None
        assert abs(number - np.percentile(valid, percent)) <= found.percentile_error
    if kind in {"constant", "outliers"}:
        assert found.percentile_error < 0.01, "a few outliers must not make it coarse"


@pytest.mark.parametrize("is_large", [True, False])
def test_one_thread_and_several_give_the_same_bits(
    canvas: RasterInfo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_large: bool
) -> None:
    if is_large:
        monkeypatch.setattr(module, "FULL_PIXELS", 5000)
        monkeypatch.setattr(module, "PICTURE_PIXELS", 2000)
    values = index_map()
    results, files = [], []
    for threads in (1, 3):
        monkeypatch.setattr(module, "worker_count", lambda threads=threads: threads)
        path = tmp_path / f"{threads}.tif"
        results.append(run(values, canvas, source=Uneven(values), index_path=path))
        files.append(path.read_bytes())
    first = results[0]
    for result, content in zip(results, files, strict=True):
        assert result.statistics == first.statistics
        assert result.picture.tobytes() == first.picture.tobytes()
        assert content == files[0]


@dataclass(frozen=True)
class Uneven:
    """A source whose blocks take longer the earlier they come."""

    values: Array

    def rows(self, window: Window) -> Rows:
        time.sleep(0.001 if window.row_off < 16 else 0)
        return MapSource(self.values, None).rows(window)


def test_threads_are_as_many_as_the_processors_given(
    canvas: RasterInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = index_map()
    seen: set[str] = set()

    class Watched:
        def rows(self, window: Window) -> Rows:
            seen.add(threading.current_thread().name)
            return MapSource(values, None).rows(window)

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run(values, canvas, source=Watched())
    assert seen == {threading.current_thread().name}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_source_that_fails_ends_everything(
    canvas: RasterInfo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: int
) -> None:
    monkeypatch.setattr(module, "worker_count", lambda: threads)
    values, calls = index_map(), []

    class Damaged:
        def rows(self, window: Window) -> Rows:
            calls.append(window)
            if window.row_off >= 64:
                raise TruncatedImage
            return MapSource(values, None).rows(window)

    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(TruncatedImage):
        run(values, canvas, source=Damaged(), index_path=tmp_path / "index.tif")
    assert {path.name for path in tmp_path.iterdir()} == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("blocks")]
    assert len(calls) < len(list(Grid(WIDTH, HEIGHT, 16, 16, 64).blocks())) * 4


def test_progress_is_told_by_the_calling_thread(canvas: RasterInfo) -> None:
    seen: list[tuple[float, int]] = []
    run(index_map(), canvas, progress=lambda part: seen.append((part, threading.get_ident())))
    parts = [part for part, _ in seen]
    assert (parts[0], parts[-1]) == (0.0, 1.0)
    assert parts == sorted(parts)
    assert len(set(parts)) > 15
    assert {thread for _, thread in seen} == {threading.get_ident()}


@dataclass(frozen=True)
class Endless:
    """A raster of any size without memory of its own."""

    def rows(self, window: Window) -> Rows:
        values = np.full((window.height, window.width), 0.25, np.float32)
        values[:, ::7] = 0.5
        return MapSource(values, None).rows(Window(0, 0, window.width, window.height))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_raster(monkeypatch: pytest.MonkeyPatch, canvas: RasterInfo) -> None:
    monkeypatch.setattr(module, "FULL_PIXELS", 5000)
    monkeypatch.setattr(module, "PICTURE_PIXELS", 500)
    monkeypatch.setattr(module, "worker_count", lambda: 2)

    def peak(side: int, path: Path) -> int:
        survey(
            Endless(),
            Grid(side, side, 32, 32, 128),
            canvas=canvas,
            name="NDVI",
            value_range=(-1.0, 1.0),
            cuts=CUTS,
            index_path=path,
            encoding=FLOAT32,
            provenance={},
            progress=lambda _: None,
        )
        return tracemalloc.get_traced_memory()[1]

    with tempfile.TemporaryDirectory() as folder:
        peak(256, Path(folder) / "warm.tif")
        peaks = []
        for side in (512, 1024):
            tracemalloc.start()
            try:
                peaks.append(peak(side, Path(folder) / "index.tif"))
            finally:
                tracemalloc.stop()
    # a few bytes for each 8 x 8 pixels and each tile may come; all blocks at once would be four a pixel
    assert peaks[1] - peaks[0] < 1024**2 - 512**2, peaks


@pytest.mark.usefixtures("_as_if_large")
@pytest.mark.parametrize("cuts", [(0.5, 0.3, 0.1), quantile_cuts])
def test_values_of_the_whole_range_of_float32(canvas: RasterInfo, cuts: Any) -> None:
    values = index_map()
    values[: HEIGHT // 2] = -np.finfo(np.float32).max
    found = run(values, canvas, cuts=cuts, value_range=None).statistics
    assert found.valid_pixels == np.count_nonzero(~np.isnan(values))
    assert found.minimum == -np.finfo(np.float32).max
