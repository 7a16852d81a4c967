"""Idempotency-Keys on a real PostgreSQL, and what a gateway that dies on the way leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from wired import Services

from orthoray.contracts import AnalysisRequest
from orthoray.database import ALL_ROWS
from orthoray.idempotency import Claim, KeptAnswer
from orthoray.ports import BatchPort
from orthoray.uploads import UploadWish
from serve_app.gateway import context
from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig
from serve_app.imagery.idempotency import IdempotencyKeys

pytestmark = pytest.mark.anyio
ANSWER = KeptAnswer(status=202, headers={"location": "/x"}, body='{"id": 1}')
KEY = {"Idempotency-Key": "k"}


@pytest.fixture
def keys(services: Services) -> IdempotencyKeys:
    return services.imagery._idempotency


def a_claim(fingerprint: str | None = "f", key: str = "k") -> Claim:
    return Claim(key=key, fingerprint=fingerprint, holder=uuid4(), subject=uuid4())


def change(services: Services, statement: str) -> int:
    """Something that takes time, or an accident."""
    with psycopg.connect(services.dsns["imagery"], options=ALL_ROWS) as connection:
        return connection.execute(cast(Any, statement)).rowcount


def let_the_lease_run_out(services: Services) -> None:
    assert change(services, "update idempotency_keys set leased_until = now() - interval '1 s'") == 1


async def claim(services: Services, wanted: Claim, tenant: str = "default") -> Any:
    return await services.imagery.claim_request(tenant, wanted)


async def test_a_claim_holds_until_its_lease_has_run_out(services: Services) -> None:
    first, second = a_claim(), a_claim()
    assert (await claim(services, first)).is_mine
    found = await claim(services, second)
    assert (found.is_mine, found.subject, found.answer) == (False, first.subject, None)
    assert 20 <= found.wait_s <= 30
    let_the_lease_run_out(services)
    assert not (await claim(services, a_claim("other"))).is_mine
    taken = await claim(services, second)
    assert (taken.is_mine, taken.subject) == (True, first.subject)
    assert await services.imagery.prolong_claim("default", "k", first.holder, None) is None
    assert await services.imagery.prolong_claim("default", "k", second.holder, "z") == "f"
    await services.imagery.end_claim("default", "k", first.holder, True)  # the slow one has no say
    assert not (await claim(services, a_claim())).is_mine


async def test_the_first_answer_stays(services: Services) -> None:
    first = a_claim()
    await claim(services, first)
    await services.imagery.keep_answer("default", "k", uuid4(), ANSWER)  # of an earlier life of the key
    assert (await claim(services, a_claim())).answer is None
    for answer in (ANSWER, KeptAnswer(status=200, body="other")):
        await services.imagery.keep_answer("default", "k", first.subject, answer)
    await services.imagery.end_claim("default", "k", first.holder, True)
    let_the_lease_run_out(services)
    found = await claim(services, a_claim())
    assert (found.is_mine, found.answer, found.fingerprint) == (False, ANSWER, "f")


async def test_ends(services: Services) -> None:
    first = a_claim()
    await claim(services, first)
    await services.imagery.end_claim("default", "k", first.holder, False)
    taken = a_claim()
    found = await claim(services, taken)
    assert (found.is_mine, found.subject) == (True, first.subject)
    await services.imagery.end_claim("default", "k", taken.holder, True)
    fresh = a_claim("other")
    found = await claim(services, fresh)
    assert (found.is_mine, found.subject) == (True, fresh.subject)


async def test_what_is_told_later(services: Services) -> None:
    first = a_claim(None)
    assert (await claim(services, first)).is_mine
    assert await services.imagery.prolong_claim("default", "k", first.holder, "f") == "f"
    let_the_lease_run_out(services)
    second = a_claim(None)
    assert (await claim(services, second)).fingerprint == "f"
    assert await services.imagery.prolong_claim("default", "k", second.holder, "g") == "f"


async def test_keys_are_a_tenants_own_and_expire(services: Services) -> None:
    first = a_claim()
    await claim(services, first)
    await services.imagery.keep_answer("default", "k", first.subject, ANSWER)
    assert (await claim(services, a_claim("g"), "farm")).is_mine
    assert await services.imagery.sweep_claims() == 0
    assert change(services, "update idempotency_keys set expires_at = now() - interval '1 s'") == 2
    fresh = a_claim("other")
    found = await claim(services, fresh)
    assert (found.is_mine, found.subject, found.fingerprint, found.answer) == (
        True,
        fresh.subject,
        "other",
        None,
    )
    assert await services.imagery.sweep_claims() == 0, "the farm's is under way, and this one is new"
    change(
        services,
        "update idempotency_keys set expires_at = now() - interval '1 s', leased_until = now() - interval '1 s'",
    )
    assert await services.imagery.sweep_claims() == 2


async def test_of_many_at_once_one_wins(services: Services) -> None:
    found = await asyncio.gather(*(claim(services, a_claim()) for _ in range(20)))
    assert sum(one.is_mine for one in found) == 1
    assert len({one.subject for one in found}) == 1


class TestThroughTheGateway:
    @pytest.fixture
    async def api(self, services: Services) -> AsyncIterator[httpx2.AsyncClient]:
        config = GatewayConfig(auth_mode="none", max_upload_bytes=100_000, imagery_bucket="imagery")
        behind = context.Services(services.imagery, services.analysis, services.report, cast(BatchPort, None))
        transport = httpx2.ASGITransport(create_api(behind, services.storage, config))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=KEY) as client:
            yield client

    def rows(self, services: Services, service: str, statement: str) -> list[UUID]:
        return [row["id"] for row in services.query(service, statement)]

    @pytest.mark.parametrize("dies_at", ["before", "create", "keep_answer"])
    async def test_a_run_is_made_once_wherever_the_gateway_dies(
        self, services: Services, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, dies_at: str
    ) -> None:
        imagery = await services.register()
        body = {"imagery_id": str(imagery.id), "index_type": "NDVI"}
        # A process that is gone does not give up its claim either.
        with monkeypatch.context() as dying:

            async def never(*args: Any, **_: Any) -> None:
                if dies_at == "create":
                    await genuine(*args)
                raise asyncio.CancelledError

            async def nothing(*_: Any) -> None: ...

            genuine = services.analysis.create
            where: Any = services.imagery if dies_at == "keep_answer" else services.analysis
            dying.setattr(where, "keep_answer" if dies_at == "keep_answer" else "create", never)
            dying.setattr(services.imagery, "end_claim", nothing)
            with pytest.raises(asyncio.CancelledError):
                await api.post("/analysis-runs", json=body)
        busy = await api.post("/analysis-runs", json=body)
        assert (busy.status_code, 20 <= int(busy.headers["retry-after"]) <= 30) == (409, True)
        let_the_lease_run_out(services)
        again = await api.post("/analysis-runs", json=body)
        repeated = await api.post("/analysis-runs", json=body)
        assert again.status_code == 202
        assert repeated.content == again.content
        assert [str(one) for one in self.rows(services, "analysis", "select id from analysis_runs")] == [
            again.json()["id"]
        ]
        assert len(services.jobs("analysis", "analysis.analyse")) == 1
        assert services.events("analysis", again.json()["id"]) == ["analysis.requested"]

    async def test_an_upload_is_catalogued_once(
        self, services: Services, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = services.image.read_bytes()
        with monkeypatch.context() as dying:

            async def never(*_: Any) -> None:
                raise asyncio.CancelledError

            dying.setattr(services.imagery, "keep_answer", never)
            with pytest.raises(asyncio.CancelledError):
                await api.post("/imagery", files={"file": ("field.tif", content)})
        (made,) = self.rows(services, "imagery", "select id from imagery")
        other = await api.post("/imagery", files={"file": ("other.tif", content)})
        assert other.status_code == 422
        again = await api.post("/imagery", files={"file": ("field.tif", content)})
        assert (again.status_code, again.json()["id"]) == (201, str(made))
        repeated = await api.post("/imagery", files={"file": ("field.tif", content)})
        assert repeated.headers["idempotency-replayed"] == "true"
        assert self.rows(services, "imagery", "select id from imagery") == [made]
        files = [key for key in services.objects() if key.endswith("field.tif")]
        assert files == [again.json()["object_key"]]
        assert (await api.get(f"/imagery/{made}/content")).content == content

    async def test_two_that_work_on_one_run_make_one(self, services: Services) -> None:
        """The lease of a slow one has run out, and both arrive."""
        imagery = await services.register()
        request: Any = {"imagery_id": imagery.id, "index_type": "NDVI"}
        run_id = uuid4()
        wish = AnalysisRequest.model_validate(request)
        runs = await asyncio.gather(*(services.analysis.create("default", wish, run_id) for _ in range(5)))
        assert {run.id for run in runs} == {run_id}
        assert len(services.jobs("analysis", "analysis.analyse")) == 1

    async def test_an_upload_in_parts_begins_once(self, services: Services) -> None:
        wish = UploadWish(filename="a.tif", size=100, id=uuid4())
        found = await asyncio.gather(*(services.imagery.begin_upload("default", wish) for _ in range(5)))
        assert {one.id for one in found} == {wish.id}
        assert len(services.query("imagery", "select id from uploads")) == 1
