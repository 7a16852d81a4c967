from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from orthoray.spectral.catalogue import DATA, default_constants, entries, read
from orthoray.spectral.expression import parse
from orthoray.spectral.indices import CATALOGUE, derived, get_index
from orthoray.spectral.thresholds import LEGACY_INDICES

ROOT = Path(__file__).parents[3]
LISTED: list[dict[str, Any]] = read("indices.json")["indices"]
ADDITIONS = read("additions.json")
OWN = [entry["name"] for entry in ADDITIONS["own"]]


def random_inputs(names: list[str] | tuple[str, ...]) -> dict[str, npt.NDArray[np.float64]]:
    rng = np.random.default_rng(13)
    return {
        name: rng.uniform(270.0, 330.0, 64) if name.startswith("T") else rng.uniform(0.01, 0.9, 64)
        for name in names
    }


def refreshing() -> Any:
    """The maintainers' script as a module."""
    spec = importlib.util.spec_from_file_location(
        "refresh_catalogue", ROOT / "tools" / "refresh_catalogue.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def installed() -> Any:
    try:
        return distribution("spyndex")
    except PackageNotFoundError:
        pytest.skip("spyndex is not installed")


def test_every_index_of_the_list_is_there() -> None:
    assert len(LISTED) == 280
    assert len(CATALOGUE) == len(entries()) == 283
    assert {entry["short_name"] for entry in LISTED} | {"CIVE", "NDRE", "NDVI_emp"} == {
        index.name for index in CATALOGUE
    }
    assert sum(not index.computable for index in CATALOGUE) == 19
    assert tuple(index.name for index in CATALOGUE if index.legacy) == LEGACY_INDICES


def test_the_kept_list_is_that_of_the_installed_package() -> None:
    package = installed()
    if package.version != "0.12.0":
        pytest.skip(f"the list is that of 0.12.0, installed is {package.version}")
    folder = Path(str(package.locate_file("spyndex/data")))
    theirs = json.loads((folder / "spectral-indices-dict.json").read_text(encoding="utf-8"))[
        "SpectralIndices"
    ]
    ours = [
        {key: value for key, value in entry.items() if key not in {"needs_reflectance", "value_range"}}
        for entry in LISTED
    ]
    assert ours == list(theirs.values())
    constants = json.loads((folder / "constants.json").read_text(encoding="utf-8"))
    assert read("indices.json")["constants"] == {name: entry["default"] for name, entry in constants.items()}


def test_the_script_makes_the_file_that_is_kept() -> None:
    package, script = installed(), refreshing()
    if package.version == "0.12.0":
        assert script.text(script.listed(package)) == (DATA / "indices.json").read_text(encoding="utf-8")


def test_the_licence_goes_with_the_list() -> None:
    head = read("indices.json")
    licence = "\n".join(head["license"])
    assert "MIT License" in licence
    assert "Copyright (c) 2021 David Montero Loaiza" in licence
    assert "WITHOUT WARRANTY OF ANY KIND" in licence
    assert "10.1038/s41597-023-02096-0" in head["citation"]


@pytest.mark.parametrize("part", range(8))
def test_every_formula_of_the_list_gives_what_python_gives(part: int) -> None:
    for entry in LISTED[part::8]:
        index = get_index(entry["short_name"])
        constants = dict(default_constants()) | dict(index.constants)
        arrays = random_inputs([name for name in entry["bands"] if name not in constants])
        expression = parse(entry["formula"], bands=tuple(arrays), constants=constants)
        with np.errstate(all="ignore"):
            expected = eval(entry["formula"], {"__builtins__": {}}, {**constants, **arrays})  # noqa: S307 - the kept list
            np.testing.assert_allclose(expression(arrays), expected, rtol=1e-9, atol=1e-12)
            if index.name not in OWN:
                assert index.formula == entry["formula"]
                np.testing.assert_array_equal(index.evaluate(arrays), expression(arrays))
        if index.name in OWN and not index.legacy:
            np.testing.assert_allclose(index.evaluate(arrays), expected, rtol=1e-12)
        if index.computable:
            kept = index.compute(arrays, np.float64)
            finite = np.isfinite(expected)
            np.testing.assert_array_equal(np.isnan(kept), ~finite)
            np.testing.assert_allclose(kept[finite], expected[finite], rtol=1e-3 if index.legacy else 1e-6)


def test_what_is_derived_fits_the_formula() -> None:
    for index in CATALOGUE:
        if not index.legacy:
            needs_reflectance, value_range = derived(index.expression)
            assert index.needs_reflectance == needs_reflectance, index.name
            if "value_range" not in ADDITIONS["indices"].get(index.name, {}) and index.name not in OWN:
                assert index.value_range == value_range, index.name


def test_additions_speak_of_indices_and_constants_that_exist() -> None:
    by_name = {entry["short_name"]: entry for entry in LISTED}
    for name, added in ADDITIONS["indices"].items():
        assert name in by_name
        assert name not in OWN
        assert set(added) <= {"constants", "value_range", "high_is_good", "common_name", "note"}
        assert set(added.get("constants", {})) <= set(by_name[name]["bands"])
    assert all(read("indices.json")["constants"][name] is None for name in ADDITIONS["constants"])


def test_every_vegetation_index_says_what_high_means_or_has_no_meaning() -> None:
    unjudged = {
        index.name for index in CATALOGUE if index.domain == "vegetation" and index.high_is_good is None
    }
    # pigments, flowers, residue, shadows, single species: neither good nor bad in itself
    assert unjudged == {
        "BCC", "CRI550", "CRI700", "DSWI2", "DSWI3", "EBI", "IKAW", "KDI", "MCARI", "MCARI705", "MCARIOSAVI",
        "MCARIOSAVI705", "MI", "MRBVI", "MVI", "NDTI4RE", "NDTillI", "NDYI", "NMDI", "NRFIg", "NRFIr", "RCC", "REDSI",
        "SI", "SNDTI", "SNDTI4RE", "STI", "STI4RE", "TCARI", "TCARIOSAVI705", "TCI", "WCI1", "WCI2",
    }  # fmt: skip


def test_legacy_entries_cite_the_list() -> None:
    by_name = {entry["short_name"]: entry for entry in LISTED}
    for name in LEGACY_INDICES:
        cited = by_name.get({"NDVI_emp": "NGRDI"}.get(name, name))
        note = get_index(name).note
        assert note
        assert cited is None or cited["formula"] in note


def test_importing_reads_and_parses_nothing() -> None:
    program = (
        "import sys; sys.modules['cupy'] = None\n"
        "import orthoray.spectral.device\n"
        "from orthoray.spectral import catalogue, indices\n"
        "assert not catalogue.entries.cache_info().currsize and not catalogue.default_constants.cache_info().currsize\n"
        "indices.parse = None\n"
        "assert len([index.to_dict() for index in indices.CATALOGUE]) == 283\n"
        "assert indices.get_index('ndvi').name == 'NDVI'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=60)
