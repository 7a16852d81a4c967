"""A house for each test, closed after it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from fakes import FakeAnalysis, FakeBatches, FakeImagery, FakeReport
from PIL import Image
from rpc_house import KEY, MAX_UPLOAD, OTHER_KEY, House, served

from orthoray.storage.memory import MemoryStorage
from serve_app.gateway.admission import admission_of
from serve_app.gateway.context import GatewayConfig, Services
from serve_app.rpc.front import Front


@pytest.fixture
def make_house(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., House]]:
    monkeypatch.setattr("serve_app.rpc.analysis.POLL_S", 0.02)
    made: list[Any] = []

    def make(auth_mode: str = "key") -> House:
        storage = MemoryStorage()
        imagery = FakeImagery(storage=storage, keys={KEY: "default", OTHER_KEY: "another"})
        analysis = FakeAnalysis(imagery=imagery)
        report = FakeReport(analysis=analysis)
        config = GatewayConfig(auth_mode=auth_mode, max_upload_bytes=MAX_UPLOAD, imagery_bucket="imagery")
        services = Services(imagery, analysis, report, FakeBatches())
        front = Front(services, storage, config, admission_of(imagery, config))
        picture = io.BytesIO()
        Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(picture, "PNG")
        server = served(front)
        port = server.__enter__()
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        made.append((channel, server))
        return House(storage, imagery, analysis, report, front, channel, port, picture.getvalue())

    yield make
    for channel, server in made:
        channel.close()
        server.__exit__(None, None, None)


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()
