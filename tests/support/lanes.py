"""With `pytest -n 2 --dist loadgroup` tests that share what is costly run one after another in one process."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

# Files of tests that share an installation, by folder; None is that of the other files there. Elsewhere each file is for itself.
SHARED = {
    "faults": {"test_s3_and_redis": "faults on S3", None: "faults in a folder"},
    "acceptance": {
        "test_detached": "open stack",
        "test_legacy": "open stack",
        "test_sudden_death": "open stack",
        "test_grpc": "stack on S3",
        "test_s3": "stack on S3",
        "test_start_errors": "no stack",
        None: "stack",
    },
}


def group_of(path: Path) -> str:
    """What the tests of a file share with those of other files."""
    shared = SHARED.get(path.parent.name, {})
    return shared.get(path.stem, shared.get(None, str(path)))


def in_groups(items: list[pytest.Item], folder: Path) -> None:
    """Let the tests below a folder that share something follow one another; last of them those marked `ends_stack`."""
    places = [place for place, item in enumerate(items) if item.path.is_relative_to(folder)]
    own = [items[place] for place in places]
    names = list(dict.fromkeys(group_of(item.path) for item in own))
    own.sort(
        key=lambda item: (
            names.index(group_of(item.path)),
            item.get_closest_marker("ends_stack") is not None,
        )
    )
    for place, item in zip(places, own, strict=True):
        items[place] = item


class Lanes(LoadScopeScheduling):
    """Gives a process one group after another, in their order. xdist's own looks for groups in ids, and pytest 9.2 lets nobody
    change these."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(Path(nodeid.split("::", maxsplit=1)[0]))
