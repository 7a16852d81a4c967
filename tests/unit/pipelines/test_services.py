"""Services asked from the threads of a job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines import services


@pytest.fixture
def no_loop() -> Iterator[None]:
    services._started_loop.cache_clear()
    yield
    loop = services._loop()
    loop.call_soon_threadsafe(loop.stop)
    while loop.is_running():
        time.sleep(0.001)
    loop.close()
    services._started_loop.cache_clear()


@pytest.mark.usefixtures("no_loop")
def test_threads_that_ask_first_at_once_share_one_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    make = services.asyncio.new_event_loop

    def slowly() -> object:
        time.sleep(0.05)
        return make()

    monkeypatch.setattr(services.asyncio, "new_event_loop", slowly)
    with ThreadPoolExecutor(4) as pool:
        loops = list(pool.map(lambda _: services._loop(), range(4)))
    assert len(set(map(id, loops))) == 1
