"""One site for the tests that break the same kind of installation: a start takes half a minute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import Site, open_site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder bear the mark, and have time for an installation to come back."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(720))


@pytest.fixture(scope="session")
def shared_site() -> Iterator[Site]:
    with open_site({"MAX_ATTEMPTS": "3", "LARGE_RASTER_PIXELS": "100000000"}) as site:
        yield site


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The site, serving, as the test before has left it."""
    if not shared_site.stack.is_serving:
        shared_site.stack.start()
    return shared_site
