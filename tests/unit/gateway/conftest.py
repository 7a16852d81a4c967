"""The API over services in memory."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from fakes import FakeAnalysis, FakeBatches, FakeImagery, FakeReport, complete, complete_report
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from orthoray.storage.memory import MemoryStorage
from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig, Services

KEY, OTHER_KEY = "or_key-of-default", "or_key-of-another-tenant"
MAX_UPLOAD = 100_000


@dataclass(repr=False)  # it would show all that was uploaded
class House:
    """One gateway with all that stands behind it."""

    storage: MemoryStorage
    imagery: FakeImagery
    analysis: FakeAnalysis
    report: FakeReport
    batches: FakeBatches
    app: FastAPI
    png: bytes
    key: str = KEY
    other_key: str = OTHER_KEY
    max_upload_bytes: int = MAX_UPLOAD
    client: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.client_with({"X-API-Key": KEY})

    def client_with(self, headers: dict[str, str]) -> TestClient:
        return TestClient(self.app, raise_server_exceptions=False, headers=headers, follow_redirects=False)

    @property
    def calls(self) -> list[str]:
        return [*self.imagery.calls, *self.analysis.calls, *self.report.calls, *self.batches.calls]

    def fail(self, error: Exception | None) -> None:
        """Every call of every service ends with `error` from now on; credentials are still told apart."""
        for service in (self.imagery, self.analysis, self.report, self.batches):
            service.error = error

    def upload(self, name: str = "field.png", content: bytes | None = None, **fields: str) -> Any:
        files = {"file": (name, self.png if content is None else content)}
        return self.client.post("/imagery", files=files, data=fields)

    def run(self, *, completed: bool = False, **wishes: Any) -> dict[str, Any]:
        """A run of a new image, as the API answers it."""
        body = {"imagery_id": self.upload().json()["id"], **wishes}
        answer = self.client.post("/analysis-runs", json=body)
        assert answer.status_code == 202, answer.text
        record: dict[str, Any] = answer.json()
        if completed:
            run = next(run for _, run in self.analysis.rows.values() if str(run.id) == record["id"])
            asyncio.run(complete(self.analysis, self.storage, run))
        return record

    def report_of(self, run: dict[str, Any], *, completed: bool = False) -> dict[str, Any]:
        record: dict[str, Any] = self.client.post("/reports", json={"analysis_run_id": run["id"]}).json()
        if completed:
            wanted = next(one for _, one in self.report.rows.values() if str(one.id) == record["id"])
            asyncio.run(complete_report(self.report, self.storage, wanted))
        return record

    @property
    def objects(self) -> list[str]:
        return [
            info.key for bucket in ("imagery", "heatmaps", "reports") for info in self.storage.list(bucket)
        ]


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What is logged meanwhile."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def make_house() -> Callable[..., House]:
    def make(auth_mode: str = "key") -> House:
        storage = MemoryStorage()
        imagery = FakeImagery(storage=storage, keys={KEY: "default", OTHER_KEY: "another"})
        analysis = FakeAnalysis(imagery=imagery)
        report = FakeReport(analysis=analysis)
        batches = FakeBatches()
        config = GatewayConfig(auth_mode=auth_mode, max_upload_bytes=MAX_UPLOAD, imagery_bucket="imagery")
        picture = io.BytesIO()
        Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(picture, "PNG")
        app = create_api(Services(imagery, analysis, report, batches), storage, config)
        return House(storage, imagery, analysis, report, batches, app, picture.getvalue())

    return make


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()
