"""Formulas that users write: read through a whitelist, never evaluated as Python.

The grammar is that of arithmetic: decimal numbers, bands, constants, `+ - * /`, `**` (or `^`) with a constant
exponent, parentheses and the functions of `orthoray.spectral.terms.FUNCTIONS`. Python's own parser gives the syntax
tree, of which only these nodes are accepted; all arithmetic on numbers is that of floats.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from orthoray.errors import Impossible
from orthoray.spectral import algebra
from orthoray.spectral.terms import (
    ARGUMENTS,
    FUNCTIONS,
    OPERATORS,
    Band,
    Binary,
    Call,
    Negative,
    Number,
    Power,
    Term,
    evaluate,
)

MAX_LENGTH = 500
MAX_DEPTH = 40
MAX_NODES = 300
MAX_EXPONENT = 16.0
MAX_DIGITS = 20

_PART = 60
_NO_NUMBER = "A number is too large or not defined."
_WHAT_IS_ALLOWED = (
    "A formula has numbers, bands, constants, + - * / **, parentheses and the functions "
    + ", ".join(FUNCTIONS)
)
# A number and what follows it without a space, of which nothing belongs there: 2N, 0x10, 1_000, 1e5e5.
_NUMBER = re.compile(r"(?<![\w.])((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([\w.]*)", re.ASCII)
_FOREIGN = re.compile(r"[^ -~]|[#\\]")
_SYMBOLS: Mapping[type[ast.operator], str] = MappingProxyType(
    {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
)
_SPOKEN = MappingProxyType(
    {
        "NIR": "N",
        "RED": "R",
        "GREEN": "G",
        "BLUE": "B",
        "REDEDGE": "RE1",
        "RE": "RE1",
        "SWIR": "S1",
        "LWIR": "T",
    }
)


@dataclass(frozen=True)
class Expression:
    """A formula that can be computed.

    `text` is the formula with spaces and parentheses made uniform, `bands` the inputs it needs and `constants` the
    names and values it uses, both in order of first use. It pickles, and two of the same formula are equal.
    """

    text: str
    bands: tuple[str, ...]
    constants: tuple[tuple[str, float], ...]
    term: Term = field(repr=False)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """The formula on floating arrays, one per band and all of one shape and dtype: an array like them.

        Works with NumPy and every library of the array API. x/0 and the like give what the library makes of
        them. Raises `KeyError` where a band is missing.
        """
        return evaluate(self.term, values)

    @cached_property
    def is_simple_ratio(self) -> bool:
        """Whether float32 is as good as float64 for integers of 16 bits; see `algebra.is_simple_ratio`."""
        return algebra.is_simple_ratio(self.term)

    @cached_property
    def scale_free(self) -> bool:
        """Whether the value stays when all bands are multiplied by one positive factor; False when in doubt."""
        return algebra.is_scale_free(self.term)

    @cached_property
    def value_range(self) -> tuple[float, float] | None:
        """(lowest, highest) value for bands that are not negative, None where that cannot be told."""
        return algebra.bounds(self.term)


def parse(text: str, *, bands: Collection[str], constants: Mapping[str, float]) -> Expression:
    """Read a formula.

    Args:
        text: at most `MAX_LENGTH` characters.
        bands: the names that stand for arrays.
        constants: the other names and their finite values; a name that is also a band is the band.

    Raises:
        Impossible: it is not such a formula, or too long, deep or large. The error's `expression` repeats it,
            `position` is the offset from 0 of the offending `part`.
    """
    reader = _Reader(text, bands, constants)
    tree = reader.syntax_tree()
    term = reader.term(tree, 1)
    used = tuple(name for name in reader.used if name in bands)
    if not used:
        raise reader.refused("The expression uses no band.", 0, len(text))
    values = tuple((name, float(constants[name])) for name in reader.used if name not in bands)
    return Expression(text=ast.unparse(tree), bands=used, constants=values, term=term)


class _Reader:
    """One formula on its way from text to terms."""

    def __init__(self, text: str, bands: Collection[str], constants: Mapping[str, float]) -> None:
        self.text = text
        self.bands = bands
        self.constants = constants
        self.used: dict[str, None] = {}
        self._nodes = 0
        # Python's parser sees `code`; `_offsets` leads from its characters back to those of `text`.
        self.code = ""
        self._offsets: list[int] = []

    def syntax_tree(self) -> ast.expr:
        """Python's syntax tree of the formula, after the checks that need no tree."""
        if len(self.text) > MAX_LENGTH:
            raise self.refused(
                f"The expression has {len(self.text)} characters; {MAX_LENGTH} is the limit.",
                MAX_LENGTH,
                len(self.text),
            )
        self._translate()
        if not self.code:
            raise self.refused("The expression is empty.", 0, 0)
        self._check_characters()
        try:
            return ast.parse(self.code, mode="eval").body
        except SyntaxError as error:
            # Columns count from 1; 0 is the end of the text.
            if not error.offset or error.offset > len(self.code):
                raise self._refused_code("The expression ends too early.", len(self.code), 0) from None
            start, end = error.offset - 1, (error.end_offset or 0) - 1
            raise self._refused_code(
                f"The expression cannot be read. {_WHAT_IS_ALLOWED}.", start, end
            ) from None
        except (RecursionError, MemoryError, ValueError):
            raise self._refused_code("The expression is nested too deeply.", 0, len(self.code)) from None

    def _translate(self) -> None:
        for offset, character in enumerate(self.text):
            if not self.code and character.isspace():
                continue
            plain = " " if character in "\t\r\n" else "**" if character == "^" else character
            self.code += plain
            self._offsets += [offset] * len(plain)
        self.code = self.code.rstrip()

    def _check_characters(self) -> None:
        if foreign := _FOREIGN.search(self.code):
            raise self._refused_code(
                "The expression has a character that has no meaning here.", *foreign.span()
            )
        for number in _NUMBER.finditer(self.code):
            if number[2]:
                raise self._refused_code(
                    "Numbers are plain decimals, and products are written with *, for example 2 * N.",
                    *number.span(),
                )
            if sum(character.isdigit() for character in number[1]) > MAX_DIGITS:
                raise self._refused_code(f"A number has more than {MAX_DIGITS} digits.", *number.span())
        depth = 0
        for offset, character in enumerate(self.code):
            depth += (character in "([{") - (character in ")]}")
            if depth > MAX_DEPTH:
                raise self._refused_code(
                    f"Parentheses are nested more than {MAX_DEPTH} deep.", offset, offset + 1
                )

    def term(self, node: ast.expr, depth: int) -> Term:
        """The term of a node, its parts that have numbers alone computed."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._refused_node(f"The expression has more than {MAX_NODES} parts.", node)
        if depth > MAX_DEPTH:
            raise self._refused_node(f"The expression is nested more than {MAX_DEPTH} deep.", node)
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self._number(float(value), node)
            case ast.Name(id=name):
                return self._name(name, node)
            case ast.UnaryOp(op=ast.UAdd() | ast.USub()):
                return self._signed(node, depth)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _SYMBOLS:
                symbol = _SYMBOLS[type(operator)]
                # a + b + c + ... is a row and not a nest; parentheses are counted by themselves
                own = depth if isinstance(left, ast.BinOp) else depth + 1
                return self._binary(symbol, self.term(left, own), self.term(right, depth + 1), node)
            case ast.Call():
                return self._call(node, depth)
        raise self._refused_node(f"This is not arithmetic. {_WHAT_IS_ALLOWED}.", node)

    def _signed(self, node: ast.UnaryOp, depth: int) -> Term:
        operand = self.term(node.operand, depth + 1)
        if isinstance(node.op, ast.UAdd):
            return operand
        return Number(-operand.value) if isinstance(operand, Number) else Negative(operand)

    def _number(self, value: float, node: ast.expr) -> Number:
        if not math.isfinite(value):
            raise self._refused_node(_NO_NUMBER, node)
        return Number(value)

    def _name(self, name: str, node: ast.expr) -> Term:
        if name in self.bands:
            self.used[name] = None
            return Band(name)
        if name in self.constants:
            self.used[name] = None
            return self._number(float(self.constants[name]), node)
        close = self._close(name)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        known = f"Bands: {', '.join(self.bands)}."
        if self.constants:
            known += f" Constants: {', '.join(self.constants)}."
        raise self._refused_node(
            f"There is no band or constant named {name[:_PART]!r}.{hint} {known}",
            node,
            known_bands=list(self.bands),
            known_constants=list(self.constants),
            close=close,
        )

    def _close(self, name: str) -> list[str]:
        names = [*self.bands, *self.constants]
        if name in FUNCTIONS:
            return [f"{name}(...)"]
        spoken = _SPOKEN.get(name.upper().replace("_", ""))
        same = [known for known in names if known.lower() == name.lower()]
        return same or (
            [spoken] if spoken in names else difflib.get_close_matches(name, names, n=3, cutoff=0.7)
        )

    def _binary(self, symbol: str, left: Term, right: Term, node: ast.BinOp) -> Term:
        if symbol == "**":
            return self._power(left, right, node)
        if isinstance(right, Number) and symbol == "/" and right.value == 0:
            raise self._refused_node("This divides by zero.", node)
        if isinstance(left, Number) and isinstance(right, Number):
            return self._number(OPERATORS[symbol](left.value, right.value), node)
        return Binary(symbol, left, right)

    def _power(self, base: Term, exponent: Term, node: ast.BinOp) -> Term:
        if not isinstance(exponent, Number):
            raise self._refused_node("An exponent must be a number or a constant, not a band.", node.right)
        if abs(exponent.value) > MAX_EXPONENT:
            raise self._refused_node(
                f"An exponent lies between -{MAX_EXPONENT:g} and {MAX_EXPONENT:g}.", node.right
            )
        if not isinstance(base, Number):
            return Power(base, exponent.value)
        return self._computed(math.pow, [base.value, exponent.value], node)

    def _call(self, node: ast.Call, depth: int) -> Term:
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            raise self._refused_node(
                f"There is no such function. Functions: {', '.join(FUNCTIONS)}.", node.func
            )
        name = node.func.id
        if len(node.args) != ARGUMENTS[name] or node.keywords:
            raise self._refused_node(
                f"{name} takes {ARGUMENTS[name]} argument{'s'[: ARGUMENTS[name] - 1]}.", node
            )
        arguments = tuple(self.term(argument, depth + 1) for argument in node.args)
        numbers = [argument.value for argument in arguments if isinstance(argument, Number)]
        if len(numbers) < len(arguments):
            return Call(name, arguments)
        return self._computed(FUNCTIONS[name], numbers, node)

    def _computed(self, function: Callable[..., float], numbers: list[float], node: ast.expr) -> Number:
        try:
            return self._number(function(*numbers), node)
        except (ValueError, OverflowError):
            raise self._refused_node(_NO_NUMBER, node) from None

    def _refused_node(self, why: str, node: ast.expr, **fields: Any) -> Impossible:
        # The tree counts bytes, which are characters: anything but ASCII is refused before.
        end = node.end_col_offset
        return self._refused_code(why, node.col_offset, len(self.code) if end is None else end, **fields)

    def _refused_code(self, why: str, start: int, end: int, **fields: Any) -> Impossible:
        offsets = self._offsets[start : max(start + 1, end)]
        if start >= len(self.code) or not offsets:
            at = len(self.text.rstrip())
            return self.refused(why, at, at, **fields)
        return self.refused(why, offsets[0], offsets[-1] + 1, **fields)

    def refused(self, why: str, start: int, end: int, **fields: Any) -> Impossible:
        """The error that quotes the part of the text that is at fault."""
        part = self.text[start:end]
        shown = part if len(part) <= _PART else f"{part[:_PART]}..."
        where = f" At character {start + 1}: {shown!r}." if shown else ""
        return Impossible(
            f"{why}{where}", expression=self.text[:MAX_LENGTH], position=start, part=shown, **fields
        )
