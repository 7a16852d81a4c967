"""Whatever is asked of the graph, right or wrong: an answer of the table of errors, never a fault of ours."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from graphql import StringValueNode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode, from_schema, nodes
from pydantic_core import to_json

from orthoray.errors import OrthoRayError
from orthoray.ports import Caller
from orthoray.scopes import SCOPES
from serve_app.gateway.graph.errors import code_of
from serve_app.gateway.graph.loaders import GraphContext
from serve_app.gateway.graph.schema import answer

# A few seconds' worth: runs of developers look for others each time.
FOUND = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def every_code() -> set[str]:
    kinds, known = [OrthoRayError], set()
    while kinds:
        kind = kinds.pop()
        known.add(code_of(kind.__name__))
        kinds += kind.__subclasses__()
    return known


CODES = every_code()


def scalars(house: Any) -> dict[str, st.SearchStrategy[Any]]:
    """Half of the ids are those of something that is there."""
    run = house.run(completed=True)
    report = house.report_of(run, completed=True)
    known = st.sampled_from([run["id"], run["imagery_id"], report["id"]])
    texts = st.text(max_size=8).map(lambda text: StringValueNode(value=text))
    numbers = st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float)
    ids = (known | st.uuids().map(str)).map(lambda text: StringValueNode(value=text))
    return {
        "UUID": ids,
        "DateTime": st.datetimes().map(lambda moment: StringValueNode(value=moment.isoformat())),
        "JSON": texts | numbers | st.lists(numbers, max_size=4).map(nodes.List),
        "Long": st.integers(-(2**60), 2**60).map(nodes.Int),
    }


def asked(house: Any, query: str) -> dict[str, Any]:
    services = house.app.state.services
    for scopes in (frozenset(SCOPES), frozenset({"analysis:run"})):
        context = GraphContext(Caller(tenant="default", scopes=scopes), services)
        found = asyncio.run(answer(house.app.state.graph, context, query))
        to_json(found.body)
        for error in found.body.get("errors", ()):
            assert error["extensions"]["code"] in CODES, (query, error)
            is_of_a_value = "path" in error and "cannot represent" in error["message"]
            assert not is_of_a_value, (query, error)
    return found.body


def test_right_queries(house: Any) -> None:
    schema = house.app.state.graph.as_str()
    carried_out = 0

    @FOUND
    @given(from_schema(schema, custom_scalars=scalars(house)))
    def ask(query: str) -> None:
        nonlocal carried_out
        carried_out += "data" in asked(house, query)

    ask()
    assert carried_out > 10, "the limits refuse nearly all, so nothing was tried"


def test_wrong_queries(house: Any) -> None:
    schema = house.app.state.graph.as_str()

    @FOUND
    @given(from_schema(schema, custom_scalars=scalars(house), mode=Mode.NEGATIVE))
    def ask(query: str) -> None:
        assert asked(house, query)["errors"]

    ask()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SIGNS = [*"{}()[]:!$@=|&", "...", '"""']
NAMES = [
    "query",
    "mutation",
    "fragment",
    "on",
    "A",
    "$a",
    "UUID!",
    "runs",
    "run",
    "id",
    "nodes",
    "first",
    "include",
    "if",
]
VALUES = ['"x"', "1", "-1", "1e999", "null", "true", "__schema", "__type", "__typename"]
WORDS = st.lists(st.sampled_from([*SIGNS, *NAMES, *VALUES]), max_size=30).map(" ".join)


def test_bodies_of_any_kind(house: Any) -> None:
    @FOUND
    @given(
        st.one_of(
            JSON,
            st.fixed_dictionaries(
                {"query": WORDS | st.text()},
                optional={"variables": JSON, "operationName": JSON, "extensions": JSON},
            ),
        )
    )
    def send(body: Any) -> None:
        answer = house.client.post(
            "/graphql", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in {200, 422}, (body, answer.text)
        for error in answer.json().get("errors", ()) if answer.status_code == 200 else ():
            assert error["extensions"]["code"] in CODES, (body, error)

    send()


def test_variables_of_any_kind(house: Any) -> None:
    query = (
        "query ($first: Int! = 3, $after: String, $status: RunStatus, $bbox: [Float!], $when: DateTime, $id: UUID)"
        " { runs(first: $first, after: $after, status: $status, imageryId: $id) { nodes { id } }"
        " imageryList(bbox: $bbox, capturedAfter: $when) { nodes { id } } indices(q: $after) { name } }"
    )
    change = "mutation ($input: AnalysisRequestInput!) { requestAnalysis(input: $input) { id } }"
    wish = st.fixed_dictionaries(
        {"imageryId": st.sampled_from([house.upload().json()["id"], "x"])},
        optional=dict.fromkeys(
            ("indexType", "thresholds", "scale", "soilMask", "constants", "blend", "callback", "crop"), JSON
        ),
    )

    @FOUND
    @given(st.dictionaries(st.sampled_from(["first", "after", "status", "bbox", "when", "id"]), JSON), wish)
    def send(variables: dict[str, Any], given_input: dict[str, Any]) -> None:
        for text, values in ((query, variables), (change, {"input": given_input})):
            content = json.dumps({"query": text, "variables": values})
            answer = house.client.post(
                "/graphql", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 200, answer.text
            for error in answer.json().get("errors", ()):
                assert error["extensions"]["code"] in CODES, (values, error)

    send()
