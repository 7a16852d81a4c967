"""The words of the science in Russian, Romanian and English: class labels, verdicts and their notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orthoray.errors import Impossible

Language = Literal["ru", "ro", "en"]
LANGUAGES: tuple[Language, ...] = ("ru", "ro", "en")


@dataclass(frozen=True)
class Texts:
    """One language.

    `labels`, `verdicts`, `advice` and `groups` are keyed by class name, `notes` by the code of a note, and
    `subjects` by the field that an index serves (its domain). `{share}` is a formatted percentage, `{lower}`
    and `{upper}` are cuts.
    """

    decimal_mark: str
    percent_suffix: str
    labels: Mapping[str, str]
    verdicts: Mapping[str, str]
    advice: Mapping[str, str]
    values_above: str
    values_between: str
    values_below: str
    groups: Mapping[str, str]
    lowest_first: str
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
        advice={
            "healthy": "Вмешательство там не требуется, наблюдайте за остальными участками.",
            "mild_stress": "Проверьте полив и питание растений и повторите съемку через несколько дней.",
            "severe_stress": "Осмотрите поле в ближайшие дни: возможны нехватка влаги, вредители, болезни.",
            "critical": "Растения там сильно угнетены или отсутствуют: осмотрите эти места первыми.",
        },
        values_above="Наибольшую часть снимка ({share}) занимают значения выше {lower}.",
        values_between="Наибольшую часть снимка ({share}) занимают значения выше {lower}, но не выше {upper}.",
        values_below="Наибольшую часть снимка ({share}) занимают значения не выше {upper}.",
        groups={
            "healthy": "Из четырёх групп больше всего места ({share}) занимают самые высокие значения снимка.",
            "mild_stress": "Из четырёх групп больше всего места ({share}) занимают значения выше средних.",
            "severe_stress": "Из четырёх групп больше всего места ({share}) занимают значения ниже средних.",
            "critical": "Из четырёх групп больше всего места ({share}) занимают самые низкие значения снимка.",
        },
        lowest_first="Осмотрите сначала места с самыми низкими значениями.",
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
        notes={
            "relative": (
                "Классы относятся только к этому снимку: «Здоровые» — самые высокие его значения, "
                "«Критическое» — самые низкие. Сами по себе они не говорят о здоровье растений."
            ),
            "inverted": (
                "Чем ниже этот индекс, тем больше растений или тем лучше их состояние, "
                "поэтому такие классы не говорят об их здоровье."
            ),
            "no_direction": (
                "Более высокие значения этого индекса не означают, что растения здоровее: названия классов "
                "показывают лишь порядок от высоких значений к низким."
            ),
            "not_vegetation": (
                "Этот индекс относится к {subject}, а не к состоянию растений: названия классов означают лишь "
                "порядок от высоких значений к низким."
            ),
            "own_formula": (
                "Индекс рассчитан по формуле из запроса. Какие её значения хороши для посевов, неизвестно: "
                "названия классов означают лишь порядок от высоких значений к низким."
            ),
            "mostly_invalid": (
                "Пригодны только {share} пикселей, поэтому вывод может не относиться ко всему полю."
            ),
            "background": "Почва и фон ({share} снимка) исключены: доли классов относятся к остальной его части.",
            "visible_only": (
                "Индекс рассчитан только по видимому свету и может не заметить нехватку влаги, "
                "которую показал бы ближний инфракрасный канал."
            ),
            "uncalibrated": (
                "Значения пикселей не откалиброваны в отражательную способность: "
                "сравнивайте участки этого снимка, а не разные даты или камеры."
            ),
            "not_reflectance": (
                "Этому индексу нужна отражательная способность, а значения пикселей не откалиброваны в неё, "
                "поэтому сами по себе числа индекса не имеют смысла. Укажите масштаб значений или возьмите "
                "откалиброванный снимок."
            ),
            "calibration_unknown": (
                "В файле не сказано, являются ли его значения отражательной способностью: "
                "сравнивайте участки этого снимка, а не разные даты или камеры."
            ),
            "reflectance_unknown": (
                "Этому индексу нужна отражательная способность (от 0 до 1), а в файле не сказано, она ли в нём "
                "записана. Если нет, числа индекса не имеют смысла."
            ),
            "unaligned": (
                "Каналы этой исходной съёмки не совмещены друг с другом: "
                "на краях растений и рядов значения неверны."
            ),
            "odd_reflectance": (
                "Отражательная способность обычно лежит между 0,001 и 1,5, а {share} значений в каналах выходят "
                "за эти пределы: проверьте масштаб, смещение и калибровку."
            ),
            "out_of_range": (
                "За обычные пределы этого индекса выходят {share} его значений: "
                "проверьте, верно ли указаны каналы и их масштаб."
            ),
        },
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
        values_above="Cea mai mare parte a imaginii ({share}) are valori peste {lower}.",
        values_between="Cea mai mare parte a imaginii ({share}) are valori peste {lower}, dar nu peste {upper}.",
        values_below="Cea mai mare parte a imaginii ({share}) are valori de cel mult {upper}.",
        groups={
            "healthy": "Dintre cele patru grupe, cea mai întinsă ({share}) are cele mai mari valori ale imaginii.",
            "mild_stress": "Dintre cele patru grupe, cea mai întinsă ({share}) are valori peste cele medii.",
            "severe_stress": "Dintre cele patru grupe, cea mai întinsă ({share}) are valori sub cele medii.",
            "critical": "Dintre cele patru grupe, cea mai întinsă ({share}) are cele mai mici valori ale imaginii.",
        },
        lowest_first="Verificați mai întâi locurile cu cele mai mici valori.",
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
        notes={
            "relative": (
                "Clasele sunt valabile doar pentru această imagine: „Sănătos” înseamnă cele mai mari valori ale "
                "ei, „Critic” cele mai mici. În sine, ele nu spun nimic despre sănătatea plantelor."
            ),
            "inverted": (
                "Cu cât acest indice este mai mic, cu atât sunt mai multe plante sau starea lor este mai bună, "
                "deci aceste clase nu descriu sănătatea lor."
            ),
            "no_direction": (
                "Valorile mai mari ale acestui indice nu înseamnă plante mai sănătoase: numele claselor arată "
                "doar ordinea de la valori mari la valori mici."
            ),
            "not_vegetation": (
                "Acest indice se referă la {subject}, nu la starea plantelor: numele claselor arată doar ordinea "
                "de la valori mari la valori mici."
            ),
            "own_formula": (
                "Indicele este calculat după formula din cerere. Nu se știe care dintre valorile ei sunt bune "
                "pentru cultură: numele claselor arată doar ordinea de la valori mari la valori mici."
            ),
            "mostly_invalid": (
                "Doar {share} dintre pixeli sunt valizi, deci concluzia poate să nu descrie întregul câmp."
            ),
            "background": "Solul și fundalul ({share} din imagine) sunt excluse: ponderile se referă la rest.",
            "visible_only": (
                "Indicele folosește doar lumina vizibilă și poate să nu arate lipsa apei, "
                "pe care ar arăta-o infraroșul apropiat."
            ),
            "uncalibrated": (
                "Valorile pixelilor nu sunt calibrate în reflectanță: "
                "comparați zone din această imagine, nu date sau camere diferite."
            ),
            "not_reflectance": (
                "Acest indice are nevoie de reflectanță, iar valorile pixelilor nu sunt calibrate în reflectanță, "
                "deci numerele lui nu au sens în sine. Indicați scara valorilor sau folosiți o imagine calibrată."
            ),
            "calibration_unknown": (
                "Fișierul nu spune dacă valorile lui sunt reflectanță: "
                "comparați zone din această imagine, nu date sau camere diferite."
            ),
            "reflectance_unknown": (
                "Acest indice are nevoie de reflectanță (de la 0 la 1), iar fișierul nu spune dacă o conține. "
                "Dacă nu, numerele indicelui nu au sens."
            ),
            "unaligned": (
                "Benzile acestei capturi brute nu sunt aliniate între ele: "
                "la marginile plantelor și ale rândurilor valorile sunt greșite."
            ),
            "odd_reflectance": (
                "De obicei reflectanța este între 0,001 și 1,5, dar {share} dintre valorile benzilor ies din acest "
                "interval: verificați scara, decalajul și calibrarea."
            ),
            "out_of_range": (
                "Din intervalul obișnuit al acestui indice ies {share} dintre valorile lui: "
                "verificați dacă benzile și scara lor sunt indicate corect."
            ),
        },
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
        values_above="The largest part of the image ({share}) has values above {lower}.",
        values_between="The largest part of the image ({share}) has values above {lower} but not above {upper}.",
        values_below="The largest part of the image ({share}) has values of {upper} and below.",
        groups={
            "healthy": "Of the four groups the one with the image's highest values is the largest: {share}.",
            "mild_stress": "Of the four groups the one above the middle values is the largest: {share}.",
            "severe_stress": "Of the four groups the one below the middle values is the largest: {share}.",
            "critical": "Of the four groups the one with the image's lowest values is the largest: {share}.",
        },
        lowest_first="Inspect the places with the lowest values first.",
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
        notes={
            "relative": (
                "The classes hold for this image only: “Healthy” stands for its highest values and “Critical” "
                "for its lowest. In themselves they say nothing of the health of plants."
            ),
            "inverted": (
                "The lower this index, the more vegetation or the better its state, "
                "so these classes do not describe its health."
            ),
            "no_direction": (
                "Higher values of this index do not mean healthier plants: the names of the classes only show "
                "the order from high values to low."
            ),
            "not_vegetation": (
                "This index is about {subject}, not about the state of plants: the names of the classes only show "
                "the order from high values to low."
            ),
            "own_formula": (
                "The index is a formula given with the request. Which of its values are good for a crop is not "
                "known: the names of the classes only show the order from high values to low."
            ),
            "mostly_invalid": "Only {share} of the pixels are valid, so this may not describe the whole field.",
            "background": "Soil and background ({share} of the image) are left out: the shares are of the rest.",
            "visible_only": (
                "The index uses visible light only and can miss water stress that near infrared would show."
            ),
            "uncalibrated": (
                "The pixel values are not calibrated to reflectance: "
                "compare places in this image, not dates or cameras."
            ),
            "not_reflectance": (
                "This index needs reflectance and the pixel values are not calibrated to it, so its numbers have "
                "no meaning as such. Send the scale of the values, or use a calibrated image."
            ),
            "calibration_unknown": (
                "The file does not say whether its values are reflectance: "
                "compare places in this image, not dates or cameras."
            ),
            "reflectance_unknown": (
                "This index needs reflectance (0 to 1), and the file does not say whether that is what it holds. "
                "If not, the numbers of the index have no meaning."
            ),
            "unaligned": (
                "The bands of this raw capture are not aligned with each other: "
                "at the edges of plants and rows the values are wrong."
            ),
            "odd_reflectance": (
                "Reflectance usually lies between 0.001 and 1.5, but {share} of the band values lie outside: "
                "check scale, offset and calibration."
            ),
            "out_of_range": (
                "{share} of the values lie outside the usual range of this index: "
                "check that the bands and their scale are right."
            ),
        },
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
