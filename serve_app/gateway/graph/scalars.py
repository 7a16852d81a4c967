"""Scalars and enumerations of the graph, and how the contracts' types become them."""

from __future__ import annotations

import types
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, NewType, Optional, TypeVar, Union, get_args, get_origin
from uuid import UUID

import strawberry
from pydantic import BaseModel, TypeAdapter, ValidationError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from orthoray import contracts
from orthoray.batches import BatchStatus
from orthoray.contracts import AttemptOutcome, CallbackStatus, Language, Priority
from orthoray.moments import Moment
from orthoray.options import RasterType

Long = NewType("Long", int)
"""Sizes and counts of pixels: GraphQL's own Int ends at 2,147,483,647."""

_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
# What may pass 2**31 by the endings of its names.
_LONG = ("bytes", "pixels", "counts")

Named = TypeVar("Named", bound=type)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("a Long is a whole number")
    return value


def _moment(value: Any) -> datetime:
    try:
        return _MOMENT.validate_python(value if isinstance(value, str) else None)
    except ValidationError:
        raise ValueError("a moment is written as 2026-06-14T09:30:00Z") from None


SCALARS: dict[object, ScalarDefinition] = {
    Long: strawberry.scalar(
        name="Long",
        description="A whole number of up to 53 bits, as JSON numbers are.",
        serialize=_whole,
        parse_value=_whole,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment as RFC 3339 writes it; one without a zone is taken for UTC.",
        serialize=lambda moment: _MOMENT.dump_python(moment, mode="json"),
        parse_value=_moment,
    ),
}


@strawberry.enum(description="The states of runs and reports.")
class RunStatus(Enum):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def state_of(status: RunStatus | None) -> contracts.RunStatus | None:
    """As the contracts write it."""
    return status.value if status else None


def _enum(name: str, words: Any, description: str | None = None) -> type[Enum]:
    """An enumeration of the words of a Literal; their names are those words in capitals."""
    made = Enum(name, {word.upper(): word for word in get_args(words)})  # type: ignore[misc]  # made from the contract
    return strawberry.enum(made, description=description)


# By their words: two Literals of the same words are the same to Python.
_ENUMS: dict[tuple[Any, ...], type[Enum]] = {
    tuple(word.value for word in RunStatus): RunStatus,
    get_args(Language): _enum("Language", Language),
    get_args(Priority): _enum("Priority", Priority),
    get_args(CallbackStatus): _enum("CallbackStatus", CallbackStatus),
    get_args(AttemptOutcome): _enum("AttemptOutcome", AttemptOutcome),
    get_args(BatchStatus): _enum("BatchStatus", BatchStatus, "INTERRUPTED: no sign of life for a minute."),
    get_args(RasterType): _enum("RasterType", RasterType),
    ("uploaded",): _enum("ImageryStatus", Literal["uploaded"]),
    ("data", "mask"): _enum("AssetRole", Literal["data", "mask"]),
    ("dn", "reflectance", "unknown"): _enum(
        "PixelState", Literal["dn", "reflectance", "unknown"], "DN: bare camera counts."
    ),
}


def graph_type(annotation: Any, name: str, known: Callable[[type[BaseModel]], Any]) -> Any:
    """What a contract's annotation of the field `name` is in the graph; `known` gives the types of nested models.

    What has no type of its own there, such as a dictionary or one of several shapes, is JSON.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    made: Any = JSON
    if origin is Annotated:
        made = graph_type(arguments[0], name, known)
    elif origin in {Union, types.UnionType}:
        shapes = [shape for shape in arguments if shape is not type(None)]
        made = graph_type(shapes[0], name, known) if len(shapes) == 1 else JSON
        made = Optional[made] if len(shapes) < len(arguments) else made  # noqa: UP045 - types made here know no |
    elif origin is Literal:
        made = _ENUMS[arguments]
    elif origin in {list, tuple}:
        made = list[graph_type(arguments[0], name, known)]  # type: ignore[misc]  # made from the contract
    elif annotation is int:
        made = Long if name.endswith(_LONG) else int
    elif annotation in {str, float, bool, UUID, datetime}:
        made = annotation
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        made = known(annotation)
    return made
