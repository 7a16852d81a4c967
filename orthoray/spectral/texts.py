"""The words of the science in Russian, Romanian and English: class labels, verdicts and their notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orthoray.errors import Impossible
from orthoray.spectral.notes import NOTES

Language = Literal["ru", "ro", "en"]
LANGUAGES: tuple[Language, ...] = ("ru", "ro", "en")


@dataclass(frozen=True)
class Texts:
    """One language.

    `labels`, `verdicts`, `advice` and `groups` are keyed by class name, `parted` by the method that gave the
    cuts, `notes` by the code of a note, and `subjects` by the field that an index serves (its domain). `{share}`
    is a formatted percentage, `{lower}` and `{upper}` are cuts, `{cuts}` all three, `{label}` is that of a class.
    `worse` tells the share of the two worst classes, and `conjunction` stands before the last of several.
    """

    decimal_mark: str
    percent_suffix: str
    labels: Mapping[str, str]
    verdicts: Mapping[str, str]
    most_frequent: str
    advice: Mapping[str, str]
    worse: str
    values_above: str
    values_between: str
    values_below: str
    parted: Mapping[str, str]
    groups: Mapping[str, str]
    constant: str
    lowest_first: str
    conjunction: str
    empty: str
    all_background: str
    subjects: Mapping[str, str]
    notes: Mapping[str, str]


TEXTS: Mapping[Language, Texts] = {
    "ru": Texts(
        decimal_mark=",",
        percent_suffix="\N{NO-BREAK SPACE}%",
        labels={
            "healthy": "Здоровые",
            "mild_stress": "Легкий стресс",
            "severe_stress": "Сильный стресс",
            "critical": "Критическое",
        },
        verdicts={
            "healthy": "Здоровая растительность занимает наибольшую часть снимка: {share}.",
            "mild_stress": "Легкий стресс отмечен на наибольшей части снимка: {share}.",
            "severe_stress": "Сильный стресс отмечен на наибольшей части снимка: {share}.",
            "critical": "Критическое состояние отмечено на наибольшей части снимка: {share}.",
        },
        most_frequent="Чаще всего на снимке встречается класс «{label}»: {share} пикселей.",
        advice={
            "healthy": "Вмешательство там не требуется, наблюдайте за остальными участками.",
            "mild_stress": "Проверьте полив и питание растений и повторите съемку через несколько дней.",
            "severe_stress": "Осмотрите поле в ближайшие дни: возможны нехватка влаги, вредители, болезни.",
            "critical": "Растения там сильно угнетены или отсутствуют: осмотрите эти места первыми.",
        },
        worse=(
            "На классы «Сильный стресс» и «Критическое» вместе приходится {share} пикселей: "
            "осмотрите эти места первыми."
        ),
        values_above="Чаще всего встречается класс со значениями выше {lower}: {share} пикселей.",
        values_between="Чаще всего встречается класс со значениями выше {lower}, но не выше {upper}: {share} пикселей.",
        values_below="Чаще всего встречается класс со значениями не выше {upper}: {share} пикселей.",
        parted={
            "quantiles": (
                "Классы — это четверти значений самого снимка, насколько их можно разделить поровну. "
                "Границы между ними: {cuts}."
            ),
            "jenks": "Классы — это естественные группы значений самого снимка. Границы между ними: {cuts}.",
        },
        groups={
            "healthy": "Из четырёх групп больше всего места ({share}) занимают самые высокие значения снимка.",
            "mild_stress": "Из четырёх групп больше всего места ({share}) занимают значения выше средних.",
            "severe_stress": "Из четырёх групп больше всего места ({share}) занимают значения ниже средних.",
            "critical": "Из четырёх групп больше всего места ({share}) занимают самые низкие значения снимка.",
        },
        constant="Значения индекса на всём снимке практически одинаковы: сравнивать нечего.",
        lowest_first="Осмотрите сначала места с самыми низкими значениями.",
        conjunction="и",
        empty="Нет данных для анализа: на снимке нет ни одного пригодного пикселя.",
        all_background=(
            "Нет данных для анализа: все пригодные пиксели отнесены к почве и фону. "
            "Проверьте порог маски почвы."
        ),
        subjects={
            "water": "воде",
            "burn": "выгоревшим участкам",
            "snow": "снегу и льду",
            "soil": "открытой почве",
            "urban": "застройке",
            "clouds": "облакам",
        },
        notes=NOTES["ru"],
    ),
    "ro": Texts(
        decimal_mark=",",
        percent_suffix="%",
        labels={
            "healthy": "Sănătos",
            "mild_stress": "Stres ușor",
            "severe_stress": "Stres sever",
            "critical": "Critic",
        },
        verdicts={
            "healthy": "Vegetația sănătoasă ocupă cea mai mare parte a imaginii: {share}.",
            "mild_stress": "Stresul ușor apare pe cea mai mare parte a imaginii: {share}.",
            "severe_stress": "Stresul sever apare pe cea mai mare parte a imaginii: {share}.",
            "critical": "Starea critică apare pe cea mai mare parte a imaginii: {share}.",
        },
        most_frequent="Cea mai frecventă dintre clase este „{label}”: {share} din pixeli.",
        advice={
            "healthy": "Acolo nu este nevoie de intervenție; urmăriți restul suprafeței.",
            "mild_stress": "Verificați irigarea și nutriția plantelor și repetați zborul peste câteva zile.",
            "severe_stress": (
                "Inspectați câmpul în zilele următoare: cauza poate fi lipsa apei, dăunătorii sau bolile."
            ),
            "critical": "Acolo plantele sunt foarte slăbite sau lipsesc: verificați mai întâi aceste locuri.",
        },
        worse="Clasele „Stres sever” și „Critic” cuprind împreună {share} din pixeli: verificați mai întâi aceste locuri.",
        values_above="Cea mai frecventă dintre clase are valori peste {lower}: {share} din pixeli.",
        values_between="Cea mai frecventă dintre clase are valori peste {lower}, dar nu peste {upper}: {share} din pixeli.",
        values_below="Cea mai frecventă dintre clase are valori de cel mult {upper}: {share} din pixeli.",
        parted={
            "quantiles": (
                "Clasele sunt sferturi ale valorilor acestei imagini, atât cât acestea se pot împărți egal. "
                "Limitele dintre ele: {cuts}."
            ),
            "jenks": "Clasele sunt grupe naturale ale valorilor acestei imagini. Limitele dintre ele: {cuts}.",
        },
        groups={
            "healthy": "Dintre cele patru grupe, cea mai întinsă ({share}) are cele mai mari valori ale imaginii.",
            "mild_stress": "Dintre cele patru grupe, cea mai întinsă ({share}) are valori peste cele medii.",
            "severe_stress": "Dintre cele patru grupe, cea mai întinsă ({share}) are valori sub cele medii.",
            "critical": "Dintre cele patru grupe, cea mai întinsă ({share}) are cele mai mici valori ale imaginii.",
        },
        constant="Valorile indicelui sunt practic aceleași în toată imaginea: nu există ce compara.",
        lowest_first="Verificați mai întâi locurile cu cele mai mici valori.",
        conjunction="și",
        empty="Nu există date pentru analiză: imaginea nu conține niciun pixel valid.",
        all_background=(
            "Nu există date pentru analiză: toți pixelii valizi au fost socotiți sol și fundal. "
            "Verificați pragul măștii de sol."
        ),
        subjects={
            "water": "apă",
            "burn": "suprafețe arse",
            "snow": "zăpadă și gheață",
            "soil": "sol descoperit",
            "urban": "zone construite",
            "clouds": "nori",
        },
        notes=NOTES["ro"],
    ),
    "en": Texts(
        decimal_mark=".",
        percent_suffix="%",
        labels={
            "healthy": "Healthy",
            "mild_stress": "Mild stress",
            "severe_stress": "Severe stress",
            "critical": "Critical",
        },
        verdicts={
            "healthy": "Healthy vegetation takes the largest part of the image: {share}.",
            "mild_stress": "Mild stress shows on the largest part of the image: {share}.",
            "severe_stress": "Severe stress shows on the largest part of the image: {share}.",
            "critical": "A critical state shows on the largest part of the image: {share}.",
        },
        most_frequent="The most frequent class is “{label}”: {share} of the pixels.",
        advice={
            "healthy": "Nothing needs to be done there; watch the rest.",
            "mild_stress": "Check irrigation and nutrition, and fly again in a few days.",
            "severe_stress": "Inspect the field within days: lack of water, pests or disease are possible.",
            "critical": "Plants there are failing or missing: inspect these places first.",
        },
        worse="“Severe stress” and “Critical” together hold {share} of the pixels: inspect these places first.",
        values_above="The most frequent class has values above {lower}: {share} of the pixels.",
        values_between="The most frequent class has values above {lower} but not above {upper}: {share} of the pixels.",
        values_below="The most frequent class has values of {upper} and below: {share} of the pixels.",
        parted={
            "quantiles": (
                "The classes are quarters of this image's own values, as nearly as these can be parted evenly. "
                "The cuts lie at {cuts}."
            ),
            "jenks": "The classes are natural groups of this image's own values. The cuts lie at {cuts}.",
        },
        groups={
            "healthy": "Of the four groups the one with the image's highest values is the largest: {share}.",
            "mild_stress": "Of the four groups the one above the middle values is the largest: {share}.",
            "severe_stress": "Of the four groups the one below the middle values is the largest: {share}.",
            "critical": "Of the four groups the one with the image's lowest values is the largest: {share}.",
        },
        constant="The index has practically the same value all over the image: there is nothing to compare.",
        lowest_first="Inspect the places with the lowest values first.",
        conjunction="and",
        empty="There is nothing to analyse: the image has no valid pixel.",
        all_background=(
            "There is nothing to analyse: every valid pixel was taken for soil and background. "
            "Check the threshold of the soil mask."
        ),
        subjects={
            "water": "water",
            "burn": "burned ground",
            "snow": "snow and ice",
            "soil": "bare soil",
            "urban": "built-up land",
            "clouds": "clouds",
        },
        notes=NOTES["en"],
    ),
}

LEGACY_CONCLUSIONS: Mapping[str, str] = {
    "healthy": "Посевы в хорошем состоянии: преобладает здоровая растительность.",
    "mild_stress": "Преобладает легкий стресс: проверьте полив и питание растений.",
    "severe_stress": "Преобладает сильный стресс: осмотрите поле и примите меры в ближайшие дни.",
    "critical": "Преобладает критическое состояние: растения сильно угнетены или отсутствуют, "
    "срочно осмотрите поле.",
}
"""The single Russian sentence of the legacy contract, by its largest class."""


def check_language(code: str) -> Language:
    """The language of a code such as `ru`, `RO` or `en-GB`.

    Raises:
        Impossible: it is none of the three.
    """
    primary = code.strip().lower().replace("_", "-").partition("-")[0]
    if primary not in LANGUAGES:
        raise Impossible("This language is not available: choose ru, ro or en.", languages=list(LANGUAGES))
    return primary


def decimal(text: str, language: Language) -> str:
    """A number written by Python's formatting, with the language's decimal mark and a true minus sign."""
    return text.replace("-", "\N{MINUS SIGN}").replace(".", TEXTS[language].decimal_mark)


def percentage(percent: float, language: Language) -> str:
    """`percent` (0..100) with one decimal; only exactly 0 and 100 read 0.0 and 100.0."""
    shown = percent if percent in (0.0, 100.0) else min(max(percent, 0.1), 99.9)
    return decimal(f"{shown:.1f}", language) + TEXTS[language].percent_suffix
