"""Tests that share what is costly run one after another in one process, whatever runs beside them (`pytest --dist loadgroup`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def in_groups(items: list[pytest.Item], folder: Path, group: Callable[[pytest.Item], str]) -> None:
    """Name the group of each test below `folder`, and let them follow one another; last of each those marked `ends_stack`."""
    places = [place for place, item in enumerate(items) if item.path.is_relative_to(folder)]
    own = [items[place] for place in places]
    names = list(dict.fromkeys(map(group, own)))
    own.sort(key=lambda item: (names.index(group(item)), item.get_closest_marker("ends_stack") is not None))
    for place, item in zip(places, own, strict=True):
        items[place] = item
        item.add_marker(pytest.mark.xdist_group(group(item)))
