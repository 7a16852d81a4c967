"""The rows of batches on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from batches import a_ref, a_request, a_result
from ledger_contract import REQUEST, LedgerContract

from orthoray.batches import BatchRequest, ItemRef, Listing
from orthoray.contracts import DEFAULT_TENANT
from orthoray.database import open_pool
from orthoray.errors import NotFound, WrongState
from orthoray.storage.config import StorageConfig
from pipelines import ledger as ledgers
from pipelines.ledger import Ledger, ServiceLedger
from serve_app.analysis import batches
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
        ledger = self.opened(ledger, "a", "b", "c")
        ledger.start(a_ref("a"))
        ledger.complete(a_ref("a"), a_result())
        ledger.fail(a_ref("b"), "It is damaged.", "bad_image")
        batch = call("get_batch", "default", ledger.batch_id)
        assert (batch.status, batch.total, batch.completed, batch.failed, batch.open) == (
            "running",
            3,
            1,
            1,
            1,
        )
        assert batch.place == f"s3://heatmaps/batches/{batch.id}/"
        ledger.close("1 image is not done.")
        ledger.close()
        batch = call("get_batch", "default", ledger.batch_id)
        assert (batch.status, batch.error) == ("failed", "1 image is not done.")
        self.opened(ledger, "a").close()
        batch = call("get_batch", "default", ledger.batch_id)
        assert (batch.status, batch.error, batch.total, batch.open) == ("completed", None, 1, 0)

    def test_a_driver_that_is_replaced_while_it_lists_removes_nothing(
        self, ledger: Ledger, call: Callable[..., Any]
    ) -> None:
        first = a_listing()
        call("open_batch", "default", REQUEST, first)
        call("enlist", first, [a_ref("a")])
        second = self.opened(ledger, "b", "c")
        for late in (("enlist", first, [a_ref("z")]), ("end_listing", first), ("close_batch", first, None)):
            with pytest.raises(WrongState, match="Another job has taken over"):
                call(*late)
        assert second.waiting() == {"b", "c"}
        assert call("get_batch", "default", ledger.batch_id).status == "running"

    def test_a_batch_whose_job_is_silent_was_interrupted(
        self, ledger: Ledger, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ledger = self.opened(ledger, "a")
        monkeypatch.setattr(batches, "SILENCE", timedelta())
        (shown,) = call("search_batches", "default", 10, None).items
        assert (shown.status, shown.open) == ("interrupted", 1)
        assert "The same command does the rest" in (shown.error or "")
        monkeypatch.undo()
        assert call("get_batch", "default", ledger.batch_id).status == "running"

    def test_pixels_and_failures_are_counted_once(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counted: list[Any] = []
        for name in ("PIXELS", "FAILURES"):
            monkeypatch.setattr(getattr(batches, name), "inc", lambda *told: counted.append(told))
        ledger = self.opened(ledger, "a", "b", "c")
        computed = a_result().model_copy(update={"seconds": 2.0})
        for _ in range(2):
            ledger.complete(a_ref("a"), computed)
            ledger.complete(a_ref("b"), a_result())
            ledger.fail(a_ref("c"), "It is damaged.", "bad_image")
        assert counted == [(computed.pixels,), (1, {"kind": "batch", "reason": "bad_image"})]


def a_listing(request: BatchRequest = REQUEST, tenant: str = DEFAULT_TENANT) -> Listing:
    return Listing(batch_id=request.batch_id(tenant), id=uuid4(), parameters="p")


def test_tenants_see_their_own(call: Callable[..., Any]) -> None:
    listing = a_listing(tenant="one")
    batch = call("open_batch", "one", REQUEST, listing)
    call("enlist", listing, [a_ref("a")])
    call("start_item", listing, a_ref("a"))
    assert call("complete_item", listing, a_ref("a"), a_result("k", batch.id))
    assert call("find_result", "one", "k").batch_id == batch.id
    assert call("find_result", "two", "k") is None
    assert [found.id for found in call("search_batches", "one", 10, None).items] == [batch.id]
    assert call("search_batches", "two", 10, None).items == []
    with pytest.raises(NotFound, match="GET /batches"):
        call("get_batch", "two", batch.id)


def test_folders_of_the_server_are_not_shown(call: Callable[..., Any], tmp_path: Path) -> None:
    request = a_request("/data/customers/may")
    batch = call("open_batch", "default", request, a_listing(request))
    assert batch.request.source == "may"
    shown = batch.model_dump_json()
    assert "customers" not in shown
    assert str(tmp_path) not in shown


def test_pages_of_batches_newest_first(call: Callable[..., Any]) -> None:
    requests = [a_request(None, crop=crop) for crop in (None, "corn", "wheat")]
    made = [call("open_batch", "default", request, a_listing(request)).id for request in requests]
    first = call("search_batches", "default", 2, None)
    second = call("search_batches", "default", 2, first.next)
    assert [batch.id for batch in (*first.items, *second.items)] == made[::-1]
    assert second.next is None


def test_a_listing_of_thousands_takes_few_calls(call: Callable[..., Any]) -> None:
    listing = a_listing()
    batch = call("open_batch", "default", REQUEST, listing)
    items = [ItemRef(source=f"{number:05}", version="1", name="x") for number in range(3000)]
    call("enlist", listing, items)
    assert call("waiting_items", batch.id) == [item.source for item in items]
