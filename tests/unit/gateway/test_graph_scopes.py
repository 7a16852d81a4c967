"""Every field of the graph that fetches or changes something, by everybody who may ask for it and everybody who may not.

The walk is made from the schema, so that a new field takes part in it by being there. One with arguments that it needs has to
have a line in `Walk.arguments`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import strawberry
from batches import a_request
from graphql import GraphQLField, GraphQLObjectType, get_named_type, is_object_type, is_required_argument
from strawberry.scalars import JSON

from orthoray.batches import Batch
from orthoray.errors import NotAuthenticated
from orthoray.ports import Caller
from orthoray.scopes import ADMIN, SCOPES, allows
from serve_app.gateway.graph import schema as graph
from serve_app.gateway.graph.guard import GUARD
from serve_app.gateway.graph.types import ENTITIES, AnalysisRun
from serve_app.gateway.scopes import FIELDS

PLAIN = [scope for scope in SCOPES if scope != ADMIN]
# Rows of tenants are reached by their ids.
WAYS = {"Query": "{ %s }", "Mutation": "mutation { %s }"} | {
    name: f"{{ {way}(id: %(id)s) {{ %s }} }}"
    for name, way in {
        "Imagery": "imagery",
        "AnalysisRun": "run",
        "Report": "report",
        "Batch": "batch",
    }.items()
}


def fields_to_walk() -> Iterator[str]:
    """All that begin an operation, and all that lead from a row of a tenant to another."""
    built = graph.build_schema().core
    for parent in built.type_map.values():
        if is_object_type(parent) and parent.name in WAYS:
            for name, field in parent.fields.items():
                if parent.name in {"Query", "Mutation"} or leads_on(field):
                    yield f"{parent.name}.{name}"


def leads_on(field: GraphQLField) -> bool:
    kind = get_named_type(field.type).name
    return bool(field.args) or kind in ENTITIES or kind.endswith("Connection")


WALKED = sorted(fields_to_walk())


class Walk:
    """One of everything to call the fields on."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.schema = house.app.state.graph.core
        run = house.run(completed=True)
        batch_id = uuid4()
        self.ids = {
            "Imagery": run["imagery_id"],
            "AnalysisRun": run["id"],
            "Report": house.report_of(run, completed=True)["id"],
            "Batch": str(batch_id),
        }
        batch = Batch(
            id=batch_id,
            status="completed",
            request=a_request(None),
            bucket="heatmaps",
            prefix=f"batches/{batch_id}/",
            created_at=datetime.now(UTC),
        )
        house.batches.rows[batch_id] = "default", batch

    @property
    def arguments(self) -> dict[str, str]:
        ids = {name: f'id: "{one}"' for name, one in self.ids.items()}
        return {
            "Query.imagery": ids["Imagery"],
            "Query.run": ids["AnalysisRun"],
            "Query.report": ids["Report"],
            "Query.batch": ids["Batch"],
            "Mutation.requestAnalysis": f'input: {{imageryId: "{self.ids["Imagery"]}"}}',
            "Mutation.requestReport": f'input: {{analysisRunId: "{self.ids["AnalysisRun"]}"}}',
            "Mutation.deleteImagery": ids["Imagery"],
            "Mutation.deleteRun": ids["AnalysisRun"],
            "Mutation.deleteReport": ids["Report"],
        }

    def query(self, path: str) -> str:
        parent_name, _, name = path.partition(".")
        parent = self.schema.type_map[parent_name]
        assert is_object_type(parent)
        given = self.arguments.get(path, "")
        needed = any(map(is_required_argument, parent.fields[name].args.values()))
        assert given or not needed, f"Walk.arguments has no line for {path}"
        asked = f"{name}({given})" if given else name
        kind = get_named_type(parent.fields[name].type)
        if is_object_type(kind):
            asked += f" {{ {self.shown(kind)} }}"
        way = WAYS[parent_name]
        return (
            way.replace("%(id)s", f'"{self.ids.get(parent_name)}"') % asked
            if "%(id)s" in way
            else way % asked
        )

    def shown(self, kind: GraphQLObjectType) -> str:
        if kind.name.endswith("Connection"):
            return "nodes { id }"
        return "id" if "id" in kind.fields else "__typename"

    def ask(self, path: str, key: str | None) -> Any:
        client = self.house.client_with({"X-API-Key": key} if key else {})
        return client.post("/graphql", json={"query": self.query(path)})

    def key(self, *allowed: str, tenant: str = "default") -> str:
        name = f"or_{tenant}-{'-'.join(allowed)}"
        self.house.imagery.limited[name] = Caller(tenant=tenant, key_id=uuid4(), scopes=frozenset(allowed))
        return name

    def told(self) -> list[int | None]:
        """The statuses in the audit of what was changed by way of the graph."""
        return [
            write.status
            for _, write in self.house.imagery.writes.values()
            if write.path.startswith("/graphql ")
        ]


