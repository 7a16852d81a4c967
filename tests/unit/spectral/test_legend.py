import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from orthoray.errors import Impossible
from orthoray.spectral.colormaps import COLOUR_MAPS, palette
from orthoray.spectral.legend import legend_dict, legend_png
from orthoray.spectral.thresholds import thresholds_for

finite = st.floats(-1e6, 1e6, width=32)


def opened(png):
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return picture


def test_an_unknown_colour_map_names_the_known_ones():
    for call in (lambda: legend_dict(0, 1, "rainbow"), lambda: legend_png(0, 1, "rainbow", title="x")):
        with pytest.raises(Impossible, match="rdylgn, viridis"):
            call()


def test_a_reversed_map_is_named_and_turned():
    data = legend_dict(0.0, 1.0, "RdYlGn_r")
    assert data["colormap"] == "rdylgn_r"
    assert data["stops"][0]["color"] == "#006837"
    assert data["stops"][-1] == {"value": 1.0, "color": "#a50026"}


def test_the_legend_as_data():
    data = legend_dict(
        -1.0,
        1.0,
        "rdylgn",
        title="NDVI",
        classes=thresholds_for("NDVI", custom=[0.5, 0, -0.5]),
        language="ro",
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
        (-1.5e308, 1.5e308),
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
