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

from orthoray.errors import Impossible, UnknownIndex
from orthoray.spectral.indices import CATALOGUE, get_index, index_from_expression
from orthoray.spectral.labels import LONG_NAMES

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
    with pytest.raises(UnknownIndex, match="Did you mean NDVI") as caught:
        get_index("NVDI")
    assert caught.value.fields["close"][0] == "NDVI"
    with pytest.raises(
        UnknownIndex, match=r"Known: NDVI, .* and 272 more, which GET /indices lists"
    ) as caught:
        get_index("zzzzzz" * 100)
    assert len(caught.value.detail) < 250


def test_names_are_found_in_any_case() -> None:
    assert get_index("ndvi_EMP").name == "NDVI_emp"
    assert get_index(" exg ").name == "ExG"


@pytest.mark.parametrize(("one", "other"), [("BAI", "BaI"), ("MSR705", "mSR705")])
def test_names_that_differ_by_case_alone_are_kept_apart(one: str, other: str) -> None:
    assert get_index(one).name == one
    assert get_index(other).name == other
    assert get_index(one).formula != get_index(other).formula
    with pytest.raises(UnknownIndex, match=f"{one} and {other}, which are different") as caught:
        get_index(one.lower())
    assert caught.value.fields["close"] == [one, other]


@pytest.mark.parametrize("part", range(8))
def test_entries_are_complete(part: int) -> None:
    for index in CATALOGUE[part::8]:
        assert set(index.bands) <= set(LONG_NAMES)
        assert index.bands or index.other_inputs
        assert set(index.expression.bands) == {*index.bands, *index.other_inputs}
        assert dict(index.expression.constants) == dict(index.constants)
        assert index.computable == (not index.other_inputs)
        assert "https://" in index.reference or "http://" in index.reference
        assert json.loads(json.dumps(index.to_dict()))["bands"] == list(index.bands)
        copy = pickle.loads(pickle.dumps(index))  # noqa: S301 - our own bytes
        assert copy == index
        assert copy.expression == index.expression


def test_values_of_reflectance_lie_in_the_range() -> None:
    rng = np.random.default_rng(3)
    ranged = [index for index in CATALOGUE if index.value_range]
    assert len(ranged) > 130
    for index in ranged:
        low, high = index.value_range or (0.0, 0.0)
        bands = {
            name: rng.uniform(270.0, 330.0, 2000) if name[0] == "T" else rng.uniform(1e-3, 1.0, 2000)
            for name in (*index.bands, *index.other_inputs)
        }
        with np.errstate(all="ignore"):
            values = index.evaluate(bands)
        finite = values[np.isfinite(values)]
        inside = np.mean((finite >= low) & (finite <= high))
        # The divisors of these two pass through zero: the range is where the values of vegetation lie.
        assert inside > 0.6 if index.name in {"VARI", "EVI"} else inside == 1, index.name


def test_what_an_index_means_for_a_crop() -> None:
    good = {
        name: get_index(name).high_is_good for name in ("NDVI", "ExG", "CIVE", "PSRI", "MSI", "MNDWI", "NDBI")
    }
    assert good == {
        "NDVI": True, "ExG": True, "CIVE": False, "PSRI": False, "MSI": False, "MNDWI": None, "NDBI": None
    }  # fmt: skip


def test_which_indices_need_reflectance() -> None:
    needs = {
        name
        for name in ("NDVI", "SAVI", "EVI", "OSAVI", "DVI", "SR", "NDBaI", "ExG")
        if get_index(name).needs_reflectance
    }
    # NDBaI is a normalised difference, but of reflectance and temperature.
    assert needs == {"SAVI", "EVI", "OSAVI", "DVI", "NDBaI"}


def test_constants_are_those_of_the_publications() -> None:
    assert dict(get_index("SAVI").constants) == {"L": 0.5}
    assert dict(get_index("GSAVI").constants) == {"L": 0.5}
    assert dict(get_index("EVI2").constants) == {"g": 2.5, "L": 1.0}
    assert dict(get_index("NDPI").constants) == {"alpha": 0.74}
    assert dict(get_index("FAI").constants) == {"lambdaN": 842.0, "lambdaR": 665.0, "lambdaS1": 1614.0}


