"""Who changed what: written down before it happens, and again when it has."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from orthoray.errors import OrthoRayError, Unavailable
from orthoray.ports import Caller, Write


def entries(house: Any) -> list[tuple[str, Write]]:
    return list(house.imagery.writes.values())


def test_writes_are_told_with_their_outcome(house: Any) -> None:
    key_id = uuid4()
    house.imagery.limited[house.key] = Caller(tenant="farm", key_id=key_id, scopes=frozenset({"admin"}))
    image = house.upload().json()["id"]
    house.client.delete(f"/imagery/{image}", headers={"X-Request-ID": "mine"})
    (tenant, made), (_, deleted) = entries(house)
    assert (tenant, made.caller, made.method, made.path) == ("farm", f"key:{key_id}", "POST", "/imagery")
    assert (made.status, made.route, made.location) == (201, "/imagery", f"/imagery/{image}")
    assert (deleted.status, deleted.route, deleted.ids) == (
        204,
        "/imagery/{imagery_id}",
        {"imagery_id": image},
    )
    assert deleted.request_id == "mine"


def test_reading_is_not_told_and_neither_are_strangers(house: Any) -> None:
    house.client.get("/imagery")
    house.client.head("/imagery")
    house.client_with({}).delete(f"/imagery/{uuid4()}")
    assert entries(house) == []


@pytest.mark.parametrize(
    ("error", "status"), [(OrthoRayError("x"), 500), (RuntimeError("x"), 500), (Unavailable(), 503)]
)
def test_what_failed_is_told_too(house: Any, error: Exception, status: int) -> None:
    house.fail(error)
    assert house.client.delete(f"/imagery/{uuid4()}").status_code == status
    assert [write.status for _, write in entries(house)] == [status]


def test_what_is_not_allowed_is_told(house: Any) -> None:
    house.imagery.limited[house.key] = Caller(tenant="farm", scopes=frozenset({"imagery:read"}))
    assert house.client.delete(f"/imagery/{uuid4()}").status_code == 403
    assert [write.status for _, write in entries(house)] == [403]


def test_nothing_is_changed_where_that_cannot_be_told(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(tenant: str, write: Write) -> None:
        raise Unavailable

    monkeypatch.setattr(house.imagery, "record_write", away)
    assert house.upload().status_code == 503
    assert "register" not in house.calls
    assert house.objects == []
    assert house.client.get("/imagery").status_code == 200


def test_an_answer_is_given_even_if_the_outcome_cannot_be_told(
    house: Any, monkeypatch: pytest.MonkeyPatch, logs: list[Any]
) -> None:
    async def away_later(tenant: str, write: Write) -> None:
        if write.status is not None:
            raise Unavailable

    monkeypatch.setattr(house.imagery, "record_write", away_later)
    assert house.upload().status_code == 201
    assert [line["status"] for line in logs if line["event"].startswith("outcome of a write")] == [201]