@pytest.fixture
def walk(house: Any) -> Walk:
    return Walk(house)


def parent_needs(path: str) -> tuple[str, ...]:
    """The scopes of the way to a field."""
    way = {"Imagery": "imagery", "AnalysisRun": "run", "Report": "report", "Batch": "batch"}
    parent = path.partition(".")[0]
    return FIELDS[f"Query.{way[parent]}"] if parent in way else ()


def codes(answer: Any) -> set[str]:
    return {error["extensions"]["code"] for error in answer.json().get("errors", [])}


def leaf(answer: Any, path: str) -> Any:
    """What a field answered with; None where it or what leads to it was refused."""
    data = answer.json()["data"]
    first = next(iter(data.values()))
    if path.partition(".")[0] in {"Query", "Mutation"} or first is None:
        return first
    return first[path.partition(".")[2]]


def test_the_walk_knows_every_field_that_has_a_scope() -> None:
    assert set(WALKED) == FIELDS.keys()


@pytest.mark.parametrize("reason", ["unknown", "expired", "revoked"])
def test_refused_credentials_open_nothing(walk: Walk, reason: str) -> None:
    walk.house.imagery.limited["or_refused"] = NotAuthenticated(f"This key is {reason}.")
    for service in (walk.house.imagery, walk.house.analysis, walk.house.report, walk.house.batches):
        service.calls.clear()
    for path in WALKED:
        for key in ("or_refused", None):
            answer = walk.ask(path, key)
            assert answer.status_code == 401, path
            assert answer.headers["content-type"] == "application/problem+json"
    assert set(walk.house.calls) == {"identify"}
    assert walk.told() == []


@pytest.mark.parametrize("path", WALKED)
def test_the_wrong_scopes_open_nothing_and_the_error_names_the_missing_one(walk: Walk, path: str) -> None:
    wanted = FIELDS[path]
    kept = {name: list(getattr(walk.house, name).rows) for name in ("imagery", "analysis", "report")}
    answer = walk.ask(path, walk.key(*(set(PLAIN) - set(wanted))))
    assert answer.status_code == 200
    assert codes(answer) == {"NOT_ALLOWED"}
    (error,) = answer.json()["errors"]
    assert error["extensions"]["status"] == 403
    refused = wanted if path.endswith(f".{error['path'][-1]}") else parent_needs(path)
    assert error["extensions"]["needed_scopes"] == list(refused)
    assert leaf(answer, path) is None
    assert kept == {name: list(getattr(walk.house, name).rows) for name in kept}
    assert walk.told() == ([403] if path.startswith("Mutation.") else [])


@pytest.mark.parametrize("path", WALKED)
def test_each_of_its_scopes_opens_a_field(walk: Walk, path: str) -> None:
    for scope in FIELDS[path] if path.startswith("Query.") else FIELDS[path][:1]:
        answer = walk.ask(path, walk.key(scope, *parent_needs(path)))
        assert codes(answer) == set(), answer.text
        assert leaf(answer, path) is not None
    assert walk.told() == ([200] if path.startswith("Mutation.") else [])


