from __future__ import annotations

import math
import pickle
import time
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.errors import Impossible
from orthoray.spectral.expression import MAX_DEPTH, MAX_LENGTH, MAX_NODES, Expression, parse

BANDS = ("B", "G", "R", "N", "RE1")
CONSTANTS = {"L": 0.5, "nexp": 2.0, "seventeen": 17.0, "undefined": math.nan}
VALUES = {name: np.array([0.125, 0.5, 0.75]) * (number + 1) for number, name in enumerate(BANDS)}


def read(text: str) -> Expression:
    return parse(text, bands=BANDS, constants=CONSTANTS)


def refusal(text: str) -> Impossible:
    with pytest.raises(Impossible) as caught:
        read(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "normal", "expected"),
    [
        ("(N-R)/(N+R)", "(N - R) / (N + R)", lambda b: (b["N"] - b["R"]) / (b["N"] + b["R"])),
        ("  N -\tR\n", "N - R", lambda b: b["N"] - b["R"]),
        ("((N))", "N", lambda b: b["N"]),
        ("-N - -R", "-N - -R", lambda b: -b["N"] + b["R"]),
        ("+N", "+N", lambda b: b["N"]),
        ("2 - 3*N", "2 - 3 * N", lambda b: 2 - 3 * b["N"]),
        ("N - R - G", "N - R - G", lambda b: b["N"] - b["R"] - b["G"]),
        ("N - (R - G)", "N - (R - G)", lambda b: b["N"] - (b["R"] - b["G"])),
        ("N / R / G", "N / R / G", lambda b: b["N"] / b["R"] / b["G"]),
        ("-N**2", "-N ** 2", lambda b: -(b["N"] ** 2)),
        ("N^2 - R^2", "N ** 2 - R ** 2", lambda b: b["N"] ** 2 - b["R"] ** 2),
        ("N**0.5 + N**3 + N**4 + N**-1 + N**1 + N**0", None,
         lambda b: b["N"] ** 0.5 + b["N"] ** 3 + b["N"] ** 4 + 1 / b["N"] + b["N"] + 1),
        ("N ** nexp", "N ** nexp", lambda b: b["N"] ** 2),
        ("N**(1/3)", "N ** (1 / 3)", lambda b: np.cbrt(b["N"])),
        ("(1 + L) * (N-R) / (N+R+L)", None, lambda b: 1.5 * (b["N"] - b["R"]) / (b["N"] + b["R"] + 0.5)),
        ("1e-1 * N + .5 + 2.", "0.1 * N + 0.5 + 2.0", lambda b: 0.1 * b["N"] + 2.5),
        ("sqrt(N) + abs(-R) + exp(G)", None, lambda b: np.sqrt(b["N"]) + b["R"] + np.exp(b["G"])),
        ("log(N) + log10(R)", None, lambda b: np.log(b["N"]) + np.log10(b["R"])),
        ("minimum(N, 0.7) + maximum(1, R) + minimum(N, R)", None,
         lambda b: np.minimum(b["N"], 0.7) + np.maximum(1, b["R"]) + np.minimum(b["N"], b["R"])),
        ("N * sqrt(4) * maximum(1, 2) * log10(100)", None, lambda b: b["N"] * 8),
    ],
)  # fmt: skip
def test_formulas_are_computed(text: str, normal: str | None, expected: Any) -> None:
    expression = read(text)
    np.testing.assert_allclose(expression(VALUES), expected(VALUES), rtol=1e-14)
    assert normal is None or expression.text == normal
    again = read(expression.text)
    assert again == expression
    np.testing.assert_array_equal(again(VALUES), expression(VALUES))


def test_what_a_formula_needs() -> None:
    expression = read("(1 + L) * (R - N) / (N + R + L)")
    assert expression.bands == ("R", "N")
    assert expression.constants == (("L", 0.5),)
    with pytest.raises(KeyError):
        expression({"R": VALUES["R"]})


def test_a_band_comes_before_a_constant_of_its_name() -> None:
    assert parse("N", bands=("N",), constants={"N": 2.0}).bands == ("N",)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_precision_of_the_bands_is_kept(dtype: str) -> None:
    bands = {name: values.astype(dtype) for name, values in VALUES.items()}
    for text in (
        "1.5 * (N - R) / (N + R + L)",
        "N ** 1.16",
        "sqrt(N) + minimum(N, 0.3)",
        "exp(-N) ** 3",
        "-N",
    ):
        assert read(text)(bands).dtype == np.dtype(dtype)


def test_expressions_travel_between_processes() -> None:
    expression = read("(N ** 2 - R) / maximum(N, L)")
    copy = pickle.loads(pickle.dumps(expression))  # noqa: S301 - our own bytes
    assert copy == expression
    assert hash(copy) == hash(expression)
    np.testing.assert_array_equal(copy(VALUES), expression(VALUES))


