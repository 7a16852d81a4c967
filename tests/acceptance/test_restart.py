"""The foreground process: how it ends, and what is there after the next start."""

from __future__ import annotations

import os
import signal

import pytest
from journey import finished, start_run, upload
from scenes import photo
from stack import Stack, eventually

from serve_app.local.processes import port_is_free


def ports_are_free(stack: Stack) -> bool:
    return all(port_is_free("127.0.0.1", port) for port in (stack.port, stack.dashboard_port))


def test_sigterm_to_the_whole_group_ends_everything_and_the_data_stay(stack: Stack) -> None:
    with stack.client() as api:
        imagery = upload(api, "field.jpg", photo())
        run = finished(api, f"/analysis-runs/{start_run(api, imagery['id'])['id']}")
    key = stack.key
    assert (stack.home / "api-key").stat().st_mode & 0o777 == 0o600
    assert key not in stack.output()

    assert stack.terminate_group() == 0
    # A helper of Ray's dashboard ends when it sees that its parent is gone, which takes a moment.
    eventually(lambda: not stack.processes(), 10, "the end of all processes")
    assert ports_are_free(stack)
    assert "Traceback" not in stack.output()
    assert "Stopped." in stack.output()

    stack.start()
    assert stack.key == key
    with stack.client() as api:
        assert api.get(f"/imagery/{imagery['id']}").json() == imagery
        assert api.get(f"/imagery/{imagery['id']}/content").content == photo()
        assert api.get(f"/analysis-runs/{run['id']}").json() == run
        assert api.get(f"/analysis-runs/{run['id']}/heatmap").status_code == 200
        finished(api, f"/analysis-runs/{start_run(api, imagery['id'])['id']}")


@pytest.mark.ends_stack
def test_the_stack_ends_by_itself_when_the_foreground_process_is_killed(stack: Stack) -> None:
    assert stack.process is not None
    os.kill(stack.process.pid, signal.SIGKILL)
    assert stack.wait() == -signal.SIGKILL
    eventually(lambda: not stack.processes(), 60, "the end of all processes")
    assert ports_are_free(stack)
    assert "Stopped." in stack.output()
