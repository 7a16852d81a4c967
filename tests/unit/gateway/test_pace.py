"""Bodies that come too slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from serve_app.gateway.pace import BodyPace
from serve_app.gateway.problems import install

SCOPE = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}


def app_of(**options: Any) -> BodyPace:
    app = FastAPI()
    install(app)

    @app.post("/")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.post("/json")
    async def read_json(body: dict[str, int]) -> int:
        return len(body)

    @app.post("/long")
    async def long(request: Request) -> StreamingResponse:
        await request.body()

        async def lines() -> AsyncIterator[bytes]:
            for _ in range(5):
                await asyncio.sleep(0.05)
                yield b"line\n"

        return StreamingResponse(lines())

    return BodyPace(app, **options)


def ask(app: BodyPace, pieces: list[tuple[float, bytes]], path: str = "/") -> list[dict[str, Any]]:
    """The answer to a body whose pieces come after so many seconds each; after them nothing comes."""
    left, sent = iter([*pieces, (0.0, b"")]), []

    async def receive() -> dict[str, Any]:
        wait, piece = next(left, (3600.0, b""))
        await asyncio.sleep(wait)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {**SCOPE, "path": path, "raw_path": path.encode(), "headers": headers}
    asyncio.run(asyncio.wait_for(app(scope, receive, send), 5))
    return sent


@pytest.mark.parametrize("path", ["/", "/json"])
def test_a_body_that_stops_is_given_up(path: str) -> None:
    start, body = ask(app_of(idle_s=0.05), [(0, b"{"), (3600, b"}")], path)
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert b"urn:orthoray:TooSlow" in body["body"]


def test_a_body_byte_by_byte_is_given_up() -> None:
    app = app_of(idle_s=1, grace_s=0.05, min_bytes_per_s=1000)
    assert ask(app, [(0.01, b"x")] * 200)[0]["status"] == 408


def test_a_body_that_is_slow_but_fast_enough_is_read() -> None:
    app = app_of(idle_s=1, grace_s=0.05, min_bytes_per_s=1000)
    start, body = ask(app, [(0.01, b"x" * 1000)] * 20)
    assert (start["status"], body["body"]) == (200, b"20000")


def test_what_comes_after_the_body_may_take_its_time() -> None:
    """An answer that is streamed listens for the client's leaving meanwhile."""
    sent = ask(app_of(idle_s=0.05), [(0, b"{}")], "/long")
    assert sent[0]["status"] == 200
    assert b"".join(message.get("body", b"") for message in sent) == b"line\n" * 5
