"""What all tests share."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, but for those that Ray itself causes when it is imported."""
    config.addinivalue_line("filterwarnings", "ignore:Using extra keyword arguments on `Field` is deprecated")
