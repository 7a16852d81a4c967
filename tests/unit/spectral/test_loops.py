"""The compiled loops do what NumPy's do, bit by bit, on whole and odd sizes, with NaN, extremes and strides."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from orthoray.spectral import loops as module
from orthoray.spectral import plain
from orthoray.spectral.loops import Loops, load_compiled, loops

PLAIN = cast(Loops, plain)
FAST = load_compiled()
F32 = np.float32
FEW = settings(max_examples=60, deadline=None)

shapes = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
edges = st.sampled_from([0.0, -0.0, 0.1, 0.2, -1.0, 1.0, float("nan"), 3.4e38, -3.4e38, 1e-45])
floats = st.one_of(edges, st.floats(-2, 2, width=32))
maps = arrays.arrays(np.float32, shapes, elements=floats)
whole = st.sampled_from([np.uint8, np.uint16, np.int16])


def both(name: str, *arguments: Any, out: npt.NDArray[Any]) -> tuple[Any, Any]:
    """What both implementations return and write into copies of `out`."""
    found = []
    for one in (PLAIN, FAST):
        target = out.copy()
        found.append((getattr(one, name)(*arguments, target), target))
    return found[0], found[1]


def assert_equal(name: str, *arguments: Any, out: npt.NDArray[Any]) -> None:
    (first, one), (second, other) = both(name, *arguments, out=out)
    assert first == second
    np.testing.assert_array_equal(one, other)


@FEW
@given(st.data(), whole)
def test_integers(data: st.DataObject, dtype: Any) -> None:
    first = data.draw(arrays.arrays(dtype, shapes))
    second = data.draw(arrays.arrays(dtype, first.shape))
    assert FAST.contains(first, second.flat[0]) == PLAIN.contains(first, second.flat[0])
    assert FAST.contains(first, first.flat[-1])
    assert_equal("undo_differences", first, out=np.zeros(first.shape, dtype))
    assert_equal("normalised_difference", first, second, out=np.zeros(first.shape, F32))
    # of a part of a larger array, as at the right border of a raster
    wide = np.repeat(first, 2, axis=1)
    np.testing.assert_array_equal(*(one.contains(wide[:, ::2], second.flat[0]) for one in (PLAIN, FAST)))
    target = np.zeros((first.shape[0], first.shape[1] + 3), F32)
    FAST.normalised_difference(first, second, target[:, : first.shape[1]])
    expected = np.zeros(first.shape, F32)
    PLAIN.normalised_difference(first, second, expected)
    np.testing.assert_array_equal(target[:, : first.shape[1]], expected)
    assert not target[:, first.shape[1] :].any()


@FEW
@given(maps)
def test_sums_and_counts(values: npt.NDArray[np.float32]) -> None:
    cuts = np.array([0.2, 0.1, -1.0], F32)
    with np.errstate(over="ignore", invalid="ignore"):
        assert_equal("count_above", values, cuts, out=np.zeros(3, np.int64))
        assert_equal("tally", values, cuts, F32(-1), F32(1), out=np.zeros(3, np.int64))
        for low, high in ((-1.0, 1.0), (-0.5, 0.1)):
            span = F32(low), F32(high)
            assert_equal(
                "count_bins", values, *span, span[0], F32(64 / (high - low)), out=np.zeros(64, np.int64)
            )
            placed = both("place_bins", values, *span, low, 64 / (high - low), out=np.zeros(64, np.int64))[0][
                1
            ]
            assert_equal("place_bins", values, *span, low, 64 / (high - low), out=np.zeros(64, np.int64))
            wanted = np.zeros(64, np.int64)
            wanted[[0, 31, 32, 63]] = 1
            (_, one), (_, other) = both(
                "gather",
                values,
                *span,
                low,
                64 / (high - low),
                wanted,
                out=np.zeros(int(placed @ wanted), F32),
            )
            np.testing.assert_array_equal(np.sort(one), np.sort(other))


def test_single_columns_and_negative_zeros() -> None:
    column = np.random.default_rng(5).normal(0.4, 0.2, (512, 1)).astype(F32)
    assert_equal("tally", column, np.zeros(1, F32), F32(-9), F32(9), out=np.zeros(1, np.int64))
    sums = []
    for one in (PLAIN, FAST):
        found = np.ones((2, 2), F32)
        one.halve(np.full((3, 3), -0.0, F32), found, np.zeros((2, 2), np.uint8))
        sums.append(found.tobytes())
    assert sums[0] == sums[1]


@FEW
@given(maps)
def test_halves(values: npt.NDArray[np.float32]) -> None:
    half = tuple(-(-side // 2) for side in values.shape)
    found = []
    for one in (PLAIN, FAST):
        sums, counts = np.zeros(half, F32), np.zeros(half, np.uint8)
        with np.errstate(over="ignore", invalid="ignore"):
            one.halve(values, sums, counts)
        found.append((sums, counts))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][1].sum() == np.count_nonzero(~np.isnan(values))
    with np.errstate(over="ignore", invalid="ignore"):
        assert_equal("average", found[0][0], found[0][1], out=np.zeros(half, F32))
        assert_equal("average", found[0][0], found[0][1].astype(np.uint32) << 24, out=np.zeros(half, F32))


@FEW
@given(maps)
def test_pictures_and_tiles(values: npt.NDArray[np.float32]) -> None:
    rows, columns = values.shape
    assert_equal("predict", values, out=np.zeros((rows, 4 * columns), np.uint8))
    assert_equal("shade", values, F32(-0.5), F32(1.5), out=np.zeros(values.shape, np.uint8))
    known = np.nan_to_num(values, nan=0.0)
    assert_equal("shade_plainly", values, F32(-2), F32(np.inf), out=np.zeros(values.shape, np.uint8))
    low = known.min()
    if float(known.max()) - float(low) < 3e38:
        divisor = known.max() - low + F32(1e-6)
        assert_equal("shade_plainly", values, low, divisor, out=np.zeros(values.shape, np.uint8))
    row_of_png = np.zeros((rows, columns + 1), np.uint8)
    FAST.shade(values, F32(-0.5), F32(1.5), row_of_png[:, 1:])
    assert not row_of_png[:, 0].any()


def test_tables() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    table = np.arange(65536, dtype=F32).reshape(256, 256)
    assert_equal("look_up", photo[..., 0], photo[..., 1], table, out=np.zeros((7, 5), F32))
    target = np.zeros((7, 5), F32)
    FAST.look_up(photo[..., 0], photo[..., 1], table, target)
    np.testing.assert_array_equal(target, photo[..., 1] * F32(256) + photo[..., 0])


@pytest.mark.slow
def test_a_process_begins_with_plain_loops_and_loads_the_others_once() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from orthoray.spectral import loops as l, plain\n"
            "import orthoray.spectral.engine\n"
            "assert l.loops() is plain and 'numba' not in sys.modules\n"
            "assert l.load_compiled() is l.load_compiled() is l.loops() is not plain",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


def test_loops_work_where_machine_code_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from orthoray.spectral import compiled

    def nowhere(_self: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(type(compiled.contains), "enable_caching", nowhere)
    again = compiled._compiled(lambda array, value: array[0, 0] == value)
    assert again(np.ones((1, 1), np.uint8), np.uint8(1))


def test_all_loops_are_there() -> None:
    names = [name for name in vars(Loops) if not name.startswith("_")]
    assert len(names) == 14
    for name in names:
        assert callable(getattr(plain, name))
        assert callable(getattr(FAST, name))
    assert module.PAYING_PIXELS > 0
    assert loops() is FAST
