"""The benchmarks measure what they say: the same pixels in every file, the same work by every contender."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from benchmarks import child, commands, inputs, kernels, measure, ours, peers, report, suite
from benchmarks.__main__ import main
from benchmarks.field import BANDS, NODATA, Field
from benchmarks.measure import Contender, Measured, Ratio

SIDE = 640
CUTS = (0.6, 0.4, 0.2)
SIZES = inputs.Sizes(SIDE, SIDE, (96, 64), (96, 64), (80, 60), 3)
RED, NIR = BANDS.index("R"), BANDS.index("N")


def silent(_share: float) -> None:
    pass


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> inputs.Inputs:
    root = tmp_path_factory.mktemp("inputs")
    found = inputs.located(root, SIZES)
    for make in inputs.missing(found, SIZES).values():
        make(silent)
    return found


def reference(path: Path) -> child.Finding:
    with rasterio.open(path) as source:
        low, high = source.read([RED + 1, NIR + 1]).astype(np.float64)
    kept = (low != NODATA) & (high != NODATA)
    values = ((high - low) / (high + low))[kept]
    above = [int((values > cut).sum()) for cut in CUTS]
    return {
        "valid": int(kept.sum()),
        "mean": float(values.mean()),
        "classes": np.diff([0, *above, values.size]).tolist(),
    }


def test_a_field_is_the_same_every_time_and_no_two_fields_are_alike() -> None:
    first = Field(90, 70, seed=1).strip(0, 70)
    assert first.shape == (5, 70, 90)
    assert np.array_equal(first, Field(90, 70, seed=1).strip(0, 70))
    assert not np.array_equal(first, Field(90, 70, seed=2).strip(0, 70))


def test_a_field_has_an_outline_of_four_fifths_and_a_spread_of_ndvi() -> None:
    pixels = Field(400, 400).strip(0, 400)
    outside = pixels[0] == NODATA
    assert 0.15 < outside.mean() < 0.25
    assert (pixels[:, outside] == NODATA).all()
    assert (pixels[:, ~outside] < NODATA).all()
    assert not (Field(400, 400, border=False).strip(0, 400) == NODATA).any()


def test_a_field_is_of_every_class() -> None:
    low, high = Field(4000, 2000, border=False).strip(500, 560)[[RED, NIR]].astype(np.float32)
    p2, p98 = np.percentile((high - low) / (high + low), (2, 98))
    assert 0.2 < p2 < CUTS[1]
    assert CUTS[0] < p98 < 0.9


def test_every_orthomosaic_holds_the_same_pixels_in_the_layout_of_its_name(made: inputs.Inputs) -> None:
    seen = []
    for (codec, interleave), path in made.orthomosaics.items():
        with rasterio.open(path) as source:
            assert source.compression.value.lower() == codec
            assert source.interleaving.value.lower() == interleave
            assert (source.count, source.width, source.height) == (5, SIDE, SIDE)
            assert source.dtypes[0] == "uint16"
            assert source.nodata == NODATA
            assert source.block_shapes[0] == (512, 512)
            assert source.crs.to_epsg() == 32633
            seen.append(source.read())
    assert len(seen) == 4
    assert all(np.array_equal(seen[0], other) for other in seen[1:])


def test_what_is_there_is_not_made_again(made: inputs.Inputs) -> None:
    assert inputs.missing(made, SIZES) == {}
    place = made.captures.parent
    assert [path.name for path in place.rglob("*") if path.name.endswith(".part")] == []


def test_an_interrupted_input_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(_share: float) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.tif"
    with pytest.raises(KeyboardInterrupt):
        inputs.make_orthomosaics({("zstd", "pixel"): path}, SIDE, interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cog", [False, True])
def test_ours_and_numpy_find_what_float64_finds(made: inputs.Inputs, tmp_path: Path, cog: bool) -> None:
    path = made.orthomosaics["deflate", "band"]
    raster = str(tmp_path / "index.tif") if cog else None
    expected = reference(path)
    mine = ours.analyse(str(path), CUTS, str(tmp_path / "heatmap.png"), cog=raster).work()
    theirs = peers.in_memory(str(path), RED + 1, NIR + 1, CUTS, cog=raster).work()
    assert measure.same_work(mine, expected)
    assert measure.same_work(theirs, expected)
    assert (tmp_path / "heatmap.png").stat().st_size > 0
    assert (tmp_path / "index.tif").exists() == cog


def test_captures_are_all_analysed_by_both(made: inputs.Inputs, tmp_path: Path) -> None:
    both: dict[str, dict[str, Any]] = {"ours": {}, "peers": {"red": RED + 1, "nir": NIR + 1}}
    contenders = []
    for module, more in both.items():
        out = tmp_path / module
        out.mkdir()
        arguments = {"folder": str(made.captures), "out": str(out), "cuts": CUTS, **more}
        contenders.append(Contender(module, module, "captures", arguments))
    measured = measure.in_turn(contenders, 1, tmp_path / "scratch", lambda _words: None)
    assert [value.problem for value in measured.values()] == ["", ""]
    assert [len(list((tmp_path / module).iterdir())) for module in both] == [3, 3]
    assert measured["ours"].finding["valid"] == 3 * 80 * 60
    assert measure.same_work(measured["ours"].finding, measured["peers"].finding)


def test_both_ways_with_a_photo_find_the_same_classes(made: inputs.Inputs, tmp_path: Path) -> None:
    mine = ours.photo(str(made.photo), str(tmp_path / "a.png")).work()
    theirs = peers.six_indices(str(made.photo), str(tmp_path / "b.png")).work()
    assert mine == theirs
    assert sum(mine["classes"]) == 96 * 64


@pytest.mark.parametrize("layout", ["pixel", "band"])
@pytest.mark.parametrize("strip", [512 * 512, 512 * 100, 1])
def test_kernels_agree(layout: str, strip: int) -> None:
    for red, nir in kernels.tiles(2, layout):
        rows = slice(None) if strip > 1 else slice(0, 3)
        expected = kernels.numpy_kernel(red[rows], nir[rows], strip)
        assert kernels.opencv_kernel(red[rows], nir[rows], strip).agrees(expected)


def test_a_kernel_that_finds_something_else_does_not_agree() -> None:
    (red, nir), *_ = kernels.tiles(1, "band")
    found = kernels.numpy_kernel(red, nir, 1 << 16)
    assert found.agrees(found)
    assert not found.agrees(found + found)
    assert (found + kernels.NOTHING).agrees(found)


def test_a_process_of_its_own_tells_time_memory_and_finding(made: inputs.Inputs) -> None:
    path = made.orthomosaics["zstd", "pixel"]
    answer = child.run(
        "peers", "in_memory", {"path": str(path), "red": RED + 1, "nir": NIR + 1, "cuts": CUTS}, 2
    )
    assert len(answer["seconds"]) == 2
    assert 0 < answer["baseline_mb"] <= answer["peak_mb"]
    assert answer["finding"]["valid"] == reference(path)["valid"]
    json.dumps(answer)


def test_what_fails_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    contenders = [
        Contender("broken", "commands", "absent", {}),
        Contender("works", "commands", "importing", {}),
    ]
    said: list[str] = []
    measured = measure.in_turn(contenders, 1, tmp_path / "scratch", said.append)
    assert "absent" in measured["broken"].problem
    assert measured["broken"].seconds == []
    assert len(measured["works"].seconds) == len(measured["works"].process) == 1
    assert said == ["broken (1/1)", "works (1/1)"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_ratio_is_of_medians_with_the_extremes_of_the_turns() -> None:
    assert measure.ratio([4.0, 6.0, 2.0], [2.0, 2.0, 2.0]) == Ratio(2.0, 1.0, 3.0)


def test_the_fastest_is_the_one_with_the_least_median() -> None:
    measured = {
        "a": Measured(seconds=[1, 9, 9]),
        "b": Measured(seconds=[3, 3, 3]),
        "c": Measured(problem="no"),
    }
    assert measure.fastest(["a", "b", "c"], measured) == "b"
    assert measure.fastest(["c"], measured) is None


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"mean": 0.5, "valid": 3}, {"mean": 0.5 + 5e-7, "valid": 3}, True),
        ({"mean": 0.5}, {"mean": 0.5 + 2e-6}, False),
        ({"mean": 0.5, "valid": 3}, {"valid": 4}, False),
        ({"classes": [1, 2]}, {"classes": [1, 2], "mean": 0.1}, True),
        ({"mean": 0.5}, {}, None),
    ],
)
def test_same_work(first: child.Finding, second: child.Finding, same: bool | None) -> None:
    assert measure.same_work(first, second) is same


def test_every_row_speaks_of_contenders_that_run(made: inputs.Inputs) -> None:
    for build in suite.GROUPS.values():
        group = build(made)
        names = [contender.name for contender in group.contenders]
        assert len(names) == len(set(names))
        for row in group.comparisons:
            assert {row.ours, *row.peers} <= set(names)
        for contender in group.contenders:
            json.dumps(contender.arguments)


def measured_rows(**options: Any) -> tuple[list[report.Row], dict[str, Measured]]:
    wanted = suite.Comparison("work", "mine", "them", ("one", "other"), **options)
    measured = {
        "mine": Measured([2.0], [3.0], [3.5], [400.0], [90.0], {"valid": 5}),
        "one": Measured([8.0], [9.0], [8.5], [100.0], [90.0], {"valid": 5}),
        "other": Measured(problem="not installed"),
    }
    return report.rows([suite.Group("X", (), (wanted,))], measured), measured


def test_a_row_compares_with_the_fastest_and_says_whether_its_target_is_met() -> None:
    (row,), _ = measured_rows(rule="theirs/ours >=", target=3, aim=5)
    assert (row.found, row.met, row.same) == (Ratio(4, 4, 4), True, True)
    assert row.cells()[4:] == ("4.00x (4.00 to 4.00)", "at least 3x (aim 5x)", "yes", "yes")
    (row,), _ = measured_rows(rule="theirs/ours >=", target=3, kind="process")
    assert (row.found, row.met) == (Ratio(8 / 3, 8 / 3, 8 / 3), False)
    (row,), _ = measured_rows(rule="ours/theirs <=", target=0.2)
    assert (row.found, row.met) == (Ratio(0.25, 0.25, 0.25), False)
    (row,), _ = measured_rows(rule="ours-theirs <=", target=1)
    assert (row.found, row.met) == (Ratio(-6, -6, -6), True)


def test_memory_is_held_against_a_limit() -> None:
    wanted = suite.Comparison("memory", "mine", "-", (), "ours <=", 300, kind="peak_mb")
    _, measured = measured_rows(rule="ours/theirs <=")
    (row,) = report.rows([suite.Group("X", (), (wanted,))], measured)
    assert (row.met, row.same) == (False, None)
    assert row.cells()[1:6] == ("400 MB", "-", "", "(400 to 400)", "at most 300 MB")


def test_a_row_without_peers_that_ran_has_no_verdict() -> None:
    wanted = suite.Comparison("work", "mine", "them", ("other",), "theirs/ours >=", 3)
    _, measured = measured_rows(rule="theirs/ours >=")
    (row,) = report.rows([suite.Group("X", (), (wanted,))], measured)
    assert (row.met, row.same, row.found) == (None, None, None)
    assert row.cells()[3] == "did not run"


def test_the_page_holds_the_table_the_command_and_what_could_not_run() -> None:
    found, measured = measured_rows(rule="theirs/ours >=", target=3)
    page = report.markdown(found, measured, command="python -m benchmarks --write page.md", runs=3)
    assert "| work | 2.00 s | them | 8.00 s | 4.00x (4.00 to 4.00) | at least 3x | yes | yes |" in page
    assert "`python -m benchmarks --write page.md`" in page
    assert "- other: not installed" in page
    assert "{runs}" not in page
    json.dumps(report.as_json(found, measured, runs=3))


def test_a_disk_that_is_too_small_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORTHORAY_BENCH_DIR", str(tmp_path))
    monkeypatch.setattr("benchmarks.__main__.shutil.disk_usage", lambda _: type("Disk", (), {"free": 5e8}))
    with pytest.raises(SystemExit, match="ORTHORAY_BENCH_DIR"):
        main(["--quick", "--only", "B"])
    assert not list(tmp_path.rglob("*.jpg"))


@pytest.mark.parametrize("words", [["--only", "A,Z"], ["--runs", "0"], ["--runs", "many"]])
def test_wrong_words_on_the_command_line_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)


def test_peers_that_cannot_be_installed_are_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {"apt-get": "/usr/bin/apt-get", "gdal_translate": "/usr/bin/gdal_translate"}
    monkeypatch.setattr(commands.shutil, "which", programs.get)
    monkeypatch.setattr(commands.os, "geteuid", lambda: 1000)
    reasons = commands.install()
    assert set(reasons) == {"gdal_calc.py", "otbcli_BandMath"}
    assert "apt-get install -y gdal-bin otb-bin python3-gdal" in reasons["otbcli_BandMath"]
