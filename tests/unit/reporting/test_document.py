"""The field report as a reader of the PDF finds it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import numpy as np
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader

from orthoray.errors import BadInput
from orthoray.reporting import report_pdf
from orthoray.reporting.content import (
    ClassRow,
    CropText,
    Histogram,
    ImageFacts,
    IndexFacts,
    Legend,
    ReportContent,
    StatisticsFacts,
    ThresholdFacts,
)
from orthoray.reporting.texts import LANGUAGES, Texts
from orthoray.reporting.theme import Palette

HOSTILE = '<b>x</i> & <para> <img src="file:///etc/passwd"/> \x00\x07\u202e漢字 😀 </font>]]> {0} %s'


def png(width: int, height: int, mode: str = "RGB") -> bytes:
    stream = BytesIO()
    Image.new(mode, (width, height), (90, 170, 60, 120)[: len(mode)]).save(stream, "PNG")
    return stream.getvalue()


def noise_jpeg(width: int, height: int) -> bytes:
    values = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stream = BytesIO()
    Image.fromarray(values).save(stream, "JPEG")
    return stream.getvalue()


def whole(language: str = "en", **over: Any) -> ReportContent:
    labels = {
        "en": ("Healthy", "Critical", "Most plants are healthy."),
        "ru": ("Здоровые", "Критическое", "Большинство растений здоровы."),
        "ro": ("Sănătos", "Critic", "Situația plantelor este bună și stabilă."),
    }[language]
    content = ReportContent(
        language=language,
        report_id="R-145",
        created_at=datetime(2026, 11, 22, 14, 6, tzinfo=UTC),
        image=ImageFacts(
            filename="field.tif",
            width=5150,
            height=4030,
            size_bytes=943_177,
            gsd_m=0.05,
            captured_at=datetime(2026, 5, 1, 7, tzinfo=UTC),
            camera="DJI Mavic 3M",
            latitude=47.0245,
            longitude=28.8323,
            altitude_m=118.4,
            bounds_wgs84=(28.0, 47.0, 28.5, 47.5),
            crs="WGS 84 / UTM zone 35N, EPSG:32635",
        ),
        index=IndexFacts(
            name="NDVI_emp",
            long_name="Normalized Green Red Difference Index",
            common_name="NGRDI",
            formula="(G - R)/(G + R)",
            reference="https://doi.org/10.1016/0034-4257(79)90013-0",
            purpose="Shows green plants.",
        ),
        thresholds=ThresholdFacts("default", (0.1,), "a paper"),
        statistics=StatisticsFacts(1000, 20, 3, -0.5, 0.9, 0.41249, 0.1, 0.4, -0.2, 0.8, 51_886.25),
        classes=(
            ClassRow("healthy", labels[0], 0.1, None, 667, 66.66, 34_590.8, "#2E7D32"),
            ClassRow("critical", labels[1], None, 0.1, 333, 33.34, 17_295.45, "#C62828"),
        ),
        histogram=Histogram(tuple(np.linspace(-1, 1, 65).tolist()), tuple(range(64))),
        legend=Legend(((-0.2, "#a50026"), (0.7, "#006837")), -0.2, 0.7),
        conclusion=labels[2],
        original=png(40, 30),
        heatmap=png(40, 30, "RGBA"),
        provenance={"engine": "numpy", "completed_at": "2026-11-22T14:05:11Z", "own key": "own value"},
    )
    return replace(content, **over)


def text_of(pdf: bytes) -> str:
    """All words, line breaks and no-break spaces as single spaces."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


def pages_of(pdf: bytes) -> int:
    return len(PdfReader(BytesIO(pdf)).pages)


EXPECTED = {
    "en": (
        "Field report",
        "Most plants are healthy.",
        "0.412",
        "66.7%",
        "5.19 ha",
        "22 November 2026",
        "Page 1 / 2",
    ),
    "ru": (
        "Отчёт о состоянии поля",
        "растений здоровы",
        "0,412",
        "66,7 %",
        "5,19 га",
        "22 ноября 2026 г.",
        "Страница 1 / 2",
    ),
    "ro": (
        "Raport privind starea câmpului",
        "Situația plantelor",
        "0,412",
        "66,7 %",
        "5,19 ha",
        "22 noiembrie 2026",
        "Pagina 1 / 2",
    ),
}


@pytest.mark.parametrize("language", EXPECTED)
def test_the_report_in_its_language(language: str) -> None:
    pdf = report_pdf(whole(language))
    text = text_of(pdf)
    for words in (
        *EXPECTED[language],
        "NDVI_emp",
        "NGRDI",
        "field.tif",
        "DJI Mavic 3M",
        "EPSG:32635",
        "own value",
    ):
        assert words in text
    assert pages_of(pdf) == 2
    reader = PdfReader(BytesIO(pdf))
    assert reader.root_object["/Lang"] == language
    assert reader.metadata is not None
    assert reader.metadata.author == "OrthoRay"
    assert reader.metadata.title is not None
    assert "NDVI_emp" in reader.metadata.title
    assert reader.metadata.creation_date == datetime(2026, 11, 22, 14, 6, tzinfo=UTC)
    assert len(reader.outline) == 5