@pytest.mark.parametrize("path", WALKED)
def test_another_tenant_finds_nothing(walk: Walk, path: str) -> None:
    kept = [*walk.house.imagery.rows, *walk.house.analysis.rows, *walk.house.report.rows]
    answer = walk.ask(path, walk.key(*SCOPES, tenant="another"))
    by_id = path in walk.arguments or path.partition(".")[0] in walk.ids
    assert codes(answer) == ({"NOT_FOUND"} if by_id else set())
    if by_id:
        assert leaf(answer, path) is None
    else:
        assert [one for one in walk.ids.values() if one in answer.text] == []
    assert kept == [*walk.house.imagery.rows, *walk.house.analysis.rows, *walk.house.report.rows]
    assert walk.told() == ([404] if path.startswith("Mutation.") else [])


def test_a_key_without_scopes_may_ask_for_the_schema_alone(walk: Walk) -> None:
    client = walk.house.client_with({"X-API-Key": walk.key()})
    answer = client.post("/graphql", json={"query": "{ __typename __schema { queryType { name } } }"})
    assert answer.json()["data"]["__typename"] == "Query"
    for path in WALKED:
        assert allows([], FIELDS[path]) is False
        assert codes(walk.ask(path, walk.key())) == {"NOT_ALLOWED"}


def test_what_a_mutation_gives_back_is_no_way_around(walk: Walk) -> None:
    client = walk.house.client_with({"X-API-Key": walk.key("reports:write")})
    query = f'mutation {{ requestReport(input: {{analysisRunId: "{walk.ids["AnalysisRun"]}"}}) {{ id run {{ id }} }} }}'
    answer = client.post("/graphql", json={"query": query}).json()
    assert answer["data"] == {"requestReport": {"id": walk.ids["Report"], "run": None}}
    assert answer["errors"][0]["path"] == ["requestReport", "run"]
    assert answer["errors"][0]["extensions"]["needed_scopes"] == ["analysis:run", "reports:read"]


def test_a_row_that_leads_to_another_tenants_rows_leads_nowhere(walk: Walk) -> None:
    house = walk.house
    for rows in (house.imagery.rows, house.analysis.rows):
        for key, (_, record) in list(rows.items()):
            rows[key] = "another", record
    stranger = house.client_with({"X-API-Key": walk.key(*SCOPES, tenant="another")})
    query = (
        f'{{ run(id: "{walk.ids["AnalysisRun"]}") {{ id report {{ id }} reports {{ nodes {{ id }} }}'
        " imagery { id runs { nodes { id } } } } }"
    )
    told = stranger.post("/graphql", json={"query": query}).json()["data"]["run"]
    assert (told["report"], told["reports"]) == (None, {"nodes": []})
    assert told["imagery"]["runs"]["nodes"] == [{"id": walk.ids["AnalysisRun"]}]


@strawberry.type(name="Query")
class Careless(graph.Query):
    secret: JSON

    @strawberry.field
    async def everything(self) -> JSON:
        return {}


@strawberry.type(name="Query")
class Unlisted(graph.Query):
    @strawberry.field(extensions=[GUARD])
    async def everything(self) -> JSON | None:
        return None


@strawberry.type
class Payload:
    run: AnalysisRun


@strawberry.type(name="Query")
class Leaking(graph.Query):
    @strawberry.field(extensions=[GUARD])
    async def everything(self) -> Payload | None:
        return None


@strawberry.type(name="Query")
class Stubborn(graph.Query):
    @strawberry.field(extensions=[GUARD])
    async def everything(self) -> JSON:
        return {}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Careless, "Query.everything has no guard, Query.secret has no guard"),
        (Leaking, "Payload.run has no guard"),
        (Unlisted, "Query.everything has no scope"),
        (Stubborn, "Query.everything can be refused, so it must be nullable"),
    ],
)
def test_a_field_that_nobody_guarded_keeps_the_gateway_from_starting(
    monkeypatch: pytest.MonkeyPatch, query: type, words: str
) -> None:
    monkeypatch.setattr(graph, "Query", query)
    with pytest.raises(RuntimeError, match=words):
        graph.build_schema()
