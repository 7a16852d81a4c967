from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import array_api_strict
import numpy as np
import pytest

from orthoray.errors import Impossible
from orthoray.spectral.device import best_namespace, compute_on
from orthoray.spectral.indices import CATALOGUE, get_index, index_from_expression
from orthoray.spectral.terms import FUNCTIONS, namespace_of

ROOT = Path(__file__).parents[3]
COMPUTABLE = [index for index in CATALOGUE if index.computable]


def reflectances(names: tuple[str, ...], dtype: str = "float64") -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(17)
    return {
        name: (rng.uniform(0.01, 0.9, (8, 9)) * (330 if name.startswith("T") else 1)).astype(dtype)
        for name in names
    }


@pytest.mark.parametrize("part", range(8))
def test_the_strict_array_api_gives_what_the_cpu_gives(part: int) -> None:
    for index in COMPUTABLE[part::8]:
        bands = reflectances(index.bands)
        result = compute_on(index, bands, array_api_strict)
        assert result.dtype == array_api_strict.float32
        np.testing.assert_allclose(np.asarray(result), index.compute(bands), rtol=1e-6)


@pytest.mark.parametrize("text", [f"{name}(N{', 0.5' * name.startswith('m')})" for name in FUNCTIONS])
def test_the_functions_of_formulas_are_in_the_strict_array_api(text: str) -> None:
    index = index_from_expression(text)
    bands = reflectances(("N",))
    np.testing.assert_allclose(
        np.asarray(compute_on(index, bands, array_api_strict)), index.compute(bands), rtol=1e-6
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("name", ["NDVI", "SAVI", "VARI"])
def test_pixels_of_every_kind_are_cast_first(name: str, dtype: str) -> None:
    rng = np.random.default_rng(19)
    index = get_index(name)
    bands = {band: rng.integers(0, 120, (5, 6)).astype(dtype) for band in index.bands}
    device = {band: array_api_strict.asarray(values) for band, values in bands.items()}
    expected = index.compute(bands)
    for given in (bands, device):
        np.testing.assert_allclose(
            np.asarray(compute_on(index, given, array_api_strict)), expected, rtol=1e-6
        )
        assert (
            np.isnan(np.asarray(compute_on(index, given, array_api_strict))).sum() == np.isnan(expected).sum()
        )


def test_what_is_not_finite_is_nan() -> None:
    bands = {"N": np.array([0.0, 1.0, 3.0, np.inf]), "R": np.array([0.0, -1.0, 1.0, 1.0])}
    for namespace in (np, array_api_strict):
        result = np.asarray(compute_on(get_index("NDVI"), bands, namespace))
        np.testing.assert_array_equal(result, np.array([np.nan, np.nan, 0.5, np.nan], np.float32))


def test_radar_is_refused() -> None:
    with pytest.raises(Impossible, match="also needs VV, VH"):
        compute_on(get_index("NDPolI"), {}, np)


def test_without_cupy_or_device_numpy_is_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert best_namespace() is np
    cupy: Any = ModuleType("cupy")
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert best_namespace() is np
    cupy.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 0))
    assert best_namespace() is np
    cupy.cuda.runtime.getDeviceCount = lambda: 1
    assert best_namespace() is cupy


def test_an_array_without_the_array_api_has_the_namespace_of_its_class() -> None:
    array = type("ndarray", (), {"__module__": "numpy.somewhere"})()
    assert namespace_of(array) is np
    assert namespace_of(np.ones(1)) is np


def test_only_one_module_knows_cupy() -> None:
    packages = ("orthoray", "OLD", "pipelines", "actors", "serve_app")
    named = [
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if "cupy" in path.read_text(encoding="utf-8").lower()
    ]
    assert named == ["orthoray/spectral/device.py"]
