"""What a vegetation index is good for, in words that a farmer understands, in every language of the reports.

The sentences restate what the publications of the indices and the Awesome Spectral Indices catalogue say of
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orthoray.reporting.texts import LANGUAGES

_GREEN_RED = (
    "Shows how green the canopy is from an ordinary colour photo. It depends on light and camera: compare "
    "places within one image rather than different days.",
    "Показывает, насколько зелёный растительный покров, по обычной цветной фотографии. Зависит от освещения "
    "и камеры: сравнивайте участки одного снимка, а не разные дни.",
    "Arată cât de verde este covorul vegetal dintr-o fotografie color obișnuită. Depinde de lumină și de "
    "cameră: comparați zone ale aceleiași imagini, nu zile diferite.",
)
_PLANT_SOIL = (
    "Separates green plants from soil and residue in an ordinary colour photo: counts of seedlings, gaps, "
    "weeds between rows.",
    "Отделяет зелёные растения от почвы и растительных остатков на обычной цветной фотографии: всходы, "
    "пропуски, сорняки в междурядьях.",
    "Separă plantele verzi de sol și de resturi vegetale într-o fotografie color obișnuită: răsărire, "
    "goluri, buruieni între rânduri.",
)
_RED_EDGE = (
    "Follows chlorophyll and nitrogen in dense canopies, where NDVI no longer grows; suited to the middle "
    "and the end of the season.",
    "Отражает содержание хлорофилла и азота в густых посевах, где NDVI уже не растёт; подходит для середины "
    "и конца сезона.",
    "Urmărește clorofila și azotul în culturi dese, unde NDVI nu mai crește; potrivit pentru mijlocul și "
    "sfârșitul sezonului.",
)
_SOIL_ADJUSTED = (
    "Like NDVI, but less disturbed by bare soil: for early growth, wide rows and sparse cover.",
    "Подобен NDVI, но меньше искажается открытой почвой: для ранних фаз, широких междурядий и редкого "
    "покрова.",
    "Asemănător cu NDVI, dar mai puțin influențat de solul descoperit: pentru faze timpurii, rânduri late "
    "și vegetație rară.",
)
_ENHANCED = (
    "Measures green biomass where the canopy is dense and NDVI saturates, with less influence of soil and "
    "haze.",
    "Измеряет зелёную биомассу в густом покрове, где NDVI насыщается; меньше зависит от почвы и дымки.",
    "Măsoară biomasa verde în vegetație densă, unde NDVI se saturează, cu influență redusă a solului și a "
    "ceții.",
)
_WATER = (
    "Shows open water and very wet places; high values are water, not vegetation.",
    "Показывает открытую воду и переувлажнённые места; высокие значения — это вода, а не растения.",
    "Arată apa liberă și locurile foarte umede; valorile mari înseamnă apă, nu vegetație.",
)
_CANOPY_WATER = (
    "Shows the water content of the canopy: drought stress and irrigation.",
    "Показывает содержание воды в растениях: засуха и орошение.",
    "Arată conținutul de apă al plantelor: secetă și irigare.",
)

PURPOSES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "NDVI": (
            "Shows the amount and vigour of green vegetation from red and near-infrared light: emergence, "
            "gaps, stress and differences between zones. In dense canopies it saturates.",
            "Показывает количество и силу зелёной растительности по красному и ближнему инфракрасному "
            "свету: всходы, пропуски, стресс, различия между зонами. В густых посевах насыщается.",
            "Arată cantitatea și vigoarea vegetației verzi din lumina roșie și infraroșu apropiat: "
            "răsărire, goluri, stres, diferențe între zone. În culturi dese se saturează.",
        ),
        "GNDVI": (
            "Follows chlorophyll and nitrogen supply with green instead of red light; saturates later than "
            "NDVI.",
            "Отражает хлорофилл и обеспеченность азотом по зелёному свету вместо красного; насыщается позже "
            "NDVI.",
            "Urmărește clorofila și aprovizionarea cu azot prin lumina verde în locul celei roșii; se "
            "saturează mai târziu decât NDVI.",
        ),
        "NDMI": _CANOPY_WATER,
        "LSWI": _CANOPY_WATER,
        "MLSWI26": _CANOPY_WATER,
        "MLSWI27": _CANOPY_WATER,
        "NDVI_EMP": _GREEN_RED,
        "NGRDI": _GREEN_RED,
        "MPRI": _GREEN_RED,
        "MGRVI": _GREEN_RED,
        "VARI": _GREEN_RED,
        "RGBVI": _GREEN_RED,
        "TGI": _GREEN_RED,
        "GLI": _PLANT_SOIL,
        "EXG": _PLANT_SOIL,
        "CIVE": _PLANT_SOIL,
        "NDREI": _RED_EDGE,
        "NDRE": _RED_EDGE,
        "CIRE": _RED_EDGE,
        "CIG": _RED_EDGE,
        "SAVI": _SOIL_ADJUSTED,
        "OSAVI": _SOIL_ADJUSTED,
        "MSAVI": _SOIL_ADJUSTED,
        "EVI": _ENHANCED,
        "EVI2": _ENHANCED,
        "NDWI": _WATER,
        "MNDWI": _WATER,
    }
)


DOMAINS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "water": (
            "Describes water, its extent or its quality, and not plants.",
            "Описывает воду, её площадь или качество, а не растения.",
            "Descrie apa, întinderea sau calitatea ei, și nu plantele.",
        ),
        "burn": (
            "Shows burned ground and how severe the fire was.",
            "Показывает выгоревшие участки и силу пожара.",
            "Arată suprafețele arse și intensitatea incendiului.",
        ),
        "snow": ("Shows snow and ice.", "Показывает снег и лёд.", "Arată zăpada și gheața."),
        "soil": (
            "Shows bare soil and its properties.",
            "Показывает открытую почву и её свойства.",
            "Arată solul descoperit și proprietățile lui.",
        ),
        "urban": ("Shows built-up land.", "Показывает застройку.", "Arată zonele construite."),
        "clouds": (
            "Shows clouds and their shadows.",
            "Показывает облака и их тени.",
            "Arată norii și umbrele lor.",
        ),
    }
)
"""What indices serve that are not about plants, by the domain of the catalogue."""


def purpose_of(index_name: str | None, language: str, domain: str | None = None) -> str | None:
    """The sentence for an index, by its name in any case or else by its domain; None where we have none."""
    sentences = PURPOSES.get((index_name or "").strip().upper()) or DOMAINS.get(domain or "")
    return sentences[LANGUAGES.index(language)] if sentences else None
