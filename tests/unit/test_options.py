"""The contract of an analysis: what it lets in, and that its limits are those of what carries it out."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from orthoray import options, ports
from orthoray.options import AnalysisOptions, AnalysisWish, RasterType
from orthoray.spectral import encoding, expression, indices, stack
from orthoray.spectral.stretch import NAMES
from orthoray.spectral.thresholds import ADAPTIVE


def test_the_limits_are_those_of_the_spectral_package() -> None:
    assert ports.MAX_FILES == stack.MAX_FILES
    assert options.MAX_BANDS == stack.MAX_BANDS
    assert options.MAX_CONSTANTS == indices.MAX_CONSTANTS
    assert options.MAX_EXPRESSION > expression.MAX_LENGTH, "its parser tells where a formula is too long"
    assert get_args(RasterType) == get_args(encoding.Raster)


@pytest.mark.parametrize(
    "fields", [{"thresholds": word} for word in ADAPTIVE] + [{"stretch": name} for name in NAMES]
)
def test_every_word_of_the_spectral_package_is_taken(fields: dict[str, Any]) -> None:
    assert AnalysisWish.model_validate(fields).model_dump().items() >= fields.items()


@pytest.mark.parametrize("field", ["scale", "offset", "thresholds", "stretch"])
def test_one_sentence_tells_what_may_stand_in_a_field_of_several_kinds(field: str) -> None:
    for wrong in (True, "words", [float("nan")] * 3, {}, []):
        with pytest.raises(ValidationError) as caught:
            AnalysisWish.model_validate({field: wrong})
        (error,) = caught.value.errors()
        assert error["loc"] == (field,)
        assert error["msg"].startswith("Give ")


def test_the_options_of_a_wish_are_the_part_that_a_run_keeps() -> None:
    wish = AnalysisWish.model_validate(
        {"index_type": "SAVI", "constants": {"L": 1}, "soil_mask": {"above": 0.1}}
    )
    kept = wish.options
    assert type(kept) is AnalysisOptions
    assert AnalysisOptions.model_validate_json(kept.model_dump_json()) == kept
    assert (kept.constants, kept.soil_mask) == (wish.constants, wish.soil_mask)
