"""gRPC on a running installation, through HAProxy; through Serve's own proxy in tests/faults."""

from __future__ import annotations

from pathlib import Path

from rpc_journey import (
    everybody_else_stays_outside,
    health_and_reflection,
    nothing_does_harm,
    the_way_of_an_image,
)
from stack import Stack


def test_through_haproxy(s3_stack: Stack, tmp_path: Path) -> None:
    the_way_of_an_image(s3_stack, tmp_path)
    everybody_else_stays_outside(s3_stack)
    nothing_does_harm(s3_stack)
    health_and_reflection(s3_stack)
    told = s3_stack.run("audit", COLUMNS="400").stdout
    assert "RPC /orthoray.v1.AnalysisService/CreateRun -> /analysis-runs/" in told
