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


@pytest.mark.timeout(360)
def test_a_backlog_asks_for_nodes_and_lets_them_go(dsn: str) -> None:
    answer = subprocess.run(
        [sys.executable, growing.__file__, dsn, "8", "0"],
        env={**os.environ, **growing.ENVIRONMENT},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=330,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    found = json.loads(answer.stdout)
    assert (found["done"], found["left"]) == (8, 0)
    assert found["most"] >= 2
