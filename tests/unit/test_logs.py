"""Log lines."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from orthoray.logs import configure_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_line_carries_what_it_belongs_to_and_a_plain_stack_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    configure_logs("INFO")
    password = "hunter2"
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        try:
            int(f"x{len(password)}")
        except ValueError:
            structlog.get_logger().exception("went wrong", run_id="7")
    told = capsys.readouterr().err
    assert "request_id=abc" in told
    assert "run_id=7" in told
    assert "ValueError: invalid literal" in told
    assert "'hunter2'" not in told, "local variables are shown"


def test_json_for_machines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setenv("LOG_LEVEL", "warning")
    configure_logs()
    structlog.get_logger().info("not shown")
    structlog.get_logger().warning("shown", file="поле.tif")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["file"]) == ("shown", "warning", "поле.tif")


def test_a_level_that_is_none_does_not_stop_anything(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("loud")
    structlog.get_logger().info("shown")
    assert "shown" in capsys.readouterr().err
