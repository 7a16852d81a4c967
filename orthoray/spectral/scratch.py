"""Memory that is used again, and formulas computed in it.

Fresh memory of a megabyte comes as pages that the system has to clear, one by one and under a lock that threads
share: for the few operations of an index that costs more than the arithmetic.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from orthoray.spectral.terms import Band, Binary, Call, Negative, Number, Power, Term, evaluate

Array = npt.NDArray[Any]

_UFUNCS: dict[str, np.ufunc] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "tanh": np.tanh,
    "minimum": np.minimum,
    "maximum": np.maximum,
}


class Scratch:
    """Arrays of up to `size` elements that are taken and given back. Belongs to one thread at a time."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free: dict[np.dtype[Any], list[Array]] = {}

    def take(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An array with arbitrary content."""
        kind = np.dtype(dtype)
        count = math.prod(shape)
        free = self._free.setdefault(kind, [])
        whole = free.pop() if free else np.empty(max(self._size, count), kind)
        if whole.size < count:
            whole = np.empty(count, kind)
        return whole[:count].reshape(shape)

    def give(self, array: Array) -> None:
        """Take back an array from `take`, which must not be used any more; larger ones are let go."""
        whole = array
        while isinstance(whole.base, np.ndarray):
            whole = whole.base
        if whole.size <= self._size:
            self._free[array.dtype].append(whole)


_LOCAL = threading.local()
_SIZE = 512 * 512


def own_scratch() -> Scratch:
    """The memory of the calling thread, for arrays of up to 512 x 512 elements."""
    scratch: Scratch | None = getattr(_LOCAL, "scratch", None)
    if scratch is None:
        scratch = _LOCAL.scratch = Scratch(_SIZE)
    return scratch


def compute_in(scratch: Scratch, term: Term, values: Mapping[str, Array]) -> Array:
    """The value of `term` as `orthoray.spectral.terms.evaluate` has it, in an array of `scratch` to be given back.

    `values` holds one float array per band, all of one shape and dtype. The operations and their order are the
    same, so the values are equal bit by bit.
    """
    result, is_own = _compute(scratch, term, values)
    if is_own:
        return np.asarray(result)
    some = next(iter(values.values()))
    copy = scratch.take(some.shape, some.dtype)
    np.copyto(copy, result)
    return copy


def _compute(scratch: Scratch, term: Term, values: Mapping[str, Array]) -> tuple[Any, bool]:
    """The value, and whether it lies in an array taken here."""
    match term:
        case Number() | Band():
            return evaluate(term, values), False
        case Negative(operand):
            return _apply(scratch, np.negative, [_compute(scratch, operand, values)])
        case Binary(symbol, left, right):
            operands = [_compute(scratch, left, values), _compute(scratch, right, values)]
            return _apply(scratch, _UFUNCS[symbol], operands)
        case Call(function, arguments):
            return _apply(scratch, _UFUNCS[function], [_compute(scratch, part, values) for part in arguments])
        case Power(base, 2.0):
            inner, is_own = _compute(scratch, base, values)
            return _apply(scratch, np.multiply, [(inner, is_own), (inner, False)])
    return evaluate(term, values), False


def _apply(scratch: Scratch, function: np.ufunc, operands: list[tuple[Any, bool]]) -> tuple[Any, bool]:
    arrays = [operand for operand, _ in operands]
    if all(isinstance(operand, float) for operand in arrays):
        return float(function(*arrays)), False
    own = [operand for operand, is_own in operands if is_own]
    like = next(operand for operand in arrays if not isinstance(operand, float))
    out = own[0] if own else scratch.take(like.shape, like.dtype)
    function(*arrays, out=out)
    for spare in own[1:]:
        scratch.give(spare)
    return out, True
