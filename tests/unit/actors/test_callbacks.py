"""Callbacks to receivers that behave, and to others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from actors import callbacks
from actors.callbacks import CallbackRetry, NotDelivered, Refused, Sender, Teller, deliver
from orthoray.callbacks import (
    MAX_ATTEMPTS,
    CallbackPolicy,
    new_secret,
    parse_networks,
    secret_of_tenant,
    signed_headers,
)
from orthoray.errors import Unavailable
from orthoray.ports import CallbackOrder
from orthoray.queue import PutOff

POLICY = CallbackPolicy(new_secret(), parse_networks("127.0.0.1"))
RUN = UUID(int=1)
BODY = json.dumps({"type": "analysis.completed", "subject": str(RUN)})
OK = b"HTTP/1.1 204 No Content\r\n\r\n"

Receiver = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def order(port: int, host: str = "127.0.0.1", *, attempts: int = 1, tenant: str = "default") -> CallbackOrder:
    url = f"http://{host}:{port}/hook?a=1"
    return CallbackOrder(subject=RUN, tenant=tenant, url=url, event_id="e1", body=BODY, attempts=attempts)


class Received:
    """What one receiver was sent; it answers with these bytes and waits, where it is told to."""

    def __init__(self, answer: bytes, hang: bool = False) -> None:
        self._answer, self._hang = answer, hang
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((first, headers, body))
        writer.write(self._answer)
        try:
            await writer.drain()
            if self._hang:
                await asyncio.sleep(60)
        except ConnectionError:
            pass
        finally:
            writer.close()


def sending(receiver: Receiver, send: Callable[[int], Awaitable[Any]]) -> Any:
    async def both() -> Any:
        async with await asyncio.start_server(receiver, "127.0.0.1", 0) as server:
            return await send(server.sockets[0].getsockname()[1])

    return asyncio.run(both())


def test_the_message_is_signed_and_whole() -> None:
    receiver = Received(OK)
    sending(receiver, lambda port: Sender(POLICY).send(order(port, tenant="a")))
    ((first, headers, body),) = receiver.requests
    assert first == "POST /hook?a=1 HTTP/1.1"
    assert headers["host"].startswith("127.0.0.1:")
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert body.decode() == BODY
    expected = signed_headers(
        secret_of_tenant(POLICY.secret, "a"), "e1", int(headers["webhook-timestamp"]), body
    )
    assert {name: headers[name] for name in expected} == expected


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to() -> None:
    asked = []

    async def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    receiver = Received(OK)
    sending(receiver, lambda port: Sender(POLICY, rebinding).send(order(port, "farm.example")))
    assert asked == ["farm.example"]
    ((_, headers, _),) = receiver.requests
    assert headers["host"].startswith("farm.example:")


@pytest.mark.parametrize("addresses", [["127.0.0.2"], ["127.0.0.1", "10.0.0.1"], ["::ffff:169.254.169.254"]])
def test_a_name_with_any_private_address_is_refused(addresses: list[str]) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return addresses

    receiver = Received(OK)
    with pytest.raises(Refused, match="private"):
        sending(receiver, lambda port: Sender(POLICY, resolve).send(order(port, "farm.example")))
    assert not receiver.requests


def test_a_url_that_is_not_allowed_any_more_is_refused() -> None:
    receiver = Received(OK)
    with pytest.raises(Refused, match="private"):
        sending(receiver, lambda port: Sender(CallbackPolicy(new_secret())).send(order(port)))
    assert not receiver.requests


class Ends:
    """What was told of attempts."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, bool]] = []

    async def __call__(self, error: str | None, given_up: bool) -> None:
        self.told.append((error, given_up))


def delivering(
    answer: bytes, *, attempts: int = 1, hang: bool = False
) -> tuple[list[tuple[str | None, bool]], int | None]:
    """What was told of one attempt, and the wait for the next."""
    ends, receiver = Ends(), Received(answer, hang)
    wait = None
    with capture_logs():
        try:
            sending(receiver, lambda port: deliver(order(port, attempts=attempts), Sender(POLICY), ends))
        except NotDelivered as error:
            wait = error.wait_s
    assert len(receiver.requests) == 1  # redirects are not followed, and nothing is tried again at once
    return ends.told, wait


