"""One stack at a time: a start takes half a minute and two gigabytes, so tests share one as long as it lives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from collector import Collector, collector
from lanes import in_groups
from other_old import write_other_old
from stack import MAX_UPLOAD_BYTES, TOKENS, Stack

# For a test that finds no stack and starts one, on a slow machine.
WITH_A_START_S = 600


class Slot:
    """The stack under test, by name. Asking for another one ends it; asking for one that a test has stopped starts it again."""

    def __init__(self) -> None:
        self._name = ""
        self._stack: Stack | None = None

    def take(self, name: str, make: Callable[[], Stack], start: Callable[[Stack], object]) -> Stack:
        if self._name != name:
            self.clear()
            self._name, self._stack = name, make()
        assert self._stack is not None
        if not self._stack.is_serving:
            start(self._stack)
        return self._stack

    def clear(self) -> None:
        if self._stack is not None:
            self._stack.close()
        self._name, self._stack = "", None


@pytest.fixture(scope="session")
def slot() -> Iterator[Slot]:
    slot = Slot()
    yield slot
    slot.clear()


@pytest.fixture(scope="session")
def collected() -> Iterator[Collector]:
    """The traces of `stack`."""
    with collector() as found:
        yield found


@pytest.fixture
def stack(slot: Slot, collected: Collector) -> Stack:
    """`orthoray up` in the foreground, with keys and traces."""
    settings = {
        "MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES),
        # Tests walk all routes without credentials, all from one address.
        "FAILED_LOGINS_PER_MINUTE": "6000",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collected.endpoint,
        "LOG_FORMAT": "json",
        **TOKENS,
    }
    return slot.take("keys", lambda: Stack(settings), Stack.start)


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx2.Client]:
    with stack.client() as client:
        yield client


def _start_open(stack: Stack) -> None:
    answer = stack.run("up", "--detach")
    assert answer.returncode == 0, answer.stderr


@pytest.fixture
def open_stack(slot: Slot) -> Stack:
    """`orthoray up --detach` with AUTH_MODE=none, and another OLD package first on PYTHONPATH."""

    def make() -> Stack:
        stack = Stack({"AUTH_MODE": "none"})
        stack.environment["PYTHONPATH"] = str(write_other_old(stack.folder / "old"))
        return stack

    return slot.take("open", make, _start_open)


@pytest.fixture
def s3_stack(slot: Slot) -> Stack:
    """`orthoray up --s3` in the foreground, with HAProxy before the gateway, and gRPC."""
    settings = {"SERVE_INGRESS": "haproxy"}
    return slot.take("s3", lambda: Stack(settings, grpc=True), lambda stack: stack.start("--s3"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.timeout(WITH_A_START_S))
    in_groups(items, here)


@pytest.fixture(autouse=True)
def _free_the_machine(request: pytest.FixtureRequest) -> Iterator[None]:
    """A stack that no further test of its process wants takes memory from the others."""
    yield
    if request.node.get_closest_marker("ends_stack"):
        request.getfixturevalue("slot").clear()
