"""The options of `orthoray analyze` as a wish."""

from __future__ import annotations

from typing import Any

import pytest

from orthoray.errors import BadInput
from orthoray.options import AnalysisWish
from serve_app.local.wishing import read_wish


def wish(**options: Any) -> AnalysisWish:
    texts = dict.fromkeys(("scale", "offset", "soil_mask", "thresholds", "stretch"))
    return read_wish(**{"index": "NDVI", "constants": [], **texts, **options})


def test_nothing_but_an_index() -> None:
    assert wish(index="GLI") == AnalysisWish(index_type="GLI")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"constants": ["L=0.5", " C1 = 6 "]}, {"constants": {"L": 0.5, "C1": 6.0}}),
        ({"scale": "0.0001"}, {"scale": 0.0001}),
        ({"scale": "1,2", "offset": "-0.1"}, {"scale": [1.0, 2.0], "offset": -0.1}),
        ({"thresholds": "0.6,0.4,0.2"}, {"thresholds": [0.6, 0.4, 0.2]}),
        ({"thresholds": " Jenks "}, {"thresholds": "jenks"}),
        ({"stretch": "0.1,0.9"}, {"stretch": [0.1, 0.9]}),
        ({"stretch": "minmax"}, {"stretch": "minmax"}),
        ({"blend": 0.5, "raster": "int16", "raw": True}, {"blend": 0.5, "raster": "int16", "raw": True}),
    ],
)
def test_texts_become_what_the_contract_has(options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert wish(**options).model_dump(exclude_unset=True).items() >= expected.items()


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("NDVI>0.2", {"index_type": "NDVI", "expression": None, "above": 0.2}),
        (" ExG > -1e1 ", {"index_type": "ExG", "expression": None, "above": -10.0}),
        ("(N-R)/(N+R) > 0", {"index_type": "expr", "expression": "(N-R)/(N+R)", "above": 0.0}),
    ],
)
def test_a_soil_mask_is_an_index_or_a_formula_above_a_number(text: str, mask: dict[str, Any]) -> None:
    found = wish(soil_mask=text).soil_mask
    assert found is not None
    assert found.model_dump().items() >= mask.items()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"constants": ["L"]}, "--constant"),
        ({"constants": ["=1"]}, "--constant"),
        ({"constants": ["L=much"]}, "--constant"),
        ({"constants": ["L=nan"]}, "--constant"),
        ({"scale": "x"}, "--scale"),
        ({"offset": "1,,2"}, "--offset"),
        ({"offset": "inf"}, "--offset"),
        ({"thresholds": "1,2"}, "--thresholds"),
        ({"thresholds": "a,b,c"}, "--thresholds"),
        ({"thresholds": "deciles"}, "--thresholds"),
        ({"stretch": "1,2,3"}, "--stretch"),
        ({"blend": 1.5}, "--blend"),
        ({"raster": "uint8"}, "--raster"),
        ({"soil_mask": "NDVI"}, "--soil-mask"),
        ({"soil_mask": "NDVI>x"}, "--soil-mask"),
        ({"soil_mask": "NDVI<0.2"}, "--soil-mask"),
        ({"soil_mask": "NDVI>0.2>0.1"}, "--soil-mask"),
        ({"soil_mask": "NDVI>=0.2"}, "--soil-mask"),
        ({"index": ""}, "--index"),
    ],
)
def test_what_is_written_wrongly_is_told_by_its_option(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        wish(**options)
