import io
import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from orthoray.spectral.legacy import (
    LegacyIndices,
    classify_legacy,
    legacy_heatmap_png,
    write_legacy_heatmap,
)
from orthoray.spectral.texts import LEGACY_CONCLUSIONS

NAMES = ["NDVI_emp", "VARI", "GLI", "ExG", "CIVE", "MGRVI"]
CUTS = [float(np.float32(cut)) for cut in (0.1, 0.0, -0.1)]
LABELS = ["Здоровые", "Легкий стресс", "Сильный стресс", "Критическое"]

images = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6).map(lambda s: (*s, 3)))
maps = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.floats(-1e4, 1e4, width=32)
)


def reference_indices(image):
    """The contract's formulas over whole float32 channels."""
    red, green, blue = (image[:, :, k].astype(np.float32) for k in range(3))
    e = np.float32(1e-6)
    two = np.float32(2)
    green2, red2 = green * green, red * red
    return {
        "NDVI_emp": (green - red) / (green + red + e),
        "VARI": (green - red) / (green + red - blue + e),
        "GLI": (two * green - red - blue) / (two * green + red + blue + e),
        "ExG": two * green - red - blue,
        "CIVE": np.float32(0.441) * red
        - np.float32(0.881) * green
        + np.float32(0.385) * blue
        + np.float32(18.78745),
        "MGRVI": (green2 - red2) / (green2 + red2 + e),
    }


def reference_heatmap(values, path):
    """The files that users have: an RGB array handed to a function that takes it for BGR."""
    span = np.nanmax(values) - np.nanmin(values) + np.float32(1e-6)
    scaled = (values - np.nanmin(values)) / span * np.float32(255)
    levels = np.where(np.isnan(scaled), np.float32(0), scaled).astype(np.uint8)
    jet = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    assert cv2.imwrite(str(path), jet)
    return cv2.imread(str(path))


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@settings(max_examples=60, deadline=None)
@given(images)
def test_every_index_equals_the_reference_to_the_bit(image):
    reference = reference_indices(image)
    for name, values in LegacyIndices(image).items():
        assert values.dtype == np.float32
        assert values.flags.c_contiguous
        np.testing.assert_array_equal(values, reference[name], err_msg=name)


def test_a_picture_of_several_strips_has_no_seam():
    image = np.random.default_rng(1).integers(0, 256, (70, 3001, 3), dtype=np.uint8)
    reference = reference_indices(image)
    for name, values in LegacyIndices(image).items():
        np.testing.assert_array_equal(values, reference[name], err_msg=name)


def test_known_pixels():
    image = np.array([[[0, 0, 0], [0, 255, 0], [255, 0, 0], [9, 11, 0], [30, 10, 40]]], dtype=np.uint8)
    indices = LegacyIndices(image)
    np.testing.assert_allclose(indices["NDVI_emp"], [[0, 1, -1, 0.1, -0.5]], rtol=1e-6)
    np.testing.assert_allclose(indices["ExG"], [[0, 510, -255, 13, -50]])
    assert indices["VARI"][0, 4] == np.float32(-20) / np.float32(1e-6)
    np.testing.assert_allclose(indices["CIVE"][0, :2], [18.78745, 18.78745 - 0.881 * 255], rtol=1e-6)


def test_the_mapping_is_lazy_and_keeps_what_it_computed():
    image = np.full((2, 2, 3), 10, dtype=np.uint8)
    indices = LegacyIndices(image)
    assert list(indices) == NAMES
    assert len(indices) == 6
    assert "NDVI_emp" in indices
    assert "NDVI" not in indices
    assert indices.get("ndvi_emp") is None
    image[:] = 200  # nothing has been computed yet, so the change shows
    first = indices["ExG"]
    assert (first == 0).all()
    image[..., 1] = 0
    assert indices["ExG"] is first
    assert len(list(indices.values())) == 6
    assert list(dict(indices)) == NAMES
    with pytest.raises(KeyError):
        indices["NDVI"]


def test_the_mapping_travels_between_processes():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    copy = pickle.loads(pickle.dumps(LegacyIndices(image)))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(copy["GLI"], LegacyIndices(image)["GLI"])


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 5, 3), (5, 0, 3), (70_001, 1, 3), (1, 70_001, 3)])
def test_images_of_any_shape(shape):
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    reference = reference_indices(image)
    for name, values in LegacyIndices(image).items():
        np.testing.assert_array_equal(values, reference[name], err_msg=name)


def test_every_pair_of_bytes_equals_the_reference():
    red, green = np.meshgrid(*[np.arange(256, dtype=np.uint8)] * 2)
    image = np.dstack([red, green, red ^ green])
    image.flags.writeable = False
    for picture in (image, image[::-1], image.transpose(1, 0, 2)):
        reference = reference_indices(picture)
        for name, values in LegacyIndices(picture).items():
            np.testing.assert_array_equal(values, reference[name], err_msg=name)


def test_sixteen_bits_are_not_taken_for_eight():
    image = np.random.default_rng(1).integers(0, 65536, (40, 50, 3), dtype=np.uint16)
    reference = reference_indices(image)
    for name, values in LegacyIndices(image).items():
        np.testing.assert_array_equal(values, reference[name], err_msg=name)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (4, 4, 1), (1, 4, 4, 3)])
def test_an_image_that_is_not_rgb_is_refused(shape):
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        LegacyIndices(np.zeros(shape, dtype=np.uint8))


