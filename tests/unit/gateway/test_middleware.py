"""Request ids, and bodies that are refused before they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import pytest
import structlog
from starlette.testclient import TestClient

from orthoray.errors import Unavailable
from orthoray.logs import configure_logs
from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig, Services
from serve_app.gateway.middleware import FORM_OVERHEAD_BYTES, MAX_JSON_BYTES

FORM = b"multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'


def post(house: Any, path: str, headers: dict[bytes, bytes], body: Iterable[bytes]) -> tuple[int, int]:
    """POST straight to the ASGI application: the status, and how many times it asked for a piece of the body."""
    pieces = iter(body)
    asked, status = 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        piece = next(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": b"", "scheme": "http",
        "server": ("test", 80), "client": ("test", 1), "headers": [(b"x-api-key", house.key.encode()), *headers.items()],
    }  # fmt: skip
    asyncio.run(house.app(scope, receive, send))
    return status, asked


@pytest.mark.parametrize("path", ["/imagery", "/imagery/", "/analysis-runs", "/no-such-path"])
def test_a_length_over_the_limit_is_refused_before_anything_is_read(house: Any, path: str) -> None:
    length = 1 + (house.max_upload_bytes + FORM_OVERHEAD_BYTES if "imagery" in path else MAX_JSON_BYTES)
    headers = {b"content-type": FORM, b"content-length": str(length).encode()}
    assert post(house, path, headers, [b"x"]) == (413, 0)
    assert house.objects == []


@pytest.mark.parametrize(
    ("path", "content_type", "start"),
    [("/imagery", FORM, PART), ("/analysis-runs", b"application/json", b'"')],
)
def test_a_chunked_body_over_the_limit_is_refused_when_it_passes_it(
    house: Any, path: str, content_type: bytes, start: bytes
) -> None:
    endless = (start if at == 0 else b"x" * 50_000 for at in range(1000))
    status, asked = post(house, path, {b"content-type": content_type}, endless)
    assert status == 413
    assert asked < 30
    assert house.objects == []


def test_a_file_over_the_limit_whose_body_is_within_it(house: Any) -> None:
    answer = house.upload(content=b"x" * (house.max_upload_bytes + 1))
    assert answer.status_code == 413
    assert answer.json()["max_bytes"] == house.max_upload_bytes
    assert house.objects == []


def test_strangers_bodies_are_not_read(house: Any) -> None:
    house.imagery.keys = {}
    assert post(house, "/imagery", {b"content-type": FORM}, [b"x"]) == (401, 0)


@pytest.mark.parametrize("given", ["abc-1.2:3_X", "a" * 128])
def test_a_request_id_comes_back(house: Any, given: str) -> None:
    assert house.client.get("/health", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "a b", "a" * 129, "<script>", "a\tb", "é".encode("latin-1").decode("latin-1")]
)
def test_a_request_id_that_is_no_plain_word_is_replaced(house: Any, given: str) -> None:
    answer = house.client.get("/health", headers={"X-Request-ID": given.encode("latin-1")})
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


def test_every_answer_has_its_own_request_id(house: Any) -> None:
    seen = {house.client.get(path).headers["x-request-id"] for path in ("/health", "/nothing", "/imagery")}
    seen |= {house.client_with({}).get("/imagery").headers["x-request-id"]}
    assert len(seen) == 4


TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def traced(spans: Any, house: Any) -> Any:
    """The same API, made where traces are wanted."""
    services = Services(house.imagery, house.analysis, house.report, house.batches)
    config = GatewayConfig(auth_mode="none", max_upload_bytes=1000, imagery_bucket="imagery")
    return TestClient(create_api(services, house.storage, config), raise_server_exceptions=False)


def test_a_request_takes_part_in_the_trace_of_its_client(traced: Any, spans: Any) -> None:
    run = uuid4()
    headers = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01", "X-Request-ID": "r1"}
    assert traced.get(f"/analysis-runs/{run}?a=secret", headers=headers).status_code == 404
    span = spans()["GET /analysis-runs/{run_id}"]
    assert (span.context.trace_id, span.parent.span_id) == (int(TRACE_ID, 16), int(PARENT_ID, 16))
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/analysis-runs/{run_id}",
        "url.path": f"/analysis-runs/{run}",
        "http.response.status_code": 404,
        "orthoray.request_id": "r1",
    }
    assert span.status.is_unset


def test_a_request_without_a_trace_begins_one_unless_it_is_a_probe(traced: Any, spans: Any) -> None:
    for path in ("/health", "/ready", "/api/ping", "/no-such-path"):
        traced.get(path, headers={"traceparent": "nonsense"})
    (span,) = spans().values()
    assert (span.name, span.parent) == ("GET", None)


def test_only_our_own_failures_fail_a_span(traced: Any, house: Any, spans: Any) -> None:
    house.fail(Unavailable())
    assert traced.get("/reports").status_code == 503
    house.fail(ZeroDivisionError())
    assert traced.get("/imagery").status_code == 500
    assert [spans()[name].status.is_ok for name in ("GET /reports", "GET /imagery")] == [False, False]


def test_log_lines_bear_the_trace(traced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    traced.get("/imagery", headers={"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"})
    structlog.reset_defaults()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "path=/imagery" in line]
    assert f"trace_id={TRACE_ID}" in line
