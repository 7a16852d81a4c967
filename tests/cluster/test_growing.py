"""A backlog makes Ray's autoscaler add nodes, from none on; when it is done they go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import growing
import pytest

from orthoray.database import migrate
from serve_app.local.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[2]


@pytest.fixture
def dsn(tmp_path: Path) -> Iterator[str]:
    server = EmbeddedPostgres(tmp_path)
    server.start()
    try:
        migrate(server.dsn("analysis"), ROOT / "serve_app/analysis/migrations")
        yield server.dsn("analysis")
    finally:
        server.stop()


def grown(dsn: str, jobs: int, concurrency: int) -> dict[str, int]:
    """See `growing`."""
    answer = subprocess.run(
        [sys.executable, growing.__file__, dsn, str(jobs), str(concurrency)],
        env={**os.environ, **growing.ENVIRONMENT},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=330,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    found: dict[str, int] = json.loads(answer.stdout)
    return found


@pytest.mark.timeout(360)
def test_a_backlog_asks_for_nodes_up_to_the_bound_and_lets_them_go(dsn: str) -> None:
    """From no node at all, with what a run asks for: a CPU beside no services, and memory."""
    found = grown(dsn, 8, 2)
    assert (found["done"], found["left"]) == (8, 0)
    assert found["asked"] == 2, "of eight that wait in the queue"
    assert 2 <= found["most"] <= growing.MAX_NODES
