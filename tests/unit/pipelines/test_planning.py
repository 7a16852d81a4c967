"""What an analysis would do, decided before any pixel is read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from orthoray.contracts import Imagery
from orthoray.errors import Impossible, MissingBands, UnknownIndex
from orthoray.spectral.bands import BandMap
from pipelines import planning
from pipelines.planning import index_catalogue, make_plan, old_indices, plan_of_record

LEGACY = ("NDVI_emp", "VARI", "GLI", "ExG", "CIVE", "MGRVI")
RGB = BandMap(("R", "G", "B"), "test", None)
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
        plan_of_record(record, "NDVI", None, None, None)
    plan = plan_of_record(record, "NDVI", "B,G,R,N", None, None)
    assert plan.band_map.numbers == {"B": 1, "G": 2, "R": 3, "N": 4}
    assert plan.band_map.source == "caller"
    with pytest.raises(Impossible):
        plan_of_record(record, "NDVI", "R,G,B", None, None)


def test_bands_without_a_name_keep_their_place() -> None:
    plan = plan_of_record(imagery(bands={"N": 4, "R": 2}), "NDVI", None, None, None)
    assert plan.band_map.names == (None, "R", None, "N")


def test_the_catalogue_marks_what_can_be_computed() -> None:
    marked = {entry["name"]: entry for entry in index_catalogue({"R": 1, "N": 2})}
    assert marked["NDVI"]["computable"] is True
    assert marked["NDVI"]["missing_bands"] == []
    assert marked["GNDVI"]["missing_bands"] == ["G"]
