from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest

from orthoray.errors import Impossible
from orthoray.spectral.calibration import Calibration, calibrate, refuse_mixture, refuse_raw
from orthoray.spectral.sensors import Recognition


@dataclass(frozen=True)
class Fake:
    dtype: str = "uint16"
    scales: tuple[float, ...] = (1.0, 1.0)
    offsets: tuple[float, ...] = (0.0, 0.0)
    colours: tuple[str, ...] = ("gray", "undefined")

    @property
    def count(self) -> int:
        return len(self.scales)


RAW = Recognition("micasense-rededge", "MicaSense RedEdge-MX", "", raw_capture=True)
LANDSAT = Recognition("landsat-8-9", "Landsat", "", scales=(0.0000275, 0.0000275), offsets=(-0.2, -0.2))


@pytest.mark.parametrize(
    ("info", "state", "source"),
    [
        (Fake("uint8"), "dn", "none"),
        (Fake("int16"), "dn", "none"),
        (Fake("float32"), "unknown", "none"),
        (Fake("float64"), "unknown", "none"),
        (Fake(scales=(0.0001, 0.0001)), "reflectance", "file tags"),
        (Fake("float32", offsets=(-0.1, -0.1)), "reflectance", "file tags"),
        (Fake(offsets=(-64.0, -64.0)), "dn", "file tags"),
        (Fake(scales=(0.0001, 1.0)), "unknown", "file tags"),
        (Fake(scales=(0.0001, 1.0), colours=("gray", "alpha")), "reflectance", "file tags"),
        (Fake(scales=(0.0, math.nan)), "dn", "none"),
        (Fake(scales=(0.0001, 0.0001), offsets=(0.0, math.inf)), "unknown", "file tags"),
    ],
)
def test_by_tags(info: Fake, state: str, source: str) -> None:
    found = calibrate(info)
    assert (found.state, found.source, found.aligned) == (state, source, True)


def test_impossible_tags_are_ignored_with_a_word() -> None:
    found = calibrate(Fake(scales=(0.0, 0.0), offsets=(5.0, 5.0)))
    assert (found.scales, found.offsets) == ((1.0, 1.0), (0.0, 0.0))
    assert found.reason.endswith("was ignored.")
    assert "ignored" not in calibrate(Fake()).reason


def test_the_caller_wins_over_tags_and_products() -> None:
    tagged = Fake(scales=(0.5, 0.5), offsets=(3.0, 3.0))
    found = calibrate(tagged, scale=0.0001, recognition=LANDSAT)
    assert found == Calibration("reflectance", (1e-4, 1e-4), (0.0, 0.0), "caller", True, found.reason)
    assert calibrate(tagged, scale=[1e-4, 2e-4], offset=-0.1).scales == (1e-4, 2e-4)
    assert calibrate(tagged, scale=[1e-4, 2e-4], offset=-0.1).offsets == (-0.1, -0.1)
    assert calibrate(tagged, offset=[0, 1]).scales == (0.5, 0.5)
    assert calibrate(tagged, offset=[0, 1]).offsets == (0.0, 1.0)


def test_what_the_callers_numbers_claim() -> None:
    assert calibrate(Fake("float32"), scale=1).state == "reflectance"
    assert calibrate(Fake("uint16"), scale=1).state == "dn"
    assert calibrate(Fake("uint16"), offset=-100).state == "dn"


def test_a_product_brings_its_scale() -> None:
    found = calibrate(Fake(), recognition=LANDSAT)
    assert (found.state, found.source) == ("reflectance", "sensor preset landsat-8-9")
    assert (found.scales, found.offsets) == (LANDSAT.scales, LANDSAT.offsets)
    # converted already, or a part of the product
    assert calibrate(Fake(scales=(0.5, 0.5)), recognition=LANDSAT).source == "file tags"
    assert (
        calibrate(Fake(scales=(1.0,), offsets=(0.0,), colours=("gray",)), recognition=LANDSAT).source
        == "none"
    )


@pytest.mark.parametrize("scale", [0, 1e-13, -1e13, math.nan, math.inf, -math.inf])
def test_impossible_scales(scale: float) -> None:
    with pytest.raises(Impossible, match=r"scale .* is not a number from 1e-12 to 1e12"):
        calibrate(Fake(), scale=scale)


@pytest.mark.parametrize("offset", [1.1e6, math.nan, -math.inf])
def test_impossible_offsets(offset: float) -> None:
    with pytest.raises(Impossible, match=r"offset .* is not a number from -1000000 to 1000000"):
        calibrate(Fake(), offset=[0.0, offset])


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0, 1.0]])
def test_one_value_for_every_band(values: list[float]) -> None:
    with pytest.raises(Impossible, match=f"scale has {len(values)} values, the image has 2 bands"):
        calibrate(Fake(), scale=values)


