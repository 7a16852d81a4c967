"""The graph at POST /graphql: what it tells, how it is asked, what it refuses."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from fakes import complete
from fastapi import FastAPI
from graphql import (
    GraphQLObjectType,
    GraphQLOutputType,
    get_introspection_query,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_list_type,
    is_object_type,
)
from pydantic.alias_generators import to_camel

from orthoray.errors import OrthoRayError, Unavailable
from orthoray.pages import MAX_ROWS
from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig
from serve_app.gateway.graph.loaders import Loaders

RESPONSE = "application/graphql-response+json"


def ask(house: Any, query: str, key: str | None = None, **variables: Any) -> dict[str, Any]:
    client = house.client_with({"X-API-Key": key or house.key})
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def data(house: Any, query: str, **variables: Any) -> Any:
    found = ask(house, query, **variables)
    assert "errors" not in found, found
    return found["data"]


def error(house: Any, query: str, **variables: Any) -> dict[str, Any]:
    """The only error, its extensions beside its message."""
    (found,) = ask(house, query, **variables)["errors"]
    return {**found, **found["extensions"]}


def graph_of(house: Any) -> Any:
    return house.app.state.graph.core


# What it tells


def everything(kind: GraphQLObjectType) -> str:
    """All fields of a type but those that fetch something."""
    parts = []
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if not is_object_type(inner):
            parts.append(name)
        elif not field.args and inner.name not in {"Imagery", "AnalysisRun", "Report"}:
            parts.append(f"{name} {{ {everything(inner)} }}")
    return " ".join(parts)


def same(shape: GraphQLOutputType, told: Any, rest: Any, where: str) -> None:
    """REST's value is the graph's: names in camelCase, words of enumerations in capitals."""
    if told is None or rest is None:
        assert told is rest is None, where
        return
    kind = get_nullable_type(shape)
    if is_list_type(kind):
        assert len(told) == len(rest), where
        for one, other in zip(told, rest, strict=True):
            same(kind.of_type, one, other, where)
    elif is_object_type(kind):
        known = {to_camel(name): value for name, value in rest.items()}
        assert known.keys() >= told.keys(), where
        for name, value in told.items():
            same(kind.fields[name].type, value, known[name], f"{where}.{name}")
    elif is_enum_type(kind):
        assert told == rest.upper(), where
    else:
        assert told == rest, where


@pytest.mark.parametrize(
    ("field", "type_name", "path"),
    [
        ("imagery", "Imagery", "/imagery"),
        ("run", "AnalysisRun", "/analysis-runs"),
        ("report", "Report", "/reports"),
    ],
)
def test_a_record_is_told_as_rest_tells_it(house: Any, field: str, type_name: str, path: str) -> None:
    run = house.run(completed=True, thresholds=[0.6, 0.4, 0.2], cmap="viridis")
    record_id = {
        "imagery": run["imagery_id"],
        "run": run["id"],
        "report": house.report_of(run, completed=True)["id"],
    }[field]
    kind = graph_of(house).type_map[type_name]
    told = data(house, f"query ($id: UUID!) {{ {field}(id: $id) {{ {everything(kind)} }} }}", id=record_id)
    rest = house.client.get(f"{path}/{record_id}").json()
    same(kind, told[field], rest, field)
    assert {to_camel(name) for name in rest} == told[field].keys()


def test_the_catalogue_of_indices_is_that_of_rest(house: Any) -> None:
    image = house.upload().json()["id"]
    kind = graph_of(house).type_map["SpectralIndex"]
    asked = f'query ($id: UUID) {{ indices(imageryId: $id, domain: "vegetation", q: "ndvi") {{ {everything(kind)} }} }}'
    told = data(house, asked, id=image)["indices"]
    rest = house.client.get(
        "/indices", params={"imagery_id": image, "domain": "vegetation", "q": "ndvi"}
    ).json()
    assert len(told) == len(rest) > 3
    for one, other in zip(told, rest, strict=True):
        same(kind, one, {name: other.get(name) for name in (*other, "missing_bands")}, one["name"])
    assert [one["name"] for one in told if "N" in one["missingBands"]]
    assert data(house, '{ indices(q: "NDVI") { missingBands } }')["indices"][0] == {"missingBands": None}


def test_the_ways_from_one_to_the_next(house: Any) -> None:
    run = house.run(completed=True)
    report = house.report_of(run, completed=True)
    found = data(
        house,
        "query ($id: UUID!) { imagery(id: $id) { runs { nodes { id report { id run { imagery { id } } }"
        " reports(status: COMPLETED) { edges { node { id } } } other: reports(status: FAILED) { nodes { id } } } } } }",
        id=run["imagery_id"],
    )
    (told,) = found["imagery"]["runs"]["nodes"]
    assert told == {
        "id": run["id"],
        "report": {"id": report["id"], "run": {"imagery": {"id": run["imagery_id"]}}},
        "reports": {"edges": [{"node": {"id": report["id"]}}]},
        "other": {"nodes": []},
    }


def test_what_is_gone_is_null(house: Any) -> None:
    run = house.run()
    house.imagery.rows.clear()
    found = data(house, "query ($id: UUID!) { run(id: $id) { imagery { id } report { id } } }", id=run["id"])
    assert found == {"run": {"imagery": None, "report": None}}


def test_pages(house: Any) -> None:
    runs = [house.run()["id"] for _ in range(5)]
    query = (
        "query ($first: Int!, $after: String) { runs(first: $first, after: $after)"
        " { nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"
    )
    seen, after = [], None
    for size in (2, 2, 1):
        page = data(house, query, first=2, after=after)["runs"]
        info, cursors = page["pageInfo"], [edge["cursor"] for edge in page["edges"]]
        assert (info["startCursor"], info["endCursor"]) == (cursors[0], cursors[-1])
        assert len(cursors) == size
        assert info["hasPreviousPage"] is (after is not None)
        seen += [node["id"] for node in page["nodes"]]
        after = info["endCursor"]
        assert info["hasNextPage"] is (size == 2 and len(seen) < 5)
    assert seen == runs[::-1]
    # A cursor of the graph is REST's token too.
    assert house.client.get("/analysis-runs", params={"next": cursors[0]}).json()["items"] == []
    nothing = data(house, query, first=2, after=after)["runs"]
    assert nothing["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": True,
        "startCursor": None,
        "endCursor": None,
    }


def test_the_filters_of_lists(house: Any) -> None:
    run, other = house.run(completed=True), house.run()
    report = house.report_of(run)
    found = data(
        house,
        "query ($image: UUID, $run: UUID) { byImage: runs(imageryId: $image) { nodes { id } }"
        " byStatus: runs(status: COMPLETED) { nodes { id } } byBoth: runs(imageryId: $image, status: QUEUED) { nodes { id } }"
        " reports(analysisRunId: $run) { nodes { id } } done: reports(status: COMPLETED) { nodes { id } }"
        ' imageryList(bbox: [28.1, 46.9, 29, 47.5], first: 7, capturedAfter: "2026-01-01") { nodes { id } } }',
        image=other["imagery_id"],
        run=run["id"],
    )
    ids = {name: [node["id"] for node in page["nodes"]] for name, page in found.items()}
    assert (ids["byImage"], ids["byStatus"], ids["byBoth"]) == ([other["id"]], [run["id"]], [other["id"]])
    assert (ids["reports"], ids["done"]) == ([report["id"]], [])
    asked = house.imagery.query
    assert (asked.bbox, asked.limit, asked.captured_before) == ((28.1, 46.9, 29.0, 47.5), 7, None)
    assert asked.captured_after == datetime(2026, 1, 1, tzinfo=UTC)


# How often it asks


def calls_for(house: Any, query: str) -> Counter[str]:
    services = (house.imagery, house.analysis, house.report)
    for service in services:
        service.calls.clear()
    data(house, query)
    return Counter(
        f"{type(service).__name__}.{name}"
        for service in services
        for name in service.calls
        if name != "identify"
    )


def test_more_records_take_no_more_calls(house: Any) -> None:
    query = (
        "{ imageryList(first: 8) { nodes { id runs(first: 5) { nodes { id imagery { id } report { id }"
        " reports(first: 3) { nodes { id run { id imagery { id } } } } } } } } }"
    )

    def analyse_another() -> None:
        run = house.run(completed=True)
        house.report_of(run)
        again = house.client.post("/analysis-runs", json={"imagery_id": run["imagery_id"]}).json()
        record = next(one for _, one in house.analysis.rows.values() if str(one.id) == again["id"])
        asyncio.run(complete(house.analysis, house.storage, record))
        house.report_of(again)

    analyse_another()
    few = calls_for(house, query)
    for _ in range(4):
        analyse_another()
    many = calls_for(house, query)
    assert (
        few
        == many
        == {
            "FakeImagery.search": 1,
            "FakeImagery.get_many": 1,
            "FakeAnalysis.search_of_imagery": 1,
            "FakeAnalysis.get_many": 1,
            "FakeReport.search_of_runs": 2,  # `report` looks at the newest few, `reports` is a page of three
        }
    )


def test_records_that_are_asked_for_one_by_one_take_one_call(house: Any) -> None:
    runs = [house.run()["id"] for _ in range(4)]
    asked = " ".join(f'r{number}: run(id: "{one}") {{ id }}' for number, one in enumerate([*runs, runs[0]]))
    assert calls_for(house, f"{{ {asked} }}") == {"FakeAnalysis.get_many": 1}


def test_more_parents_than_one_call_takes_are_asked_for_in_several(house: Any) -> None:
    limit = 100

    async def load(count: int) -> list[Any]:
        loader = Loaders(house.app.state.services, "default").runs_of_imagery(limit, None, None)
        return await loader.load_many([uuid4() for _ in range(count)])

    most = MAX_ROWS // limit
    for count, calls in ((most, 1), (most + 1, 2)):
        house.analysis.calls.clear()
        assert [page.items for page in asyncio.run(load(count))] == [[]] * count
        assert house.analysis.calls == ["search_of_imagery"] * calls


# What it changes


def test_an_analysis_and_its_report_are_asked_for(house: Any) -> None:
    image = house.upload().json()["id"]
    asked = {
        "imageryId": image,
        "indexType": "NDVI_emp",
        "language": "EN",
        "priority": "HIGH",
        "thresholds": [0.5, 0.3, 0.1],
        "cmap": "viridis",
    }
    request = (
        "mutation ($input: AnalysisRequestInput!) { requestAnalysis(input: $input)"
        " { id status language priority thresholds options { cmap } imagery { id } } }"
    )
    run = data(house, request, input=asked)["requestAnalysis"]
    record = next(one for _, one in house.analysis.rows.values())
    assert run == {
        "id": str(record.id),
        "status": "QUEUED",
        "language": "EN",
        "priority": "HIGH",
        "thresholds": [0.5, 0.3, 0.1],
        "options": {"cmap": "viridis"},
        "imagery": {"id": image},
    }
    asyncio.run(complete(house.analysis, house.storage, record))
    wanted = f'mutation {{ requestReport(input: {{analysisRunId: "{record.id}", language: RO}}) {{ id language }} }}'
    report = data(house, wanted)["requestReport"]
    assert report["language"] == "RO"
    writes = [write for _, write in house.imagery.writes.values() if write.path.startswith("/graphql")]
    assert [(write.path, write.status, write.location) for write in writes] == [
        ("/graphql requestAnalysis()", 200, f"/analysis-runs/{record.id}"),
        ("/graphql requestReport()", 200, f"/reports/{report['id']}"),
    ]


def test_runs_are_cancelled_and_things_deleted(house: Any) -> None:
    run, done = house.run(), house.run(completed=True)
    report = house.report_of(done)
    found = data(
        house,
        f'mutation {{ a: deleteRun(id: "{run["id"]}") {{ id status }} b: deleteReport(id: "{report["id"]}") {{ id }}'
        f' c: deleteRun(id: "{done["id"]}") {{ id status }} d: deleteImagery(id: "{run["imagery_id"]}") {{ id }} }}',
    )
    assert found == {
        "a": {"id": run["id"], "status": "CANCELLED"},
        "b": {"id": report["id"]},
        "c": {"id": done["id"], "status": None},
        "d": {"id": run["imagery_id"]},
    }
    writes = [write for _, write in house.imagery.writes.values() if write.path.startswith("/graphql")]
    assert [write.ids["id"] for write in writes] == [run["id"], report["id"], done["id"], run["imagery_id"]]
    assert writes[0].path == f"/graphql deleteRun(id: {run['id']})"
    assert {write.caller for write in writes} == {"anybody"}


def test_one_that_fails_does_not_stop_the_others(house: Any) -> None:
    run = house.run()
    found = ask(
        house,
        f'mutation {{ a: deleteReport(id: "{uuid4()}") {{ id }} b: deleteRun(id: "{run["id"]}") {{ status }} }}',
    )
    assert found["data"] == {"a": None, "b": {"status": "CANCELLED"}}
    (wrong,) = found["errors"]
    assert (wrong["path"], wrong["extensions"]["code"]) == (["a"], "NOT_FOUND")


def test_a_mutation_sees_what_the_one_before_it_changed(house: Any) -> None:
    run = house.run(completed=True)
    asked = f'requestReport(input: {{analysisRunId: "{run["id"]}"}}) {{ run {{ imagery {{ id }} }} }}'
    delete = f'deleteImagery(id: "{run["imagery_id"]}") {{ id }}'
    found = data(house, f"mutation {{ before: {asked} {delete} after: {asked} }}")
    assert found["before"] == {"run": {"imagery": {"id": run["imagery_id"]}}}
    assert found["after"] == {"run": {"imagery": None}}


def test_nothing_is_changed_where_that_cannot_be_told(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = house.run()

    async def away(*_: Any) -> None:
        raise Unavailable

    monkeypatch.setattr(house.imagery, "record_write", away)
    wrong = error(house, f'mutation {{ deleteRun(id: "{run["id"]}") {{ id }} }}')
    assert (wrong["code"], wrong["status"]) == ("UNAVAILABLE", 503)
    assert "delete" not in house.analysis.calls


def test_reading_is_not_told_in_the_audit(house: Any) -> None:
    data(house, "{ runs { nodes { id } } }")
    assert house.imagery.writes == {}


# What it refuses


def test_what_an_image_cannot_give_is_refused_as_rest_refuses_it(house: Any) -> None:
    image = house.upload().json()["id"]
    wrong = error(
        house, f'mutation {{ requestAnalysis(input: {{imageryId: "{image}", indexType: "NDVI"}}) {{ id }} }}'
    )
    rest = house.client.post("/analysis-runs", json={"imagery_id": image, "index_type": "NDVI"}).json()
    assert (wrong["code"], wrong["message"], wrong["missing_bands"]) == (
        "MISSING_BANDS",
        rest["detail"],
        ["N"],
    )
    assert {name: wrong[name] for name in ("type", "title", "status")} == {
        name: rest[name] for name in ("type", "title", "status")
    }


def test_values_that_do_not_fit_are_named(house: Any) -> None:
    wrong = error(
        house,
        f'mutation {{ requestAnalysis(input: {{imageryId: "{uuid4()}", blend: 7, thresholds: "many",'
        ' soilMask: {above: 0, constants: {L: "x"}}}) { id } }',
    )
    assert (wrong["code"], wrong["status"]) == ("IMPOSSIBLE", 422)
    assert {item["where"] for item in wrong["errors"]} == {"blend", "thresholds", "soilMask.constants.L"}


@pytest.mark.parametrize(
    "query",
    [
        "{ runs(first: 0) { nodes { id } } }",
        "{ runs(first: 201) { nodes { id } } }",
        '{ runs(after: "nonsense") { nodes { id } } }',
        "{ imageryList(bbox: [1, 2]) { nodes { id } } }",
        "{ imageryList(bbox: [3, 2, 1, 4]) { nodes { id } } }",
        '{ indices(q: "%s") { name } }' % ("x" * 65),
    ],
)
def test_what_no_list_can_give(house: Any, query: str) -> None:
    wrong = error(house, query)
    assert (wrong["code"], wrong["status"], wrong["title"]) == ("BAD_INPUT", 400, "Malformed request")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("{ runs {", "Syntax Error"),
        ("{ secrets }", "Cannot query field 'secrets'"),
        ('{ run(id: "x") { id } }', "UUID"),
        ("query A { __typename } query B { __typename }", "operationName"),
        ("subscription { runs }", "subscription"),
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", "Cannot spread fragment"),
        ("fragment A on Query { __typename }", ""),
        ("{ x(", "Syntax Error"),
        ('{ imageryList(capturedAfter: "today") { nodes { id } } }', "is written as"),
        ("{ imageryList(capturedAfter: 5) { nodes { id } } }", "is written as"),
        ("{ runs(status: LOST) { nodes { id } } }", "LOST"),
        ('{ run(id: "\ud800") { id } }'.encode("utf-8", "replace").decode(), "UUID"),
    ],
)
def test_what_is_no_query_of_this_graph(house: Any, query: str, words: str) -> None:
    found = ask(house, query)
    assert "data" not in found
    wrong = found["errors"][0]
    assert words in wrong["message"]
    assert "pydantic" not in wrong["message"]
    assert (wrong["extensions"]["code"], wrong["extensions"]["status"]) == ("BAD_INPUT", 400)


def test_half_a_character_in_a_variable_is_told_as_a_whole_one(house: Any) -> None:
    text = '{"query": "query ($id: UUID!) { run(id: $id) { id } }", "variables": {"id": "\\ud800"}}'
    answer = house.client.post("/graphql", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert "UUID" in answer.json()["errors"][0]["message"]


def test_errors_are_few_and_short(house: Any) -> None:
    found = ask(house, "{ " + " ".join(f"x{number}" for number in range(90)) + " }")
    assert len(found["errors"]) == 10
    found = ask(house, "query ($id: UUID!) { run(id: $id) { id } }", id="x" * 5000)
    assert len(found["errors"][0]["message"]) <= 1003


def test_a_fault_before_anything_is_asked_tells_nothing_either(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("/etc/secret")

    monkeypatch.setattr("serve_app.gateway.graph.schema.measure", broken)
    found = ask(house, "{ __typename }")
    assert [item["extensions"]["code"] for item in found["errors"]] == ["INTERNAL"]
    assert "secret" not in str(found)


@pytest.mark.parametrize("failure", [RuntimeError("/etc/secret"), OrthoRayError("select * from keys")])
def test_nothing_inside_is_told(house: Any, failure: Exception, logs: list[Any]) -> None:
    house.fail(failure)
    found = ask(house, "{ runs { nodes { id } } reports { nodes { id } } }")
    assert found["data"] == {"runs": None, "reports": None}
    assert {item["extensions"]["code"] for item in found["errors"]} == {"INTERNAL"}
    assert {item["message"] for item in found["errors"]} == {
        "Something went wrong on our side. It has been logged."
    }
    logged = [line for line in logs if line["event"] == "unexpected error"]
    assert [line["field"] for line in logged] == ["runs", "reports"]


def test_a_service_that_is_away_takes_its_fields_with_it_and_no_others(house: Any) -> None:
    run = house.run()
    house.report.error = Unavailable("The report-service does not answer.")
    found = ask(house, f'{{ run(id: "{run["id"]}") {{ id report {{ id }} }} }}')
    assert found["data"] == {"run": {"id": run["id"], "report": None}}
    (wrong,) = found["errors"]
    assert (wrong["path"], wrong["extensions"]["status"]) == (["run", "report"], 503)


# How it is asked


def test_bodies_that_are_no_request(house: Any) -> None:
    def detail(status: int, **body: Any) -> str:
        answer = house.client.post("/graphql", **body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        return str(answer.json()["detail"])

    assert "one operation in each request" in detail(422, json=[{"query": "{ __typename }"}])
    assert "query" in detail(422, json={})
    assert "20000 characters" in detail(422, json={"query": "x" * 20_001})
    detail(422, json={"query": "{ __typename }", "variables": [1]})
    detail(400, content=b"{", headers={"Content-Type": "application/json"})
    # What a form of another site could send without asking first.
    detail(400, content=b'{"query": "{ __typename }"}', headers={"Content-Type": "text/plain"})
    detail(400, data={"query": "{ __typename }"})
    detail(400, files={"operations": b'{"query": "{ __typename }"}'})


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_only_post_asks_anything(house: Any, method: str) -> None:
    run = house.run()
    query = f'mutation {{ deleteRun(id: "{run["id"]}") {{ id }} }}'
    answer = house.client.request(method, "/graphql", params={"query": query})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert method == "HEAD" or "POST with a JSON body" in answer.json()["detail"]
    assert "delete" not in house.analysis.calls


def test_the_status_tells_of_errors_to_those_who_ask_for_it(house: Any) -> None:
    client = house.client_with({"X-API-Key": house.key, "Accept": f"{RESPONSE}, application/json;q=0.9"})
    for query, status in (
        ("{ __typename }", 200),
        ("{ nothing }", 400),
        ("{ runs(first: 0) { nodes { id } } }", 200),
    ):
        answer = client.post("/graphql", json={"query": query})
        assert (answer.status_code, answer.headers["content-type"]) == (status, RESPONSE)
    assert (
        house.client.post("/graphql", json={"query": "{ nothing }"}).headers["content-type"]
        == "application/json"
    )


def test_requests_have_an_id_and_are_not_kept(house: Any) -> None:
    answer = house.client.post("/graphql", json={"query": "{ __typename }"}, headers={"X-Request-ID": "mine"})
    assert (answer.headers["x-request-id"], answer.headers["cache-control"]) == ("mine", "no-store")


def test_one_of_several_operations(house: Any) -> None:
    body = {
        "query": "query A { __typename } query B { b: __typename }",
        "operationName": "B",
        "extensions": {},
    }
    assert house.client.post("/graphql", json=body).json() == {"data": {"b": "Query"}}
    body["operationName"] = "C"
    assert house.client.post("/graphql", json=body).json()["errors"][0]["extensions"]["code"] == "BAD_INPUT"


def closed(house: Any) -> FastAPI:
    state = house.app.state
    config = GatewayConfig(
        auth_mode="key", max_upload_bytes=1, imagery_bucket="imagery", graphql_introspection=False
    )
    return create_api(state.services, state.storage, config)


def test_the_schema_is_told_unless_the_installation_says_no(house: Any) -> None:
    assert len(data(house, get_introspection_query())["__schema"]["types"]) > 30
    house.app = closed(house)
    for query in ("{ __schema { types { name } } }", '{ a: __type(name: "Query") { name } }'):
        wrong = error(house, query)
        assert (wrong["code"], wrong["status"]) == ("NOT_ALLOWED", 403)
    assert data(house, "{ __typename runs { __typename } }")["runs"] == {
        "__typename": "AnalysisRunConnection"
    }
    assert "imagery" not in error(house, "{ imager }")["message"]
