"""How much a query may ask for."""

from __future__ import annotations

import time
from typing import Any

import pytest
from graphql import parse, validate

from orthoray.errors import BadInput, TooLarge
from orthoray.pages import MAX_LIMIT, MAX_ROWS
from serve_app.gateway.graph import limits
from serve_app.gateway.graph.connections import PAGE
from serve_app.gateway.graph.limits import (
    COST_OF_INTROSPECTION,
    COST_OF_MUTATION,
    COST_OF_RECORD,
    MAX_ALIASES,
    MAX_COST,
    MAX_DEPTH,
    USUAL_LENGTH,
    Measure,
    check,
    measure,
)
from serve_app.gateway.graph.schema import build_schema
from serve_app.gateway.graph.types import ENTITIES

SCHEMA = build_schema().core
ID = '"4c4ee1a0-0000-4000-8000-000000000000"'


def measured(query: str, operation: str | None = None, **variables: Any) -> Measure:
    document = parse(query)
    assert validate(SCHEMA, document) == []
    return measure(SCHEMA, document, operation, variables, records=ENTITIES)


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{ __typename }", 1),
        (f"{{ run(id: {ID}) {{ id status }} }}", 3 + COST_OF_RECORD),
        ("{ runs(first: 5) { nodes { id status } } }", 1 + 5 * (3 + COST_OF_RECORD)),
        ("{ runs { nodes { id } } }", 1 + PAGE * (2 + COST_OF_RECORD)),
        ("{ runs(first: 5) { edges { cursor node { id } } } }", 1 + 5 * (4 + COST_OF_RECORD)),
        ("{ runs(first: 5) { pageInfo { hasNextPage } } }", 3 + 5 * COST_OF_RECORD),
        (
            "{ imageryList(first: 2) { nodes { runs(first: 3) { nodes { id } } } } }",
            1 + 2 * (COST_OF_RECORD + 1 + 1 + 3 * (2 + COST_OF_RECORD)),
        ),
        ("{ runs(first: 2) { nodes { history { number } } } }", 1 + 2 * (COST_OF_RECORD + 1 + USUAL_LENGTH * 2)),
        ("{ indices { name } }", 300 * 2),
        (f"mutation {{ deleteRun(id: {ID}) {{ id }} }}", 2 + COST_OF_MUTATION),
        ("{ __schema { types { name } } }", COST_OF_INTROSPECTION),
        ("{ ...A } fragment A on Query { runs(first: 5) { ...B } } fragment B on AnalysisRunConnection { nodes { id } }",
         1 + 5 * (2 + COST_OF_RECORD)),
        ("{ ... on Query { ... { __typename } } }", 1),
        ("{ __typename ...A ...A } fragment A on Query { __typename }", 3),
    ],
)  # fmt: skip
def test_costs(query: str, cost: int) -> None:
    assert measured(query).cost == cost


@pytest.mark.parametrize(
    ("query", "variables", "size"),
    [
        ("query ($n: Int!) {", {"n": 7}, 7),
        ("query ($n: Int! = 9) {", {}, 9),
        ("query ($n: Int! = 9) {", {"n": 4}, 4),
        ("query ($n: Int!) {", {}, MAX_LIMIT),  # refused later
        ("query ($n: Int!) {", {"n": "7"}, MAX_LIMIT),
        ("query ($n: Int!) {", {"n": True}, MAX_LIMIT),
        ("query ($n: Int!) {", {"n": -5}, MAX_LIMIT),
        ("query ($n: Int!) {", {"n": 10**9}, MAX_LIMIT),
    ],
)
def test_a_size_that_is_not_known_is_the_greatest(query: str, variables: dict[str, Any], size: int) -> None:
    found = measured(f"{query} runs(first: $n) {{ nodes {{ id }} }} }}", **variables)
    assert found.cost == 1 + size * (2 + COST_OF_RECORD)


def test_depth_and_aliases() -> None:
    query = (
        "{ imageryList(first: 1) { nodes { runs(first: 1) { nodes { reports(first: 1) { edges { node"
        " { run { id } } } } } } } } }"
    )
    assert measured(query).depth == 9
    query = (
        "{ a: __typename ...A b: runs { c: nodes { ...B ...B } } }"
        " fragment A on Query { d: __typename } fragment B on AnalysisRun { e: id }"
    )
    assert (measured(query).aliases, measured(query).depth) == (6, 3)
    assert measured("query A { __typename } query B { b: __typename }", "B").aliases == 1


def test_aliases_of_introspection_are_dear() -> None:
    query = "{ __schema { a: types { ...A ...A } } } fragment A on __Type { b: name fields { name } }"
    assert (measured(query).aliases, measured(query).cost) == (2, 3 * COST_OF_INTROSPECTION)


def test_which_operation_has_to_be_said() -> None:
    two = "query A { __typename } query B { b: __typename }"
    for name in (None, "C"):
        with pytest.raises(BadInput, match="operationName"):
            measured(two, name)


def test_fragments_in_fragments_take_no_time() -> None:
    depth = 60
    nested = "".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }} " for n in range(depth))
    began = time.process_time()
    found = measured(f"{{ ...f0 }} {nested} fragment f{depth} on Query {{ a: __typename }}")
    assert found.aliases == found.cost == 2**depth
    assert time.process_time() - began < 2
    with pytest.raises(TooLarge) as refused:
        check(found, introspection=True)
    assert refused.value.fields["aliases"] == 10**9


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (Measure(depth=MAX_DEPTH + 1), "depth"),
        (Measure(aliases=MAX_ALIASES + 1), "aliases"),
        (Measure(cost=MAX_COST + 1), "cost"),
    ],
)
def test_what_is_above_a_limit_is_refused_with_the_limit(found: Measure, name: str) -> None:
    check(Measure(MAX_DEPTH, MAX_ALIASES, MAX_COST), introspection=False)
    with pytest.raises(TooLarge) as refused:
        check(found, introspection=True)
    assert refused.value.fields == {
        name: getattr(found, name),
        f"max_{name}": getattr(limits, f"MAX_{name.upper()}"),
    }


def test_what_is_allowed_never_asks_a_service_for_more_than_it_gives() -> None:
    assert MAX_COST // COST_OF_RECORD <= MAX_ROWS


DEEP = f"{{ run(id: {ID}) {{ {'imagery { runs(first: 1) { nodes { ' * 5} id {'} } } ' * 5} }} }}"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (DEEP, "max_depth"),
        ("{ " + " ".join(f"a{n}: __typename" for n in range(31)) + " }", "max_aliases"),
        ("{ imageryList(first: 200) { nodes { runs(first: 200) { nodes { id } } } } }", "max_cost"),
        (
            "{ " + " ".join(f"{name}: runs(first: 200) {{ nodes {{ id }} }}" for name in "abcde") + " }",
            "max_cost",
        ),
        ("{ " + "__typename " * 1000 + "}", "max_tokens"),
        (
            "mutation { " + " ".join(f"m{n}: deleteRun(id: {ID}) {{ id }}" for n in range(21)) + " }",
            "max_cost",
        ),
    ],
)
def test_queries_that_ask_for_too_much(house: Any, query: str, name: str) -> None:
    house.imagery.calls.clear()
    answer = house.client.post("/graphql", json={"query": query}).json()
    assert "data" not in answer
    (error,) = answer["errors"]
    assert (error["extensions"]["code"], error["extensions"]["status"]) == ("TOO_LARGE", 413)
    assert error["extensions"][name] == getattr(limits, name.upper())
    assert house.calls == ["identify"]
    assert house.imagery.writes == {}
