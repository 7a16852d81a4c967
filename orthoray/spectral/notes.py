"""The notes of a verdict in Russian, Romanian and English: what a reader has to know before believing it."""

from __future__ import annotations

from collections.abc import Mapping

NOTES: Mapping[str, Mapping[str, str]] = {
    "ru": {
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
            "Каналы этой исходной съёмки не совмещены друг с другом: на краях растений и рядов значения неверны, "
            "поэтому классы не говорят о здоровье растений."
        ),
        "odd_reflectance": (
            "Отражательная способность обычно лежит между 0,001 и 1,5, а у {share} пикселей хотя бы один канал выходит "
            "за эти пределы: проверьте масштаб, смещение и калибровку."
        ),
        "out_of_range": (
            "За обычные пределы этого индекса выходят {share} его значений: "
            "проверьте, верно ли указаны каналы и их масштаб."
        ),
    },
    "ro": {
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
            "Benzile acestei capturi brute nu sunt aliniate între ele: la marginile plantelor și ale rândurilor valorile "
            "sunt greșite, deci clasele nu descriu sănătatea plantelor."
        ),
        "odd_reflectance": (
            "De obicei reflectanța este între 0,001 și 1,5, dar la {share} dintre pixeli cel puțin o bandă iese din acest "
            "interval: verificați scara, decalajul și calibrarea."
        ),
        "out_of_range": (
            "Din intervalul obișnuit al acestui indice ies {share} dintre valorile lui: "
            "verificați dacă benzile și scara lor sunt indicate corect."
        ),
    },
    "en": {
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
            "The bands of this raw capture are not aligned with each other: at the edges of plants and rows the values are "
            "wrong, so the classes do not describe the health of plants."
        ),
        "odd_reflectance": (
            "Reflectance usually lies between 0.001 and 1.5, but in {share} of the pixels at least one band lies outside: "
            "check scale, offset and calibration."
        ),
        "out_of_range": (
            "{share} of the values lie outside the usual range of this index: "
            "check that the bands and their scale are right."
        ),
    },
}
"""By language and code of the note; `{share}` is a formatted percentage, `{subject}` the field of an index."""
