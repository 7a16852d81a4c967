"""The tree that a formula is parsed into, and its evaluation on arrays of any library of the array API.

A term holds numbers, bands and a few operations and nothing else. Terms are frozen, compare by value and pickle.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Number:
    """A number, or a part of a formula that has numbers and constants alone."""

    value: float


@dataclass(frozen=True)
class Band:
    """A band, or another input that is an array."""

    name: str


@dataclass(frozen=True)
class Negative:
    """A change of sign."""

    operand: Term


@dataclass(frozen=True)
class Binary:
    """A sum, difference, product or quotient: `operator` is a key of `OPERATORS`."""

    operator: str
    left: Term
    right: Term


@dataclass(frozen=True)
class Power:
    """A power with a constant exponent."""

    base: Term
    exponent: float


@dataclass(frozen=True)
class Call:
    """A function of `FUNCTIONS` and its arguments, one of which at least is not a number."""

    function: str
    arguments: tuple[Term, ...]


Term = Number | Band | Negative | Binary | Power | Call

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
)

FUNCTIONS: Mapping[str, Callable[..., float]] = MappingProxyType(
    {
        "abs": math.fabs,
        "sqrt": math.sqrt,
        "exp": math.exp,
        "log": math.log,
        "log10": math.log10,
        "tanh": math.tanh,
        "minimum": min,
        "maximum": max,
    }
)
"""The functions that a formula may call, as they are for plain numbers; on arrays the function of the same name in
the array's own namespace is called. `log` is natural."""

ARGUMENTS: Mapping[str, int] = MappingProxyType(dict.fromkeys(FUNCTIONS, 1) | {"minimum": 2, "maximum": 2})
"""How many arguments each function takes."""


def evaluate(term: Term, values: Mapping[str, Any]) -> Any:
    """The value of `term`: an array of the bands' shape, dtype and library.

    `values` holds one real floating array per band, all of one shape and dtype. Numbers enter as Python floats, so
    that float32 stays float32. Nothing is masked: x/0 is what the library makes of it. Raises `KeyError` where a
    band is not in `values`.
    """
    match term:
        case Number(value):
            return value
        case Band(name):
            return values[name]
        case Negative(operand):
            return -evaluate(operand, values)
        case Binary(symbol, left, right):
            return OPERATORS[symbol](evaluate(left, values), evaluate(right, values))
        case Power(base, exponent):
            return _power(evaluate(base, values), exponent)
        case Call(function, arguments):
            return _call(function, [evaluate(argument, values) for argument in arguments])


def _power(base: Any, exponent: float) -> Any:
    # A general power takes tens of times as long as the products and the root that most formulas mean.
    if exponent == 1.0:
        return base
    if exponent == 2.0:
        return base * base
    if exponent == 0.5:
        return namespace_of(base).sqrt(base)
    if exponent == 4.0:
        square = base * base
        return square * square
    return base**exponent


def _call(function: str, arguments: list[Any]) -> Any:
    array = next(argument for argument in arguments if not isinstance(argument, float))
    namespace = namespace_of(array)
    # Only the newest revision of the array API takes a Python number beside an array here.
    operands = [
        namespace.full_like(array, argument) if isinstance(argument, float) else argument
        for argument in arguments
    ]
    return getattr(namespace, function)(*operands)


def namespace_of(array: Any) -> Any:
    """The module whose functions work on `array`: what the array API says, else the module of its class."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    return sys.modules[type(array).__module__.partition(".")[0]]
