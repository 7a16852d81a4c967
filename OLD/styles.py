"""Colours, style sheets, crop thresholds and texts of the desktop program. Plain data: no Qt."""

from __future__ import annotations

from typing import TypedDict

from orthoray.spectral.thresholds import CROPS

PRIMARY_COLOR = "#2E7D32"
SECONDARY_COLOR = "#4CAF50"
BACKGROUND_COLOR = "#FFFFFF"
TEXT_COLOR = "#333333"

BUTTON_STYLE = f"""
QPushButton {{
    background-color: {PRIMARY_COLOR};
    color: {BACKGROUND_COLOR};
    border: none;
    border-radius: 4px;
    padding: 8px 16px;
    font-size: 14px;
}}
QPushButton:hover {{ background-color: {SECONDARY_COLOR}; }}
QPushButton:disabled {{ background-color: #BDBDBD; }}
"""

MENU_STYLE = f"""
QMenuBar {{ background-color: {PRIMARY_COLOR}; color: {BACKGROUND_COLOR}; }}
QMenuBar::item:selected {{ background-color: {SECONDARY_COLOR}; }}
QMenu {{ background-color: {BACKGROUND_COLOR}; color: {TEXT_COLOR}; border: 1px solid {PRIMARY_COLOR}; }}
QMenu::item:selected {{ background-color: {SECONDARY_COLOR}; color: {BACKGROUND_COLOR}; }}
"""

MAIN_WINDOW_STYLE = f"""
QMainWindow {{ background-color: {BACKGROUND_COLOR}; }}
QLabel {{ color: {TEXT_COLOR}; font-size: 14px; }}
"""


class CropThreshold(TypedDict):
    """NDVI above `healthy` is a healthy crop, at `stressed` and below a stressed one."""

    healthy: float
    stressed: float
    description: str


class IndexDescription(TypedDict):
    """What the program shows beside an index."""

    name: str
    description: str
    formula: str


_CROP_DESCRIPTIONS = {
    "corn": "Кукуруза дает густой высокий покров, поэтому порог здорового состояния выше, чем у зерновых.",
    "wheat": "Пшеница в фазе колошения и созревания желтеет: низкие значения в это время не всегда стресс.",
    "barley": "Ячмень ниже и реже других зерновых и созревает раньше, поэтому его пороги ниже.",
}

CROP_THRESHOLDS: dict[str, CropThreshold] = {
    crop.aliases[0]: {
        "healthy": crop.healthy,
        "stressed": crop.stressed,
        "description": _CROP_DESCRIPTIONS[crop.name],
    }
    for crop in CROPS
}

SPECTRAL_INDEX_DESCRIPTIONS: dict[str, IndexDescription] = {
    "NDVI": {
        "name": "Нормализованный разностный вегетационный индекс (NDVI)",
        "description": "Показывает густоту и силу растений по красному и ближнему инфракрасному свету: всходы, "
        "пропуски, стресс. В густых посевах насыщается.",
        "formula": "(NIR - R) / (NIR + R)",
    },
    "Civi": {
        "name": "Цветовой индекс извлечения растительности (CIVE)",
        "description": "Отделяет растения от почвы по обычному снимку. Чем ниже значение, тем больше зелени.",
        "formula": "0.441 * R - 0.881 * G + 0.385 * B + 18.78745",
    },
    "exG": {
        "name": "Индекс избытка зеленого (ExG)",
        "description": "Выделяет зеленые растения на фоне почвы по обычному снимку.",
        "formula": "2 * G - R - B",
    },
    "MGRVI": {
        "name": "Модифицированный зелено-красный вегетационный индекс (MGRVI)",
        "description": "Показывает развитие растений по обычному снимку, особенно на ранних фазах роста.",
        "formula": "(G² - R²) / (G² + R²)",
    },
}

TRANSLATIONS: dict[str, dict[str, str]] = {
    "Русский": {
        "app_title": "Анализ состояния растений",
        "original_image": "Исходный снимок",
        "heatmap": "Тепловая карта",
        "threshold": "Порог",
        "stress_threshold": "Порог стресса",
        "vegetation_threshold": "Порог растительности",
        "crop_type": "Культура",
        "save_report": "Сохранить отчет",
        "export_success": "Отчет сохранен",
        "export_error": "Не удалось сохранить отчет",
    },
    "Română": {
        "app_title": "Analiza stării plantelor",
        "original_image": "Imaginea originală",
        "heatmap": "Harta termică",
        "threshold": "Prag",
        "stress_threshold": "Prag de stres",
        "vegetation_threshold": "Prag de vegetație",
        "crop_type": "Cultura",
        "save_report": "Salvează raportul",
        "export_success": "Raportul a fost salvat",
        "export_error": "Raportul nu a putut fi salvat",
    },
}
