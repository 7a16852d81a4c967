"""The schema, checked before it is served, and how one request to it is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLSchema, get_named_type, is_non_null_type, is_object_type
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import MaxTokensLimiter, SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.execution import ExecutionContext

from orthoray.errors import BadInput
from serve_app.gateway.graph.errors import MAX_ERRORS, shown
from serve_app.gateway.graph.guard import Guard
from serve_app.gateway.graph.limits import MAX_TOKENS, NO_OPERATION, check, measure
from serve_app.gateway.graph.loaders import GraphContext
from serve_app.gateway.graph.mirror import item_or_attribute
from serve_app.gateway.graph.mutations import Mutation
from serve_app.gateway.graph.queries import Query
from serve_app.gateway.graph.scalars import SCALARS
from serve_app.gateway.graph.types import ENTITIES
from serve_app.gateway.scopes import FIELDS


class Graph(strawberry.Schema):
    """Errors are told and logged where they are shown (`errors.shown`), not by strawberry, which would log them all."""

    @property
    def core(self) -> GraphQLSchema:
        """The same in the terms of graphql-core, which knows types and fields by the names that clients see."""
        return self._schema

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None: ...


class _Limits(SchemaExtension):
    """Between checking a query and carrying it out."""

    def __init__(self, core: GraphQLSchema, *, introspection: bool) -> None:
        self._core = core
        self._introspection = introspection

    def on_execute(self) -> Iterator[None]:
        asked = self.execution_context
        assert asked.graphql_document is not None
        found = measure(
            self._core,
            asked.graphql_document,
            asked.context.operation_name,  # strawberry's own is that of the first of several
            asked.variables or {},
            records=ENTITIES,
        )
        check(found, introspection=self._introspection)
        yield


def build_schema(*, introspection: bool = True) -> Graph:
    """
    Raises:
        RuntimeError: a field could be reached without a scope.
    """
    graph = Graph(
        query=Query,
        mutation=Mutation,
        extensions=[
            lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
            lambda: _Limits(graph.core, introspection=introspection),
        ],
        config=StrawberryConfig(
            scalar_map=SCALARS,
            default_resolver=item_or_attribute,
            # Suggestions would tell the schema piece by piece.
            disable_field_suggestions=not introspection,
        ),
    )
    check_fields(graph)
    return graph


def check_fields(graph: Graph) -> None:
    """
    Raises:
        RuntimeError: a field fetches, changes or gives out something without the guard, has no place in the table of scopes
            or none in the schema, or would take the whole answer with it when it is refused.
    """
    guarded, problems = set(), []
    naming = graph.config.name_converter
    roots = {graph.core.query_type, graph.core.mutation_type}
    for concrete in graph.schema_converter.type_map.values():
        definition = concrete.definition
        parent = concrete.implementation
        if not isinstance(definition, StrawberryObjectDefinition) or not is_object_type(parent):
            continue
        for field in definition.fields:
            name = naming.get_graphql_name(field)
            path, shape = f"{parent.name}.{name}", parent.fields[name].type
            has_guard = any(isinstance(extension, Guard) for extension in field.extensions)
            gives_record = get_named_type(shape).name in ENTITIES and not parent.name.endswith(
                ("Connection", "Edge")
            )
            if has_guard:
                guarded.add(path)
                if is_non_null_type(shape):
                    problems.append(f"{path} can be refused, so it must be nullable")
            elif field.base_resolver or parent in roots or gives_record:
                problems.append(f"{path} has no guard")
    problems += [f"{path} has no scope" for path in guarded - FIELDS.keys()]
    problems += [f"{path} does not exist" for path in FIELDS.keys() - guarded]
    if problems:
        raise RuntimeError(
            f"The graph and serve_app.gateway.scopes do not fit: {', '.join(sorted(problems))}"
        )


@dataclass(frozen=True)
class Answer:
    """The body of an answer; `carried_out` is False where the query was refused before anything was fetched."""

    body: dict[str, Any]
    carried_out: bool


async def answer(
    graph: Graph,
    context: GraphContext,
    query: str,
    variables: Mapping[str, Any] | None = None,
) -> Answer:
    """Never raises for what a client may send, nor for what a service answers."""
    try:
        result = await graph.execute(
            query,
            variable_values=dict(variables or {}),
            context_value=context,
            operation_name=context.operation_name,
        )
    except (MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError):
        wrong = BadInput(NO_OPERATION)
        return Answer({"errors": [shown(GraphQLError(wrong.detail, original_error=wrong))]}, False)
    errors = [shown(error) for error in (result.errors or ())[:MAX_ERRORS]]
    # Without data nothing was carried out, for every root field may be null by itself.
    body: dict[str, Any] = {} if result.data is None else {"data": result.data}
    return Answer({**body, **({"errors": errors} if errors else {})}, result.data is not None)
