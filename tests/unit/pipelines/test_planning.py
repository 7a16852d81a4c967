"""What an analysis would do, decided before any pixel is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from orthoray.contracts import AnalysisRequest, AnalysisRun, AnalysisWish, Imagery
from orthoray.errors import Impossible, MissingBands, TooLarge, UnknownIndex
from orthoray.spectral.bands import BandMap
from orthoray.spectral.thresholds import Adaptive
from pipelines import planning
from pipelines.planning import index_catalogue, make_plan, old_indices, plan_of_record

LEGACY = ("NDVI_emp", "VARI", "GLI", "ExG", "CIVE", "MGRVI")
RGB = BandMap(("R", "G", "B"), "test", None)
NDVI = AnalysisWish(index_type="NDVI")
RGBN = BandMap(("R", "G", "B", "N"), "test", None)


def imagery(**facts: Any) -> Imagery:
    return Imagery.model_validate(
        {
            "id": uuid4(), "original_filename": "a.tif", "bucket": "imagery", "object_key": "a", "content_type": "image/tiff",
            "size_bytes": 1, "sha256": "0", "width": 1, "height": 1, "band_count": 4, "dtype": "uint8",
            "bands": {"R": 1, "G": 2, "B": 3}, "bands_source": "colours", "created_at": datetime.now(UTC), **facts,
        }
    )  # fmt: skip


@pytest.fixture(autouse=True)
def forget_old_indices() -> Any:
    old_indices.cache_clear()
    yield
    old_indices.cache_clear()


@pytest.mark.parametrize("name", LEGACY)
def test_the_legacy_indices_go_through_old(name: str) -> None:
    plan = make_plan(RGBN, name)
    assert plan.via_old
    assert plan.bands == ("R", "G", "B")
    assert plan.thresholds.cuts == (0.1, 0.0, -0.1)


def test_other_indices_are_computed_from_their_bands() -> None:
    plan = make_plan(RGBN, "ndvi")
    assert (plan.index_name, plan.via_old, set(plan.bands)) == ("NDVI", False, {"N", "R"})


def test_missing_bands_are_named() -> None:
    with pytest.raises(MissingBands) as caught:
        make_plan(RGB, "NDVI")
    assert caught.value.fields["missing_bands"] == ["N"]
    with pytest.raises(MissingBands):
        make_plan(BandMap(("R", "N"), "test", None), "VARI")


def test_an_index_that_nobody_knows() -> None:
    with pytest.raises(UnknownIndex):
        make_plan(RGBN, "NDWTF")


def test_an_index_that_only_another_old_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        planning, "compute_indices", lambda image: {"Own": np.zeros(image.shape[:2]), "NDVI": None}
    )
    plan = make_plan(RGB, "Own")
    assert (plan.index, plan.index_name, plan.via_old, plan.bands) == (None, "Own", True, ("R", "G", "B"))
    assert make_plan(RGB, "NDVI").via_old, "what OLD offers is OLD's"
    assert not make_plan(RGB, "VARI").via_old, "what it does not offer is ours"


def test_thresholds() -> None:
    assert make_plan(RGBN, "NDVI").own_thresholds is False
    corn = make_plan(RGBN, "NDVI", crop="Кукуруза")
    assert corn.thresholds.cuts[:2] == (0.70, 0.40)
    assert corn.own_thresholds
    assert make_plan(RGBN, "NDVI", thresholds=[0.5, 0.3, 0.1]).thresholds.cuts == (0.5, 0.3, 0.1)
    for wrong in ([0.1, 0.3, 0.2], [0.5, 0.5, 0.1], [float("nan"), 0.2, 0.1], [1, 2]):
        with pytest.raises(Impossible):
            make_plan(RGBN, "NDVI", thresholds=wrong)
    with pytest.raises(Impossible):
        make_plan(RGBN, "NDVI", crop="moss")


def test_the_callers_names_replace_those_of_the_catalogue() -> None:
    record = imagery()
    with pytest.raises(MissingBands):
        plan_of_record(record, NDVI)
    plan = plan_of_record(record, AnalysisWish(index_type="NDVI", bands="B,G,R,N"))
    assert plan.band_map.numbers == {"B": 1, "G": 2, "R": 3, "N": 4}
    assert plan.band_map.source == "caller"
    with pytest.raises(Impossible):
        plan_of_record(record, AnalysisWish(index_type="NDVI", bands="R,G,B"))


def test_bands_without_a_name_keep_their_place() -> None:
    plan = plan_of_record(imagery(bands={"N": 4, "R": 2}), NDVI)
    assert plan.band_map.names == (None, "R", None, "N")


def wish(**fields: Any) -> AnalysisWish:
    return AnalysisWish.model_validate({"index_type": "NDVI", **fields})


def four_bands(**facts: Any) -> Imagery:
    return imagery(dtype="uint16", bands={"R": 1, "G": 2, "B": 3, "N": 4}, **facts)


def test_a_formula_of_the_callers_own() -> None:
    plan = plan_of_record(
        four_bands(), wish(index_type="EXPR", expression="(N-R)/(N+R+L)", constants={"L": 0.25})
    )
    assert plan.index is not None
    assert (plan.index_name, plan.via_old) == ("expr", False)
    assert set(plan.bands) == {"N", "R"}
    assert dict(plan.index.constants) == {"L": 0.25}
    assert isinstance(plan.thresholds, Adaptive), "nothing is known of its values before they are computed"


def test_constants_of_an_index() -> None:
    plan = plan_of_record(four_bands(), wish(index_type="SAVI", constants={"L": 1}))
    assert plan.index is not None
    assert dict(plan.index.constants)["L"] == 1.0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"index_type": "expr"}, "expression"),
        ({"expression": "N/R"}, "index_type expr"),
        ({"index_type": "NDVI_emp", "expression": "N/R"}, "expression"),
        ({"index_type": "expr", "expression": "__import__('os')"}, "__import__"),
        ({"index_type": "expr", "expression": "N/Q"}, "Q"),
        ({"constants": {"L": 1}}, "L"),
        ({"index_type": "NDVI_emp", "constants": {"L": 1}}, "constants"),
        ({"index_type": "GLI", "scale": 0.5}, "scale"),
        ({"index_type": "GLI", "offset": [1, 2, 3, 4]}, "offset"),
        ({"scale": [1, 2]}, "2 values"),
        ({"scale": 0}, "scale"),
        ({"offset": 1e9}, "offset"),
        ({"cmap": "mud"}, "viridis_r"),
        ({"stretch": [2, 1]}, "less"),
        ({"soil_mask": {"index_type": "NDWTF", "above": 0}}, "NDWTF"),
        ({"soil_mask": {"index_type": "expr", "above": 0}}, "expression"),
        ({"soil_mask": {"constants": {"L": 1}, "above": 0}}, "L"),
        ({"soil_mask": {"index_type": "NDRE", "above": 0}}, "RE1"),
        ({"sensor": "eyes"}, "eyes"),
        ({"sensor": "rgb"}, "rgb"),
        ({"crop": "corn", "index_type": "GNDVI"}, "GNDVI"),
        ({"index_type": "kNDVI"}, "kNDVI"),
        ({"index_type": "SR", "raster": "int16"}, "float32"),
    ],
)
def test_an_option_that_cannot_apply_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Impossible, match=re.escape(words)):
        plan_of_record(four_bands(), wish(**fields))


def test_a_photo_index_needs_a_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan_of_record(imagery(), wish(index_type="GLI")).via_old
    with pytest.raises(Impossible, match="8-bit photos"):
        plan_of_record(imagery(dtype="float32"), wish(index_type="GLI"))
    monkeypatch.setattr(planning, "PHOTO_MAX_PIXELS", 5)
    with pytest.raises(TooLarge):
        plan_of_record(imagery(width=2, height=3), wish(index_type="GLI"))


def test_the_bands_of_soil_mask_and_blend_are_needed_too() -> None:
    record = imagery(bands={"R": 1, "N": 4})
    assert plan_of_record(record, wish()).bands
    for fields in ({"soil_mask": {"index_type": "GNDVI", "above": 0.2}}, {"blend": 0.5}):
        with pytest.raises(MissingBands) as caught:
            plan_of_record(record, wish(**fields))
        assert "G" in caught.value.fields["missing_bands"]


def test_how_it_is_drawn_and_masked() -> None:
    drawn = wish(
        cmap="viridis_r",
        stretch=[0.1, 0.9],
        blend=0.4,
        raster="int16",
        soil_mask={"above": 0.2},
        thresholds="jenks",
    )
    plan = plan_of_record(four_bands(), drawn)
    assert (plan.cmap, plan.blend, plan.raster) == ("viridis_r", 0.4, "int16")
    assert plan.stretch is not None
    assert plan.stretch.limits == (0.1, 0.9)
    assert plan.soil_mask is not None
    assert (plan.soil_mask.index.name, plan.soil_mask.above) == ("NDVI", 0.2)
    assert isinstance(plan.thresholds, Adaptive)
    assert plan.own_thresholds
    assert make_plan(RGB, "GLI").drawn_by_old
    assert not make_plan(RGB, "GLI", options=wish(cmap="gray")).drawn_by_old


def test_the_wishs_scale_stands_before_the_records() -> None:
    known = {"state": "reflectance", "scales": [0.5] * 4, "offsets": [0.0] * 4, "source": "file tags"}
    as_recorded = plan_of_record(four_bands(calibration=known), wish()).calibration
    assert as_recorded is not None
    assert (as_recorded.state, as_recorded.scales) == ("reflectance", (0.5,) * 4)
    own = plan_of_record(four_bands(calibration=known), wish(scale=0.0001, offset=[0, 0, 0, 1])).calibration
    assert own is not None
    assert (own.scales, own.offsets, own.source) == ((0.0001,) * 4, (0.0, 0.0, 0.0, 1.0), "caller")
    assert plan_of_record(four_bands(), wish()).calibration is None, "an old record does not tell"


def test_the_wishs_sensor_names_the_bands_anew() -> None:
    plan = plan_of_record(imagery(band_count=5), wish(sensor="micasense-rededge", index_type="NDRE"))
    assert plan.band_map.names == ("B", "G", "R", "N", "RE1")
    assert plan.band_map.sensor == "micasense-rededge"


def test_a_raw_capture_is_analysed_only_if_the_caller_insists() -> None:
    record = four_bands(sensor="micasense-rededge", sensor_reason="Its tags say so.", raw_capture=True)
    with pytest.raises(Impossible, match="raw=true"):
        plan_of_record(record, wish())
    plan = plan_of_record(record, wish(raw=True))
    assert plan.recognition is not None
    assert plan.recognition.raw_capture


def test_what_a_run_was_asked_is_what_its_request_asked() -> None:
    request = AnalysisRequest.model_validate(
        {
            "imagery_id": uuid4(), "index_type": "expr", "expression": "N/R", "thresholds": [3, 2, 1], "bands": "R,G,B,N",
            "scale": [1, 2, 3, 4], "soil_mask": {"above": 0.1}, "stretch": "minmax", "crop": None, "raw": True,
        }
    )  # fmt: skip
    run = AnalysisRun(
        **request.model_dump(include={"imagery_id", "index_type", "auto_report", "crop", "thresholds", "bands"}),
        id=uuid4(), status="queued", language="en", options=request.options, imagery_bucket="b", imagery_object_key="k",
        created_at=datetime.now(UTC),
    )  # fmt: skip
    again = AnalysisRun.model_validate_json(run.model_dump_json())
    assert again.wish.model_dump() == request.model_dump(
        exclude={"imagery_id", "auto_report", "language", "priority", "callback"}
    )


def test_a_record_of_one_file_lists_it() -> None:
    record = imagery()
    (asset,) = record.assets
    assert (asset.filename, asset.object_key, asset.sha256, asset.band_count) == ("a.tif", "a", "0", 4)
    assert Imagery.model_validate_json(record.model_dump_json()) == record


def asset(name: str, dtype: str, role: str = "data") -> dict[str, Any]:
    return {
        "filename": name, "object_key": name, "content_type": "image/tiff", "size_bytes": 1, "sha256": "0",
        "band_count": 1, "width": 1, "height": 1, "dtype": dtype, "role": role,
    }  # fmt: skip


def in_three_files(**calibration: Any) -> Imagery:
    """Red is float32, near infrared and green are uint16; red has a mask."""
    known = {"state": "unknown", "scales": [1.0] * 3, "offsets": [0.0] * 3, "source": "none"} | calibration
    files = [asset("r.tif", "float32"), asset("n.tif", "uint16"), asset("g.tif", "uint16")]
    return imagery(
        band_count=3,
        dtype="float32",
        bands={"R": 1, "N": 2, "G": 3},
        assets=[*files, asset("r.tif.msk", "uint8", "mask")],
        calibration=known,
    )


def test_a_mask_is_no_image_of_the_record() -> None:
    record = in_three_files()
    assert [one.filename for one in record.images] == ["r.tif", "n.tif", "g.tif"]
    assert plan_of_record(record, wish(index_type="GNDVI", bands="R,G,N")).band_map.numbers["N"] == 3


def test_bands_in_reflectance_and_in_camera_numbers_are_not_mixed() -> None:
    with pytest.raises(Impossible, match=r"N \(uint16\).*R \(float32\).*such as 1,0.0001,0.0001") as caught:
        plan_of_record(in_three_files(), wish())
    assert caught.value.fields["dtypes"] == {"N": "uint16", "R": "float32"}
    assert plan_of_record(in_three_files(), wish(index_type="GNDVI"))
    with pytest.raises(Impossible, match="not in the same units"):
        plan_of_record(
            in_three_files(), wish(index_type="GNDVI", soil_mask={"index_type": "NDVI", "above": 0})
        )
    with pytest.raises(Impossible, match="not in the same units"):
        plan_of_record(in_three_files(), wish(scale=0.0001))
    assert plan_of_record(in_three_files(), wish(scale=[1, 0.0001, 0.0001]))
    told = in_three_files(scales=[1.0, 0.0001, 0.0001], source="caller", per_band=True)
    assert plan_of_record(told, wish())
    assert plan_of_record(told, wish(offset=-0.1)).calibration
    by_tags = in_three_files(scales=[1.0, 0.0001, 1.0], source="file tags")
    assert plan_of_record(by_tags, wish())
    with pytest.raises(Impossible, match="not in the same units"):
        plan_of_record(by_tags, wish(index_type="GNDVI"))


@pytest.mark.parametrize("text", ["", "  ", "N" + "+N" * 300, "N+" * 9_000 + "N"])
def test_the_parser_tells_what_is_wrong_with_a_formula(text: str) -> None:
    for fields in (
        {"index_type": "expr", "expression": text},
        {"soil_mask": {"index_type": "expr", "expression": text, "above": 0}},
    ):
        with pytest.raises(Impossible) as caught:
            plan_of_record(four_bands(), wish(**fields))
        assert caught.value.fields["position"] == (500 if len(text) > 500 else 0)
        assert "part" in caught.value.fields


def test_the_catalogue_marks_what_can_be_computed() -> None:
    marked = {entry["name"]: entry for entry in index_catalogue({"R": 1, "N": 2})}
    assert marked["NDVI"]["computable"] is True
    assert marked["NDVI"]["missing_bands"] == []
    assert marked["GNDVI"]["missing_bands"] == ["G"]
    assert marked["kNDVI"]["computable"] is False, "no band gives a kernel"


def test_the_catalogue_is_filtered() -> None:
    everything = index_catalogue(None)
    assert len(everything) > 280
    names = {entry["name"] for entry in everything}
    assert len(names) == len(everything)
    water = index_catalogue(None, domain="Water")
    assert {"NDWI"} <= {entry["name"] for entry in water} < names
    assert {entry["domain"] for entry in water} == {"water"}
    assert "NDVI" in {entry["name"] for entry in index_catalogue(None, words="normalized difference veg")}
    assert {entry["name"] for entry in index_catalogue(None, words="ngrdi")} >= {"NDVI_emp"}
    assert index_catalogue(None, words="no such words") == []


def test_an_index_that_only_a_users_old_has_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "compute_indices", lambda image: {"Own": np.zeros(image.shape[:2])})
    own = next(entry for entry in index_catalogue({"R": 1, "G": 2}) if entry["name"] == "Own")
    assert (own["computable"], own["missing_bands"]) == (False, ["B"])
