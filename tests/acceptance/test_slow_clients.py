"""Clients that send byte by byte, or nothing, keep nobody else waiting."""

from __future__ import annotations

import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx2
import pytest
from stack import Stack, eventually, token

pytestmark = pytest.mark.timeout(240)

SOCKETS = 200
# What one caller may have under way, and what the gateway takes and lets wait.
SHARE, FULL = 128, 512 + 512
# A machine that runs tests beside is slow itself; who waits for one of the slow clients waits for 30 seconds and more.
SOON_S = 10.0


@contextmanager
def slow_clients(stack: Stack, head: str, count: int = SOCKETS) -> Iterator[list[socket.socket]]:
    """So many connections that have sent the beginning of a request, and send another byte of it each second."""
    opened = []
    done = threading.Event()

    def drip() -> None:
        while not done.wait(1.0):
            for one in opened:
                with suppress(OSError):
                    one.send(b" ")

    try:
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
            opened.append(one)
            one.sendall(head.encode())
        thread = threading.Thread(target=drip)
        thread.start()
        yield opened
        done.set()
        thread.join()
    finally:
        done.set()
        for one in opened:
            one.close()


def answers_soon(api: httpx2.Client) -> None:
    for _ in range(5):
        began = time.monotonic()
        answer = api.get("/analysis-runs")
        assert answer.status_code == 200, answer.text
        assert time.monotonic() - began < SOON_S


def head_of(credentials: str, path: str = "/analysis-runs") -> str:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\n{credentials}Content-Type: application/json\r\n"
        "Content-Length: 100000\r\n\r\n{"
    )


@pytest.mark.parametrize("kind", ["headers", "no key", "key"])
def test_slow_clients_keep_nobody_waiting(stack: Stack, api: httpx2.Client, kind: str) -> None:
    credentials = f"Authorization: Bearer {token('slow', 'analysis:run imagery:read')}\r\n"
    head = {
        "headers": f"GET /analysis-runs HTTP/1.1\r\nHost: x\r\n{credentials}X-Slow:",
        "no key": head_of(""),
        "key": head_of(credentials),
    }[kind]
    answers_soon(api)
    with slow_clients(stack, head) as opened:
        time.sleep(2)
        answers_soon(api)
        if kind == "key":
            # Beyond its share a caller is refused at once, and so are its other requests; nobody else is.
            with httpx2.Client(base_url=stack.url, timeout=60) as other:
                name, value = credentials.strip().split(": ")
                refused = other.get("/analysis-runs", headers={name: value})
            assert refused.status_code == 429, refused.text
            assert refused.json()["requests_at_once"] == SHARE
            assert refused.headers["retry-after"] == "1"
            statuses = [first_line(one) for one in opened[-20:]]
            assert all(" 429 " in status for status in statuses), statuses
        if kind == "no key":
            assert all(" 401 " in first_line(one) for one in opened)


def test_a_gateway_that_is_full_says_so_at_once_and_recovers(stack: Stack, api: httpx2.Client) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with ExitStack() as crowd:
        for number in range(FULL // SHARE + 1):
            credentials = f"Authorization: Bearer {token(f'slow{number}', 'analysis:run')}\r\n"
            crowd.enter_context(slow_clients(stack, head_of(credentials), SHARE))
        refused = eventually(lambda: shed(api), 60, "a refusal")
        # Of Serve's proxy, which knows no problem documents.
        assert refused.headers["retry-after"] == "5"
        assert "backpressure" in refused.text
        assert not re.search(r"/home|/tmp|Traceback", refused.text)
    eventually(lambda: api.get("/analysis-runs").status_code == 200, 60, "an answer")


def shed(api: httpx2.Client) -> httpx2.Response | None:
    began = time.monotonic()
    answer = api.get("/health")
    assert time.monotonic() - began < SOON_S
    return answer if answer.status_code == 503 else None


def test_a_head_without_end_is_cut_by_the_proxy(stack: Stack, api: httpx2.Client) -> None:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as one:
        one.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ")
        taken = 0
        with suppress(OSError):
            while taken < 400:
                one.sendall(b"y" * 65_536)
                taken += 1
        assert taken < 400
    answers_soon(api)


def test_a_body_that_stops_is_given_up_and_its_connection_closed(stack: Stack) -> None:
    credentials = f"Authorization: Bearer {token('slow', 'analysis:run')}\r\n"
    with socket.create_connection(("127.0.0.1", stack.port), timeout=60) as one:
        began = time.monotonic()
        one.sendall(head_of(credentials).encode())
        answer = b""
        while piece := one.recv(65536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert b"urn:orthoray:TooSlow" in answer
        assert time.monotonic() - began > 25


def first_line(connection: socket.socket) -> str:
    return connection.recv(65536).decode(errors="replace").partition("\r\n")[0]
