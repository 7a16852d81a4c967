"""Batches over HTTP: how far they are, and their files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from batches import a_request

from orthoray.batches import Batch


@pytest.fixture
def batch(house: Any) -> Batch:
    batch_id = uuid4()
    batch = Batch(
        id=batch_id,
        status="running",
        request=a_request(None),
        bucket="heatmaps",
        prefix=f"batches/{batch_id}/",
        total=3,
        completed=1,
        failed=1,
        created_at=datetime.now(UTC),
    )
    house.batches.rows[batch_id] = "default", batch
    return batch


def test_a_batch_and_the_list_of_them(house: Any, batch: Batch) -> None:
    told = house.client.get(f"/batches/{batch.id}").json()
    assert (told["status"], told["total"], told["completed"], told["failed"]) == ("running", 3, 1, 1)
    assert house.client.get("/batches").json() == {"items": [told], "next": None}


def test_another_tenant_sees_none_of_it(house: Any, batch: Batch) -> None:
    house.storage.put_bytes("heatmaps", f"{batch.prefix}summary.pdf", b"%PDF")
    other = house.client_with({"X-API-Key": house.other_key})
    assert other.get("/batches").json()["items"] == []
    assert other.get(f"/batches/{batch.id}").status_code == 404
    assert other.get(f"/batches/{batch.id}/files/summary.pdf").status_code == 404
    assert house.client_with({}).get("/batches").status_code == 401


def test_links_of_the_collection_lead_to_its_files(house: Any, batch: Batch) -> None:
    for name in ("collection.json", "items/a.json", "heatmaps/a.png"):
        house.storage.put_bytes("heatmaps", batch.prefix + name, name.encode())
    files = f"/batches/{batch.id}/files"
    answer = house.client.get(f"{files}/items/a.json")
    assert (answer.content, answer.headers["content-type"]) == (b"items/a.json", "application/json")
    assert house.client.get(f"{files}/heatmaps/a.png", headers={"Range": "bytes=0-3"}).content == b"heat"


def test_what_is_written_at_the_end_says_so_before(house: Any, batch: Batch) -> None:
    files = f"/batches/{batch.id}/files"
    assert (
        "when all images of the batch are done" in house.client.get(f"{files}/summary.pdf").json()["detail"]
    )
    assert "no such file" in house.client.get(f"{files}/heatmaps/a.png").json()["detail"]
    batch.status = "completed"
    assert "if it was asked for" in house.client.get(f"{files}/summary.pdf").json()["detail"]


@pytest.mark.parametrize("name", ["nothing.json", "secret.txt", "", "..%2f..%2fother.json", "a%00.json"])
def test_other_names_lead_nowhere(house: Any, batch: Batch, name: str) -> None:
    house.storage.put_bytes("heatmaps", "other.json", b"another's")
    assert house.client.get(f"/batches/{batch.id}/files/{name}").status_code in {400, 404}