def test_every_font_is_an_embedded_subset() -> None:
    reader = PdfReader(BytesIO(report_pdf(whole("ro"))))
    fonts = {
        name: font.get_object()
        for page in reader.pages
        for name, font in page["/Resources"]["/Font"].get_object().items()
    }
    assert fonts
    for font in fonts.values():
        assert "+PTSans" in font["/BaseFont"]
        assert "/FontFile2" in font["/FontDescriptor"]


def test_equal_content_gives_equal_bytes() -> None:
    assert report_pdf(whole("ru")) == report_pdf(whole("ru"))


def test_nothing_known_is_a_report_all_the_same() -> None:
    for language in EXPECTED:
        pdf = report_pdf(ReportContent(language=language))
        assert pages_of(pdf) == 1
        assert "—" in text_of(pdf)


def test_without_georeference_there_are_no_areas() -> None:
    content = whole(statistics=StatisticsFacts(mean=0.1), image=ImageFacts(filename="photo.jpg"))
    rows = tuple(replace(row, area_m2=None) for row in content.classes)
    text = text_of(report_pdf(replace(content, classes=rows)))
    assert "not georeferenced: no areas" in text
    assert "Area, ha" not in text


def test_printed_shares_add_up() -> None:
    third = ClassRow(label="third", percent=100 / 3, area_m2=1e6 / 3)
    text = text_of(report_pdf(whole(classes=(third, third, third))))
    assert text.count("33.3%") >= 2
    assert "33.4%" in text
    assert "100.0%" in text
    assert "33.34" in text


@pytest.mark.parametrize(
    ("original", "heatmap", "note"),
    [
        (b"junk", png(9, 9), "The picture cannot be shown"),
        (png(9, 9), png(64, 64)[:60], "cannot be shown"),
        (None, None, "No picture"),
    ],
)
def test_a_missing_or_damaged_picture_leaves_a_note(
    original: bytes | None, heatmap: bytes | None, note: str
) -> None:
    assert note in text_of(report_pdf(whole(original=original, heatmap=heatmap)))


@pytest.mark.parametrize(
    ("language", "note"),
    [("en", "no pixel with data"), ("ru", "нет пикселей с данными"), ("ro", "niciun pixel cu date")],
)
def test_a_picture_of_nothing_leaves_a_note(language: str, note: str) -> None:
    stream = BytesIO()
    Image.new("RGBA", (40, 30)).save(stream, "PNG")
    pdf = report_pdf(whole(language, original=stream.getvalue(), heatmap=stream.getvalue()))
    assert text_of(pdf).count(note) == 2
    assert len(PdfReader(BytesIO(pdf)).pages[0].images) == 0


def test_notes_stand_beside_the_conclusion() -> None:
    text = text_of(report_pdf(whole("ru", notes=("Первое.", "<Второе>."))))
    assert "растений здоровы. Что важно учесть Первое. <Второе>." in text
    assert "Что важно учесть" not in text_of(report_pdf(whole("ru")))
    assert "Первое." in text_of(report_pdf(whole("ru", conclusion=None, notes=("Первое.",))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "titles", "largest"),
    [
        ("en", ("Healthy vegetation", "Condition of the field", "Classes of index values"), "class: > 0.10"),
        ("ru", ("Здоровые растения", "Состояние поля", "Классы значений индекса"), "класс: > 0,10"),
        ("ro", ("Vegetație sănătoasă", "Starea câmpului", "Clasele valorilor indicelui"), "mare: > 0,10"),
    ],
)
def test_where_classes_are_not_health_nothing_is_called_healthy(
    language: str, titles: tuple[str, str, str], largest: str
) -> None:
    healthy, condition, values = titles
    text = text_of(report_pdf(whole(language, describes_health=False)))
    assert healthy not in text
    assert condition not in text
    assert values in text
    assert largest in text
    assert healthy in text_of(report_pdf(whole(language)))


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_size_of_classes_by_the_image_itself_is_no_key_figure(language: str) -> None:
    largest = Texts(language)("largest_class", label="")
    assert largest in text_of(report_pdf(whole(language, describes_health=False)))
    text = text_of(report_pdf(whole(language, describes_health=False, relative=True)))
    assert largest not in text
    assert text.index(Texts(language)("std")) < text.index(Texts(language)("distribution"))


def test_pixels_out_of_range_and_of_the_background_are_counted_where_there_are_some() -> None:
    statistics = StatisticsFacts(1000, 20, 3, background_pixels=4321, out_of_range_pixels=17)
    text = text_of(report_pdf(whole(statistics=statistics)))
    assert "Soil and background 4,321" in text
    assert "Pixels out of range 17" in text
    statistics = StatisticsFacts(1000, 20, 3, background_pixels=0, out_of_range_pixels=0)
    text = text_of(report_pdf(whole(statistics=statistics)))
    assert "background" not in text
    assert "out of range" not in text


