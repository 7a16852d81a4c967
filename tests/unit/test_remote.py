"""Calls between processes, with a handle that lies in this one."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import pytest
import structlog
from ray.exceptions import ActorDiedError, GetTimeoutError
from ray.serve.exceptions import BackPressureError

import orthoray.remote
from orthoray.errors import MissingBands, NotFound, TimedOut, Unavailable
from orthoray.ports import AnalysisPort, ImageryPort, ReportPort
from orthoray.remote import Refusal, exposes, methods_of, remote
from orthoray.telemetry import step
from serve_app.analysis.deployment import AnalysisDeployment
from serve_app.imagery.deployment import ImageryDeployment
from serve_app.report.deployment import ReportDeployment


class Greeting(Protocol):
    async def greet(self, name: str, *, loudly: bool = False) -> str: ...

    async def check(self) -> dict[str, str]: ...


class Greeter:
    error: BaseException | None = None
    ids: Mapping[str, Any] = {}

    async def greet(self, name: str, *, loudly: bool = False) -> str:
        self.ids = structlog.contextvars.get_contextvars()
        if self.error:
            raise self.error
        return f"hello {name}" + "!" * loudly

    async def check(self) -> dict[str, str]:
        return {"greeter": "of the service"}


@exposes(Greeting)
class Deployed:
    def __init__(self) -> None:
        self.service = Greeter()

    async def check(self) -> dict[str, str]:
        return {"greeter": "of the deployment"}


class Handle:
    """What Serve's handle does: it pickles arguments and answers, and may fail itself."""

    deployment_name = "greeting-service"

    def __init__(self, deployed: Any, failure: Exception | None = None) -> None:
        self._deployed, self._failure = deployed, failure

    def options(self, *, method_name: str, _by_reference: bool) -> Handle:
        assert _by_reference is False
        self.remote: Callable[..., Awaitable[Any]] = self._calling(method_name)
        return self

    def _calling(self, method_name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            if self._failure:
                raise self._failure
            args, kwargs = pickle.loads(pickle.dumps((args, kwargs)))  # noqa: S301 - our own bytes
            return pickle.loads(pickle.dumps(await getattr(self._deployed, method_name)(*args, **kwargs)))  # noqa: S301

        return call


def service_behind(handle: Handle) -> Greeting:
    return remote(handle, Greeting)  # type: ignore[arg-type]  # it is as much of a handle as is needed


def test_a_call_goes_through() -> None:
    greeting = service_behind(Handle(Deployed()))
    assert asyncio.run(greeting.greet("field", loudly=True)) == "hello field!"


def test_a_call_takes_part_in_its_callers_trace_and_bears_its_ids(spans: Any) -> None:
    deployed = Deployed()
    deployed.service.error = NotFound()

    async def call() -> None:
        with step("request", {"request_id": "r1"}, root=True), pytest.raises(NotFound):
            await service_behind(Handle(deployed)).greet("field")

    asyncio.run(call())
    request, call_span = spans()["request"], spans()["greeting.greet"]
    assert call_span.parent.span_id == request.context.span_id
    assert call_span.attributes == {"orthoray.request_id": "r1", "refusal": "NotFound"}
    assert call_span.status.is_unset
    assert deployed.service.ids == {"request_id": "r1"}


def test_what_a_deployment_defines_itself_stays() -> None:
    assert asyncio.run(service_behind(Handle(Deployed())).check()) == {"greeter": "of the deployment"}


def test_a_refusal_is_an_answer_between_processes_and_an_exception_for_the_caller() -> None:
    deployed = Deployed()
    deployed.service.error = MissingBands("NDVI needs N.", missing_bands=["N"])
    answer = asyncio.run(deployed.greet("x"))  # type: ignore[attr-defined]  # made by `exposes`
    assert isinstance(answer, Refusal)
    with pytest.raises(MissingBands) as caught:
        asyncio.run(service_behind(Handle(deployed)).greet("x"))
    assert caught.value.fields == {"missing_bands": ["N"]}
    assert caught.value.detail == "NDVI needs N."


def test_an_unexpected_error_is_not_taken_for_a_refusal() -> None:
    deployed = Deployed()
    deployed.service.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(service_behind(Handle(deployed)).greet("x"))


@pytest.mark.parametrize(
    "failure", [ActorDiedError(), ConnectionError("/secret")], ids=lambda failure: type(failure).__name__
)
def test_a_service_that_is_away_is_unavailable(failure: Exception) -> None:
    with pytest.raises(Unavailable, match="greeting-service does not answer") as caught:
        asyncio.run(service_behind(Handle(Deployed(), failure)).greet("x"))
    assert "secret" not in caught.value.detail


def test_a_service_that_has_too_much_to_do_says_so() -> None:
    full = BackPressureError(num_queued_requests=1, max_queued_requests=1)
    with pytest.raises(Unavailable, match="greeting-service has more to do"):
        asyncio.run(service_behind(Handle(Deployed(), full)).greet("x"))


@pytest.mark.parametrize("failure", [TimeoutError("/secret"), GetTimeoutError("/secret")])
def test_a_service_that_is_late_is_told_from_one_that_is_away(failure: Exception) -> None:
    with pytest.raises(TimedOut, match="greeting-service did not answer in time") as caught:
        asyncio.run(service_behind(Handle(Deployed(), failure)).greet("x"))
    assert "secret" not in caught.value.detail


def test_a_service_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sleeper:
        async def greet(self, *_: object, **__: object) -> str:
            await asyncio.sleep(3600)
            return "too late"

    monkeypatch.setattr(orthoray.remote, "TIMEOUT_S", 0.05)
    with pytest.raises(TimedOut):
        asyncio.run(service_behind(Handle(Sleeper())).greet("x"))


def test_private_names_are_not_methods_of_the_service() -> None:
    with pytest.raises(AttributeError):
        service_behind(Handle(Deployed()))._secret  # type: ignore[attr-defined]  # noqa: B018 - that is the question


@pytest.mark.parametrize("port", [ImageryPort, AnalysisPort, ReportPort])
def test_a_deployment_answers_every_method_of_its_port(port: type) -> None:
    @exposes(port)
    class Empty:
        service = None

    assert len(methods_of(port)) > 6
    assert all(callable(getattr(Empty, name)) for name in methods_of(port))


def test_exceptions_keep_their_kind_text_and_fields_between_processes() -> None:
    error = pickle.loads(pickle.dumps(NotFound("gone", id=7)))  # noqa: S301 - our own bytes
    assert (type(error), error.detail, error.fields) == (NotFound, "gone", {"id": 7})


@pytest.mark.parametrize(
    ("deployed", "port"),
    [(ImageryDeployment, ImageryPort), (AnalysisDeployment, AnalysisPort), (ReportDeployment, ReportPort)],
)
def test_the_services_answer_every_method_of_their_ports(deployed: type, port: type) -> None:
    """By functions of their own: classes have methods of their metaclass too, such as `register`."""
    for name in methods_of(port):
        assert any(name in vars(base) for base in deployed.__mro__), name