def test_a_raw_capture_stays_dn_and_unaligned() -> None:
    found = calibrate(Fake(), scale=1e-4, recognition=RAW)
    assert (found.state, found.aligned, found.scales) == ("dn", False, (1e-4, 1e-4))
    assert calibrate(Fake(), recognition=RAW).reason.startswith(
        "A raw capture is neither calibrated nor aligned."
    )


def test_a_raw_capture_is_refused_unless_insisted_on() -> None:
    with pytest.raises(Impossible, match=r"raw capture of a MicaSense RedEdge-MX.*raw=true") as caught:
        refuse_raw(RAW, insisted=False)
    assert caught.value.fields == {"sensor": "micasense-rededge", "raw_capture": True}
    refuse_raw(RAW, insisted=True)
    refuse_raw(None, insisted=False)
    refuse_raw(LANDSAT, insisted=False)


def test_as_json() -> None:
    told = json.loads(json.dumps(calibrate(Fake(), scale=0.5).to_dict(), allow_nan=False))
    assert told == {
        "state": "reflectance",
        "scales": [0.5, 0.5],
        "offsets": [0.0, 0.0],
        "source": "caller",
        "aligned": True,
        "reason": "Scale and offset were given with the request.",
        "per_band": False,
    }


def mixed(
    dtypes: tuple[str, str], scales: tuple[float, float], *, source: str = "file tags", per_band: bool = False
) -> None:
    found = Calibration("unknown", scales, (0.0, 0.0), source, per_band=per_band)
    refuse_mixture({"R": 1, "N": 2}, dtypes, found)


@pytest.mark.parametrize(
    ("dtypes", "scales", "source", "example"),
    [
        (("float32", "uint16"), (1.0, 1.0), "none", "1,0.0001"),
        (("uint8", "float64"), (1.0, 0.5), "file tags", "0.0001,0.5"),
        (("uint16", "uint16"), (0.0001, 1.0), "file tags", "0.0001,0.0001"),
        (("float32", "float32"), (0.01, 1.0), "file tags", "0.01,1"),
        (("float32", "uint16"), (0.0001, 0.0001), "caller", "1,0.0001"),
    ],
)
def test_reflectance_and_camera_numbers_are_not_mixed(
    dtypes: tuple[str, str], scales: tuple[float, float], source: str, example: str
) -> None:
    with pytest.raises(Impossible, match="not in the same units") as caught:
        mixed(dtypes, scales, source=source)
    assert f"one number per band, in the order of the bands in the files (such as {example})" in str(
        caught.value
    )
    assert f"R ({dtypes[0]}" in str(caught.value)
    assert f"N ({dtypes[1]}" in str(caught.value)
    assert caught.value.fields["dtypes"] == {"R": dtypes[0], "N": dtypes[1]}
    mixed(dtypes, scales, source="caller", per_band=True)


@pytest.mark.parametrize(
    ("dtypes", "scales"),
    [
        (("uint16", "uint8"), (1.0, 1.0)),
        (("float32", "float64"), (1.0, 1.0)),
        (("uint16", "int16"), (0.0001, 2.75e-05)),
        (("uint16", "float32"), (0.0001, 1.0)),
        (("uint16", "float32"), (0.0001, 0.0001)),
        (("float32", "float32"), (0.01, 0.02)),
    ],
)
def test_bands_that_may_stand_in_one_formula(dtypes: tuple[str, str], scales: tuple[float, float]) -> None:
    mixed(dtypes, scales)


def test_only_bands_in_use_are_compared_and_temperature_with_none() -> None:
    found = Calibration("unknown", (1.0, 1.0, 0.01), (0.0,) * 3, "none")
    dtypes = ("float32", "uint16", "float32")
    refuse_mixture({"R": 1}, dtypes, found)
    refuse_mixture({}, dtypes, found)
    refuse_mixture({"R": 1, "T": 3}, dtypes, found)
    with pytest.raises(Impossible):
        refuse_mixture({"R": 1, "T": 2}, dtypes, found)
    many = Calibration("unknown", (1.0,) * 20, (0.0,) * 20, "none")
    with pytest.raises(Impossible, match="in the files, so that each becomes reflectance"):
        refuse_mixture({"R": 1, "N": 2}, ("float32",) + ("uint8",) * 19, many)


def test_a_scale_for_each_band_is_the_callers_answer() -> None:
    assert calibrate(Fake(), scale=[0.5, 0.5]).per_band
    assert not calibrate(Fake(), scale=0.5).per_band
    assert not calibrate(Fake(), offset=[1, 2]).per_band
