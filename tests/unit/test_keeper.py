from __future__ import annotations

import threading

from orthoray.errors import ConfigurationError
from serve_app.local.keeper import kept_running


class Mortal:
    """A server whose first restart fails."""

    def __init__(self) -> None:
        self.is_running = True
        self.starts = 0
        self.back = threading.Event()

    def start(self) -> None:
        self.starts += 1
        if self.starts == 1:
            raise ConfigurationError("the port is taken")
        self.is_running = True
        self.back.set()


def test_a_server_that_dies_is_started_until_it_runs() -> None:
    server = Mortal()
    with kept_running(server, "mortal", check_s=0.01):
        server.is_running = False
        assert server.back.wait(5)
    assert server.starts == 2


def test_nobody_starts_a_server_that_is_stopped_after_the_block() -> None:
    server = Mortal()
    with kept_running(server, "mortal", check_s=0.01):
        pass
    server.is_running = False
    assert not server.back.wait(0.1)
    assert server.starts == 0
