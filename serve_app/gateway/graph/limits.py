"""How much a query may ask for, told from its text and variables alone, before anything is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    get_operation_ast,
    is_list_type,
    is_object_type,
)

from orthoray.errors import BadInput, NotAllowed, OrthoRayError, TooLarge
from orthoray.pages import MAX_LIMIT
from serve_app.gateway.graph.connections import PAGE

MAX_QUERY = 20_000
"""Characters of a query."""
MAX_TOKENS = 1000
"""Its words and signs: the time to check it grows with their number."""
MAX_DEPTH = 14
"""Fields within fields; from an imagery to its runs, their reports and back to a run it takes 9."""
MAX_ALIASES = 30
MAX_COST = 20_000
"""A field counts 1, times the length of the lists that it is in."""
COST_OF_RECORD = 20
"""Of an imagery, run, report or batch that is fetched, beside its fields."""
COST_OF_MUTATION = 1_000
COST_OF_INTROSPECTION = 5_000
"""Of `__schema` and `__type`, and of each alias in them."""
USUAL_LENGTH = 10
"""Taken for the length of lists that have no `first`, but of the catalogue of indices."""
NO_OPERATION = (
    "There is no such operation: send one query or mutation, or say by operationName which of several."
)
LENGTHS: Mapping[str, int] = {"Query.indices": 300}

_CONNECTION, _EDGE, _PAGED = "Connection", "Edge", frozenset({"nodes", "edges"})
_INTROSPECTION = frozenset({"__schema", "__type"})


@dataclass(frozen=True)
class Measure:
    """Of a query, or of a part of it."""

    depth: int = 0
    aliases: int = 0
    cost: int = 0
    introspects: bool = False

    def beside(self, other: Measure) -> Measure:
        return Measure(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.cost + other.cost,
            self.introspects or other.introspects,
        )


def measure(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation_name: str | None,
    variables: Mapping[str, Any],
    *,
    records: frozenset[str],
) -> Measure:
    """Of the operation of a valid document that would be carried out; `records` are the types whose values are fetched.

    Raises:
        BadInput: which of its operations that is, is not said.
    """
    operation = get_operation_ast(document, operation_name)
    root = schema.get_root_type(operation.operation) if operation else None
    if operation is None or root is None:
        raise BadInput(NO_OPERATION)
    return _Ruler(schema, document, _sizes(operation, variables), records).of(
        operation.selection_set, root, 1
    )


def check(found: Measure, *, introspection: bool) -> None:
    """
    Raises:
        TooLarge: it asks for more than one request may.
        NotAllowed: it asks for the schema, and this installation does not tell it.
    """
    for what, value, limit in (
        ("depth", found.depth, MAX_DEPTH),
        ("aliases", found.aliases, MAX_ALIASES),
        ("cost", found.cost, MAX_COST),
    ):
        if value > limit:
            raise TooLarge(
                f"The query has {_WORDS[what]} of {min(value, 10**9):,}, and {limit:,} is the limit: {_REMEDIES[what]}.",
                **{what: min(value, 10**9), f"max_{what}": limit},
            )
    if found.introspects and not introspection:
        raise NotAllowed("This installation does not tell its schema: the documentation has it.")


_WORDS = {"depth": "a depth", "aliases": "a number of aliases", "cost": "a cost"}
_REMEDIES = {
    "depth": "ask for what is deeper in a query of its own",
    "aliases": "ask in several queries",
    "cost": "make `first` smaller, ask for fewer fields, or ask in several queries",
}


def too_many_tokens() -> OrthoRayError:
    return TooLarge(
        f"The query has more than {MAX_TOKENS:,} words and signs: send values as variables, or ask in several queries.",
        max_tokens=MAX_TOKENS,
    )


def _sizes(operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The values of variables that could be the size of a page."""
    sizes: dict[str, Any] = {}
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        default = definition.default_value
        sizes[name] = int(default.value) if isinstance(default, IntValueNode) else None
        if name in variables:
            sizes[name] = variables[name]
    return sizes


