from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orthoray.spectral.indices import Index, get_index, index_from_expression
from orthoray.spectral.kernel import REFLECTANCE_RANGE, Background, Piece, compute, recipe_for

Array = npt.NDArray[Any]
PLAIN = (1.0, 0.0)
DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
FORMULAS = ("NDVI", "EVI", "SAVI", "SR", "DVI", "VARI", "CIVE", "MGRVI", "(N - R) / (N + R - 0.5)")


def index_of(text: str) -> Index:
    return get_index(text) if text.isalpha() else index_from_expression(text)


def run(
    index: Index,
    bands: Mapping[str, Array],
    *,
    pairs: Mapping[str, tuple[float, float]] | None = None,
    masked: Array | None = None,
    background: Background | None = None,
    is_reflectance: bool = False,
) -> Piece:
    recipe = recipe_for(
        index,
        {name: str(band.dtype) for name, band in bands.items()},
        pairs or {},
        is_reflectance=is_reflectance,
        background=background,
    )
    shape = next(iter(bands.values())).shape
    return compute(recipe, [bands[name] for name in recipe.names], masked, np.full(shape, 7, np.float32))


def pixels(dtype: str) -> st.SearchStrategy[Any]:
    if dtype[0] == "f":
        return st.floats(width=32) | st.sampled_from([0.0, -0.0, 0.25, 1e-30, -1.0])
    limits = np.iinfo(dtype)
    return st.integers(limits.min, limits.max) | st.sampled_from([0, 1, limits.max])


@settings(max_examples=80, deadline=None)
@given(data=st.data(), formula=st.sampled_from(FORMULAS))
def test_any_pixels_and_masks_equal_the_plain_formula(data: st.DataObject, formula: str) -> None:
    index = index_of(formula)
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=6))
    bands = {
        name: data.draw(
            hnp.arrays(dtype, shape, elements=pixels(dtype), fill=st.just(np.dtype(dtype).type(3)))
        )
        for name in index.bands
    }
    masked = data.draw(st.none() | hnp.arrays(np.bool_, shape))
    piece = run(index, bands, masked=masked)
    expected = index.compute(bands)
    if masked is not None:
        expected[masked] = np.nan
    np.testing.assert_array_equal(piece.values, expected)
    assert piece.nodata == (0 if masked is None else masked.sum())
    assert (piece.background, piece.odd) == (0, 0)


def reference(index: Index, bands: Mapping[str, Array], pairs: Mapping[str, tuple[float, float]]) -> Array:
    """In float64, every band scaled first."""
    with np.errstate(all="ignore"):
        wide = {
            name: bands[name].astype(np.float64) * pairs[name][0] + pairs[name][1] for name in index.bands
        }
        values = np.asarray(index.expression(wide), np.float32)
    return np.where(np.isfinite(values), values, np.float32(np.nan))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("formula", ["NDVI", "EVI", "SAVI", "SR", "log(N / R) + 2 ** 0.5"])
@pytest.mark.parametrize("way", ["same", "own", "offset", "negative"])
def test_scale_and_offset(formula: str, way: str, dtype: str) -> None:
    rng = np.random.default_rng(11)
    index = index_of(formula)
    top = 250 if dtype == "uint8" else 20_000
    bands = {name: rng.integers(0, top, (30, 40)).astype(dtype) for name in "NRB"}
    bands["N"][0, :5] = bands["R"][0, :5] = 0
    pairs = {
        "same": dict.fromkeys("NRB", (1e-4, 0.0)),
        "own": {"N": (1e-4, 0.0), "R": (2e-4, 0.0), "B": (5e-5, 0.0)},
        "offset": dict.fromkeys("NRB", (1e-4, -0.1)),
        "negative": dict.fromkeys("NRB", (-1e-4, 0.0)),
    }[way]
    found = run(index, bands, pairs=pairs).values
    expected = reference(index, bands, pairs)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=3e-7, atol=1e-7)


