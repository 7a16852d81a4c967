"""Messages that no client of good will sends: every RPC answers them with a reason, none with an error of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rpc_house import KEY

from serve_app.rpc.operations import RPCS, Rpc

UNFORESEEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
INTEGERS = {Field.TYPE_INT32: 2**31, Field.TYPE_INT64: 2**63}
MAX_DEPTH = 4


class Heard:
    """The context of a call with the key of somebody who may do everything."""

    code: Any = grpc.StatusCode.OK

    def invocation_metadata(self) -> Any:
        return [("x-api-key", KEY)]

    def set_trailing_metadata(self, trailing_metadata: Any) -> None: ...

    def set_code(self, code: Any) -> None:
        self.code = code

    def set_details(self, details: str) -> None: ...

    def peer(self) -> str:
        return "ipv4:127.0.0.1:50000"


@st.composite
def messages(draw: st.DrawFn, kind: type[Message], ids: tuple[str, ...], depth: int = 0) -> Message:
    """Any message of a kind; ids are often those of something that is there."""
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        if not draw(st.booleans()):
            continue
        entry = (
            field.message_type if field.message_type and field.message_type.GetOptions().map_entry else None
        )
        if entry is not None and entry.fields_by_name["value"].message_type is None:
            getattr(message, field.name)[draw(st.text(max_size=80))] = draw(st.floats())
        elif entry is not None:
            if depth < MAX_DEPTH:
                kind_of_value = GetMessageClass(entry.fields_by_name["value"].message_type)
                inner = draw(messages(kind_of_value, ids, depth + 1))
                getattr(message, field.name)[draw(st.text(max_size=80))].CopyFrom(inner)
        elif field.message_type is not None:
            if depth < MAX_DEPTH:
                inner = draw(messages(GetMessageClass(field.message_type), ids, depth + 1))
                target = getattr(message, field.name)
                target.add().CopyFrom(inner) if field.is_repeated else target.CopyFrom(inner)
        else:
            value = draw(_values(field, ids))
            getattr(message, field.name).append(value) if field.is_repeated else setattr(
                message, field.name, value
            )
    return message


def _values(field: Field, ids: tuple[str, ...]) -> st.SearchStrategy[Any]:
    if field.type in INTEGERS:
        most = INTEGERS[field.type]
        return st.sampled_from([0, -1, 1, 200]) | st.integers(-most, most - 1)
    return {
        Field.TYPE_STRING: st.sampled_from([*ids, "NDVI_emp", "expr", "ru"]) | st.text(max_size=300),
        Field.TYPE_BYTES: st.binary(max_size=300),
        Field.TYPE_BOOL: st.booleans(),
        Field.TYPE_DOUBLE: st.floats(),
        Field.TYPE_ENUM: st.integers(-1, 9),
    }[field.type]


async def outcome(house: Any, rpc: Rpc, given_: Any) -> Any:
    heard = Heard()

    async def stream() -> Any:
        for one in given_:
            yield one

    request = stream() if rpc.takes_stream else given_
    if rpc.gives_stream:
        async for _ in house.front.gate.answers(rpc, request, heard):
            break
    else:
        await house.front.gate.answer(rpc, request, heard)
    return heard.code


@pytest.mark.slow
@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
def test_no_message_is_an_error_of_ours(house: Any, rpc: Rpc) -> None:
    run = house.run(completed=True)
    ids = (str(run.id), str(run.imagery_id), str(house.report_of(run).id))
    kind = messages(rpc.request, ids)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(kind, max_size=6) if rpc.takes_stream else kind)
    def check(given_: Any) -> None:
        assert asyncio.run(outcome(house, rpc, given_)) not in UNFORESEEN

    check()
