import pytest

from OLD import styles
from orthoray.spectral.thresholds import thresholds_for

KEYS = {
    "app_title",
    "original_image",
    "heatmap",
    "threshold",
    "stress_threshold",
    "vegetation_threshold",
    "crop_type",
    "save_report",
    "export_success",
    "export_error",
}


def test_colours():
    assert styles.PRIMARY_COLOR == "#2E7D32"
    assert styles.SECONDARY_COLOR == "#4CAF50"
    assert styles.BACKGROUND_COLOR == "#FFFFFF"
    assert styles.TEXT_COLOR == "#333333"


@pytest.mark.parametrize("name", ["BUTTON_STYLE", "MENU_STYLE", "MAIN_WINDOW_STYLE"])
def test_style_sheets_are_balanced_strings_with_the_colours(name):
    sheet = getattr(styles, name)
    assert sheet.count("{") == sheet.count("}") > 0
    assert "{{" not in sheet
    assert styles.TEXT_COLOR in sheet or styles.PRIMARY_COLOR in sheet


def test_crop_thresholds():
    levels = {crop: (t["healthy"], t["stressed"]) for crop, t in styles.CROP_THRESHOLDS.items()}
    assert levels == {"Кукуруза": (0.70, 0.40), "Пшеница": (0.65, 0.35), "Ячмень": (0.60, 0.30)}
    assert all(t["description"] for t in styles.CROP_THRESHOLDS.values())


@pytest.mark.parametrize("crop", styles.CROP_THRESHOLDS)
def test_crops_are_those_that_an_analysis_takes(crop):
    assert thresholds_for("NDVI", crop=crop).cuts[0] == styles.CROP_THRESHOLDS[crop]["healthy"]


def test_index_descriptions():
    assert list(styles.SPECTRAL_INDEX_DESCRIPTIONS) == ["NDVI", "Civi", "exG", "MGRVI"]
    for entry in styles.SPECTRAL_INDEX_DESCRIPTIONS.values():
        assert set(entry) == {"name", "description", "formula"}
        assert all(entry.values())


def test_translations_have_the_same_keys():
    assert list(styles.TRANSLATIONS) == ["Русский", "Română"]
    for texts in styles.TRANSLATIONS.values():
        assert set(texts) >= KEYS
        assert all(texts.values())
        assert not set("".join(texts.values())) & set("şţŞŢ")
