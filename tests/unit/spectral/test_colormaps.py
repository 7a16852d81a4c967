import cv2
import numpy as np
import pytest

from orthoray.errors import Impossible
from orthoray.spectral.colormaps import COLOUR_MAPS, anchors_of, check_colour_map, palette

PUBLISHED = ("viridis", "cividis", "magma", "plasma", "inferno")


@pytest.mark.parametrize("cmap", COLOUR_MAPS)
def test_palettes_begin_and_end_with_their_anchors(cmap):
    anchors = COLOUR_MAPS[cmap]
    colours = palette(cmap)
    assert colours.shape == (256, 3)
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[1].tobytes().hex() == anchors[0]
    assert colours[255].tobytes().hex() == anchors[-1]
    assert colours[128].tobytes().hex() == anchors[len(anchors) // 2]
    assert not colours.flags.writeable


@pytest.mark.parametrize("cmap", COLOUR_MAPS)
def test_every_map_can_be_reversed(cmap):
    assert anchors_of(f"{cmap}_r") == anchors_of(cmap)[::-1]
    np.testing.assert_array_equal(palette(f"{cmap}_r")[1:], palette(cmap)[:0:-1])
    assert palette(f"{cmap}_r")[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("cmap", PUBLISHED)
def test_anchors_follow_the_published_tables(cmap):
    number = getattr(cv2, f"COLORMAP_{cmap.upper()}")
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], number)[:, 0, ::-1]
    expected = table[np.rint(np.linspace(0, 255, 255)).astype(int)].astype(int)
    difference = np.abs(palette(cmap)[1:].astype(int) - expected).max(axis=1)
    assert difference.max() <= 16
    assert difference.mean() <= 3


def test_jet_legacy_is_jet_with_red_and_blue_swapped():
    swapped = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)[:, 0]
    expected = swapped[np.rint(np.linspace(0, 255, 255)).astype(int)].astype(int)
    assert np.abs(palette("jet_legacy")[1:].astype(int) - expected).max() <= 8


@pytest.mark.parametrize("cmap", [*PUBLISHED, "gray"])
def test_sequential_maps_grow_lighter(cmap):
    luma = palette(cmap)[1:].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luma) > -1.5).all()
    assert luma[-1] - luma[0] > 120


def test_names_in_any_case():
    assert check_colour_map(" RdYlGn_R ") == "rdylgn_r"
    np.testing.assert_array_equal(palette("Viridis"), palette("viridis"))


@pytest.mark.parametrize("name", ["", "rainbow", "_r", "viridis_r_r", "viridis,magma", "../viridis"])
def test_an_unknown_map_names_the_known_ones(name):
    with pytest.raises(Impossible, match="rdylgn, viridis, cividis, magma") as caught:
        palette(name)
    assert caught.value.fields["known"] == list(COLOUR_MAPS)
