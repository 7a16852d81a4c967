"""The words of the science in Russian, Romanian and English: class labels, verdicts and their notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orthoray.errors import Impossible

Language = Literal["ru", "ro", "en"]
LANGUAGES: tuple[Language, ...] = ("ru", "ro", "en")


@dataclass(frozen=True)
class ThresholdTexts:
    """Where the cuts of classes come from; `bases` is keyed by index, `crops` by the crop's English name."""

    custom: str
    crop: str
    crops: Mapping[str, str]
    legacy: str
    legacy_inverted: str
    rule_of_thumb: str
    bases: Mapping[str, str]


@dataclass(frozen=True)
class Texts:
    """One language. Mappings are keyed by class name; `{share}` is a formatted percentage."""

    decimal_mark: str
    percent_suffix: str
    labels: Mapping[str, str]
    verdicts: Mapping[str, str]
    advice: Mapping[str, str]
    empty: str
    mostly_invalid: str
    visible_only: str
    uncalibrated: str
    inverted: str
    sources: ThresholdTexts


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
        advice={
            "healthy": "Вмешательство там не требуется, наблюдайте за остальными участками.",
            "mild_stress": "Проверьте полив и питание растений и повторите съемку через несколько дней.",
            "severe_stress": "Осмотрите поле в ближайшие дни: возможны нехватка влаги, вредители, болезни.",
            "critical": "Растения там сильно угнетены или отсутствуют: осмотрите эти места первыми.",
        },
        empty="Нет данных для анализа: на снимке нет ни одного пригодного пикселя.",
        mostly_invalid="Пригодны только {share} пикселей, поэтому вывод может не относиться ко всему полю.",
        visible_only=(
            "Индекс рассчитан только по видимому свету и может не заметить нехватку влаги, "
            "которую показал бы ближний инфракрасный канал."
        ),
        uncalibrated=(
            "Значения пикселей не откалиброваны в отражательную способность: "
            "сравнивайте участки этого снимка, а не разные даты или камеры."
        ),
        inverted="Чем ниже этот индекс, тем больше растений, поэтому такие классы не говорят об их здоровье.",
        sources=ThresholdTexts(
            custom="Заданы в запросе.",
            crop=(
                "NDVI, культура: {crop}, как в прежней программе: здоровые растения выше {healthy}, стресс при "
                "{stressed} и ниже; критическое состояние с половины порога стресса. "
                "Не откалиброваны для фазы роста и датчика."
            ),
            crops={"corn": "кукуруза", "wheat": "пшеница", "barley": "ячмень"},
            legacy=(
                "Постоянные пороги прежней программы для фотографий RGB; "
                "не откалиброваны для культуры и камеры."
            ),
            legacy_inverted="У этого индекса НИЗКИЕ значения — это растения.",
            rule_of_thumb=(
                "Ориентировочные пороги для отражательной способности ({basis}); не откалиброваны для культуры, "
                "фазы роста и датчика. Если у вас есть свои пороги, задайте их."
            ),
            bases={
                "NDVI": "USGS: от 0,6 — густая, от 0,2 до 0,5 — редкая или увядающая растительность",
                "GNDVI": "как для NDVI, но в более узком диапазоне, который даёт зелёный канал",
                "NDRE": "крайний красный канал насыщается позже, поэтому густой покров лежит ниже, чем в NDVI",
                "SAVI": "пороги NDVI, сниженные поправкой на почву, L = 0,5",
                "EVI": "густой покров лежит между 0,4 и 0,8, ниже, чем в NDVI",
            },
        ),
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
        advice={
            "healthy": "Acolo nu este nevoie de intervenție; urmăriți restul suprafeței.",
            "mild_stress": "Verificați irigarea și nutriția plantelor și repetați zborul peste câteva zile.",
            "severe_stress": (
                "Inspectați câmpul în zilele următoare: cauza poate fi lipsa apei, dăunătorii sau bolile."
            ),
            "critical": "Acolo plantele sunt foarte slăbite sau lipsesc: verificați mai întâi aceste locuri.",
        },
        empty="Nu există date pentru analiză: imaginea nu conține niciun pixel valid.",
        mostly_invalid=(
            "Doar {share} dintre pixeli sunt valizi, deci concluzia poate să nu descrie întregul câmp."
        ),
        visible_only=(
            "Indicele folosește doar lumina vizibilă și poate să nu arate lipsa apei, "
            "pe care ar arăta-o infraroșul apropiat."
        ),
        uncalibrated=(
            "Valorile pixelilor nu sunt calibrate în reflectanță: "
            "comparați zone din această imagine, nu date sau camere diferite."
        ),
        inverted="Cu cât acest indice este mai mic, cu atât sunt mai multe plante, "
        "deci aceste clase nu descriu sănătatea lor.",
        sources=ThresholdTexts(
            custom="Date în cerere.",
            crop=(
                "NDVI, cultura: {crop}, ca în programul anterior: sănătos peste {healthy}, stres la {stressed} "
                "și mai jos; critic de la jumătatea pragului de stres. "
                "Necalibrate pentru o fază de creștere sau un senzor."
            ),
            crops={"corn": "porumb", "wheat": "grâu", "barley": "orz"},
            legacy=(
                "Praguri fixe ale programului anterior pentru fotografii RGB; "
                "necalibrate pentru o cultură sau o cameră."
            ),
            legacy_inverted="La acest indice valorile MICI înseamnă vegetație.",
            rule_of_thumb=(
                "Praguri orientative pentru reflectanță ({basis}); necalibrate pentru o cultură, o fază de "
                "creștere sau un senzor. Dacă aveți praguri proprii, trimiteți-le."
            ),
            bases={
                "NDVI": "USGS: de la 0,6 vegetație densă, între 0,2 și 0,5 rară sau în curs de uscare",
                "GNDVI": "ca la NDVI, pe intervalul mai îngust pe care îl dă verdele",
                "NDRE": "marginea roșie se saturează mai târziu, deci un covor dens se află mai jos decât în NDVI",
                "SAVI": "pragurile NDVI scăzute cu termenul solului, L = 0,5",
                "EVI": "un covor dens se află între 0,4 și 0,8, mai jos decât în NDVI",
            },
        ),
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
        advice={
            "healthy": "Nothing needs to be done there; watch the rest.",
            "mild_stress": "Check irrigation and nutrition, and fly again in a few days.",
            "severe_stress": "Inspect the field within days: lack of water, pests or disease are possible.",
            "critical": "Plants there are failing or missing: inspect these places first.",
        },
        empty="There is nothing to analyse: the image has no valid pixel.",
        mostly_invalid="Only {share} of the pixels are valid, so this may not describe the whole field.",
        visible_only=(
            "The index uses visible light only and can miss water stress that near infrared would show."
        ),
        uncalibrated=(
            "The pixel values are not calibrated to reflectance: "
            "compare places in this image, not dates or cameras."
        ),
        inverted="The lower this index, the more vegetation, so these classes do not describe its health.",
        sources=ThresholdTexts(
            custom="Given with the request.",
            crop=(
                "NDVI of {crop} as in the earlier program: healthy above {healthy}, stressed at {stressed} "
                "and below; critical is set at half of stressed. "
                "Not calibrated for a growth stage or a sensor."
            ),
            crops={"corn": "corn", "wheat": "wheat", "barley": "barley"},
            legacy="Fixed cuts of the earlier program for RGB photos; not calibrated for a crop or a camera.",
            legacy_inverted="In this index LOW is vegetation.",
            rule_of_thumb=(
                "Rule of thumb for reflectance ({basis}); not calibrated for a crop, a growth stage or a "
                "sensor. Send your own thresholds where you have them."
            ),
            bases={
                "NDVI": "USGS: 0.6 and more dense, 0.2 to 0.5 sparse or senescing vegetation",
                "GNDVI": "as for NDVI, over the narrower range that green gives",
                "NDRE": "red edge saturates later, so a dense canopy lies lower than in NDVI",
                "SAVI": "the cuts of NDVI lowered by the soil term, L = 0.5",
                "EVI": "a dense canopy lies at 0.4 to 0.8, lower than in NDVI",
            },
        ),
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
