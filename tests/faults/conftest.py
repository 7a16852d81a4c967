"""One site for the tests that break the same kind of installation: a start takes half a minute."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import Disk
from faults import Site, open_site
from lanes import in_groups

from orthoray.storage.local import LocalStorage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder bear the mark, and have time for an installation to come back."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(900))
    in_groups(items, here)


@pytest.fixture(scope="package")
def disk() -> Iterator[Disk | None]:
    """A file system of its own for the files of the site; None where none can be mounted."""
    with tempfile.TemporaryDirectory(prefix="or-disk-", dir="/tmp") as name:
        mount = ["mount", "-t", "tmpfs", "-o", "size=4g", "tmpfs", name]
        if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
            yield None
            return
        try:
            yield Disk(Path(name))
        finally:
            unmount = ["umount", "--lazy", name]
            subprocess.run(unmount, check=True)


@pytest.fixture(scope="package")
def shared_site(disk: Disk | None) -> Iterator[Site]:
    settings = {"MAX_ATTEMPTS": "3", "LARGE_RASTER_PIXELS": "100000000"}
    storage = LocalStorage(disk.path) if disk else None
    if disk:
        settings["STORAGE_ROOT"] = str(disk.path)
    with open_site(settings, storage) as site:
        yield site


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The site, serving, as the test before has left it."""
    if not shared_site.stack.is_serving:
        shared_site.stack.start()
    return shared_site
