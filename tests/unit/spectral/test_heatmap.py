import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from orthoray.errors import Impossible
from orthoray.spectral.colormaps import palette
from orthoray.spectral.heatmap import colorize, heatmap_png
from orthoray.spectral.png import drawn_palette_png
from orthoray.spectral.threads import strips

finite = st.floats(-1e6, 1e6, width=32)


def opened(png):
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return picture


def rgba(png):
    return np.asarray(opened(png).convert("RGBA"))


def test_an_unknown_colour_map_names_the_known_ones():
    with pytest.raises(Impossible, match="rdylgn, viridis"):
        heatmap_png(np.zeros((1, 1), np.float32), 0, 1, "rainbow")


def test_ends_are_exact_and_what_lies_beyond_takes_their_colour():
    values = np.array([[-np.inf, -9, -0.25, 0.25, 0.75, 9, np.inf, np.nan]], dtype=np.float32)
    assert colorize(values, -0.25, 0.75).tolist() == [[1, 1, 1, 128, 255, 255, 255, 0]]


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=finite),
    finite,
    finite,
)
def test_colours_rise_with_values(values, one, other):
    indices = colorize(values, min(one, other), max(one, other)).ravel()
    in_order = indices[np.argsort(values, axis=None, kind="stable")].astype(int)
    assert (np.diff(in_order) >= 0).all()
    assert in_order.min() >= 1


@settings(max_examples=60, deadline=None)
@given(finite, finite)
def test_limits_take_the_first_and_the_last_colour(one, other):
    low, high = sorted((np.float32(one), np.float32(other)))
    indices = colorize(np.array([[low, high]], dtype=np.float32), float(low), float(high))
    assert indices.tolist() == ([[1, 255]] if low < high else [[128, 128]])


def test_a_constant_map_takes_the_middle_colour():
    values = np.array([[0.3, 0.3], [np.nan, 0.2], [0.4, 0.3]], dtype=np.float32)
    limit = float(np.float32(0.3))
    assert colorize(values, limit, limit).tolist() == [[128, 128], [0, 1], [255, 128]]


@pytest.mark.parametrize("limit", [math.nan, math.inf, 0.5])
def test_a_map_of_nan_alone_is_wholly_transparent(limit):
    png = heatmap_png(np.full((3, 2), np.nan, dtype=np.float32), limit, limit)
    assert rgba(png)[..., 3].max() == 0


@pytest.mark.parametrize(("vmin", "vmax"), [(math.nan, 1.0), (0.0, math.inf), (-3e38, 3e38), (0.0, 1e300)])
def test_limits_that_are_not_finite_are_refused(vmin, vmax):
    with pytest.raises(ValueError, match="finite"):
        colorize(np.zeros((1, 1), dtype=np.float32), vmin, vmax)


def test_reversed_limits_and_wrong_dimensions_are_refused():
    with pytest.raises(ValueError, match="exceed"):
        colorize(np.zeros((1, 1), dtype=np.float32), 1.0, 0.0)
    with pytest.raises(ValueError, match="two dimensions"):
        colorize(np.zeros(3, dtype=np.float32), 0.0, 1.0)


@pytest.mark.parametrize("shape", [(1, 1), (30000, 1), (1, 30000), (37, 53)])
def test_the_png_has_the_colours_of_the_palette(shape):
    rng = np.random.default_rng(3)
    values = rng.uniform(-1, 1, shape).astype(np.float32)
    values[rng.random(shape) < 0.2] = np.nan
    png = heatmap_png(values, -0.8, 0.8, "viridis")
    assert opened(png).mode == "P"
    assert opened(png).size == shape[::-1]
    indices = colorize(values, -0.8, 0.8)
    np.testing.assert_array_equal(rgba(png)[..., :3], palette("viridis")[indices])
    np.testing.assert_array_equal(rgba(png)[..., 3], np.where(np.isnan(values), 0, 255))


def test_strips_of_a_big_map_leave_no_seam():
    values = np.tile(np.linspace(0, 1, 200_000, dtype=np.float32), (3, 1))
    assert len(list(strips(*values.shape))) == 3
    expected = 1 + np.floor(np.clip(values[0], 0, 1).astype(np.float64) * 254 + 0.5)
    assert np.abs(colorize(values, 0.0, 1.0) - expected).max() <= 1


def test_a_heatmap_of_several_pieces_is_that_of_the_indices():
    values = np.random.default_rng(9).normal(size=(1700, 1300)).astype(np.float32)
    values[values > 2] = np.nan
    png = heatmap_png(values, -1.5, 1.5, "cividis_r")
    colours = palette("cividis_r")
    indices = colorize(values, -1.5, 1.5)

    def draw(rows, out):
        out[...] = indices[rows]

    assert png == drawn_palette_png(1700, 1300, draw, colours, transparent=0)
    np.testing.assert_array_equal(rgba(png)[..., :3], colours[indices])


def test_views_and_doubles_are_drawn():
    values = np.random.default_rng(9).normal(size=(30, 40)).astype(np.float32)
    assert heatmap_png(values[::-1].T, -1, 1) == heatmap_png(np.ascontiguousarray(values[::-1].T), -1, 1)
    assert heatmap_png(values.astype(np.float64), -1, 1) == heatmap_png(values, -1, 1)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_a_map_without_pixels_is_no_picture(shape):
    assert colorize(np.zeros(shape, dtype=np.float32), 0.0, 1.0).shape == shape
    with pytest.raises(ValueError, match="at least one pixel"):
        heatmap_png(np.zeros(shape, dtype=np.float32), 0.0, 1.0)