def test_constants_can_be_changed() -> None:
    bands = {"N": np.array([0.5]), "R": np.array([0.1])}
    savi = get_index("SAVI").with_constants({"L": 1})
    assert dict(savi.constants) == {"L": 1.0}
    np.testing.assert_allclose(savi.compute(bands), 2 * 0.4 / 1.6, rtol=1e-7)
    assert savi.value_range == (-1.0, 1.0)
    assert get_index("SAVI").constants == (("L", 0.5),)
    assert get_index("NDVI").with_constants({}) is get_index("NDVI")


def test_needs_and_range_follow_the_constants() -> None:
    water = get_index("NDWIns")
    assert water.value_range == (-0.1, 1.0)
    assert water.with_constants({"alpha": 2}).value_range == (-2.0, 1.0)
    soil_line = get_index("SAVI2")
    assert not soil_line.needs_reflectance
    assert soil_line.with_constants({"slb": 0.05}).needs_reflectance


@pytest.mark.parametrize(
    ("name", "constants", "message"),
    [
        ("SAVI", {"l": 0.5}, "SAVI has no constant 'l'. Its constants: L"),
        ("NDVI", {"L": 0.5}, "NDVI has no constant 'L'. It has none"),
        ("SAVI", {"L": float("nan")}, "The constant L must be a number"),
        ("SAVI", {"L": float("inf")}, "The constant L must be a number"),
        ("SAVI", {"L": 10**400}, "The constant L must be a number"),
        ("SAVI", {"L": True}, "The constant L must be a number"),
        ("SAVI", {"L": "1"}, "The constant L must be a number"),
        ("SAVI2", {"sla": 0.0}, "divides by zero"),
        ("GDVI", {"nexp": 17}, "An exponent lies between -16 and 16"),
        ("VARI", {"e": 0.0}, "reproduces earlier results"),
    ],
)
def test_constants_that_do_not_fit_are_refused(name: str, constants: dict[str, Any], message: str) -> None:
    with pytest.raises(Impossible, match=message):
        get_index(name).with_constants(constants)


@pytest.mark.parametrize(
    ("name", "inputs"), [("NDPolI", ["VV", "VH"]), ("kNDVI", ["kNN", "kNR"]), ("NIRvP", ["PAR"])]
)
def test_what_no_band_gives_is_named(name: str, inputs: list[str]) -> None:
    index = get_index(name)
    assert not index.computable
    with pytest.raises(Impossible, match=f"{name} cannot be computed from an image: it also needs") as caught:
        index.compute({"N": np.ones(2), "R": np.ones(2)})
    assert caught.value.fields["other_inputs"] == inputs


def test_the_note_of_a_kernel_index_has_its_formula() -> None:
    rng = np.random.default_rng(5)
    bands = {name: rng.uniform(0.01, 0.9, 64) for name in "NRGB"}
    n_r = np.exp(-((bands["N"] - bands["R"]) ** 2) / (2 * 0.5**2))
    kernels = {"kNN": np.ones(64), "kNR": n_r}
    for name in ("kIPVI", "kNDVI", "kRVI"):
        index = get_index(name)
        assert index.note
        text = index.note.removeprefix("With the RBF kernel it is ").split(": send")[0].split(", and with")[0]
        with pytest.raises(Impossible, match=r"send .* as index_type expr"):
            index.require_computable()
        written = index_from_expression(text)
        assert dict(written.constants) == {"sigma": 0.5}
        np.testing.assert_allclose(written.expression(bands), index.expression(kernels), rtol=1e-9)
    for name in ("kEVI", "kVARI"):
        assert "exp(-(" in (get_index(name).note or "")


def test_a_formula_of_the_user() -> None:
    index = index_from_expression("(N-R)/(N+R+L)", {"L": 0.25})
    assert (index.name, index.domain, index.formula) == ("expr", "user", "(N - R) / (N + R + L)")
    assert index.bands == ("N", "R")
    assert index.constants == (("L", 0.25),)
    assert index.value_range == (-1.0, 1.0)
    assert index.needs_reflectance
    assert index.high_is_good is None
    bands = {"N": np.array([5, 7], np.uint8), "R": np.array([7, 5], np.uint8)}
    np.testing.assert_allclose(index.compute(bands), [-2 / 12.25, 2 / 12.25], rtol=1e-7)


