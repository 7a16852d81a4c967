"""A server that ends by itself, or is killed, is started again for as long as the installation runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog

CHECK_S = 1.0
MAX_PAUSE_S = 60.0

log = structlog.get_logger(__name__)


class Server(Protocol):
    """What can be kept running; `start` takes up where the server that died left off."""

    @property
    def is_running(self) -> bool: ...

    def start(self) -> object: ...


@contextmanager
def kept_running(server: Server, name: str, *, check_s: float = CHECK_S) -> Iterator[None]:
    """Watch a started server inside the block. It is no more watched when the block ends, and still running."""
    done = threading.Event()

    def watch() -> None:
        pause_s = check_s
        while not done.wait(check_s):
            if server.is_running:
                continue
            log.warning("server ended, starting it again", server=name)
            try:
                server.start()
            except Exception as error:
                log.warning("server does not start", server=name, reason=str(error))
                done.wait(pause_s)
                pause_s = min(2 * pause_s, MAX_PAUSE_S)
            else:
                pause_s = check_s

    thread = threading.Thread(target=watch, name=f"keeper of {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
