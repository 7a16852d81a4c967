"""What can be known of a formula without computing it: its degree, its bounds, and how much precision it needs."""

from __future__ import annotations

import math

from orthoray.spectral.terms import Band, Binary, Call, Negative, Number, Power, Term

# A polynomial with nonnegative variables: from monomials (sorted pairs of band and exponent) to coefficients.
Monomial = tuple[tuple[str, float], ...]
Polynomial = dict[Monomial, float]

_ONE: Polynomial = {(): 1.0}
_MAX_MONOMIALS = 400
_TINY = 1e-12
_DIGITS = 9


def is_simple_ratio(term: Term) -> bool:
    """Whether float32 gives, for bands of 8- and 16-bit integers, the very float32 that float64 rounds to.

    True for a band, a / b, a - b and (a - b) / (a + b), also with the operands of + exchanged and times a power of
    two: sums and differences of such integers are exact in float32, so that one rounding is left. Everything else
    is False.
    """
    match term:
        case Band():
            return True
        case Binary("*", Number(factor), rest) | Binary("*" | "/", rest, Number(factor)):
            return _is_power_of_two(factor) and is_simple_ratio(rest)
        case Binary("/", Binary("*", Number(factor), above), below):
            return _is_power_of_two(factor) and is_simple_ratio(Binary("/", above, below))
        case Binary("-" | "/", Band(), Band()):
            return True
        case Binary("/", Binary("-", Band(a), Band(b)), Binary("+", Band(c), Band(d))):
            return {a, b} == {c, d}
    return False


def _is_power_of_two(factor: float) -> bool:
    return abs(math.frexp(factor)[0]) == 0.5 and 2**-16 <= abs(factor) <= 2**16


def is_scale_free(term: Term) -> bool:
    """Whether multiplying all bands by one positive factor leaves the value as it is.

    Found by the degrees of the parts: those of a sum must be equal, and a number has degree 0. False where this
    does not tell.
    """
    degree = _degree(term)
    return degree is not None and (math.isnan(degree) or abs(degree) < _TINY)


def _degree(term: Term) -> float | None:
    """The degree of homogeneity, None where there is none; NaN for zero, which has every degree."""
    degree: float | None
    match term:
        case Number(value):
            degree = 0.0 if value else math.nan
        case Band():
            degree = 1.0
        case Negative(operand) | Call("abs", (operand,)):
            degree = _degree(operand)
        case Binary("+" | "-", left, right) | Call("minimum" | "maximum", (left, right)):
            degree = _same(_degree(left), _degree(right))
        case Binary(symbol, left, right):
            degree = _times(_degree(right), 1.0 if symbol == "*" else -1.0, plus=_degree(left))
        case Power(base, exponent):
            degree = _times(_degree(base), exponent)
        case Call("sqrt", (operand,)):
            degree = _times(_degree(operand), 0.5)
        case Call(_, arguments):
            degree = 0.0 if all(is_scale_free(argument) for argument in arguments) else None
    return degree


def _times(degree: float | None, factor: float, *, plus: float | None = 0.0) -> float | None:
    return None if degree is None or plus is None else plus + factor * degree


def _same(one: float | None, other: float | None) -> float | None:
    """The degree of a sum."""
    if one is None or other is None:
        return None
    if math.isnan(one) or math.isnan(other):
        return other if math.isnan(one) else one
    return one if abs(one - other) < _TINY else None


def bounds(term: Term) -> tuple[float, float] | None:
    """(lowest, highest) value for bands that are not negative, None where that cannot be told.

    The formula is written as one fraction of polynomials. Where no coefficient p of the denominator is negative and
    every monomial of the numerator is in the denominator too, the fraction is a mean of the quotients of
    coefficients weighted by nonnegative numbers, and so lies between the least and the greatest of them: -1 and 1
    for a normalised difference.
    """
    fraction = _fraction(term)
    if fraction is None:
        return None
    numerator, denominator = fraction
    if not denominator or min(denominator.values()) <= 0 or not numerator.keys() <= denominator.keys():
        return None
    quotients = [numerator.get(monomial, 0.0) / coefficient for monomial, coefficient in denominator.items()]
    if not all(map(math.isfinite, quotients)):
        return None
    low, high = round(min(quotients), _DIGITS), round(max(quotients), _DIGITS)
    return (low, high) if low < high else None


def _fraction(term: Term) -> tuple[Polynomial, Polynomial] | None:
    """Numerator and denominator, None where `term` is no such fraction or a large one."""
    match term:
        case Number(value):
            return ({(): value} if value else {}), _ONE
        case Band(name):
            return {((name, 1.0),): 1.0}, _ONE
        case Negative(operand):
            return _combined("*", ({(): -1.0}, _ONE), _fraction(operand))
        case Binary(symbol, left, right):
            return _combined(symbol, _fraction(left), _fraction(right))
        case Power(base, exponent):
            return _raised(_fraction(base), exponent)
    return None


def _combined(
    symbol: str,
    left: tuple[Polynomial, Polynomial] | None,
    right: tuple[Polynomial, Polynomial] | None,
) -> tuple[Polynomial, Polynomial] | None:
    if left is None or right is None:
        return None
    (a, b), (c, d) = left, right
    if max(map(len, (a, b))) * max(map(len, (c, d))) > _MAX_MONOMIALS:
        return None
    if symbol == "*":
        return _product(a, c), _product(b, d)
    if symbol == "/":
        return (_product(a, d), _product(b, c)) if c else None
    sign = 1.0 if symbol == "+" else -1.0
    if b == d:
        return _sum(a, c, sign), b
    return _sum(_product(a, d), _product(c, b), sign), _product(b, d)


def _raised(
    fraction: tuple[Polynomial, Polynomial] | None, exponent: float
) -> tuple[Polynomial, Polynomial] | None:
    if fraction is None:
        return None
    if exponent.is_integer() and 1 <= exponent <= 4:
        result = fraction
        for _ in range(int(exponent) - 1):
            multiplied = _combined("*", result, fraction)
            if multiplied is None:
                return None
            result = multiplied
        return result
    numerator, denominator = (_monomial_power(part, exponent) for part in fraction)
    if numerator is None or denominator is None:
        return None
    return (numerator, denominator) if exponent > 0 else None


def _monomial_power(polynomial: Polynomial, exponent: float) -> Polynomial | None:
    if len(polynomial) != 1:
        return None
    ((monomial, coefficient),) = polynomial.items()
    if coefficient <= 0:
        return None
    powers = tuple((name, power * exponent) for name, power in monomial)
    try:
        return {powers: math.pow(coefficient, exponent)}
    except OverflowError:
        return None


def _product(left: Polynomial, right: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for one, a in left.items():
        for other, b in right.items():
            powers = dict(one)
            for name, power in other:
                powers[name] = powers.get(name, 0.0) + power
            monomial = tuple(sorted(powers.items()))
            result[monomial] = result.get(monomial, 0.0) + a * b
    return result


def _sum(left: Polynomial, right: Polynomial, sign: float) -> Polynomial:
    result = dict(left)
    for monomial, coefficient in right.items():
        total = left.get(monomial, 0.0) + sign * coefficient
        # What rounding leaves of two coefficients that cancel is no monomial of the fraction.
        if abs(total) > _TINY * abs(coefficient):
            result[monomial] = total
        else:
            result.pop(monomial, None)
    return result
