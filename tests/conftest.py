"""What all tests share."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings
from lanes import Lanes

# A developer's runs look for new counterexamples; continuous integration repeats the same ones, slow machine or not.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("developer", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes | None:
    return Lanes(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, but for those that Ray itself causes when it is imported."""
    config.addinivalue_line("filterwarnings", "ignore:Using extra keyword arguments on `Field` is deprecated")
