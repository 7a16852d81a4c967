"""The process that holds everything is killed: the next start ends what it left, and goes on from the data."""

from __future__ import annotations

import os
import signal

import pytest
from journey import finished, start_run, upload
from scenes import photo
from stack import Stack, eventually


@pytest.mark.ends_stack
def test_the_next_start_works_and_leaves_nothing_of_the_last_one(open_stack: Stack) -> None:
    with open_stack.client() as api:
        before = upload(api, "before.jpg", photo(seed=201))
    supervised = open_stack.pid("--supervised")
    database = open_stack.pid("/bin/postgres -D")
    agents = open_stack.processes("Agent")
    os.kill(supervised, signal.SIGKILL)
    eventually(lambda: not open_stack.processes("--supervised"), 20, "the end of the killed process")
    assert open_stack.run("status").returncode == 1

    answer = open_stack.run("up", "--detach", "--s3")
    assert answer.returncode == 0, answer.stderr
    assert open_stack.pid("/bin/postgres -D") != database
    with open_stack.client() as api:
        assert api.get(f"/imagery/{before['id']}").json() == before
        imagery = upload(api, "after.jpg", photo(seed=202))
        run = finished(
            api, f"/analysis-runs/{start_run(api, imagery['id'], 'NDVI_emp', auto_report=True)['id']}"
        )
        finished(api, f"/reports/{run['report_id']}")
        piece = api.get(f"/imagery/{imagery['id']}/content", headers={"Range": "bytes=5-9"})
        assert (piece.status_code, piece.content) == (206, photo(seed=202)[5:10])
        assert api.get(f"/reports/{run['report_id']}/pdf").content.startswith(b"%PDF-")
        assert not [path for path in (open_stack.home / "storage").rglob("*") if imagery["id"] in str(path)]

    answer = open_stack.run("down")
    assert answer.returncode == 0, answer.stderr
    # Two agents of Ray itself look for their dead cluster for a minute before they end.
    eventually(lambda: set(open_stack.processes()) <= set(agents), 10, "the end of all processes")
    assert open_stack.run("down").returncode == 0
    assert open_stack.run("status").returncode == 1
