from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from orthoray.spectral.masks import MaskRules, apply_rules, mask_rules, read_mask_band
from orthoray.spectral.raster import open_raster, read_window

WriteTiff = Callable[..., Path]
EditTiff = Callable[[Path], AbstractContextManager[Any]]


def rules_of(path: Path, numbers: list[int], alpha: int | None = None) -> MaskRules:
    with open_raster(path) as dataset:
        return mask_rules(dataset, numbers, alpha)


def mask_of(path: Path, numbers: list[int], alpha: int | None = None) -> list[list[bool]]:
    with open_raster(path) as dataset:
        masked: list[list[bool]] = read_window(dataset, None, numbers, alpha=alpha)[1].tolist()
    return masked


def test_rules_of_a_plain_file_mask_nothing(write_tiff: WriteTiff) -> None:
    rules = rules_of(write_tiff(np.zeros((3, 2, 2), np.uint16)), [3, 1])
    assert rules == MaskRules((3, 1), (None, None), None, ())
    assert not rules.needs_mask_band
    assert apply_rules(rules, [np.zeros((2, 2), np.uint16)] * 2) is None


def test_alpha_is_decoded_behind_the_bands(write_tiff: WriteTiff) -> None:
    path = write_tiff(np.ones((4, 2, 2), np.uint8), photometric="RGB", alpha="YES")
    assert rules_of(path, [2, 1], 4).wanted == (2, 1, 4)
    assert rules_of(path, [4, 1], 4).wanted == (4, 1)
    assert rules_of(path, [1]).wanted == (1,)


@pytest.mark.parametrize(
    ("dtype", "tag", "held"),
    [
        ("uint8", 255.0, 255),
        ("uint16", 65535.0, 65535),
        ("int8", -128.0, -128),
        ("int16", -32768.0, -32768),
        ("int16", -9999.0, -9999),
        ("uint32", 4294967295.0, 4294967295),
        ("int32", -2147483648.0, -2147483648),
        ("float32", 0.1, float(np.float32(0.1))),
        ("float32", -3.4028234663852886e38, float(np.finfo(np.float32).min)),
        ("float32", float("inf"), float("inf")),
        ("float32", float("nan"), None),
        ("float64", -1.7976931348623157e308, float(np.finfo(np.float64).min)),
    ],
)
def test_nodata_is_held_in_the_bands_type(
    write_tiff: WriteTiff, dtype: str, tag: float, held: float | None
) -> None:
    path = write_tiff(np.array([[[1, 2]]], dtype), nodata=tag)
    rules = rules_of(path, [1])
    assert rules.nodata == (held,)
    array = np.array([[1, 2]], dtype)
    if held is not None:
        array[0, 1] = held
        assert apply_rules(rules, [array]).tolist() == [[False, True]]  # type: ignore[union-attr]  # not None here


@pytest.mark.parametrize("text", [b"-1\0\0\0", b"1.5\0\0", b"nan\0\0", b"70000", b"1e39\0"])
def test_nodata_that_no_pixel_can_have(write_tiff: WriteTiff, text: bytes) -> None:
    path = write_tiff(np.array([[[0, 1, 65535]]], np.uint16), nodata=44444)
    path.write_bytes(path.read_bytes().replace(b"44444", text))
    assert rules_of(path, [1]).nodata == (None,)
    assert mask_of(path, [1]) == [[False, False, False]]


def test_a_tag_beyond_float32_means_its_infinity(write_tiff: WriteTiff) -> None:
    path = write_tiff(np.array([[[np.inf, -np.inf, 1]]], np.float32), nodata=123456)
    path.write_bytes(path.read_bytes().replace(b"123456", b"-1e200"))
    assert mask_of(path, [1]) == [[False, True, False]]