def test_a_shared_factor_of_a_ratio_is_left_out() -> None:
    index = get_index("NDVI")
    kinds = dict.fromkeys("NR", "uint16")
    shared = recipe_for(index, kinds, dict.fromkeys("NR", (1e-4, 0.0)), is_reflectance=True)
    assert (shared.scales, shared.offsets, shared.dtype) == ((1, 1), (0, 0), np.dtype("f4"))
    kept: list[tuple[str, dict[str, tuple[float, float]]]] = [
        ("NDVI", dict.fromkeys("NR", (1e-4, -0.1))),
        ("NDVI", {"N": (1e-4, 0.0), "R": (2e-4, 0.0)}),
        ("NDVI", dict.fromkeys("NR", (-1e-4, 0.0))),
        ("SAVI", dict.fromkeys("NR", (1e-4, 0.0))),
    ]
    for name, pairs in kept:
        recipe = recipe_for(get_index(name), kinds, pairs, is_reflectance=True)
        assert recipe.scales == tuple(pairs[band][0] for band in recipe.names)
        assert recipe.dtype == np.dtype("f8"), "scaled pixels are no longer whole numbers"
    # what the soil mask needs counts as well
    soil = Background(get_index("SAVI"), 0.2)
    recipe = recipe_for(index, kinds, dict.fromkeys("NR", (1e-4, 0.0)), is_reflectance=True, background=soil)
    assert recipe.scales == (1e-4, 1e-4)


def test_exact_rounding_of_whole_numbers() -> None:
    near, red = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    found = run(get_index("NDVI"), {"N": near, "R": red}, pairs=dict.fromkeys("NR", (0.01, 0.0))).values
    with np.errstate(invalid="ignore"):
        exact = (near.astype(float) - red) / (near.astype(float) + red)
    np.testing.assert_array_equal(found, exact.astype(np.float32))