HOSTILE = [
    ("__import__('os').system('id')", 0, "__import__('os').system"),
    ("__import__('os')", 0, "__import__"),
    ("N + open('x')", 4, "open"),
    ("exec('1') + N", 0, "exec"),
    ("N + __builtins__", 4, "__builtins__"),
    ("N + N.real", 4, "N.real"),
    ("N.__class__.__mro__[1]", 0, "N.__class__.__mro__[1]"),
    ("N + N[0]", 4, "N[0]"),
    ("lambda: 0", 0, "lambda: 0"),
    ("(lambda: N)()", 1, "lambda: N"),
    ("N if R else G", 0, "N if R else G"),
    ("(N for N in R)", 0, "(N for N in R)"),
    ("[N for N in R]", 0, "[N for N in R]"),
    ("N := R", 2, ":="),
    ("(N := R)", 1, "N := R"),
    ("N + f'{R}'", 4, "f'{R}'"),
    ("N < R", 0, "N < R"),
    ("N == R", 0, "N == R"),
    ("N and R", 0, "N and R"),
    ("not N", 0, "not N"),
    ("~N", 0, "~N"),
    ("N % 2", 0, "N % 2"),
    ("N // 2", 0, "N // 2"),
    ("N @ R", 0, "N @ R"),
    ("N << 2", 0, "N << 2"),
    ("N | R", 0, "N | R"),
    ("'N'", 0, "'N'"),
    ("b'N'", 0, "b'N'"),
    ("N + True", 4, "True"),
    ("N + None", 4, "None"),
    ("N + ...", 4, "..."),
    ("N, R", 0, "N, R"),
    ("{N: R}", 0, "{N: R}"),
    ("await N", 0, "await N"),
    ("yield N", 0, "yield"),
    ("import os", 0, "import"),
    ("N; R", 1, ";"),
    ("N = R", 2, "="),
    ("N # R", 2, "#"),
    ("N \\\n+ R", 2, "\\"),
    ("N\0", 1, "\0"),
    ("N²", 1, "²"),
    ("N − R", 2, "−"),
    ("Ｎ", 0, "Ｎ"),
    ("٣ * N", 0, "٣"),
    ("2N", 0, "2N"),
    ("N + 0x10", 4, "0x10"),
    ("N + 1_000", 4, "1_000"),
    ("N + 1j", 4, "1j"),
    ("1if N else 2", 0, "1if"),
    ("1.0.0 * N", 0, "1.0.0"),
    ("N + 007", 4, "00"),
    ("N + 1e999", 4, "1e999"),
    ("N + -1e999", 5, "1e999"),
    ("N + undefined", 4, "undefined"),
    ("N + " + "1" * 21, 4, "1" * 21),
    ("N ** N", 5, "N"),
    ("2 ** N", 5, "N"),
    ("N ** (10 ** 9)", 6, "10 ** 9"),
    ("N ** -17", 5, "-17"),
    ("N ** seventeen", 5, "seventeen"),
    ("N ^ 17", 4, "17"),
    ("N ^ 2 + q", 8, "q"),
    ("9**9**9**9 * N", 6, "9**9"),
    ("9.0**9**9**9 * N", 8, "9**9"),
    ("1e300 * 1e300 * N", 0, "1e300 * 1e300"),
    ("(0 - 8) ** (1 / 3) * N", 0, "(0 - 8) ** (1 / 3)"),
    ("sqrt(-1) * N", 0, "sqrt(-1)"),
    ("log(0) * N", 0, "log(0)"),
    ("exp(1000) * N", 0, "exp(1000)"),
    ("N / 0", 0, "N / 0"),
    ("N / (1 - 1)", 0, "N / (1 - 1)"),
    ("0 ** -1 * N", 0, "0 ** -1"),
    ("sqrt + N", 0, "sqrt"),
    ("sqrt()", 0, "sqrt()"),
    ("sqrt(N, R)", 0, "sqrt(N, R)"),
    ("minimum(N)", 0, "minimum(N)"),
    ("sqrt(x=N)", 0, "sqrt(x=N)"),
    ("sqrt(N, x=N)", 0, "sqrt(N, x=N)"),
    ("sqrt(*N)", 5, "*N"),
    ("sum(N)", 0, "sum"),
    ("N + (R", 4, "("),
    ("N + R)", 5, ")"),
    ("N R", 2, "R"),
    ("N +", 3, ""),
    ("N + )", 4, ")"),
    ("", 0, ""),
    (" \n ", 0, ""),
    ("2 * 3", 0, "2 * 3"),
    ("L", 0, "L"),
    (" \n N + q", 7, "q"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "position", "part"), HOSTILE)
