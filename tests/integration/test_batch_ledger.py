"""The rows of batches on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from batches import a_ref, a_request, a_result
from ledger_contract import REQUEST, LedgerContract

from orthoray.batches import ItemRef
from orthoray.contracts import DEFAULT_TENANT
from orthoray.database import open_pool
from orthoray.errors import NotFound
from orthoray.storage.config import StorageConfig
from pipelines import ledger as ledgers
from pipelines.ledger import Ledger, ServiceLedger
from serve_app.analysis.batches import BatchService


@pytest.fixture
def call(dsns: Mapping[str, str], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Carries out a method of the service, or a function of it, from code that is not asynchronous."""
    runner = asyncio.Runner()
    pool_context = open_pool(dsns["analysis"], max_size=2)
    service = BatchService(runner.run(pool_context.__aenter__()), StorageConfig(root=tmp_path))

    def call(method: str, *arguments: Any) -> Any:
        return runner.run(getattr(service, method)(*arguments))

    yield call
    runner.run(pool_context.__aexit__(None, None, None))
    runner.close()


@pytest.fixture
def ledger(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The ledger that jobs use, on the service in this process instead of a Serve handle."""

    class Here:
        def __getattr__(self, method: str) -> Any:
            return lambda *arguments: call(method, *arguments)

    monkeypatch.setattr(ledgers, "batches", Here)
    monkeypatch.setattr(ledgers, "ask", lambda asked: asked())
    monkeypatch.setattr(ledgers, "PAGE", 2)
    return ServiceLedger(REQUEST.batch_id(DEFAULT_TENANT))


class TestServiceLedger(LedgerContract):
    def test_the_batch_tells_how_far_it_is(self, ledger: Ledger, call: Callable[..., Any]) -> None:
        ledger.open(REQUEST, "p", [a_ref(source) for source in "abc"])
        ledger.start(a_ref("a"))
        ledger.complete(a_ref("a"), a_result())
        ledger.fail(a_ref("b"), "It is damaged.")
        batch = call("get_batch", "default", ledger.batch_id)
        assert (batch.status, batch.total, batch.completed, batch.failed, batch.open) == (
            "running",
            3,
            1,
            1,
            1,
        )
        assert batch.place.endswith(f"/heatmaps/batches/{batch.id}")
        ledger.close("1 image is not done.")
        ledger.close()
        batch = call("get_batch", "default", ledger.batch_id)
        assert (batch.status, batch.error) == ("failed", "1 image is not done.")
        ledger.open(REQUEST, "p", [a_ref("a")])
        ledger.close()
        batch = call("get_batch", "default", ledger.batch_id)
        assert (batch.status, batch.error, batch.total, batch.open) == ("completed", None, 1, 0)


def test_tenants_see_their_own(call: Callable[..., Any]) -> None:
    batch = call("open_batch", "one", REQUEST)
    call("enlist", batch.id, uuid4(), "p", [a_ref("a")])
    call("start_item", batch.id, a_ref("a"))
    assert call("complete_item", batch.id, a_ref("a"), a_result("k", batch.id))
    assert call("find_result", "one", "k").batch_id == batch.id
    assert call("find_result", "two", "k") is None
    assert [found.id for found in call("search_batches", "one", 10, None).items] == [batch.id]
    assert call("search_batches", "two", 10, None).items == []
    with pytest.raises(NotFound, match="GET /batches"):
        call("get_batch", "two", batch.id)


def test_pages_of_batches_newest_first(call: Callable[..., Any]) -> None:
    made = [call("open_batch", "default", a_request(None, crop=crop)).id for crop in (None, "corn", "wheat")]
    first = call("search_batches", "default", 2, None)
    second = call("search_batches", "default", 2, first.next)
    assert [batch.id for batch in (*first.items, *second.items)] == made[::-1]
    assert second.next is None


def test_a_listing_of_thousands_takes_few_calls(call: Callable[..., Any]) -> None:
    batch = call("open_batch", "default", REQUEST)
    items = [ItemRef(source=f"{number:05}", version="1", name="x") for number in range(3000)]
    call("enlist", batch.id, uuid4(), "p", items)
    assert call("waiting_items", batch.id) == [item.source for item in items]