@pytest.mark.parametrize("name", ["NDVI_emp", "VARI", "GLI", "ExG", "CIVE", "MGRVI"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_legacy_formulas_stay_in_float32(name: str, dtype: str) -> None:
    rng = np.random.default_rng(13)
    bands = {band: rng.integers(0, 256, (20, 30)).astype(dtype) for band in "RGB"}
    red, green, blue = (bands[band].astype(np.float32) for band in "RGB")
    e = np.float32(1e-6)
    with np.errstate(all="ignore"):
        expected = {
            "NDVI_emp": (green - red) / (green + red + e),
            "VARI": (green - red) / (green + red - blue + e),
            "GLI": (2 * green - red - blue) / (2 * green + red + blue + e),
            "ExG": 2 * green - red - blue,
            "CIVE": np.float32(0.441) * red
            - np.float32(0.881) * green
            + np.float32(0.385) * blue
            + np.float32(18.78745),
            "MGRVI": (green**2 - red**2) / (green**2 + red**2 + e),
        }[name]
    np.testing.assert_array_equal(run(get_index(name), bands).values, expected)


def test_what_is_not_finite_is_nan_and_the_rest_stays() -> None:
    near = np.array([[0.0, 1.0, -1.0, 3e38, 2.0]], np.float32)
    red = np.array([[0.0, 0.0, 0.0, 1e-30, 1.0]], np.float32)
    found = run(get_index("SR"), {"N": near, "R": red}).values
    np.testing.assert_array_equal(found, [[np.nan, np.nan, np.nan, np.nan, 2.0]])


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_background_takes_out_data_alone(data: st.DataObject) -> None:
    shape = (4, 6)
    bands = {
        name: data.draw(hnp.arrays(np.int16, shape, elements=st.integers(-3, 30))) for name in ("N", "R", "B")
    }
    masked = data.draw(hnp.arrays(np.bool_, shape))
    above = data.draw(st.sampled_from([0.1, 0.0, -0.5]))
    soil = Background(index_from_expression("(N - B) / (N + B)"), above)
    piece = run(get_index("NDVI"), bands, masked=masked, background=soil)
    wide = {name: band.astype(float) for name, band in bands.items()}
    with np.errstate(all="ignore"):
        kept = (wide["N"] - wide["B"]) / (wide["N"] + wide["B"])
        index = ((wide["N"] - wide["R"]) / (wide["N"] + wide["R"])).astype(np.float32)
    gone = ~(np.isfinite(kept) & (kept > above)) & ~masked
    index[masked | gone | ~np.isfinite(index)] = np.nan
    np.testing.assert_array_equal(piece.values, index)
    assert (piece.nodata, piece.background) == (masked.sum(), gone.sum())


def test_background_by_an_infinite_value_is_background() -> None:
    bands = {"N": np.array([[1.0, 2.0]]), "R": np.array([[1.0, 1.0]]), "B": np.array([[0.0, 1.0]])}
    piece = run(get_index("NDVI"), bands, background=Background(index_from_expression("N / B"), 0.5))
    assert piece.background == 1
    np.testing.assert_array_equal(np.isnan(piece.values), [[True, False]])


@pytest.mark.parametrize("scale", [1.0, 1.3e-4, -1.3e-4, 0.25])
@pytest.mark.parametrize("offset", [0.0, -0.1, 0.5])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_odd_pixels_are_those_beyond_plausible_reflectance(dtype: str, scale: float, offset: float) -> None:
    rng = np.random.default_rng(17)
    if dtype[0] == "f":
        bands = {name: ((rng.uniform(-0.5, 2.0, (40, 50)) - offset) / scale).astype(dtype) for name in "NR"}
    else:
        limits = np.iinfo(dtype)
        bands = {name: rng.integers(limits.min, limits.max, (40, 50), dtype) for name in "NR"}
    masked = rng.random((40, 50)) < 0.3
    pairs = dict.fromkeys("NR", (scale, offset))
    piece = run(get_index("NDVI"), bands, pairs=pairs, masked=masked, is_reflectance=True)
    low, high = REFLECTANCE_RANGE
    odd = np.zeros((40, 50), bool)
    for band in bands.values():
        values = band.astype(np.float64) * scale + offset
        assert np.abs(values - low).min() > 1e-9, "no pixel hangs on a rounding error"
        odd |= (values < low) | (values > high)
    assert piece.odd == (odd & ~masked).sum()
    assert run(get_index("NDVI"), bands, pairs=pairs, masked=masked).odd == 0, (
        "digital numbers are no reflectance"
    )


def test_odd_pixels_count_once_and_on_the_limits_not() -> None:
    bands = {"N": np.array([[0.001, 1.5, 2.0, np.nan]], np.float32)}
    bands["R"] = np.array([[0.5, 0.5, 0.0, 0.5]], np.float32)
    masked = np.array([[False, False, False, True]])
    assert run(get_index("NDVI"), bands, masked=masked, is_reflectance=True).odd == 1
    assert run(get_index("NDVI"), bands, is_reflectance=True).odd == 2, "NaN that nothing masks"


def test_temperatures_are_no_reflectance() -> None:
    index = index_from_expression("(N - R) / T")
    recipe = recipe_for(index, dict.fromkeys("NRT", "float32"), {}, is_reflectance=True)
    limits = dict(zip(recipe.names, recipe.plausible, strict=True))
    assert limits["T"] == (-math.inf, math.inf)
    bands = {"N": np.full((2, 2), 0.4, np.float32), "R": np.full((2, 2), 0.1, np.float32)}
    bands["T"] = np.full((2, 2), 290, np.float32)
    assert run(index, bands, is_reflectance=True).odd == 0


def test_pieces_may_be_views_and_are_not_written_to() -> None:
    whole = np.arange(600, dtype=np.uint16).reshape(20, 30)
    before = whole.copy()
    bands = {"N": whole[::2, 3:20], "R": whole[::2, 9:26]}
    found = run(get_index("NDVI"), bands, masked=np.eye(10, 17, dtype=bool)).values
    expected = get_index("NDVI").compute(bands)
    expected[np.eye(10, 17, dtype=bool)] = np.nan
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(whole, before)


@pytest.mark.parametrize("text", ["SR", "NDVI", "2*N/R", "R/(N**2 + 1)"])
def test_no_value_comes_from_an_infinite_band(text: str) -> None:
    bands = {
        "N": np.array([[0.5, 0.5, np.inf]], np.float32),
        "R": np.array([[np.inf, 0.1, 0.1]], np.float32),
    }
    index = index_of(text) if text.isalpha() else index_from_expression(text)
    piece = run(index, bands)
    assert np.isnan(piece.values).tolist() == [[True, False, True]]
    assert np.isnan(index.compute(bands)).tolist() == [[True, False, True]]
