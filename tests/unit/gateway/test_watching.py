"""Waiting for runs: one question for all who wait, and none when nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from orthoray.errors import Unavailable
from orthoray.standings import Standing
from serve_app.gateway.streams import events_of
from serve_app.gateway.watching import MAX_WATCHERS, Watch


class Service:
    """Each standing is changed by every question."""

    def __init__(self, *standings: Standing) -> None:
        self.rows = {standing.id: standing for standing in standings}
        self.asked: list[Sequence[UUID]] = []
        self.error: Exception | None = None

    async def standings(self, ids: Sequence[UUID]) -> list[Standing]:
        self.asked.append(ids)
        if self.error:
            raise self.error
        for one in ids:
            if one in self.rows:
                progress = min(1.0, self.rows[one].progress + 0.25)
                status = "completed" if progress == 1 else "processing"
                self.rows[one] = self.rows[one].model_copy(update={"progress": progress, "status": status})
        return [self.rows[one] for one in ids if one in self.rows]


def a_standing(tenant: str = "default", **facts: Any) -> Standing:
    return Standing(id=uuid4(), tenant=tenant, status="queued", **facts)


def watch_of(service: Service) -> Watch:
    return Watch(lambda: service, every_s=0.002)


async def told(watch: Watch, first: Standing, until_s: float = 5) -> list[Standing | None]:
    return [standing async for standing in watch.follow(first, beat_s=until_s, until_s=until_s)]


def test_every_change_is_told_once_until_the_end() -> None:
    async def go() -> None:
        run = a_standing()
        found = await told(watch_of(Service(run)), run)
        progress = [standing.progress for standing in found if standing]
        assert progress[0] == 0
        assert progress[-1] == 1
        assert progress == sorted(set(progress))

    asyncio.run(go())


def test_all_who_wait_share_the_questions_and_nobody_is_asked_afterwards() -> None:
    async def go() -> None:
        runs = [a_standing() for _ in range(10)]
        service = Service(*runs)
        watch = watch_of(service)
        assert all(await asyncio.gather(*(watch.ended(run, 5) for run in runs for _ in range(3))))
        assert len(service.asked) <= 6
        assert set(service.asked[0]) == {run.id for run in runs}
        count = len(service.asked)
        await asyncio.sleep(0.02)
        assert len(service.asked) == count
        again = a_standing()
        service.rows[again.id] = again
        assert await watch.ended(again, 5)
        assert watch._found == {}

    asyncio.run(go())


def test_what_is_gone_and_what_is_another_tenants() -> None:
    async def go() -> None:
        gone, strange = a_standing(), a_standing()
        service = Service(strange.model_copy(update={"tenant": "another"}))
        for run in (gone, strange):
            with pytest.raises(LookupError):
                await told(watch_of(service), run)
            assert await watch_of(service).ended(run, 5)

    asyncio.run(go())


def test_a_service_that_is_away_for_a_while() -> None:
    async def go() -> None:
        run = a_standing()
        service = Service(run)
        service.error = Unavailable()
        watch = watch_of(service)
        assert not await watch.ended(run, 0.03)
        found = await told(watch, run, 0.02)
        assert found[:2] == [run, None], "a beat"
        service.error = None
        assert await watch.ended(run, 5)

    asyncio.run(go())


def test_there_is_room_for_so_many() -> None:
    async def go() -> None:
        runs = [a_standing(tenant) for tenant in ("one", "two") for _ in range(MAX_WATCHERS // 2)]
        watch = watch_of(Service(*runs))
        watch._service = Service  # nothing changes
        waiting = [asyncio.create_task(watch.ended(run, 5)) for run in runs[1:]]
        await asyncio.sleep(0)
        assert [watch.has_room(tenant) for tenant in ("one", "two", "three")] == [True, False, True]
        with pytest.raises(Unavailable) as refused:
            watch.check_room("two")
        assert refused.value.fields == {"retry_after_s": 10}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert watch.has_room("two")

    asyncio.run(go())


def test_a_client_that_leaves_makes_room() -> None:
    async def go() -> None:
        run = a_standing()
        watch = watch_of(Service(run))
        events = events_of(watch, run, None)
        for _ in range(3):  # retry, how it is, and the first change
            await anext(events)
        assert watch._tenants["default"] == 1
        await events.aclose()
        assert watch._tenants["default"] == 0
        assert watch._watched == {}

    asyncio.run(go())


def test_the_way_leads_forwards() -> None:
    run = {"id": uuid4(), "tenant": "default"}
    way = [
        Standing(**run, status="queued"),
        Standing(**run, status="processing", attempts=1),
        Standing(**run, status="processing", attempts=1, progress=0.4),
        Standing(**run, status="queued", attempts=1),  # put back
        Standing(**run, status="processing", attempts=2),
        Standing(**run, status="completed", attempts=2, progress=1),
    ]
    places = [standing.place for standing in way]
    assert places == sorted(set(places))
