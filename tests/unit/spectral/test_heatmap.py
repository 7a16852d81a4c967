import io
import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from orthoray.errors import Impossible
from orthoray.spectral.classes import thresholds_for
from orthoray.spectral.heatmap import (
    COLOUR_MAPS,
    class_limits,
    colorize,
    heatmap_png,
    legend_dict,
    legend_png,
    palette,
    palette_png,
    strips,
)

finite = st.floats(-1e6, 1e6, width=32)


def opened(png):
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return picture


def rgba(png):
    return np.asarray(opened(png).convert("RGBA"))


@pytest.mark.parametrize("cmap", COLOUR_MAPS)
def test_palettes_begin_and_end_with_their_anchors(cmap):
    anchors = COLOUR_MAPS[cmap].split()
    colours = palette(cmap)
    assert colours.shape == (256, 3)
    assert colours[1].tobytes().hex() == anchors[0]
    assert colours[255].tobytes().hex() == anchors[-1]
    assert colours[128].tobytes().hex() == anchors[len(anchors) // 2]
    assert not colours.flags.writeable


def test_jet_legacy_is_jet_with_red_and_blue_swapped():
    swapped = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)[:, 0]
    expected = swapped[np.rint(np.linspace(0, 255, 255)).astype(int)].astype(int)
    assert np.abs(palette("jet_legacy")[1:].astype(int) - expected).max() <= 8


def test_an_unknown_colour_map_names_the_known_ones():
    for call in (
        lambda: heatmap_png(np.zeros((1, 1), np.float32), 0, 1, "magma"),
        lambda: legend_dict(0, 1, "magma"),
        lambda: legend_png(0, 1, "magma", title="x"),
    ):
        with pytest.raises(Impossible, match="rdylgn, viridis, jet_legacy"):
            call()


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
    with pytest.raises(ValueError, match="at least one pixel"):
        palette_png(np.zeros((0, 3), dtype=np.uint8), palette("viridis"))


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


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 200_000))
def test_strips_cover_every_row_once(height, width):
    rows = [row for part in strips(height, width) for row in range(part.start, part.stop)]
    assert rows == list(range(height))


def test_class_limits_put_the_outer_cuts_at_the_quarters_of_the_bar():
    low, high = class_limits((0.6, 0.4, 0.2), (-1.0, 1.0))
    assert (low, high) == pytest.approx((0.0, 0.8))


def test_class_limits_stay_within_what_the_index_can_be():
    assert class_limits((0.95, 0.5, -0.9), (-1.0, 1.0)) == (-1.0, 1.0)
    assert class_limits((60.0, 50.0, 40.0), (-1.0, 1.0)) == (30.0, 70.0)
    assert class_limits((30.0, 20.0, 10.0), None) == (0.0, 40.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-500, 500, width=32), min_size=3, max_size=3, unique=True))
def test_class_limits_are_always_fit_for_colorize(cuts):
    first, second, third = sorted(cuts, reverse=True)
    low, high = class_limits((first, second, third), (-510.0, 510.0))
    assert low <= high
    colorize(np.array([cuts], dtype=np.float32), low, high)


def test_the_legend_as_data():
    data = legend_dict(
        -1.0, 1.0, title="NDVI", classes=thresholds_for("NDVI", custom=[0.5, 0, -0.5]), language="ro"
    )
    assert json.loads(json.dumps(data)) == data
    assert data["stops"][0] == {"value": -1.0, "color": "#a50026"}
    assert data["stops"][5] == {"value": 0.0, "color": "#ffffbf"}
    assert [(c["label"], c["lower"], c["upper"]) for c in data["classes"]] == [
        ("Sănătos", 0.5, None),
        ("Stres ușor", 0.0, 0.5),
        ("Stres sever", -0.5, 0.0),
        ("Critic", None, -0.5),
    ]
    middle_of_healthy = palette("rdylgn")[1 + round(0.875 * 254)]
    assert data["classes"][0]["color"] == f"#{middle_of_healthy.tobytes().hex()}"


def test_a_legend_with_reversed_limits_is_refused():
    with pytest.raises(ValueError, match="exceed"):
        legend_dict(1.0, 0.0)
    with pytest.raises(ValueError, match="exceed"):
        legend_png(1.0, 0.0, title="x")


def test_the_legend_of_nothing_has_no_values():
    data = legend_dict(math.nan, math.nan, "viridis", classes=thresholds_for("NDVI"))
    assert (data["vmin"], data["vmax"], data["classes"]) == (None, None, [])
    assert {stop["value"] for stop in data["stops"]} == {None}


@pytest.mark.parametrize("language", ["ru", "ro", "en"])
@pytest.mark.parametrize("cmap", COLOUR_MAPS)
def test_the_legend_is_an_opaque_picture_with_the_colours_in_order(language, cmap):
    png = legend_png(
        -0.4, 0.6, cmap, title="NDVI, снимок / așa", classes=thresholds_for("NDVI_emp"), language=language
    )
    picture = opened(png)
    assert (picture.mode, picture.size) == ("RGB", (640, 120))
    row = np.asarray(picture)[40]
    np.testing.assert_array_equal(row[16], palette(cmap)[1])
    np.testing.assert_array_equal(row[623], palette(cmap)[255])
    assert (row[0] == 255).all()


def test_cuts_are_marked_on_the_bar():
    def black_columns(classes):
        bar = np.asarray(opened(legend_png(0.0, 1.0, "viridis", title="", classes=classes)))[40]
        return np.flatnonzero((bar == 0).all(axis=1))

    assert black_columns(None).size == 0
    marked = black_columns(thresholds_for("NDVI"))
    for cut in (0.2, 0.4, 0.6):
        assert np.abs(marked - (16 + cut * 607)).min() <= 1
    assert black_columns(thresholds_for("NDVI", custom=[5, 4, 3])).size == 0


def test_the_title_and_the_language_change_the_picture():
    pictures = {
        legend_png(0.0, 1.0, title=title, classes=thresholds_for("NDVI"), language=language)
        for title in ("Кукуруза", "Пшеница")
        for language in ("ru", "ro", "en")
    }
    assert len(pictures) == 6


@pytest.mark.parametrize(
    ("vmin", "vmax"),
    [
        (0.3, 0.3),
        (0.0, 0.0),
        (math.nan, math.nan),
        (-2.5e8, 2.55e8),
        (1e-9, 2e-9),
        (-510.0, 510.0),
        (99.999, 100.0),
    ],
)
def test_the_legend_copes_with_any_limits(vmin, vmax):
    png = legend_png(vmin, vmax, title="поле\n" * 3000, classes=thresholds_for("NDVI"), language="ru")
    assert opened(png).size == (640, 120)


@settings(max_examples=15, deadline=None)
@given(finite, finite)
def test_the_legend_is_drawn_for_any_limits(one, other):
    low, high = sorted((one, other))
    assert opened(legend_png(low, high, title="t", classes=thresholds_for("EVI"))).size == (640, 120)
