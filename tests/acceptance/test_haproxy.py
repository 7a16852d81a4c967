"""SERVE_INGRESS=haproxy: the whole way of an image through HAProxy, and nothing of it left afterwards."""

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


def test_haproxy_is_before_the_gateway_and_ends_with_it(haproxy_stack: Stack) -> None:
    answer = subprocess.run(
        [sys.executable, SMOKE, haproxy_stack.url],
        env={"ORTHORAY_API_KEY": haproxy_stack.key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1].startswith("OrthoRay works")
    files = ingress_folder(haproxy_stack.home)
    assert haproxy_stack.processes(f"haproxy -db -f {files}/")
    # Everybody on the machine could give it orders by its socket otherwise.
    assert files.stat().st_mode & 0o777 == 0o700

    assert haproxy_stack.terminate_group() == 0
    eventually(lambda: not haproxy_stack.processes(), 10, "the end of all processes")
    assert port_is_free("127.0.0.1", haproxy_stack.port)
    assert not files.exists()
