from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.spectral.indices import CATALOGUE
from orthoray.spectral.scratch import Scratch, compute_in, own_scratch
from orthoray.spectral.terms import Band, Binary, Call, Negative, Number, Power, Term, evaluate

Array = npt.NDArray[Any]

numbers = st.builds(Number, st.sampled_from([0.0, -0.0, 0.5, 1.0, 2.0, -3.0, 1e-6, 1e30]))
leaves: st.SearchStrategy[Term] = st.sampled_from([Band("N"), Band("R"), Band("B")]) | numbers


def branches(inner: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    return st.one_of(
        st.builds(Negative, inner),
        st.builds(Binary, st.sampled_from(["+", "-", "*", "/"]), inner, inner),
        st.builds(Power, inner, st.sampled_from([1.0, 2.0, 0.5, 4.0, 3.0, -1.5])),
        st.builds(lambda f, a: Call(f, (a,)), st.sampled_from(["abs", "sqrt", "exp", "log", "log10"]), inner),
        st.builds(lambda f, a, b: Call(f, (a, b)), st.sampled_from(["minimum", "maximum"]), inner, inner),
    )


terms = st.recursive(leaves, branches, max_leaves=12)


def has_band(term: Term) -> bool:
    match term:
        case Band():
            return True
        case Number():
            return False
        case Negative(part) | Power(part, _):
            return has_band(part)
        case Binary(_, left, right):
            return has_band(left) or has_band(right)
        case Call(_, arguments):
            return any(map(has_band, arguments))


def is_folded(term: Term) -> bool:
    """As the parser builds it: what has no band is one number."""
    match term:
        case Band() | Number():
            return True
        case Negative(part) | Power(part, _):
            return has_band(part) and is_folded(part)
        case Binary(_, left, right):
            return has_band(term) and is_folded(left) and is_folded(right)
        case Call(_, arguments):
            return has_band(term) and all(map(is_folded, arguments))


def some_bands(dtype: str) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    made = {name: rng.uniform(-2, 3, (6, 7)).astype(dtype) for name in ("N", "R", "B")}
    made["N"][0, :4] = [np.nan, np.inf, -0.0, 0.0]
    made["R"][:2, 1] = 0
    return made


@settings(max_examples=60, deadline=None)
@given(term=terms.filter(has_band).filter(is_folded), dtype=st.sampled_from(["float32", "float64"]))
def test_any_formula_is_the_same_bit_by_bit(term: Term, dtype: str) -> None:
    bands, scratch = some_bands(dtype), Scratch(64)
    before = {name: band.tobytes() for name, band in bands.items()}
    with np.errstate(all="ignore"):
        for _ in range(2):  # the second time in memory that holds the first
            found = compute_in(scratch, term, bands)
            np.testing.assert_array_equal(found, evaluate(term, bands))
            assert found.dtype == np.dtype(dtype)
            assert found.shape == (6, 7)
            assert not any(np.shares_memory(found, band) for band in bands.values())
            scratch.give(found)
    assert before == {name: band.tobytes() for name, band in bands.items()}


def test_the_catalogue_gives_back_what_it_takes() -> None:
    rng = np.random.default_rng(5)
    for index in CATALOGUE:
        if not index.computable:
            continue
        bands = {name: rng.uniform(0, 1, (4, 5)) for name in index.bands}
        scratch = Scratch(20)
        sizes = []
        with np.errstate(all="ignore"):
            for _ in range(3):
                found = compute_in(scratch, index.expression.term, bands)
                assert found.tobytes() == index.expression(bands).tobytes(), index.name
                scratch.give(found)
                sizes.append(sum(map(len, scratch._free.values())))
        assert sizes[0] == sizes[1] == sizes[2] <= 6, "no array is lost and none is made anew"


def test_what_is_given_back_is_taken_again() -> None:
    scratch = Scratch(12)
    first = scratch.take((3, 4), np.float32)
    other = scratch.take((3, 4), np.float32)
    assert not np.shares_memory(first, other)
    scratch.give(first)
    again = scratch.take((2, 2), np.float32)
    assert np.shares_memory(first, again)
    assert not np.shares_memory(first, scratch.take((12,), np.float64))
    scratch.give(again)
    assert scratch.take((3, 4), np.float32).shape == (3, 4), "a part was given back, the whole is there"


def test_a_larger_array_than_announced() -> None:
    scratch = Scratch(4)
    scratch.give(scratch.take((2,), np.uint8))
    large = scratch.take((5, 5), np.uint8)
    large[...] = 7
    scratch.give(large)
    assert not np.shares_memory(large, scratch.take((3,), np.uint8)), "a thread would keep it for good"


def test_every_thread_has_its_own() -> None:
    found: list[Scratch] = []
    threads = [threading.Thread(target=lambda: found.append(own_scratch())) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert len({id(scratch) for scratch in (*found, own_scratch())}) == 3
    assert own_scratch() is own_scratch()