@settings(max_examples=40, deadline=None)
@given(values=maps)
def test_the_heatmap_decodes_to_the_colours_that_users_have(values, tmp_path_factory):
    folder = tmp_path_factory.mktemp("heatmap")
    write_legacy_heatmap(values, folder / "new.png")
    expected = reference_heatmap(values, folder / "old.png")
    np.testing.assert_array_equal(cv2.imread(str(folder / "new.png")), expected)


def test_low_is_red_and_high_is_blue():
    colours = decoded(legacy_heatmap_png(np.linspace(-1, 1, 101, dtype=np.float32)[None]))[0]
    assert colours[0].tolist() == [128, 0, 0]
    assert colours[-1].tolist() in ([0, 0, 128], [0, 0, 132])
    assert colours[10].argmax() == 0
    assert colours[90].argmax() == 2


def test_the_heatmap_is_an_opaque_palette_picture_of_the_maps_size():
    picture = Image.open(io.BytesIO(legacy_heatmap_png(np.eye(3, 5))))
    assert (picture.mode, picture.size) == ("P", (5, 3))
    assert "transparency" not in picture.info


def test_values_that_are_not_finite_are_drawn_as_the_minimum():
    values = np.array([[np.nan, 0.0, 1.0, np.inf, -np.inf]], dtype=np.float32)
    colours = decoded(legacy_heatmap_png(values))[0]
    np.testing.assert_array_equal(colours, decoded(legacy_heatmap_png(np.float32([[0, 0, 1, 0, 0]])))[0])


def test_a_big_map_with_gaps_is_drawn_without_seams(tmp_path):
    values = np.random.default_rng(2).normal(size=(1300, 1100)).astype(np.float32)
    values[400:800][values[400:800] > 0] = np.nan
    values[900:1000] = np.nan
    write_legacy_heatmap(values, tmp_path / "new.png")
    with np.errstate(invalid="ignore"):
        expected = reference_heatmap(values, tmp_path / "old.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "new.png")), expected)


def test_classes_of_a_big_map_add_up():
    values = np.random.default_rng(2).normal(scale=0.1, size=(300, 1000)).astype(np.float32)
    values[:7] = np.nan
    expected = [(values > 0.1).sum(), (values <= -0.1).sum()]
    stats, _ = classify_legacy(values[:, ::-1])
    assert [stats[LABELS[0]], stats[LABELS[3]]] == pytest.approx([n / values.size * 100 for n in expected])
    assert sum(stats.values()) == pytest.approx(293 / 3)


def test_a_constant_map_is_the_colour_of_the_minimum():
    assert (decoded(legacy_heatmap_png(np.full((2, 3), 7.0))) == [128, 0, 0]).all()


@pytest.mark.parametrize(
    "values", [[[1, 2], [3, 4]], np.float64([[1, 2], [3, 4]]), np.float16([[1, 2], [3, 4]])]
)
def test_maps_of_any_real_type_are_drawn(values):
    expected = decoded(legacy_heatmap_png(np.float32([[1, 2], [3, 4]])))
    np.testing.assert_array_equal(decoded(legacy_heatmap_png(values)), expected)


@pytest.mark.parametrize(
    "values", [np.zeros((0, 4)), np.zeros((4, 0)), np.zeros(3), np.zeros((2, 2, 2)), 1.0]
)
def test_a_map_that_is_no_picture_is_refused(values):
    with pytest.raises(ValueError, match="at least one pixel"):
        legacy_heatmap_png(values)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_without_a_finite_value_is_refused(value, tmp_path):
    with pytest.raises(ValueError, match="no valid value"):
        write_legacy_heatmap(np.full((2, 2), value, dtype=np.float32), tmp_path / "h.png")
    assert not (tmp_path / "h.png").exists()


def test_classes_of_values_on_the_cuts():
    values = np.float32([0.1, 0.1 + 1e-7, 0.0, 1e-9, -0.1, -0.1 + 1e-7, 5, -5])
    stats, conclusion = classify_legacy(values)
    assert stats == dict(zip(LABELS, [25.0, 25.0, 25.0, 25.0], strict=True))
    assert list(stats) == LABELS
    assert conclusion == LEGACY_CONCLUSIONS["healthy"]


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(max_dims=3, max_side=5),
        elements=st.floats(-0.25, 0.25, width=32) | st.sampled_from(CUTS),
    )
)
def test_classes_equal_the_contracts_masks(values):
    masks = [
        values > 0.1,
        (values > 0) & (values <= 0.1),
        (values > -0.1) & (values <= 0),
        values <= -0.1,
    ]
    stats, conclusion = classify_legacy(values)
    assert list(stats.values()) == pytest.approx([mask.sum() / values.size * 100 for mask in masks])
    assert conclusion == list(LEGACY_CONCLUSIONS.values())[int(np.argmax([mask.sum() for mask in masks]))]


def test_percents_are_of_all_values_also_of_those_that_are_nan():
    stats, conclusion = classify_legacy(np.float32([np.nan, np.nan, np.nan, -1]))
    assert stats == dict(zip(LABELS, [0.0, 0.0, 0.0, 25.0], strict=True))
    assert conclusion == LEGACY_CONCLUSIONS["critical"]


def test_maps_without_values_have_a_sentence_of_their_own():
    stats, conclusion = classify_legacy(np.zeros((0, 5), dtype=np.float32))
    assert stats == {}
    assert conclusion.startswith("Нет данных")
    assert classify_legacy([np.nan]) == (dict.fromkeys(LABELS, 0.0), conclusion)


def test_a_single_number_is_a_map_too():
    assert classify_legacy(0.05)[0]["Легкий стресс"] == 100.0
