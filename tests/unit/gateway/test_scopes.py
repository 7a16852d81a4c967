"""Every operation of the OpenAPI document, by everybody who may call it and everybody who may not.

The walk is made from the document, so that a new route takes part in it by being there. A new kind of id needs one line in
`Walk.ids`, and a new body one in `Walk.body`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from batches import a_request

from orthoray.batches import Batch
from orthoray.errors import NotAuthenticated
from orthoray.ports import Caller
from orthoray.scopes import ADMIN, SCOPES, allows
from serve_app.gateway import scopes
from serve_app.gateway.api import create_api
from serve_app.gateway.routes import imagery

PLAIN = [scope for scope in SCOPES if scope != ADMIN]


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    scopes: tuple[str, ...]
    """One of them is enough; none: any credentials."""
    public: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def has_id(self) -> bool:
        return "{" in self.path or self.name in BY_BODY


# Its fields have a walk of their own: test_graph_scopes.
EVERYTHING = (
    "{ imageryList { nodes { id } } runs { nodes { id } } reports { nodes { id } } batches { nodes { id } } }"
)
# What these are about stands in their body.
BY_BODY = {"POST /analysis-runs", "POST /reports"}


class Walk:
    """All operations, with one of everything to call them on."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.run = house.run(completed=True)
        report = house.report_of(self.run, completed=True)
        batch_id = uuid4()
        batch = Batch.model_construct(
            id=batch_id,
            status="completed",
            request=a_request(None),
            bucket="heatmaps",
            prefix=f"batches/{batch_id}/",
            place="/storage",
            total=0,
            completed=0,
            failed=0,
            created_at=datetime.now(UTC),
        )
        house.batches.rows[batch_id] = "default", batch
        house.storage.put_bytes("heatmaps", f"{batch.prefix}collection.json", b"{}")
        wish = {"filename": "field.png", "size": len(house.png)}
        upload = house.client.post("/imagery/uploads", json=wish).json()
        house.client.put(upload["parts"][0]["url"], content=house.png)
        self.ids = {
            "upload_id": upload["id"],
            "number": "1",
            "imagery_id": self.run["imagery_id"],
            "run_id": self.run["id"],
            "report_id": report["id"],
            "batch_id": str(batch_id),
            "name": "collection.json",
            "collection_id": f"index-{self.run['index_type']}",
        }

    def operations(self) -> Iterator[Operation]:
        """Those that delete come last."""
        found = []
        for path, methods in self.house.app.openapi()["paths"].items():
            for method, described in methods.items():
                wanted = {
                    scope for needs in described["security"] for given in needs.values() for scope in given
                }
                public = described["security"] == []
                found.append(Operation(method.upper(), path, tuple(sorted(wanted)), public))
        assert len(found) > 20, "the document is empty"
        return iter(sorted(found, key=lambda operation: operation.method == "DELETE"))

    def closed(self) -> Iterator[Operation]:
        return (operation for operation in self.operations() if not operation.public)

    def body(self, operation: Operation) -> dict[str, Any]:
        return {
            "POST /imagery": {"files": {"file": ("field.png", self.house.png)}},
            "POST /imagery/uploads": {"json": {"filename": "field.png", "size": len(self.house.png)}},
            "PUT /imagery/uploads/{upload_id}/parts/{number}": {"content": self.house.png},
            "POST /imagery/uploads/{upload_id}/complete": {},
            "POST /analysis-runs": {"json": {"imagery_id": self.ids["imagery_id"]}},
            "POST /graphql": {"json": {"query": EVERYTHING}},
            "POST /reports": {"json": {"analysis_run_id": self.ids["run_id"]}},
        }.get(operation.name, {"json": {}} if operation.method in {"POST", "PUT", "PATCH"} else {})

    def call(self, operation: Operation, key: str | None) -> Any:
        client = self.house.client_with({"X-API-Key": key} if key else {})
        path = operation.path.format_map(self.ids)
        return client.request(operation.method, path, **self.body(operation))

    def key(self, *allowed: str, tenant: str = "default") -> str:
        """A key of exactly these scopes."""
        name = f"or_{tenant}-{'-'.join(allowed)}"
        self.house.imagery.limited[name] = Caller(tenant=tenant, key_id=uuid4(), scopes=frozenset(allowed))
        return name


