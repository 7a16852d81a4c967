"""From records to messages and from messages to fields: by names, which are those of the REST API's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from pydantic import BaseModel, Field, ValidationError

from orthoray.errors import BadInput, NotFound
from orthoray.pages import MAX_LIMIT
from serve_app.gateway.problems import misfit

Made = TypeVar("Made", bound=Message)
Checked = TypeVar("Checked", bound=BaseModel)


class Paging(BaseModel):
    """What all listings take."""

    limit: int = Field(default=50, ge=1, le=MAX_LIMIT)
    next: str | None = Field(default=None, max_length=256)


def message_of(facts: BaseModel | Mapping[str, Any], kind: type[Made], *, without: Any = None) -> Made:
    """The message with the fields of a record, or of what is JSON already; `without` names fields as pydantic's `exclude`."""
    if isinstance(facts, BaseModel):
        facts = facts.model_dump(mode="json", exclude=without, exclude_none=True)
    named = _with_constants(facts, kind.DESCRIPTOR)
    made: Made = json_format.ParseDict(named, kind(), ignore_unknown_fields=True)
    return made


def fields_of(message: Message) -> dict[str, Any]:
    """What is set in a message, as JSON has it, with the words of the REST API instead of an enum's constants.

    Raises:
        BadInput: a value is none of JSON, such as NaN.
    """
    try:
        found = json_format.MessageToDict(message, preserving_proto_field_name=True)
    except (json_format.Error, ValueError, TypeError, OverflowError, RecursionError):
        raise BadInput("A field of the message is no value of JSON, such as NaN, or no date.") from None
    return _with_words(found, message.DESCRIPTOR)


def checked(model: type[Checked], fields: Mapping[str, Any]) -> Checked:
    """
    Raises:
        Impossible: a field does not fit, which is named.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise misfit(error) from None


def id_of(text: str) -> UUID:
    """
    Raises:
        NotFound: it is none that OrthoRay gave.
    """
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is nothing here: this is not an id that OrthoRay gave.") from None


def _prefix(enum: EnumDescriptor) -> str:
    """RUN_STATUS_ of RunStatus."""
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in enum.name)[1:] + "_"


def _nested(field: FieldDescriptor) -> Descriptor | None:
    """The message type of a field that is one of ours, not one of protobuf's own, which JSON shows in their own way."""
    kind = field.message_type
    is_ours = kind is not None and kind.file.package.startswith("orthoray")
    return kind if is_ours and not kind.GetOptions().map_entry else None


def _with_constants(fields: Mapping[str, Any], kind: Descriptor) -> dict[str, Any]:
    return {
        name: _each(value, kind.fields_by_name[name], _with_constants, lambda word, p: p + str(word).upper())
        if name in kind.fields_by_name
        else value
        for name, value in fields.items()
    }


def _with_words(fields: Mapping[str, Any], kind: Descriptor) -> dict[str, Any]:
    return {
        name: _each(value, kind.fields_by_name[name], _with_words, _word) for name, value in fields.items()
    }


def _word(constant: Any, prefix: str) -> str:
    """An unknown number stays one, which no model takes for a word of its own."""
    return str(constant).removeprefix(prefix).lower()


def _each(value: Any, field: FieldDescriptor, convert: Any, rename: Any) -> Any:
    if isinstance(value, list):
        return [_each(item, field, convert, rename) for item in value]
    if field.enum_type is not None:
        return rename(value, _prefix(field.enum_type))
    kind = _nested(field)
    return convert(value, kind) if kind is not None and isinstance(value, Mapping) else value