def test_attempts_and_how_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert delivering(OK) == ([(None, False)], None)
    assert delivering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx", hang=True) == (
        [(None, False)],
        None,
    )
    assert delivering(b"HTTP/1.1 503 Away\r\n\r\n") == ([("the receiver answered 503", False)], 5)
    assert delivering(b"HTTP/1.1 500 Oh\r\n\r\n", attempts=3)[1] == 120
    assert delivering(b"HTTP/1.1 500 Oh\r\n\r\n", attempts=MAX_ATTEMPTS) == (
        [("the receiver answered 500", True)],
        None,
    )
    assert delivering(b"HTTP/1.1 410 Gone\r\n\r\n") == ([("the receiver answered 410 Gone", True)], None)
    ((error, given_up),), wait = delivering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n")
    assert "redirect" in str(error)
    assert (given_up, wait) == (False, 5)
    assert delivering(b"SSH-2.0-OpenSSH\r\n")[0] == [("the receiver does not speak HTTP", False)]
    assert delivering(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000_000)[0] == [
        ("the receiver does not speak HTTP", False)
    ]
    monkeypatch.setattr(callbacks, "TOTAL_S", 0.2)
    assert delivering(b"", hang=True)[0] == [("the receiver did not answer within 0.2 seconds", False)]


def test_what_is_away_is_told_without_addresses() -> None:
    look_up = callbacks.resolver()

    async def unknown(_host: str, _port: int) -> list[str]:
        return await look_up("no-such-name.invalid", 1)

    ends = Ends()
    for sender in (Sender(POLICY), Sender(POLICY, unknown)):
        with pytest.raises(NotDelivered):
            asyncio.run(deliver(order(1024, "127.0.0.1"), sender, ends))
    assert ends.told == [
        ("the connection could not be made, or was cut", False),
        ("the host is not known", False),
    ]


def test_a_slow_receiver_has_a_share_of_the_places_only() -> None:
    """And whoever is put off has made no attempt."""
    receiver, started = Received(b"", hang=True), []

    async def start(subject: UUID) -> CallbackOrder | None:
        started.append(subject)
        return order(port)

    async def end(_subject: UUID, _error: str | None, _given_up: bool) -> None:
        pass

    async def all_at_once() -> list[BaseException | None]:
        nonlocal port
        async with await asyncio.start_server(receiver, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            teller = Teller(POLICY, start, end)
            telling = [asyncio.ensure_future(teller.tell(RUN, "a", "slow.example")) for _ in range(20)]
            await asyncio.wait(telling, timeout=0.5)
            over = [one for one in telling if one.done()]
            for one in telling:
                one.cancel()
            await asyncio.wait(telling)
            return [one.exception() for one in over]

    port = 0
    put_off = asyncio.run(all_at_once())
    assert len(started) == callbacks.TO_HOST
    assert len(put_off) == 20 - callbacks.TO_HOST
    assert all(isinstance(error, PutOff) for error in put_off)


def test_nothing_to_tell_and_nothing_to_sign_with() -> None:
    ends = Ends()
    asyncio.run(deliver(None, Sender(POLICY), ends))
    assert ends.told == []
    asyncio.run(deliver(order(1), None, ends))
    ((error, given_up),) = ends.told
    assert "WEBHOOK_SECRET" in str(error)
    assert given_up


def test_a_job_waits_as_its_attempt_says_and_not_long_for_services_of_ours() -> None:
    def wait(error: Exception) -> Any:
        decision = CallbackRetry().get_retry_decision(exception=error, job=Any)  # type: ignore[arg-type]
        assert decision.retry_at is not None
        return decision

    assert wait(NotDelivered("x", 600)).retry_at > wait(PutOff(60)).retry_at > wait(Unavailable()).retry_at