@pytest.fixture
def walk(house: Any) -> Walk:
    return Walk(house)


@pytest.mark.parametrize("reason", ["unknown", "expired", "revoked"])
def test_refused_credentials_open_nothing(walk: Walk, reason: str) -> None:
    walk.house.imagery.limited["or_refused"] = NotAuthenticated(f"This key is {reason}.")
    for operation in walk.closed():
        assert walk.call(operation, "or_refused").status_code == 401, operation.name
        assert walk.call(operation, None).status_code == 401, operation.name


def test_the_wrong_scopes_open_nothing_and_the_answer_names_the_missing_one(walk: Walk) -> None:
    before = len(walk.house.imagery.rows)
    for operation in walk.closed():
        if not operation.scopes:
            continue
        answer = walk.call(operation, walk.key(*(set(PLAIN) - set(operation.scopes))))
        assert answer.status_code == 403, operation.name
        assert sorted(answer.json()["needed_scopes"]) == list(operation.scopes), operation.name
        assert all(scope in answer.json()["detail"] for scope in operation.scopes), operation.name
    assert len(walk.house.imagery.rows) == before


def test_a_key_without_scopes_opens_what_needs_none(walk: Walk) -> None:
    for operation in walk.closed():
        status = walk.call(operation, walk.key()).status_code
        assert (status != 403) == (not operation.scopes), operation.name


def test_another_tenant_finds_nothing(walk: Walk) -> None:
    stranger = walk.key(*SCOPES, tenant="another")
    for operation in walk.closed():
        answer = walk.call(operation, stranger)
        if operation.has_id:
            assert answer.status_code == 404, operation.name
        else:
            told = [name for name, one in walk.ids.items() if name.endswith("_id") and one in answer.text]
            assert told == [], operation.name


@pytest.mark.parametrize("scope", [*PLAIN, ADMIN])
def test_one_scope_opens_all_that_it_is_for_and_nothing_else(walk: Walk, scope: str) -> None:
    key = walk.key(scope)
    for operation in walk.closed():
        status = walk.call(operation, key).status_code
        if allows([scope], operation.scopes):
            assert status < 300, (operation.name, status)
        else:
            assert status == 403, (operation.name, status)


def test_what_is_expanded_is_read_with_the_scope_of_its_own_route(walk: Walk) -> None:
    client = walk.house.client_with({"X-API-Key": walk.key("analysis:run")})
    run = f"/analysis-runs/{walk.ids['run_id']}"
    assert client.get(run).status_code == 200
    for name, scope in (
        ("imagery", "imagery:read"),
        ("report", "reports:read"),
        ("imagery,report", "imagery:read"),
    ):
        answer = client.get(run, params={"expand": name})
        assert (answer.status_code, answer.json().get("needed_scopes")) == (403, [scope]), name


def test_a_refused_upload_is_not_read(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagery, "receive_upload", None)
    client = walk.house.client_with({"X-API-Key": walk.key("imagery:read")})
    assert client.post("/imagery", files={"file": ("field.png", walk.house.png)}).status_code == 403


def test_a_row_that_leads_to_another_tenants_object_leads_nowhere(walk: Walk) -> None:
    rows = walk.house.imagery.rows
    (image_id, (_, record)) = next(iter(rows.items()))
    rows[image_id] = "another", record
    stranger = walk.house.client_with({"X-API-Key": walk.key(*SCOPES, tenant="another")})
    assert stranger.get(f"/imagery/{image_id}").status_code == 200
    assert stranger.get(f"/imagery/{image_id}/content").status_code == 404


def test_a_route_that_nobody_gave_a_scope_keeps_the_gateway_from_starting(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = {name: needs for name, needs in scopes.NEEDED.items() if name != "DELETE /reports/{report_id}"}
    monkeypatch.setattr(scopes, "NEEDED", fewer)
    state = house.app.state
    with pytest.raises(RuntimeError, match="DELETE /reports/"):
        create_api(state.services, state.storage, state.config)


def test_a_scope_without_its_route_keeps_it_from_starting_too(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scopes, "NEEDED", {**scopes.NEEDED, "GET /secrets": ()})
    state = house.app.state
    with pytest.raises(RuntimeError, match="GET /secrets"):
        create_api(state.services, state.storage, state.config)
