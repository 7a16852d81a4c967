"""Types of the graph from the contracts of REST: the same fields under the same names, in camelCase.

A field that is new in a contract is in the graph by that alone. Resolvers hand over the contracts' own records; fields are read
from them when they are asked for.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

import strawberry
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from serve_app.gateway.graph.scalars import graph_type

Shown = TypeVar("Shown", bound=type)


class Mirrors:
    """Decorators that remember which type stands for which contract. One that is only part of another needs no class."""

    def __init__(self) -> None:
        self._types: dict[type[BaseModel], Any] = {}
        self._inputs: dict[type[BaseModel], Any] = {}

    def output(self, contract: type[BaseModel]) -> Callable[[Shown], Shown]:
        """A type with the fields of a contract, and with those that the class has beside them."""

        def decorate(cls: Shown) -> Shown:
            described = {}
            for name, field in contract.model_fields.items():
                described[name] = graph_type(field.annotation, name, self._type_of)
                setattr(cls, name, strawberry.field(description=field.description))
            cls.__annotations__ = {**described, **inspect.get_annotations(cls)}
            self._types[contract] = strawberry.type(cls, description=_first_words(contract))
            return cls

        return decorate

    def input(self, contract: type[BaseModel]) -> Callable[[Shown], Shown]:
        """The same for what is sent; defaults are the contract's."""

        def decorate(cls: Shown) -> Shown:
            described = {}
            for name, field in contract.model_fields.items():
                described[name] = graph_type(field.annotation, name, self._input_of)
                default = _default(field, described[name])
                setattr(cls, name, strawberry.field(description=field.description, default=default))
            cls.__annotations__ = described
            self._inputs[contract] = strawberry.input(cls, description=_first_words(contract))
            return cls

        return decorate

    def _type_of(self, contract: type[BaseModel]) -> Any:
        if contract not in self._types:
            self.output(contract)(_empty(contract.__name__))
        return self._types[contract]

    def _input_of(self, contract: type[BaseModel]) -> Any:
        if contract not in self._inputs:
            self.input(contract)(_empty(f"{contract.__name__}Input"))
        return self._inputs[contract]


def _empty(name: str) -> type:
    return type(name, (), {"__module__": __name__})


def _default(field: FieldInfo, annotation: Any) -> Any:
    if field.is_required():
        return dataclasses.MISSING
    if field.default is None:
        return strawberry.UNSET  # what is not sent is not told from what the contract itself fills in
    is_word = isinstance(annotation, type) and issubclass(annotation, Enum)
    return annotation(field.default) if is_word else field.default


def _first_words(contract: type[BaseModel]) -> str | None:
    """The first paragraph of its docstring."""
    return " ".join((contract.__doc__ or "").strip().split("\n\n")[0].split()) or None


def sent(value: Any) -> Any:
    """What was sent of an input, as REST would have it: a dictionary, with words instead of members of enumerations."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        given = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return {name: sent(one) for name, one in given.items() if one is not strawberry.UNSET}
    return value


def item_or_attribute(source: Any, name: str) -> Any:
    """How fields are read: from a record, or from an entry of the catalogue of indices, which is a mapping."""
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name)