class _Ruler:
    """Measures each fragment once for each length of page that it is used with, however often it is used."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        sizes: Mapping[str, Any],
        records: frozenset[str],
    ) -> None:
        self._schema = schema
        self._sizes = sizes
        self._records = records
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[tuple[str, int], Measure] = {}

    def of(self, selections: SelectionSetNode, parent: GraphQLObjectType, page: int) -> Measure:
        """`page`: how many there are of `nodes` and `edges`, should the parent be a connection."""
        found = Measure()
        for node in selections.selections:
            if isinstance(node, FieldNode):
                part = self._field(node, parent, page)
            elif isinstance(node, FragmentSpreadNode):
                part = self._fragment(node.name, page)
            else:
                assert isinstance(node, InlineFragmentNode)
                # Without interfaces and unions it can be about its parent only.
                part = self.of(node.selection_set, parent, page)
            found = found.beside(part)
        return found

    def _fragment(self, name: NameNode, page: int) -> Measure:
        place = name.value, page
        if place not in self._known:
            fragment = self._fragments[name.value]
            parent = self._schema.type_map[fragment.type_condition.name.value]
            assert is_object_type(parent)
            self._known[place] = self.of(fragment.selection_set, parent, page)
        return self._known[place]

    def _field(self, node: FieldNode, parent: GraphQLObjectType, page: int) -> Measure:
        name, alias = node.name.value, int(node.alias is not None)
        if name in _INTROSPECTION:
            aliases = alias + self._aliases_in(node.selection_set)
            return Measure(1, aliases, COST_OF_INTROSPECTION * (1 + aliases), introspects=True)
        if name.startswith("__"):
            return Measure(1, alias, 1)
        field = parent.fields[name]
        kind = get_named_type(field.type)
        size = self._size(node) if kind.name.endswith(_CONNECTION) else page
        inner = Measure()
        if node.selection_set is not None and is_object_type(kind):
            inner = self.of(node.selection_set, kind, size)
        cost = 1 + inner.cost
        if kind.name.endswith(_CONNECTION):
            cost += size * COST_OF_RECORD
        elif name in _PAGED and parent.name.endswith(_CONNECTION):
            cost *= page
        elif is_list_type(get_nullable_type(field.type)):
            cost *= LENGTHS.get(f"{parent.name}.{name}", USUAL_LENGTH)
        elif kind.name in self._records and not parent.name.endswith(_EDGE):
            cost += COST_OF_RECORD
        if parent is self._schema.mutation_type:
            cost += COST_OF_MUTATION
        return Measure(1 + inner.depth, alias + inner.aliases, cost)

    def _size(self, node: FieldNode) -> int:
        """How many there may be on a page: the most that there can be where that is not known."""
        size: Any = PAGE
        for argument in node.arguments or ():
            if argument.name.value == "first":
                given = argument.value
                if isinstance(given, IntValueNode):
                    size = int(given.value)
                else:
                    size = self._sizes.get(given.name.value) if isinstance(given, VariableNode) else None
        is_size = isinstance(size, int) and not isinstance(size, bool)
        return min(size, MAX_LIMIT) if is_size and size >= 0 else MAX_LIMIT

    def _aliases_in(self, selections: SelectionSetNode | None) -> int:
        """Of introspection, in which the depth of lists is limited by the rules of validation; fragments count once."""
        found, waiting, seen = 0, [selections], set[str]()
        while waiting:
            selected = waiting.pop()
            for node in selected.selections if selected else ():
                if isinstance(node, FragmentSpreadNode):
                    if node.name.value not in seen:
                        seen.add(node.name.value)
                        waiting.append(self._fragments[node.name.value].selection_set)
                    continue
                assert isinstance(node, FieldNode | InlineFragmentNode)
                found += int(isinstance(node, FieldNode) and node.alias is not None)
                waiting.append(node.selection_set)
        return found