def test_everything_else_is_refused_and_pointed_at(text: str, position: int, part: str) -> None:
    error = refusal(text)
    assert (error.fields["position"], error.fields["part"]) == (position, part)
    assert error.fields["expression"] == text
    assert not part or f"At character {position + 1}: {part!r}" in error.detail


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(" * 10_000, "10000 characters; 500 is the limit"),
        ("(" * 10_000 + "N" + ")" * 10_000, "characters"),
        ("(" * 200 + "N" + ")" * 200, "nested more than 40 deep"),
        ("((" * 100 + "N", "nested more than 40 deep"),
        ("[" * 250 + "]" * 250, "nested more than 40 deep"),
        ("-" * 499 + "N", "nested"),
        ("not " * 120 + "N", "nested|not arithmetic"),
        ("N**" * 160 + "2", "nested"),
        ("N+" * 249 + "N", "nested|parts"),
        ("maximum(N," * 40 + "N" + ")" * 40, "nested"),
        ("N" * 501, "501 characters"),
        ("9**" * 100 + "9", "nested|exponent"),
        ("1" * 500, "more than 20 digits"),
    ],
)
def test_size_and_depth_are_limited(text: str, message: str) -> None:
    started = time.perf_counter()
    with pytest.raises(Impossible, match=message) as caught:
        read(text)
    assert time.perf_counter() - started < 0.5
    assert len(caught.value.fields["expression"]) <= MAX_LENGTH
    assert len(caught.value.fields["part"]) < 100
    assert len(caught.value.detail) < 600


def test_what_is_just_within_the_limits_is_accepted() -> None:
    deep = "(" * MAX_DEPTH + "N" + ")" * MAX_DEPTH
    assert read(deep).text == "N"
    long = "N" + " " * (MAX_LENGTH - 2) + "+"
    assert refusal(long).fields["position"] == MAX_LENGTH
    assert read("-" * (MAX_DEPTH - 1) + "N")(VALUES)[0] == -VALUES["N"][0]
    wide = "+".join(f"({'+'.join(['N'] * 16)})" for _ in range(9))
    assert read(wide)(VALUES)[0] == pytest.approx(9 * 16 * VALUES["N"][0])
    with pytest.raises(Impossible, match=f"more than {MAX_NODES} parts"):
        read("+".join(f"({'+'.join(['N'] * 16)})" for _ in range(10)))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("n", "N"),
        ("re1", "RE1"),
        ("NIR", "N"),
        ("red", "R"),
        ("green", "G"),
        ("RedEdge", "RE1"),
        ("l", "L"),
        ("nexpp", "nexp"),
    ],
)
def test_unknown_names_are_told_what_is_known(name: str, meant: str) -> None:
    error = refusal(f"G - {name}")
    assert f"Did you mean {meant}?" in error.detail
    assert "Bands: B, G, R, N, RE1." in error.detail
    assert error.fields["known_bands"] == list(BANDS)
    assert error.fields["known_constants"] == list(CONSTANTS)
    assert error.fields["close"] == [meant]


def test_nothing_is_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for text, *_ in HOSTILE:
            refusal(text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="NRGL0123456789.eE+-*/^() ,_'\"[]{}:=<x\n", max_size=40) | st.text(max_size=40))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    try:
        expression = read(text)
    except Impossible as error:
        assert 0 <= error.fields["position"] <= len(text)  # noqa: PT017 - either outcome is right
        assert text[error.fields["position"] :].startswith(error.fields["part"].removesuffix("..."))  # noqa: PT017
    else:
        with np.errstate(all="ignore"):
            result = expression(VALUES)
        assert result.shape == VALUES["N"].shape
        assert read(expression.text) == expression
        assert isinstance(expression.scale_free, bool)
        assert isinstance(expression.is_simple_ratio, bool)
        low, high = expression.value_range or (0.0, 1.0)
        assert low < high


def numbers() -> st.SearchStrategy[str]:
    return st.floats(0.1, 9).map(lambda value: repr(round(value, 3)))


FORMULAS = st.recursive(
    st.sampled_from(BANDS) | numbers(),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner)
        | st.builds("-{}".format, inner)
        | st.builds("({}) ** {}".format, inner, st.sampled_from(["2", "3", "0.5", "1.5", "-1"]))
        | st.builds("sqrt({})".format, inner)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(FORMULAS)
def test_the_value_is_that_of_python(text: str) -> None:
    with np.errstate(all="ignore"):
        try:
            expression = read(f"N * 0 + {text}")
            result = expression(VALUES)
        except Impossible:
            return
        expected = eval(f"N * 0 + {text}", {"sqrt": np.sqrt}, dict(VALUES))  # noqa: S307 - our own strings
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-12)
    if expression.value_range is not None:
        low, high = expression.value_range
        finite = result[np.isfinite(result)]
        assert ((finite >= low - 1e-6) & (finite <= high + 1e-6)).all()
