"""Every word of the reports, in English, Russian and Romanian.

A phrase without all three is an error that the tests find. Placeholders are in the form of `str.format`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from orthoray.errors import BadInput

LANGUAGES = ("en", "ru", "ro")
DEFAULT_LANGUAGE = "ru"

PHRASES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        # title block
        "report_title": ("Field report", "Отчёт о состоянии поля", "Raport privind starea câmpului"),
        "report_subject": (
            "Vegetation index {index}",
            "Вегетационный индекс {index}",
            "Indice de vegetație {index}",
        ),
        "report_date": ("Report date", "Дата отчёта", "Data raportului"),
        "report_id": ("Report no.", "Отчёт №", "Raport nr."),
        "also_known_as": ("also known as {name}", "также известен как {name}", "cunoscut și ca {name}"),
        "page": ("Page {page} / {pages}", "Страница {page} / {pages}", "Pagina {page} / {pages}"),
        # key figures
        "mean": ("Mean", "Среднее", "Media"),
        "median": ("Median", "Медиана", "Mediana"),
        "healthy_share": ("Healthy vegetation", "Здоровые растения", "Vegetație sănătoasă"),
        "largest_class": (
            "Largest class: {label}",
            "Наибольший класс: {label}",
            "Clasa cea mai mare: {label}",
        ),
        "analysed_area": ("Analysed area", "Площадь анализа", "Suprafața analizată"),
        "no_areas": (
            "not georeferenced: no areas",
            "без геопривязки: площадей нет",
            "fără georeferențiere: fără suprafețe",
        ),
        # conclusion
        "conclusion": ("Conclusion", "Заключение", "Concluzie"),
        "notes": ("What to bear in mind", "Что важно учесть", "De reținut"),
        # pictures
        "original_image": ("Original image", "Исходное изображение", "Imaginea originală"),
        "heatmap": ("Heatmap", "Тепловая карта", "Harta termică"),
        "picture_missing": ("No picture", "Изображения нет", "Imaginea lipsește"),
        "picture_unreadable": (
            "The picture cannot be shown",
            "Изображение не удалось показать",
            "Imaginea nu poate fi afișată",
        ),
        "picture_empty": (
            "Nothing to show: the image has no pixel with data",
            "Показывать нечего: на снимке нет пикселей с данными",
            "Nimic de arătat: imaginea nu are niciun pixel cu date",
        ),
        # classes
        "classes": ("Condition of the field", "Состояние поля", "Starea câmpului"),
        "classes_of_values": (
            "Classes of index values",
            "Классы значений индекса",
            "Clasele valorilor indicelui",
        ),
        "class": ("Class", "Класс", "Clasa"),
        "range": ("Index values", "Значения индекса", "Valorile indicelui"),
        "pixels": ("Pixels", "Пиксели", "Pixeli"),
        "percent": ("Share", "Доля", "Pondere"),
        "area_ha": ("Area, ha", "Площадь, га", "Suprafață, ha"),
        "area_m2": ("Area, m²", "Площадь, м²", "Suprafață, m²"),
        "total": ("Total", "Всего", "Total"),
        "range_between": ("{lower} to {upper}", "от {lower} до {upper}", "de la {lower} la {upper}"),
        "class_healthy": ("Healthy", "Здоровые", "Sănătos"),
        "class_mild_stress": ("Mild stress", "Легкий стресс", "Stres ușor"),
        "class_severe_stress": ("Severe stress", "Сильный стресс", "Stres sever"),
        "class_critical": ("Critical", "Критическое", "Critic"),
        "class_unnamed": ("Class {number}", "Класс {number}", "Clasa {number}"),
        # distribution
        "distribution": ("Distribution of values", "Распределение значений", "Distribuția valorilor"),
        "minimum": ("Minimum", "Минимум", "Minim"),
        "maximum": ("Maximum", "Максимум", "Maxim"),
        "std": ("Standard deviation", "Стандартное отклонение", "Abatere standard"),
        "p2": ("2nd percentile", "2-й процентиль", "Percentila 2"),
        "p98": ("98th percentile", "98-й процентиль", "Percentila 98"),
        "share_of_pixels": ("share of pixels, %", "доля пикселей, %", "ponderea pixelilor, %"),
        # index
        "index": ("The index", "Индекс", "Indicele"),
        "long_name": ("Full name", "Полное название", "Denumire completă"),
        "common_name": ("Also known as", "Также известен как", "Cunoscut și ca"),
        "formula": ("Formula", "Формула", "Formula"),
        "reference": ("Reference", "Источник", "Referință"),
        "purpose": ("What it is good for", "Для чего применяется", "La ce folosește"),
        "user_formula": ("formula of the request", "формула из запроса", "formula din cerere"),
        "thresholds": ("Class thresholds", "Пороги классов", "Pragurile claselor"),
        "threshold_source": ("Source of thresholds", "Источник порогов", "Sursa pragurilor"),
        "crop_levels": ("Reference levels", "Справочные уровни", "Niveluri de referință"),
        "crop_level": (
            "{name}: healthy above {healthy}, stressed at {stressed} and below",
            "{name}: здоровые растения выше {healthy}, стресс при {stressed} и ниже",
            "{name}: sănătos peste {healthy}, stres la {stressed} și mai jos",
        ),
        "edge_rule": (
            "a value equal to a threshold belongs to the class below it",
            "значение, равное порогу, относится к нижнему классу",
            "o valoare egală cu pragul aparține clasei inferioare",
        ),
        # image
        "image": ("The image", "Снимок", "Imaginea"),
        "file_name": ("File", "Файл", "Fișier"),
        "size": ("Size", "Размер", "Dimensiuni"),
        "gsd": ("Ground resolution", "Размер пикселя", "Rezoluția la sol"),
        "captured_at": ("Captured", "Время съёмки", "Data captării"),
        "camera": ("Camera", "Камера", "Camera"),
        "position": ("GPS position", "Координаты GPS", "Poziția GPS"),
        "altitude": ("Altitude", "Высота", "Altitudine"),
        "centre": ("Centre of the image", "Центр снимка", "Centrul imaginii"),
        "bounds": ("Bounds (WGS 84)", "Границы (WGS 84)", "Limite (WGS 84)"),
        "crs": ("Coordinate system", "Система координат", "Sistem de coordonate"),
        "not_georeferenced": ("not georeferenced", "геопривязки нет", "fără georeferențiere"),
        # quality and provenance
        "provenance": ("How it was computed", "Как это рассчитано", "Cum a fost calculat"),
        "valid_pixels": ("Valid pixels", "Годные пиксели", "Pixeli valizi"),
        "nodata_pixels": ("Pixels without data", "Пиксели без данных", "Pixeli fără date"),
        "invalid_pixels": ("Pixels not computable", "Невычислимые пиксели", "Pixeli necalculabili"),
        "background_pixels": ("Soil and background", "Почва и фон, пиксели", "Sol și fundal, pixeli"),
        "out_of_range_pixels": (
            "Pixels out of range",
            "Пиксели вне пределов индекса",
            "Pixeli în afara intervalului",
        ),
        "sensor": ("Sensor", "Датчик", "Senzor"),
        "sensor_reason": ("How it was recognised", "Как опознан датчик", "Cum a fost recunoscut"),
        "bands_reason": ("How bands were named", "Как определены каналы", "Cum s-au stabilit benzile"),
        "bands_by_caller": ("named with the request", "указаны в запросе", "indicate în cerere"),
        "bands_by_sensor_preset": (
            "by the preset of the sensor: {sensor}",
            "по схеме датчика: {sensor}",
            "după schema senzorului: {sensor}",
        ),
        "bands_by_tags": ("by the file's tags", "по тегам файла", "după etichetele fișierului"),
        "bands_by_descriptions": (
            "by the band descriptions in the file",
            "по описаниям каналов в файле",
            "după descrierile benzilor din fișier",
        ),
        "bands_by_file_names": (
            "by the names of the files",
            "по именам файлов",
            "după numele fișierelor",
        ),
        "bands_by_colour_interpretation": (
            "by the colours marked in the file",
            "по цветам, указанным в файле",
            "după culorile marcate în fișier",
        ),
        "bands_by_none": (
            "the file does not say what its bands are",
            "в файле не сказано, какие в нём каналы",
            "fișierul nu spune ce benzi conține",
        ),
        # sensors whose names are words
        "sensor_by_wavelength": (
            "{sensor}, bands by wavelength",
            "{sensor}, каналы по длине волны",
            "{sensor}, benzile după lungimea de undă",
        ),
        "sensor_rgb": (
            "photo in natural colours",
            "фотография в естественных цветах",
            "fotografie în culori naturale",
        ),
        "sensor_rgbn": (
            "image in red, green, blue and near infrared",
            "снимок в красном, зелёном, синем и ближнем инфракрасном свете",
            "imagine în roșu, verde, albastru și infraroșu apropiat",
        ),
        "sensor_micasense-dual": (
            "MicaSense RedEdge-MX dual camera",
            "двойная камера MicaSense RedEdge-MX",
            "camera dublă MicaSense RedEdge-MX",
        ),
        "sensor_naip": ("NAIP aerial photograph", "аэрофотоснимок NAIP", "fotografie aeriană NAIP"),
        "sensor_landsat-8-9": ("Landsat 8 or 9", "Landsat 8 или 9", "Landsat 8 sau 9"),
        "sensor_landsat-4-7": ("Landsat 4, 5 or 7", "Landsat 4, 5 или 7", "Landsat 4, 5 sau 7"),
        "background": ("Soil mask", "Маска почвы", "Masca de sol"),
        "background_kept": (
            "only pixels with {index} above {above} count",
            "учтены только пиксели, где {index} выше {above}",
            "se iau în calcul doar pixelii cu {index} peste {above}",
        ),
        "background_share": (
            "{share} of the image is left out",
            "исключено {share} снимка",
            "{share} din imagine este exclus",
        ),
        "engine": ("Engine", "Движок расчёта", "Motor de calcul"),
        "versions": ("Versions", "Версии", "Versiuni"),
        "band_map": ("Bands used", "Каналы", "Benzi folosite"),
        "scale": ("Scale", "Множитель", "Factor de scară"),
        "offset": ("Offset", "Смещение", "Decalaj"),
        "not_applied": (
            "{value} (as the file says; not applied)",
            "{value} (указано в файле, в расчёте не применялось)",
            "{value} (indicat în fișier; neaplicat)",
        ),
        "image_sha256": ("Image digest", "Контрольная сумма", "Suma de control"),
        "run_id": ("Analysis run", "Анализ №", "Analiza nr."),
        "completed_at": ("Analysis completed", "Анализ завершён", "Analiză finalizată"),
        "calibration": ("Calibration", "Калибровка", "Calibrare"),
        "calibration_unknown": (
            "Not known: the values come from pixels as stored. Compare images of different days or cameras "
            "with care.",
            "Неизвестна: значения вычислены из пикселей файла как есть. Сравнивайте снимки разных дней и "
            "камер с осторожностью.",
            "Necunoscută: valorile provin din pixelii fișierului, așa cum sunt. Comparați cu prudență "
            "imagini din zile sau de la camere diferite.",
        ),
        "calibration_dn": (
            "Stored numbers (DN), not calibrated to reflectance: compare places in this image, not dates or "
            "cameras.",
            "Числа из файла (DN), не откалиброванные в отражательную способность: сравнивайте участки этого "
            "снимка, а не разные даты или камеры.",
            "Numere stocate (DN), necalibrate în reflectanță: comparați zone din această imagine, nu date sau "
            "camere diferite.",
        ),
        "calibration_reflectance": (
            "The values are reflectance.",
            "Значения — отражательная способность.",
            "Valorile sunt reflectanță.",
        ),
        "calibration_by": (
            "Source of scale and offset: {source}.",
            "Источник множителя и смещения: {source}.",
            "Sursa factorului de scară și a decalajului: {source}.",
        ),
        "calibration_by_file_tags": ("the file", "файл", "fișierul"),
        "calibration_by_caller": ("the request", "запрос", "cererea"),
        "calibration_by_sensor_preset": (
            "published values ({sensor})",
            "опубликованные значения ({sensor})",
            "valori publicate ({sensor})",
        ),
        "unaligned": (
            "The bands are not aligned with each other.",
            "Каналы не совмещены друг с другом.",
            "Benzile nu sunt aliniate între ele.",
        ),
        "signature": ("Agronomist", "Агроном", "Agronom"),
        "signature_name": ("name and signature", "Ф. И. О., подпись", "nume și semnătură"),
        "signature_date": ("date", "дата", "data"),
        "remarks": ("Remarks", "Замечания", "Observații"),
        # the one-page report
        "simple_title": (
            "Analysis of an aerial image: {index}",
            "Отчёт об анализе снимка: {index}",
            "Raport de analiză a imaginii: {index}",
        ),
        "simple_date": ("Date", "Дата", "Data"),
        "no_gps": ("no GPS data", "нет данных GPS", "fără date GPS"),
        # the summary of many images
        "campaign_title": ("Summary of a campaign", "Сводка по съёмке", "Sinteza campaniei"),
        "campaign_subject": (
            "{index} of {number} images",
            "{index}, снимков: {number}",
            "{index}, imagini: {number}",
        ),
        "campaign_number": ("Batch no.", "Пакет №", "Lot nr."),
        "images": ("Images", "Снимки", "Imagini"),
        "images_done": ("Analysed", "Обработано", "Analizate"),
        "images_failed": ("Not analysed", "Не обработано", "Neanalizate"),
        "mean_of_all": (
            "Mean of all pixels",
            "Среднее по всем пикселям",
            "Media tuturor pixelilor",
        ),
        "total_area": ("Area of all images", "Площадь всех снимков", "Suprafața tuturor imaginilor"),
        "classes_of_all": ("All images together", "Все снимки вместе", "Toate imaginile împreună"),
        "relative_classes": (
            "Each image gave its own thresholds, so the classes of different images are not added up.",
            "Пороги найдены по каждому снимку отдельно, поэтому классы разных снимков не складываются.",
            "Fiecare imagine are praguri proprii, de aceea clasele imaginilor diferite nu se adună.",
        ),
        "overlaps": (
            "Where images overlap, the same ground counts once for each of them.",
            "Там, где снимки перекрываются, участок учтён по разу для каждого из них.",
            "Acolo unde imaginile se suprapun, terenul este numărat o dată pentru fiecare.",
        ),
        "means": ("Image by image", "По снимкам", "Imagine cu imagine"),
        "pictures": ("Heatmaps", "Тепловые карты", "Hărți termice"),
        "failures": ("Images that were not analysed", "Необработанные снимки", "Imagini neanalizate"),
        "reason": ("Reason", "Причина", "Motivul"),
        "rows_left_out": (
            "{number} more stand in the table {table}.",
            "Ещё строк в таблице {table}: {number}.",
            "Alte rânduri în tabelul {table}: {number}.",
        ),
        # numbers and units
        "date": ("{day} {month} {year}", "{day} {month} {year} г.", "{day} {month} {year}"),
        "date_time": ("{date}, {time}", "{date}, {time}", "{date}, ora {time}"),
        "hectares": ("{number} ha", "{number} га", "{number} ha"),
        "square_metres": ("{number} m²", "{number} м²", "{number} m²"),
        "metres": ("{number} m", "{number} м", "{number} m"),
        "centimetres_per_pixel": ("{number} cm/pixel", "{number} см/пиксель", "{number} cm/pixel"),
        "metres_per_pixel": ("{number} m/pixel", "{number} м/пиксель", "{number} m/pixel"),
        "pixel_size": (
            "{width} × {height} pixels",
            "{width} × {height} пикселей",
            "{width} × {height} pixeli",
        ),
        "bytes": ("{number} B", "{number} Б", "{number} B"),
        "kilobytes": ("{number} kB", "{number} кБ", "{number} kB"),
        "megabytes": ("{number} MB", "{number} МБ", "{number} MB"),
        "gigabytes": ("{number} GB", "{number} ГБ", "{number} GB"),
        "north": ("{number}° N", "{number}° с. ш.", "{number}° N"),
        "south": ("{number}° S", "{number}° ю. ш.", "{number}° S"),
        "east": ("{number}° E", "{number}° в. д.", "{number}° E"),
        "west": ("{number}° W", "{number}° з. д.", "{number}° V"),
    }
)

MONTHS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": (
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ),
        "ru": (
            "января",
            "февраля",
            "марта",
            "апреля",
            "мая",
            "июня",
            "июля",
            "августа",
            "сентября",
            "октября",
            "ноября",
            "декабря",
        ),
        "ro": (
            "ianuarie",
            "februarie",
            "martie",
            "aprilie",
            "mai",
            "iunie",
            "iulie",
            "august",
            "septembrie",
            "octombrie",
            "noiembrie",
            "decembrie",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Texts:
    """The phrases of one language: `Texts("ro")("page", page=1, pages=2)`."""

    language: str

    def __call__(self, key: str, **values: Any) -> str:
        """The phrase under `key` with its placeholders filled; `KeyError` where there is none."""
        phrase = PHRASES[key][LANGUAGES.index(self.language)]
        return phrase.format(**values) if values else phrase

    def get(self, key: str) -> str | None:
        """The phrase under `key`, or None: for keys that come with the data."""
        return self(key) if key in PHRASES else None


def texts_for(language: str | None) -> Texts:
    """The phrases for a language tag (`ru`, `ro-MD`, ...; None: Russian). Raises `BadInput` for one without reports."""
    primary = (language or DEFAULT_LANGUAGE).replace("_", "-").split("-")[0].strip().lower()
    if primary not in LANGUAGES:
        raise BadInput(
            "Reports are written in English (en), Russian (ru) or Romanian (ro): ask for one of these.",
            languages=list(LANGUAGES),
        )
    return Texts(primary)