def test_nodata_is_compared_before_scale_and_offset(write_tiff: WriteTiff, edit_tiff: EditTiff) -> None:
    path = write_tiff(np.array([[[0, 1000, 2000]]], np.uint16), nodata=1000)
    with edit_tiff(path) as dataset:
        dataset.scales, dataset.offsets = (0.001,), (-1.0,)
    assert mask_of(path, [1]) == [[False, True, False]], (
        "not where the scaled value is 1000, nor where it is 0"
    )


def test_infinity_is_data_and_nan_is_not(write_tiff: WriteTiff) -> None:
    path = write_tiff(np.array([[[np.nan, np.inf, -np.inf, 0]]], np.float32))
    assert mask_of(path, [1]) == [[True, False, False, False]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_only_the_wholly_transparent_is_masked(write_tiff: WriteTiff, dtype: str) -> None:
    bands = np.ones((4, 1, 4), dtype)
    bands[3, 0] = [0, 1, 254, np.iinfo(dtype).max]
    path = write_tiff(bands, photometric="RGB", alpha="YES")
    assert mask_of(path, [1], alpha=4) == [[True, False, False, False]]


def test_nodata_alpha_and_mask_all_count(write_tiff: WriteTiff) -> None:
    bands = np.ones((4, 1, 4), np.uint8)
    bands[0, 0, 0] = 7
    bands[3, 0, 1] = 0
    path = write_tiff(
        bands, photometric="RGB", alpha="YES", nodata=7, mask=np.array([[False, False, True, False]])
    )
    rules = rules_of(path, [1], 4)
    assert rules.needs_mask_band
    assert mask_of(path, [1], alpha=4) == [[True, True, True, False]]
    with open_raster(path) as dataset:
        own = read_mask_band(dataset, None, rules)
    assert own is not None
    assert own.tolist() == [[False, False, True, False]]


def test_a_shared_mask_is_read_once(write_tiff: WriteTiff) -> None:
    path = write_tiff(np.ones((3, 1, 2), np.uint8), mask=np.array([[True, False]]))
    assert rules_of(path, [1, 2, 3]).mask_bands == (1,)
    assert rules_of(path, [3]).mask_bands == (3,)


def test_a_colour_key_is_not_nodata(tmp_path: Path) -> None:
    path = tmp_path / "key.png"
    Image.fromarray(np.array([[[1, 2, 3], [1, 0, 0]]], np.uint8)).save(path, transparency=(1, 2, 3))
    rules = rules_of(path, [1, 2, 3])
    assert rules == MaskRules((1, 2, 3), (None, None, None), None, (1,))


def test_rules_are_per_band() -> None:
    rules = MaskRules((1, 2), (0, None), None, ())
    masked = apply_rules(rules, [np.array([[0, 1]]), np.array([[5, 0]])])
    assert masked is not None
    assert masked.tolist() == [[True, False]]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(["uint8", "int16", "uint16", "float32", "float64"]))
def test_as_a_plain_reference_would(data: st.DataObject, dtype: str) -> None:
    values = st.sampled_from([0, 1, 2, 100, *([float("nan"), float("inf")] if dtype[0] == "f" else [])])
    arrays = [data.draw(hnp.arrays(dtype, (3, 4), elements=values)) for _ in range(3)]
    nodata = tuple(data.draw(st.sampled_from([None, 0, 100])) for _ in range(2))
    alpha = data.draw(st.sampled_from([None, 2, 9]))
    rules = MaskRules((1, 2), nodata, alpha, ())
    expected = np.zeros((3, 4), bool)
    for array, value in zip(arrays, nodata, strict=False):
        expected |= np.isnan(array)
        expected |= np.zeros((3, 4), bool) if value is None else array == value
    if alpha is not None:
        expected |= arrays[1 if alpha == 2 else 2] == 0
    found = apply_rules(rules, arrays[: len(rules.wanted)])
    assert (found is None) == (not expected.any())
    np.testing.assert_array_equal(np.zeros((3, 4), bool) if found is None else found, expected)
