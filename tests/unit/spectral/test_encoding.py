from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orthoray.errors import Impossible
from orthoray.spectral.encoding import FLOAT32, Encoding, encoding_for

Values = npt.NDArray[np.float32]
SIDE = 16
STEPS = (0.0001, 0.001, 0.01, 0.1)

floats = st.floats(width=32, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, float("nan"), 3.2767, -3.4e38]
)
tiles = hnp.arrays(np.float32, (SIDE, SIDE), elements=floats, fill=st.just(np.float32(0.25)))


def decoded(encoding: Encoding, data: bytes) -> npt.NDArray[Any]:
    """By the codecs that GDAL's predictors are, with nothing of ours."""
    raw = imagecodecs.zstd_decode(data)
    if encoding.predictor == 3:
        planes = np.frombuffer(raw, np.float32).reshape(SIDE, SIDE)
        return np.asarray(imagecodecs.floatpred_decode(planes, axis=1))
    return np.asarray(imagecodecs.delta_decode(np.frombuffer(raw, np.int16).reshape(SIDE, SIDE), axis=1))


@settings(max_examples=40, deadline=None)
@given(values=tiles)
def test_float32_keeps_every_bit(values: Values) -> None:
    data = FLOAT32.tile(values)
    if np.isnan(values).all():
        assert data == b""
        return
    found = decoded(FLOAT32, data)
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(values))


@settings(max_examples=60, deadline=None)
@given(values=tiles, step=st.sampled_from(STEPS))
def test_int16_is_within_half_a_step(values: Values, step: float) -> None:
    data = Encoding(step).tile(values)
    if np.isnan(values).all():
        assert data == b""
        return
    stored = decoded(Encoding(step), data)
    valid = ~np.isnan(values)
    assert (stored[~valid] == -32768).all()
    assert (stored[valid] > -32768).all()
    wide = values.astype(np.float64)
    within = valid & (np.abs(wide) <= 32767 * step)
    rounding = np.abs(wide) * np.finfo(np.float32).eps
    off = np.abs(wide - stored * step)
    assert (off[within] <= step / 2 + rounding[within]).all()
    beyond = valid & (np.abs(wide) > 32767.5 * step)
    np.testing.assert_array_equal(stored[beyond], np.sign(wide[beyond]) * 32767)


def test_a_tile_of_a_larger_array() -> None:
    whole = np.random.default_rng(1).normal(size=(SIDE, 3 * SIDE)).astype(np.float32)
    part = whole[:, SIDE : 2 * SIDE]
    np.testing.assert_array_equal(decoded(FLOAT32, FLOAT32.tile(part)), part)
    stored = decoded(Encoding(0.001), Encoding(0.001).tile(part))
    np.testing.assert_allclose(stored * 0.001, part, rtol=0, atol=0.000501)


def test_what_gdal_is_told() -> None:
    assert (FLOAT32.dtype, FLOAT32.nodata, FLOAT32.predictor) == (np.dtype("f4"), "nan", 3)
    int16 = Encoding(0.001)
    assert (int16.dtype, int16.nodata, int16.predictor) == (np.dtype("i2"), "-32768", 2)


@pytest.mark.parametrize(
    ("span", "step"),
    [
        ((-1.0, 1.0), 0.0001),
        ((0.0, 1.63), 0.0001),
        ((0.0, 1.64), 0.001),
        ((-510.0, 510.0), 0.1),
        ((-205.9, 229.4), 0.1),
        ((-1638.0, 0.0), 0.1),
    ],
)
def test_the_finest_step_that_holds_twice_the_range(span: tuple[float, float], step: float) -> None:
    assert encoding_for("int16", span, "X") == Encoding(step)
    assert encoding_for("float32", span, "X") == FLOAT32


@pytest.mark.parametrize("span", [None, (0.0, 1639.0)])
def test_int16_without_a_narrow_range_is_refused(span: tuple[float, float] | None) -> None:
    assert encoding_for("float32", span, "SR") == FLOAT32
    with pytest.raises(Impossible, match=r"SR .*raster=float32"):
        encoding_for("int16", span, "SR")
