"""The same entities as a graph."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, to_json

from serve_app.gateway.audit import GRAPH
from serve_app.gateway.auth import CurrentCaller
from serve_app.gateway.context import Backend
from serve_app.gateway.graph.limits import MAX_QUERY
from serve_app.gateway.graph.loaders import GraphContext
from serve_app.gateway.graph.schema import answer
from serve_app.gateway.idempotency import IdempotentRoute
from serve_app.gateway.problems import Problem

# https://graphql.github.io/graphql-over-http: with this one the status tells of errors too.
RESPONSE = "application/graphql-response+json"

router = APIRouter(tags=["graph"], route_class=IdempotentRoute)


class GraphQuery(BaseModel):
    """The body of POST /graphql: one operation."""

    model_config = ConfigDict(alias_generator=to_camel)

    query: str = Field(
        min_length=1, max_length=MAX_QUERY, examples=["{ runs(first: 10) { nodes { id status } } }"]
    )
    variables: dict[str, Any] | None = None
    operation_name: str | None = Field(default=None, max_length=256)
    extensions: dict[str, Any] | None = Field(default=None, description="is not looked at")

    @model_validator(mode="before")
    @classmethod
    def _is_one(cls, body: Any) -> Any:
        if isinstance(body, list):
            raise PydanticCustomError("batch", "Send one operation in each request: an object, not a list")
        return body


class GraphAnswer(BaseModel):
    """What came of it; `errors` where something did not."""

    data: dict[str, Any] | None = None
    errors: list[dict[str, Any]] | None = None


_SHAPE = {"schema": {"$ref": "#/components/schemas/GraphAnswer"}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {RESPONSE: _SHAPE}},
    400: {
        "description": "The body is not JSON; or nothing was carried out, which only this status tells who accepts that type",
        "content": {
            RESPONSE: _SHAPE,
            Problem.media_type: {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    },
}


@router.post(
    GRAPH, summary="Query the graph, or change something", response_model=GraphAnswer, responses=_ANSWERS
)
async def graph(request: Request, body: GraphQuery, caller: CurrentCaller, services: Backend) -> Response:
    """GraphQL: imagery, runs, reports, batches and indices, with what belongs to them, in one request."""
    found = await answer(
        request.app.state.graph,
        GraphContext(caller, services, body.operation_name),
        body.query,
        body.variables,
    )
    is_told_by_status = RESPONSE in request.headers.get("accept", "")
    return Response(
        to_json(found.body, inf_nan_mode="null"),
        status_code=400 if is_told_by_status and not found.carried_out else 200,
        media_type=RESPONSE if is_told_by_status else "application/json",
    )
