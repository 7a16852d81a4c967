"""Heads of requests are bounded in size and time; a real server, and sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from ray.serve._private.http_util import validate_http_proxy_callback_return
from uvicorn.protocols.http import auto

from serve_app import doorway
from serve_app.doorway import MAX_HEAD_BYTES, BoundedProtocol

ROOT = Path(__file__).parents[2]


async def count(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the number of bytes of the body."""
    read, more = 0, True
    while more:
        message = await receive()
        read += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(read).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], socket.socket]]:
    monkeypatch.setattr(BoundedProtocol, "head_s", 0.5)
    monkeypatch.setattr(auto, "AutoHTTPProtocol", auto.AutoHTTPProtocol)
    assert validate_http_proxy_callback_return(doorway.guard()) == []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(count, log_config=None, lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield lambda: socket.create_connection(listener.getsockname(), timeout=20)
        server.should_exit = True
        thread.join(20)


def test_proxies_are_told_of_it() -> None:
    for file in ("serve_app/local/stack.py", "deploy/ray-node"):
        assert f"{doorway.__name__}.{doorway.guard.__name__}" in (ROOT / file).read_text()


def answer(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    found = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65536):
            found += piece
    return found


def push(connection: socket.socket, piece: bytes, times: int) -> int:
    """How often the server took it."""
    for done in range(times):
        try:
            connection.sendall(piece)
        except OSError:
            return done
    return times


def test_what_fits_is_answered_and_the_connection_kept(connect: Any) -> None:
    with connect() as one:
        for _ in range(3):
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * (MAX_HEAD_BYTES // 2) + b"\r\n\r\n")
            assert one.recv(65536).startswith(b"HTTP/1.1 200")
        one.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + b"z" * 5_000_000)
        assert one.recv(65536).endswith(b"5000000")
        one.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        one.sendall(b"ffff\r\n" + b"z" * 0xFFFF + b"\r\n0\r\nTrailer: x\r\n\r\n")
        assert one.recv(65536).endswith(b"65535")


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", b"GET /", b"GET / HTTP/1.1\r\nX"]
)
def test_a_head_without_end_is_cut(connect: Any, start: bytes) -> None:
    with connect() as one:
        one.sendall(start)
        assert push(one, b"y" * 65_536, 200) < 200
        found = answer(one)
        assert found == b"" or found.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("start", [b"0\r\nTrailer: ", b"5;extension="])
def test_heads_of_chunks_and_trailers_without_end_are_cut(connect: Any, start: bytes) -> None:
    with connect() as one:
        one.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + start)
        assert push(one, b"y" * 65_536, 200) < 200


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: y"])
def test_a_head_that_does_not_come_is_not_waited_for(connect: Any, start: bytes) -> None:
    with connect() as one:
        one.sendall(start)
        began = time.monotonic()
        assert answer(one) == b""
        assert time.monotonic() - began > 0.4


def test_a_body_may_take_longer_than_a_head(connect: Any) -> None:
    with connect() as one:
        one.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        time.sleep(1)
        one.sendall(b"b")
        assert one.recv(65536).endswith(b"2")
