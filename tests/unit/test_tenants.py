"""Whose rows a piece of work may see."""

from __future__ import annotations

import asyncio

import pytest

from orthoray.errors import BadInput
from orthoray.tenants import ALL_TENANTS, acting_for, acting_tenant, checked_tenant, per_tenant


@per_tenant(for_all={"work"})
class Service:
    async def get(self, tenant: str, wait: bool = False) -> str | None:
        if wait:
            await asyncio.sleep(0)
        return acting_tenant()

    async def work(self) -> list[str | None]:
        return [acting_tenant(), await self.get("inner"), acting_tenant()]

    async def fail(self, tenant: str) -> None:
        raise BadInput

    def plain(self) -> str | None:
        return acting_tenant()


def test_a_method_acts_for_the_tenant_that_it_is_given() -> None:
    service = Service()
    assert asyncio.run(service.get("one")) == "one"
    assert asyncio.run(service.get(tenant="two")) == "two"
    assert asyncio.run(service.work()) == [ALL_TENANTS, "inner", ALL_TENANTS]
    with pytest.raises(BadInput):
        asyncio.run(service.fail("one"))
    assert acting_tenant() is service.plain() is None


def test_calls_at_the_same_time_do_not_mix() -> None:
    names = [str(number) for number in range(20)]

    async def all_at_once() -> list[str | None]:
        return await asyncio.gather(*(Service().get(name, wait=True) for name in names))

    assert asyncio.run(all_at_once()) == names


def test_a_method_of_which_it_is_not_decided_whom_it_acts_for_is_refused() -> None:
    class Undecided:
        async def search(self, words: str) -> None: ...

    with pytest.raises(TypeError, match=r"Undecided\.search"):
        per_tenant()(Undecided)
    with pytest.raises(TypeError, match=r"get"):
        per_tenant(for_all={"get", "work"})(Service)


def test_a_block_acts_for_its_tenant() -> None:
    with acting_for("one"):
        with acting_for("two"):
            assert acting_tenant() == "two"
        assert acting_tenant() == "one"


@pytest.mark.parametrize(
    "name", ["default", "farm-7", "0", "a_b", "9b2f0a56-6a3b-4c5e-9d9f-0d9c6f6a1c11", "x" * 63]
)
def test_names_of_tenants(name: str) -> None:
    assert checked_tenant(name) == name


@pytest.mark.parametrize("name", ["", "*", "-a", "A", "a/b", "a.b", "reports", "x" * 64, "é", "a\n", " a"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="lower-case"):
        checked_tenant(name)