def test_constants_of_the_list_have_defaults_in_formulas_too() -> None:
    assert index_from_expression("(N-R)/(N+R+L)").constants == (("L", 1.0),)


@pytest.mark.parametrize(("letter", "band"), [("n", "N"), ("g", "G")])
def test_a_small_letter_is_not_quietly_a_constant(letter: str, band: str) -> None:
    with pytest.raises(Impossible, match=f"named '{letter}'. Did you mean {band}"):
        index_from_expression(f"({letter} - R) / ({letter} + R)")
    assert index_from_expression(f"{letter} * R", {letter: 2}).constants == ((letter, 2.0),)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"N": 1.0}, "'N' is the name of a band"),
        ({"sqrt": 1.0}, "'sqrt' is the name of a function"),
        ({"1x": 1.0}, "cannot be the name of a constant"),
        ({"lambda": 1.0}, "cannot be the name of a constant"),
        ({"é": 1.0}, "cannot be the name of a constant"),
        ({"x" * 33: 1.0}, "cannot be the name of a constant"),
        ({"q": 1.0}, "does not use the constant 'q'"),
        ({"q": float("nan")}, "The constant q must be a number"),
        ({f"q{number}": 1.0 for number in range(17)}, "at most 16 constants"),
    ],
)
def test_constants_of_a_formula_are_checked(constants: dict[str, float], message: str) -> None:
    with pytest.raises(Impossible, match=message):
        index_from_expression("N - R", constants)


def test_the_range_of_a_formula_is_told_only_where_it_is_known() -> None:
    assert index_from_expression("(N - G) / (G + N)").value_range == (-1.0, 1.0)
    assert index_from_expression("N / R").value_range is None
    assert index_from_expression("(N - R) / (N + R - B)").value_range is None


@pytest.mark.parametrize(
    ("name", "dtypes", "expected"),
    [
        ("NDVI", ("uint16", "uint16"), "float32"),
        ("NDVI", ("uint8", "int16"), "float32"),
        ("SR", ("uint16", "uint16"), "float32"),
        ("DVI", ("int8", "int16"), "float32"),
        ("NDVI", ("uint32", "uint16"), "float64"),
        ("NDVI", ("float32", "float32"), "float64"),
        ("SAVI", ("uint16", "uint16"), "float64"),
        ("GBNDVI", ("uint16", "uint16", "uint16"), "float64"),
        ("VARI", ("float64", "float64", "float64"), "float32"),
    ],
)
def test_the_working_precision(name: str, dtypes: tuple[str, ...], expected: str) -> None:
    assert get_index(name).working_dtype(*dtypes) == np.dtype(expected)


SIMPLE = [index for index in CATALOGUE if index.expression.is_simple_ratio and index.computable]


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
def test_float32_gives_what_float64_gives_where_it_is_used(dtype: str) -> None:
    rng = np.random.default_rng(5)
    limits = np.iinfo(dtype)
    assert len(SIMPLE) > 60
    for index in (
        *SIMPLE,
        index_from_expression("4 * (N - R) / (R + N)"),
        index_from_expression("(N / R) / 8"),
    ):
        bands = {
            name: rng.integers(limits.min, limits.max, 2000, dtype, endpoint=True) for name in index.bands
        }
        np.testing.assert_array_equal(index.compute(bands), index.compute(bands, np.float64))


def test_a_formula_of_one_band_does_not_give_the_band_itself() -> None:
    band = np.array([1.0, np.inf], np.float32)
    result = index_from_expression("N").compute({"N": band}, np.float32)
    assert np.isnan(result[1])
    assert np.isinf(band[1])


def test_evaluate_masks_nothing() -> None:
    bands = {"N": np.array([1.0], np.float32), "R": np.array([-1.0], np.float32)}
    with np.errstate(divide="ignore"):
        values = get_index("NDVI").evaluate(bands)
    assert values.dtype == np.float32
    assert np.isinf(values[0])


def test_the_catalogue_is_a_sequence() -> None:
    assert CATALOGUE[0].name == "NDVI"
    assert [index.name for index in CATALOGUE[:3]] == ["NDVI", "GNDVI", "NDRE"]
    assert get_index("kVARI") in CATALOGUE
    assert len(set(CATALOGUE)) == len(CATALOGUE)
