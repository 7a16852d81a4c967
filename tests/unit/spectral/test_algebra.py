from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.spectral.expression import Expression, parse


def read(text: str) -> Expression:
    return parse(text, bands=("B", "G", "R", "N"), constants={"zero": 0.0, "alpha": 0.1})


@pytest.mark.parametrize(
    "text",
    [
        "N",
        "N - R",
        "N / R",
        "(N - R) / (N + R)",
        "(N - R) / (R + N)",
        "(R - N) / (N + R)",
        "2 * (N - R) / (N + R)",
        "2 * N / R",
        "(N - R) / (N + R) * 0.5",
        "(N / R) / 4",
        "-4 * N",
        "(2 * 8) * (N / R)",
    ],
)
def test_simple_ratios(text: str) -> None:
    assert read(text).is_simple_ratio


@pytest.mark.parametrize(
    "text",
    [
        "N + R",
        "N * R",
        "-N",
        "3 * N",
        "N - 1",
        "N / R - 1",
        "(N - R) / (N + G)",
        "(N - R) / (N - R)",
        "(N + R) / (N - R)",
        "(N - R - G) / (N + R + G)",
        "0 * N",
        "1e9 * N",
        "2 ** 12 * (2 ** 12 * N) / 2 ** 16 / 2 ** 16 + N",
        "sqrt(N)",
        "N ** 2",
        "2 / N",
        "3 * (N - R) / (N + R)",
    ],
)
def test_everything_else_is_no_simple_ratio(text: str) -> None:
    assert not read(text).is_simple_ratio


@pytest.mark.parametrize(
    "text",
    [
        "(N - R) / (N + R)",
        "N / R - 1",
        "(N ** 2 - R * B) / (N ** 2 + R * B)",
        "(N / R - 1) / (N / R + 1) ** 0.5",
        "sqrt(N * R) / G",
        "N ** 0.5 / sqrt(R)",
        "abs(N - R) / maximum(N, R)",
        "minimum(N / R, 2)",
        "exp(-(N / R)) + log(G / B)",
        "N / (R + zero)",
        "(N - R + zero * G ** 2) / G",
        "(N - alpha * R) / (N + alpha * R)",
        "zero * N",
    ],
)
def test_scale_free(text: str) -> None:
    expression = read(text)
    assert expression.scale_free
    bands = {name: np.array([0.1, 0.5, 0.9]) * number for number, name in enumerate("BGRN", 1)}
    scaled = {name: 37.0 * values for name, values in bands.items()}
    np.testing.assert_allclose(expression(scaled), expression(bands), rtol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "N",
        "N - R",
        "(N - R) / (N + R + 0.5)",
        "N / R * G",
        "1 / N",
        "sqrt(N)",
        "log(N)",
        "exp(N - R)",
        "minimum(N, 0.5)",
        "abs(N)",
        "(N ** 2 - R) / (N ** 2 + R)",
        "maximum(N, R ** 2) / N",
        "log(N) - log(R)",
    ],
)
def test_not_scale_free_or_not_known(text: str) -> None:
    assert not read(text).scale_free


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(N - R) / (N + R)", (-1, 1)),
        ("(N - R) / (N + R + 0.5)", (-1, 1)),
        ("1.5 * (N - R) / (N + R + 0.5)", (-1.5, 1.5)),
        ("N / (N + R + G)", (0, 1)),
        ("N / (N + 2 * R)", (0, 1)),
        ("2.5 * (N - R) / (N + 2.5 * R + 1)", (-1, 2.5)),
        ("(N - alpha * R) / (N + R)", (-0.1, 1)),
        ("(N ** 2 - R * B) / (N ** 2 + R * B)", (-1, 1)),
        ("(N ** 1.5 - R) / (N ** 1.5 + R)", (-1, 1)),
        ("(N - R) / (N + R) - (G - B) / (G + B)", (-2, 2)),
        ("((N - R) / (N + R)) * ((G - B) / (G + B))", (-1, 1)),
        ("((N - R) / (N + R)) ** 2", (-1, 1)),
        ("-(N - R) / (N + R) + 1", (0, 2)),
        ("(0.1 * N + 0.2 * N - 0.3 * N + R) / (R + G)", (0, 1)),
    ],
)
def test_bounds(text: str, expected: tuple[float, float]) -> None:
    assert read(text).value_range == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "N",
        "N - R",
        "N / R",
        "N / N",
        "(N - R) / (N + R - B)",
        "(N - R) / (-N - R)",
        "(N - R) / (N + G)",
        "sqrt(N) / (sqrt(N) + 1)",
        "(N + R) ** 0.5 / (N + R)",
        "(N - R) ** 1.5 / N",
        "(N - R) / (zero * N)",
        "(N / R) ** -1",
        "(N + R) ** 4 * (N + G) ** 4 * (N + B) ** 4 * (R + G) ** 4 / (N + 1) ** 16",
        "1e300 * N / (1e-300 * N + R)",
        "(1e300 * N) ** 15.5 / (N + R)",
        "(1e300 * N - 1e300 * R) * (1e300 * N + 1e300 * R) / (N + R)",
        "(1e-300 * N) ** 15.5 / ((1e-300 * N) ** 15.5 + R)",
    ],
)
def test_bounds_that_cannot_be_told(text: str) -> None:
    assert read(text).value_range is None


COEFFICIENT = st.integers(-3, 3)
SUM = st.tuples(COEFFICIENT, COEFFICIENT, COEFFICIENT, COEFFICIENT).map(
    lambda numbers: f"({numbers[0]} * N + {numbers[1]} * R + {numbers[2]} * G * N + {numbers[3]})"
)


@settings(max_examples=100, deadline=None)
@given(SUM, SUM, SUM, SUM, st.sampled_from("+-*/"))
def test_no_value_lies_outside_its_bounds(a: str, b: str, c: str, d: str, symbol: str) -> None:
    expression = read(f"({a} / (N + {b})) {symbol} ({c} / (R + {d}))")
    rng = np.random.default_rng(11)
    bands = {name: rng.choice([0.0, 1e-3, 0.1, 0.5, 1.0, 40.0], 200) for name in "GRN"}
    with np.errstate(all="ignore"):
        values = expression(bands)
    if expression.value_range is not None:
        low, high = expression.value_range
        values = values[np.isfinite(values)]
        assert ((values >= low - 1e-6) & (values <= high + 1e-6)).all()
