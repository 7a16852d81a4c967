"""Pages as Relay's cursor connections, of which they are the forward half: newest first, `first` and `after`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import strawberry

from orthoray.contracts import Page
from orthoray.errors import BadInput
from orthoray.pages import MAX_LIMIT, encode_cursor

PAGE = 20
"""How many there are on a page of a connection that says nothing of it."""

Node = TypeVar("Node")


@strawberry.type(description="Where a page ends, and whether there is another.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None = strawberry.field(description="`after` of the next page")


@strawberry.type(description="One of a page, with its place.")
class Edge(Generic[Node]):
    cursor: str
    node: Node


@strawberry.type(description="A page, newest first.")
class Connection(Generic[Node]):
    nodes: list[Node]
    edges: list[Edge[Node]]
    page_info: PageInfo


def connection(page: Page[Any], after: str | None) -> Connection[Any]:
    """A page that a service has answered with to `after`."""
    edges = [Edge(cursor=encode_cursor(record.created_at, record.id), node=record) for record in page.items]
    return Connection(
        nodes=page.items,
        edges=edges,
        page_info=PageInfo(
            has_next_page=page.next is not None,
            has_previous_page=after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


def checked_size(first: int) -> int:
    """
    Raises:
        BadInput: no page has this size.
    """
    if not 1 <= first <= MAX_LIMIT:
        raise BadInput(f"first is 1 to {MAX_LIMIT}, not {first}.")
    return first
