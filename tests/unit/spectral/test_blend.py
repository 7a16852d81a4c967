import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orthoray.errors import Impossible
from orthoray.spectral.blend import blend_png, check_opacity, overlay_below
from orthoray.spectral.colormaps import palette

COLOURS = palette("rdylgn")
RNG = np.random.default_rng(4)


def read(png):
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def scene(height=70, width=1500):
    photo = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return photo, RNG.integers(0, 256, (height, width), dtype=np.uint8)


@pytest.mark.parametrize("opacity", [0.0, 0.3, 0.5, 1.0])
def test_the_heatmap_is_weighed_against_the_photo(opacity):
    photo, indices = scene()
    expected = COLOURS[indices].astype(float) * opacity + photo * (1 - opacity)
    expected[indices == 0] = photo[indices == 0]
    blended = read(blend_png(photo, indices, COLOURS, opacity))
    assert blended.shape == photo.shape
    assert np.abs(blended - expected).max() <= 0.5 + 1e-3


def test_ends_of_the_opacity_are_the_photo_and_the_heatmap():
    photo, indices = scene(20, 30)
    np.testing.assert_array_equal(read(blend_png(photo, indices, COLOURS, 0)), photo)
    covered = np.where(indices[..., None] == 0, photo, COLOURS[indices])
    np.testing.assert_array_equal(read(blend_png(photo, indices, COLOURS, 1)), covered)


def test_outside_the_image_it_is_transparent():
    photo, indices = scene()
    outside = RNG.random(indices.shape) < 0.3
    blended = read(blend_png(photo, indices, COLOURS, 0.4, outside=outside))
    assert (blended[outside] == 0).all()
    assert (blended[~outside, 3] == 255).all()
    opaque = read(blend_png(photo, indices, COLOURS, 0.4))
    np.testing.assert_array_equal(blended[~outside, :3], opaque[~outside])


def test_views_are_blended_as_they_look():
    photo, indices = scene(40, 50)
    turned = read(blend_png(photo[::-1].swapaxes(0, 1), indices[::-1].T, COLOURS, 0.5))
    upright = read(blend_png(photo, indices, COLOURS, 0.5))
    np.testing.assert_array_equal(turned, upright[::-1].swapaxes(0, 1))


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.uint8, (3, 4, 3)),
    hnp.arrays(np.float32, (3, 4), elements=st.sampled_from([np.nan, -1, 0.1, 0.5])),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.floats(0, 1),
)
def test_places_below_a_threshold(photo, index_map, colour, opacity):
    before = photo.copy()
    result = overlay_below(photo, index_map, 0.1, colour, opacity)
    np.testing.assert_array_equal(photo, before)
    below = index_map < np.float32(0.1)
    np.testing.assert_array_equal(result[~below], photo[~below])
    expected = photo[below] * (1 - opacity) + np.array(colour) * opacity
    assert np.abs(result[below] - expected).max(initial=0) <= 0.5 + 1e-3


def test_an_overlay_of_several_strips_has_no_seam():
    photo, _ = scene(200, 1000)
    index_map = RNG.normal(size=photo.shape[:2]).astype(np.float32)
    covered = overlay_below(photo, index_map, 0.0, (255, 0, 0), 1.0)
    np.testing.assert_array_equal(covered, np.where(index_map[..., None] < 0, [255, 0, 0], photo))


@pytest.mark.parametrize("opacity", [-0.01, 1.01, float("nan"), float("inf")])
def test_the_opacity_is_a_fraction(opacity):
    photo, indices = scene(2, 2)
    with pytest.raises(Impossible, match="from 0"):
        blend_png(photo, indices, COLOURS, opacity)
    with pytest.raises(Impossible, match="from 0"):
        overlay_below(photo, indices.astype(np.float32), 0.1, (0, 0, 0), opacity)
    assert check_opacity(1) == 1.0


def test_arrays_that_do_not_agree_are_refused():
    photo, indices = scene(4, 5)
    for arguments in (
        (photo[:3], indices, COLOURS),
        (photo[..., :2], indices, COLOURS),
        (photo, indices, COLOURS[:9]),
        (photo, indices[..., None], COLOURS),
        (photo[:0], indices[:0], COLOURS),
    ):
        with pytest.raises(ValueError, match=r"agree|pixel"):
            blend_png(*arguments, 0.5)
    with pytest.raises(ValueError, match="agree"):
        blend_png(photo, indices, COLOURS, 0.5, outside=np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="agree"):
        overlay_below(photo, np.zeros((2, 2), np.float32), 0.1, (0, 0, 0), 0.5)
