"""The API does what its OpenAPI document says: schemathesis asks it for many things, right and wrong ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from journey import finished, start_run, upload
from scenes import photo
from stack import Stack

pytestmark = pytest.mark.timeout(240)

SECONDS = 20
# Whether all that fits the document is taken depends on what is there: ids, bands of images, tokens of pages.
EXCLUDED = "positive_data_acceptance"
OPTIONS = (
    f"--checks all --exclude-checks {EXCLUDED} --max-time {SECONDS} --max-examples 8 --request-timeout 60 "
    "--continue-on-failure --no-shrink --generation-deterministic "
    "--suppress-health-check all --warnings off --no-color"
)


def test_schemathesis_finds_nothing(stack: Stack, api: httpx2.Client, tmp_path: Path) -> None:
    run = start_run(api, upload(api, "field.jpg", photo())["id"], auto_report=True)
    finished(api, f"/analysis-runs/{run['id']}")
    program = Path(sys.executable).with_name("schemathesis")
    answer = subprocess.run(
        [
            program,
            "run",
            f"{stack.url}/openapi.json",
            "--header",
            f"X-API-Key: {stack.key}",
            *OPTIONS.split(),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS + 150,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-6000:] + answer.stderr
