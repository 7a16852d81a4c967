"""What is in the way of a start is told in one line, before anything has been started."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from stack import Stack


@pytest.fixture
def unstarted() -> Iterator[Stack]:
    stack = Stack()
    yield stack
    stack.close()


def check_refusal(stack: Stack, *words: str, says: str, **settings: str) -> None:
    answer = stack.run(*words, **settings)
    assert answer.returncode == 1, answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
    assert says in answer.stderr
    assert answer.stdout == ""
    assert stack.processes() == []


@pytest.mark.parametrize("words", [("up",), ("up", "--detach")])
@pytest.mark.parametrize("name", ["GATEWAY_PORT", "GRPC_PORT", "RAY_DASHBOARD_PORT"])
def test_a_port_in_use(unstarted: Stack, words: tuple[str, ...], name: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = str(other.getsockname()[1])
        check_refusal(unstarted, *words, says=f"Port {port} is in use", **{name: port})


@pytest.mark.parametrize("words", [("up",), ("up", "--detach")])
def test_no_keys_on_an_open_network(unstarted: Stack, words: tuple[str, ...]) -> None:
    check_refusal(unstarted, *words, says="AUTH_MODE=none", AUTH_MODE="none", GATEWAY_HOST="::")
    assert not unstarted.home.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("GATEWAY_PORT", "0"), ("GATEWAY_PORT", "http"), ("AUTH_MODE", "off"), ("MAX_UPLOAD_BYTES", "-1")],
)
def test_a_setting_that_makes_no_sense(unstarted: Stack, name: str, value: str) -> None:
    check_refusal(unstarted, "up", says=name, **{name: value})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("words", [("up",), ("up", "--detach")])
def test_a_home_that_cannot_be_written(unstarted: Stack, words: tuple[str, ...]) -> None:
    unstarted.home.mkdir(mode=0o500)
    check_refusal(unstarted, *words, says="cannot be written")


@pytest.mark.parametrize("words", [("up",), ("up", "--detach")])
def test_a_home_that_is_a_file(unstarted: Stack, words: tuple[str, ...]) -> None:
    unstarted.home.touch()
    check_refusal(unstarted, *words, says="cannot be written")


def test_commands_that_need_a_running_stack(unstarted: Stack) -> None:
    check_refusal(unstarted, "status", says="not running")
    check_refusal(unstarted, "import", "nowhere.jpg", says="nowhere.jpg")
    (unstarted.work / "field.jpg").write_bytes(b"...")
    check_refusal(unstarted, "import", "field.jpg", says="not running")
    assert unstarted.run("down").returncode == 0