def test_a_palette_colours_the_report() -> None:
    def drawn(pdf: bytes) -> bytes:
        contents = [page.get_contents() for page in PdfReader(BytesIO(pdf)).pages]
        return b"".join(content.get_data() for content in contents if content is not None)

    own = drawn(report_pdf(whole(palette=Palette("#FF0000", "#0000FF", "#00FFFF", "#FF00FF"))))
    usual = drawn(report_pdf(whole()))
    for color in (b"1 0 0 rg", b"0 0 1 rg", b"0 1 1 RG", b"1 0 1 rg"):
        assert color in own
        assert color not in usual


def test_levels_of_a_crop() -> None:
    crop = CropText("Wheat", 0.65, 0.35, "Turns yellow late.")
    text = text_of(report_pdf(whole(thresholds=ThresholdFacts("NDVI/wheat/1", (0.1,), "a paper", crop))))
    assert "Wheat: healthy above 0.65, stressed at 0.35 and below. Turns yellow late." in text


@pytest.mark.parametrize("size", [(30000, 1), (1, 30000), (1, 1), (900, 300), (300, 900)])
def test_pictures_of_any_proportion(size: tuple[int, int]) -> None:
    pdf = report_pdf(whole(original=png(*size), heatmap=png(*size)))
    assert 2 <= pages_of(pdf) <= 3
    assert len(PdfReader(BytesIO(pdf)).pages[0].images) >= 1


def test_a_big_photo_makes_a_small_report() -> None:
    assert len(report_pdf(whole(original=noise_jpeg(2400, 1800)))) < 700_000


@pytest.mark.slow
def test_hostile_and_endless_words_are_shown_literally() -> None:
    long = HOSTILE * 200
    content = whole(
        report_id=long,
        image=ImageFacts(filename=long, camera=long, crs=long, captured_at=long),
        index=IndexFacts(long, long, long + "y", long, long, long),
        thresholds=ThresholdFacts(long, (0.1,), "w" * 9000),
        classes=tuple(ClassRow(label=long, percent=50.0, color="#123456") for _ in range(2)),
        conclusion=(HOSTILE + "\n") * 500,
        provenance={f"{i}{long}": long for i in range(40)},
        legend=Legend(((0.0, "#000000"), (1.0, "#ffffff")), 0.0, 1.0, title=long),
    )
    pdf = report_pdf(content)
    text = text_of(pdf)
    assert "<b>x</i> & <para>" in text
    assert "{0} %s" in text
    assert pages_of(pdf) <= 16


def test_an_endless_word_as_conclusion() -> None:
    pdf = report_pdf(whole(conclusion="щ" * 500_000))
    assert 3 <= pages_of(pdf) <= 6


@pytest.mark.slow
def test_many_classes_go_over_pages_and_repeat_their_head() -> None:
    rows = tuple(ClassRow(label=f"class {i}", pixels=i, percent=1.0, color="#123456") for i in range(100))
    pdf = report_pdf(whole(classes=rows))
    assert pages_of(pdf) <= 6
    assert text_of(pdf).count("Pixels Share") >= 2
    assert "class 99" in text_of(pdf)


def test_the_page_is_drawn_within_its_margins() -> None:
    bitmap = pypdfium2.PdfDocument(report_pdf(whole("ru"))).get_page(0).render(scale=1).to_pil().convert("L")
    dark = np.asarray(bitmap) < 250
    assert bitmap.size in {(595, 842), (596, 842)}
    assert dark[20:].any(axis=0).nonzero()[0].min() >= 40
    assert dark[20:].any(axis=0).nonzero()[0].max() <= 556
    assert dark[:, 100].sum() > 50


def test_a_language_without_reports_is_refused() -> None:
    with pytest.raises(BadInput):
        report_pdf(ReportContent(language="fr"))


@pytest.mark.slow
@given(
    st.builds(
        StatisticsFacts,
        mean=st.none() | st.floats(),
        median=st.none() | st.floats(),
        area_m2=st.none() | st.floats(0),
        max=st.floats(),
    ),
    st.lists(
        st.builds(ClassRow, label=st.text(max_size=30), percent=st.none() | st.floats(), lower=st.floats()),
        max_size=3,
    ),
    st.text(max_size=200),
)
@settings(max_examples=15, deadline=None)
def test_no_numbers_or_words_break_the_report(
    statistics: StatisticsFacts, classes: list[ClassRow], words: str
) -> None:
    content = whole(
        statistics=statistics, classes=tuple(classes), conclusion=words, original=None, heatmap=None
    )
    assert report_pdf(content).startswith(b"%PDF-")
