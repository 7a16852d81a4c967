from __future__ import annotations

import re
from pathlib import Path

import pytest

from orthoray.errors import Impossible
from orthoray.spectral.labels import LONG_NAMES, SKIP, from_wavelengths
from orthoray.spectral.presets import SENSORS, Sensor, find_sensor, get_sensor


@pytest.mark.parametrize("sensor", SENSORS.values(), ids=lambda sensor: sensor.key)
def test_every_preset_is_sound(sensor: Sensor) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", sensor.key)
    assert len({len(order) for order in sensor.orders}) == len(sensor.orders)
    for order in sensor.orders:
        named = [name for name in order if name != SKIP]
        assert set(named) <= set(LONG_NAMES)
        assert len(named) == len(set(named))
    published = [name for name, _, _ in sensor.wavelengths_nm]
    if published:
        assert {name for order in sensor.orders for name in order} <= {*published, SKIP}


@pytest.mark.parametrize("sensor", SENSORS.values(), ids=lambda sensor: sensor.key)
def test_names_are_those_of_the_wavelengths(sensor: Sensor) -> None:
    optical = [(name, centre) for name, centre, _ in sensor.wavelengths_nm if name != SKIP and centre < 2500]
    assert from_wavelengths([centre for _, centre in optical]) == tuple(name for name, _ in optical)


def test_names_and_aliases() -> None:
    assert get_sensor(" MicaSense RedEdge_MX ").key == "micasense-rededge"
    assert get_sensor("Landsat 9").key == "landsat-8-9"
    assert find_sensor("X-Cam") is None
    with pytest.raises(Impossible, match="Unknown sensor 'X-Cam'") as caught:
        get_sensor("X-Cam")
    assert caught.value.fields["known_sensors"] == list(SENSORS)


def test_both_orders_hold_the_same_bands() -> None:
    for key, sensor in SENSORS.items():
        if other := SENSORS.get(f"{key}-by-wavelength"):
            for order in other.orders:
                assert sorted(order) == sorted(sensor.order(len(order)) or ())


def test_orders_by_wavelength_rise() -> None:
    for key, sensor in SENSORS.items():
        if key.endswith("-by-wavelength"):
            centres = {name: centre for name, centre, _ in sensor.wavelengths_nm}
            for order in sensor.orders:
                told = [centres[name] for name in order if name != SKIP]
                assert told == sorted(told)


def test_the_documentation_tells_every_preset() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "sensors.md"
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| ([^|]+) \| ([^|]+) \|", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    told = {key: orders for key, _, orders in rows}
    assert told == {
        key: "; ".join(", ".join(order) for order in sensor.orders) for key, sensor in SENSORS.items()
    }
