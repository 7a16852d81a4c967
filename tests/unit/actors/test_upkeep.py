"""What workers do once in a while."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from actors.upkeep import Upkeep, keep_up, look_after
from orthoray.reconciling import Reconciled, ReconcileOrder


def test_upkeep_goes_on_after_a_failure() -> None:
    done: list[int] = []

    async def for_a_while() -> None:
        enough = asyncio.Event()

        async def work() -> None:
            done.append(1)
            if len(done) == 1:
                raise ConnectionError
            enough.set()

        task = asyncio.create_task(keep_up(work, first_after=0, every=0))
        await asyncio.wait_for(enough.wait(), 5)
        task.cancel()

    with capture_logs() as lines:
        asyncio.run(for_a_while())
    assert [line["event"] for line in lines] == ["upkeep failed"]


def looked(mode: Upkeep, found: Reconciled) -> tuple[list[ReconcileOrder], list[str]]:
    orders: list[ReconcileOrder] = []

    async def reconcile(order: ReconcileOrder) -> Reconciled:
        orders.append(order)
        return found

    with capture_logs() as lines:
        asyncio.run(look_after("imagery", reconcile, mode))
    return orders, [line["log_level"] for line in lines]


def test_orphans_are_removed_only_where_that_is_wished() -> None:
    well, ill = Reconciled(bucket="imagery"), Reconciled(bucket="imagery", orphans=["a"])
    assert looked("off", ill) == ([], [])
    assert looked("report", well) == ([ReconcileOrder(careful=True)], [])
    assert looked("report", ill)[1] == ["warning"]
    cured = ill.model_copy(update={"fixed": 1})
    assert looked("fix", cured) == ([ReconcileOrder(fix=True, careful=True)], ["info"])
