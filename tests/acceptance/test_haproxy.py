"""SERVE_INGRESS=haproxy: the whole way of an image through HAProxy to S3, and nothing of it left afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from stack import Stack, eventually

from serve_app.local.processes import port_is_free
from serve_app.local.stack import ingress_folder

SMOKE = Path(__file__).parents[2] / "deploy" / "smoke"

pytestmark = pytest.mark.timeout(280)


@pytest.mark.ends_stack
def test_haproxy_is_before_the_gateway_and_ends_with_it(s3_stack: Stack) -> None:
    answer = subprocess.run(
        [sys.executable, SMOKE, s3_stack.url],
        env={"ORTHORAY_API_KEY": s3_stack.key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1].startswith("OrthoRay works")
    files = ingress_folder(s3_stack.home)
    assert s3_stack.processes(f"haproxy -db -f {files}/")
    # Everybody on the machine could give it orders by its socket otherwise.
    assert files.stat().st_mode & 0o777 == 0o700

    assert s3_stack.terminate_group() == 0
    eventually(lambda: not s3_stack.processes(), 10, "the end of all processes")
    assert port_is_free("127.0.0.1", s3_stack.port)
    assert not files.exists()
