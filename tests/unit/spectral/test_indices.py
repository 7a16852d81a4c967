from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orthoray.errors import UnknownIndex
from orthoray.spectral.bands import LONG_NAMES
from orthoray.spectral.indices import CATALOGUE, computable, get_index

Array = npt.NDArray[Any]

RNG = np.random.default_rng(7)
RGB = {name: RNG.integers(0, 256, (40, 30), dtype=np.uint8) for name in "RGB"}


def float32(names: str) -> list[Array]:
    return [RGB[name].astype(np.float32) for name in names]


def legacy_vari() -> Array:
    r, g, b = float32("RGB")
    return (g - r) / (g + r - b + 1e-6)


def legacy_gli() -> Array:
    r, g, b = float32("RGB")
    return (2 * g - r - b) / (2 * g + r + b + 1e-6)


def legacy_cive() -> Array:
    r, g, b = float32("RGB")
    return 0.441 * r - 0.881 * g + 0.385 * b + 18.78745


def legacy_mgrvi() -> Array:
    r, g = float32("RG")
    return (g**2 - r**2) / (g**2 + r**2 + 1e-6)


LEGACY: dict[str, Callable[[], Array]] = {
    "NDVI_emp": lambda: (
        (float32("G")[0] - float32("R")[0]) / (float32("G")[0] + float32("R")[0] + np.float32(1e-6))
    ),
    "VARI": legacy_vari,
    "GLI": legacy_gli,
    "ExG": lambda: 2 * float32("G")[0] - float32("R")[0] - float32("B")[0],
    "CIVE": legacy_cive,
    "MGRVI": legacy_mgrvi,
}


@pytest.mark.parametrize("name", LEGACY)
def test_legacy_indices_bit_for_bit(name: str) -> None:
    result = get_index(name).compute(RGB)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, LEGACY[name]())


@pytest.mark.parametrize("name", ["NDVI_emp", "VARI", "GLI", "MGRVI"])
def test_legacy_black_is_zero(name: str) -> None:
    black = {band: np.zeros((1, 1), np.uint8) for band in "RGB"}
    assert get_index(name).compute(black) == 0


def test_the_legacy_six_come_in_order() -> None:
    assert [index.name for index in CATALOGUE if index.legacy] == list(LEGACY)
    assert get_index("NDVI_emp").common_name == "NGRDI"


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "float32", "float64"])
def test_ndvi_does_not_wrap_around(dtype: str) -> None:
    near, red = np.array([[20, 120]], dtype), np.array([[120, 20]], dtype)
    result = get_index("NDVI").compute({"N": near, "R": red})
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[-100 / 140, 100 / 140]], rtol=1e-7)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NDVI", (0.5 - 0.1) / (0.5 + 0.1)),
        ("GNDVI", (0.5 - 0.2) / (0.5 + 0.2)),
        ("NDRE", (0.5 - 0.3) / (0.5 + 0.3)),
        ("SAVI", 1.5 * (0.5 - 0.1) / (0.5 + 0.1 + 0.5)),
        ("EVI", 2.5 * (0.5 - 0.1) / (0.5 + 6 * 0.1 - 7.5 * 0.05 + 1)),
    ],
)
def test_catalogue_values(name: str, expected: float) -> None:
    bands = {"N": 0.5, "R": 0.1, "G": 0.2, "RE1": 0.3, "B": 0.05}
    arrays = {band: np.full((2, 2), value) for band, value in bands.items()}
    np.testing.assert_allclose(get_index(name).compute(arrays), expected, rtol=1e-7)


def test_division_by_zero_is_nan_without_a_warning() -> None:
    near = np.array([0.0, 1.0, 1.0, np.inf, np.nan])
    red = np.array([0.0, -1.0, 3.0, 1.0, 1.0])
    result = get_index("NDVI").compute({"N": near, "R": red})
    np.testing.assert_array_equal(np.isnan(result), [True, True, False, True, True])


def test_overflow_of_the_result_is_nan() -> None:
    huge = np.array([1e300])
    assert np.isnan(get_index("ExG").compute({"R": -huge, "G": huge, "B": huge}, np.float64)).all()


def test_working_precision_can_be_chosen() -> None:
    third = {"N": np.array([1 / 3]), "R": np.array([0.1])}
    exact = get_index("NDVI").compute(third)
    assert exact[0] == np.float32((1 / 3 - 0.1) / (1 / 3 + 0.1))
    assert get_index("NDVI").compute(third, np.float32).dtype == np.float32


def test_inputs_are_not_changed() -> None:
    near, red = np.ones((2, 2), np.float64), np.zeros((2, 2), np.float64)
    get_index("NDVI").compute({"N": near, "R": red})
    assert (near == 1).all()
    assert (red == 0).all()


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.uint16, (2, 5), elements=st.integers(0, 65535)))
def test_normalized_difference_stays_in_its_range(values: Array) -> None:
    result = get_index("NDVI").compute({"N": values[0], "R": values[1]})
    valid = result[np.isfinite(result)]
    assert (np.abs(valid) <= 1).all()
    np.testing.assert_array_equal(np.isnan(result), (values == 0).all(axis=0))


def test_unknown_index_suggests() -> None:
    with pytest.raises(UnknownIndex, match="Did you mean NDVI") as caught:
        get_index("NDVII")
    assert "NDVI_emp" in caught.value.fields["known"]
    with pytest.raises(UnknownIndex, match="Known: NDVI"):
        get_index("zzzzzz")


def test_names_are_found_in_any_case() -> None:
    assert get_index("ndvi_EMP").name == "NDVI_emp"


@pytest.mark.parametrize("index", CATALOGUE, ids=lambda index: str(index.name))
def test_entries_are_complete(index: Any) -> None:
    assert set(index.bands) <= set(LONG_NAMES)
    assert computable(index, set(index.bands) | {"T"})
    assert not computable(index, index.bands[1:])
    assert "https://" in index.reference
    assert json.loads(json.dumps(index.to_dict()))["bands"] == list(index.bands)
    assert pickle.loads(pickle.dumps(index)) == index  # noqa: S301 - our own bytes
    assert all(symbol in index.formula for symbol, _ in index.constants)
