from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from orthoray.spectral.bands import BandMap
from orthoray.spectral.calibration import Calibration
from orthoray.spectral.engine import ENGINE
from orthoray.spectral.indices import get_index, index_from_expression
from orthoray.spectral.kernel import Background
from orthoray.spectral.provenance import provenance_of, threshold_facts
from orthoray.spectral.thresholds import Adaptive, ThresholdSet

SET = ThresholdSet("custom/1", "NDVI", (0.6, 0.4, 0.2), "maize", "Given with the request.")
BANDS = BandMap(
    ("B", "G", "R", None, "N"),
    "sensor preset micasense-altum",
    alpha=None,
    reason="Its tags say so.",
    sensor="micasense-altum",
)
CALIBRATION = Calibration(
    "reflectance", (1.0, 2.0, 3.0, 4.0, 5.0), (0.0, 0.1, 0.2, 0.3, 0.4), "caller", reason="Given."
)


def account(**changes: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": "NDVI",
        "index": get_index("NDVI"),
        "engine": ENGINE,
        "bands": ("N", "R"),
        "band_map": BANDS,
        "dtype": "uint16",
        "calibration": CALIBRATION,
        "thresholds": SET,
    }
    said |= changes
    made = provenance_of(said.pop("name"), said.pop("index"), **said)
    assert json.loads(json.dumps(made, allow_nan=False)) == made, "it is JSON as it stands"
    return made


def test_who_wants_to_repeat_it_finds_all() -> None:
    made = account()
    index = get_index("NDVI").to_dict()
    assert made["index"] == index.pop("name")
    assert {key: made[key] for key in index} == index
    assert made["band_map"] == {"N": 5, "R": 3}
    assert (made["bands_source"], made["bands_reason"]) == (
        "sensor preset micasense-altum",
        "Its tags say so.",
    )
    assert (made["sensor"], made["sensor_title"], made["sensor_reason"]) == (
        "micasense-altum",
        "MicaSense Altum",
        None,
    )
    assert (made["scale"], made["offset"]) == ({"N": 5.0, "R": 3.0}, {"N": 0.4, "R": 0.2})
    assert made["scale_applied"] is True
    assert made["calibration"] == CALIBRATION.to_dict()
    assert made["dtype"] == "uint16"
    assert made["background"] is None
    assert made["engine"] == ENGINE == "orthoray.spectral/2"


def test_versions_are_those_installed() -> None:
    versions = account()["versions"]
    assert versions["orthoray"] == version("orthoray")
    assert versions["numpy"] == version("numpy")
    assert {"rasterio", "imagecodecs"} < set(versions)


def test_a_users_formula_with_its_constants() -> None:
    made = account(index=index_from_expression("(N - R) / (N + R + K)", {"K": 0.25}))
    assert (made["index"], made["formula"]) == ("expr", "(N - R) / (N + R + K)")
    assert made["constants"] == {"K": 0.25}


def test_an_index_of_another_program() -> None:
    made = account(name="MyIndex", index=None, is_scaled=False)
    assert made["index"] == "MyIndex"
    assert "formula" not in made
    assert made["scale_applied"] is False


def test_bands_of_no_sensor() -> None:
    plain = account(band_map=BandMap(("R", "N"), "caller"))
    assert (plain["sensor"], plain["sensor_title"]) == (None, None)


def test_a_soil_mask_and_a_recognised_camera() -> None:
    made = account(background=Background(get_index("SAVI"), 0.2), recognised="Its tags name an Altum.")
    assert made["background"] == {
        "index": "SAVI",
        "formula": get_index("SAVI").formula,
        "constants": {"L": 0.5},
        "above": 0.2,
    }
    assert made["sensor_reason"] == "Its tags name an Altum."


def test_thresholds_known_and_to_come() -> None:
    assert threshold_facts(SET) == {
        "id": "custom/1",
        "cuts": [0.6, 0.4, 0.2],
        "crop": "maize",
        "source": "Given with the request.",
    }
    waiting = threshold_facts(Adaptive("jenks", "NDVI", "wheat"))
    assert waiting == {"id": "jenks/1", "cuts": None, "crop": "wheat", "source": None}
    assert account(thresholds=Adaptive("quantiles", "NDVI"))["thresholds"]["id"] == "quantiles/1"
