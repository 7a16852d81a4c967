"""Numbers and dates in three languages; shares that add up."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.errors import BadInput
from orthoray.reporting.formats import DASH, Formats, apportion, bound_decimals, significant
from orthoray.reporting.texts import texts_for

EN, RU, RO = (Formats(texts_for(language)) for language in ("en", "ru", "ro"))
MOMENT = datetime(2026, 5, 3, 23, 30, tzinfo=timezone(timedelta(hours=-2)))


@pytest.mark.parametrize(
    ("formats", "expected"),
    [(EN, "−1,234,567.50"), (RU, "−1\u00a0234\u00a0567,50"), (RO, "−1.234.567,50")],
)
def test_number_uses_the_signs_of_the_language(formats: Formats, expected: str) -> None:
    assert formats.number(-1234567.5, 2) == expected


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_a_dash(value: float | None) -> None:
    assert (
        EN.number(value) == EN.percent(value) == EN.area(value) == EN.gsd(value) == EN.metres(value) == DASH
    )
    assert EN.position(value, 1.0) == EN.index_value(value) == DASH


def test_a_negative_that_rounds_to_nothing_has_no_sign() -> None:
    assert EN.number(-0.0004, 3) == "0.000"


def test_an_enormous_number_stays_short() -> None:
    assert RU.number(-1.5e-300 * 1e305 * 1e20) == "−1,50·10^25"


@pytest.mark.parametrize(
    ("value", "expected"), [(0.41249, "0.412"), (-12.345, "−12.35"), (18.78745, "18.79"), (250.06, "250.1")]
)
def test_index_values_keep_about_three_digits(value: float, expected: str) -> None:
    assert EN.index_value(value) == expected


def test_percent_follows_the_language() -> None:
    assert (EN.percent(12.34), RU.percent(12.34), RO.percent(12.34)) == (
        "12.3%",
        "12,3\u00a0%",
        "12,3\u00a0%",
    )


@pytest.mark.parametrize(
    ("area_m2", "expected"),
    [(0.0, "0,00 м²"), (94.5, "94,50 м²"), (999.0, "999 м²"), (5188625.0, "518,86 га")],
)
def test_small_areas_are_in_square_metres(area_m2: float, expected: str) -> None:
    assert RU.area(area_m2) == expected


def test_sizes_and_distances() -> None:
    assert EN.gsd(0.0108282) == "1.08 cm/pixel"
    assert RO.gsd(5.0) == "5 m/pixel"
    assert RU.file_size(943_177) == "943,2 кБ"
    assert EN.file_size(12) == "12 B"


def test_positions_name_the_hemisphere() -> None:
    assert EN.position(-33.5, -70.25) == "33.50000°\u00a0S; 70.25000°\u00a0W"
    assert RU.position(47.0245, 28.8323) == "47,02450°\u00a0с.\u00a0ш.; 28,83230°\u00a0в.\u00a0д."


def test_moments_are_told_in_utc() -> None:
    assert EN.date_time(MOMENT) == "4 May 2026, 01:30 UTC"
    assert RU.date_time(MOMENT) == "4 мая 2026 г., 01:30 UTC"
    assert RO.date(datetime(2026, 11, 22, tzinfo=UTC)) == "22 noiembrie 2026"


def test_a_moment_without_a_zone_claims_none() -> None:
    assert EN.date_time(datetime(2026, 5, 3, 23, 30)) == "3 May 2026, 23:30"  # noqa: DTZ001  # as EXIF writes it


@pytest.mark.parametrize(("value", "decimals"), [(0.1, 2), (0.125, 3), (0.0, 2), (1 / 3, 6), (None, 2)])
def test_thresholds_are_shown_as_they_were_set(value: float | None, decimals: int) -> None:
    assert bound_decimals(value) == decimals


def test_thirds_add_up_to_a_hundred() -> None:
    assert apportion([100 / 3] * 3, 1) == (33.4, 33.3, 33.3)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_apportioned_values_add_up_and_stay_near(values: list[float], decimals: int) -> None:
    rounded = apportion(values, decimals)
    unit = 10.0**-decimals
    assert math.isclose(math.fsum(rounded), round(math.fsum(values), decimals), abs_tol=unit * 0.51)
    assert round(math.fsum(rounded) / unit) == round(math.fsum(value / unit for value in values))
    assert all(abs(a - b) < unit * 1.001 for a, b in zip(rounded, values, strict=True))


@pytest.mark.parametrize(("tag", "language"), [(None, "ru"), ("", "ru"), ("ro-MD", "ro"), ("EN_us", "en")])
def test_language_tags(tag: str | None, language: str) -> None:
    assert texts_for(tag).language == language


def test_an_unknown_language_is_refused_with_the_choice() -> None:
    with pytest.raises(BadInput, match="Romanian") as caught:
        texts_for("uk")
    assert caught.value.fields["languages"] == ["en", "ru", "ro"]


def test_a_plain_number_has_the_digits_that_it_has() -> None:
    assert [formats.plain(-0.0001) for formats in (EN, RU, RO)] == ["−0.0001", "−0,0001", "−0,0001"]
    assert EN.plain(2.0) == "2"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.249999985, 0.25), (-0.53117984, -0.5312), (0.0, 0.0), (123456.7, 123457.0), (-1e-45, 0.0)],
)
def test_a_cut_of_an_image_has_as_many_digits_as_it_is_worth(value: float, shown: float) -> None:
    assert significant(value) == pytest.approx(shown, abs=1e-12)
