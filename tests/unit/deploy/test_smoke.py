"""deploy/smoke: what it says of an installation that does not work. One that works is asked in tests/acceptance."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from serve_app.local.processes import free_port

SCRIPT = Path(__file__).parents[3] / "deploy" / "smoke"
KEY = "a-key-that-nobody-may-see"


def smoke(*words: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *words],
        env={"ORTHORAY_API_KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def answering(status: int, body: object) -> Iterator[str]:
    """A server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("words", [("--help",), ("http://one", "http://two")])
def test_a_wrong_call_shows_the_right_one(words: tuple[str, ...]) -> None:
    answer = smoke(*words)
    assert answer.returncode == 2
    assert "ORTHORAY_API_KEY=... deploy/smoke [URL]" in answer.stderr


def test_without_a_key_it_asks_nobody() -> None:
    assert smoke("http://127.0.0.1:1", key="").returncode == 2


def test_nobody_there_is_one_line() -> None:
    answer = smoke(f"http://127.0.0.1:{free_port()}")
    assert answer.returncode == 1
    assert "does not answer: [Errno 111] Connection refused" in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {}, "refuses the key in ORTHORAY_API_KEY"),
        (503, {"failures": {"analysis-service": "no database"}}, "GET /ready answers 503: "),
    ],
)
def test_a_refusal_is_told_without_the_key(status: int, body: object, words: str) -> None:
    with answering(status, body) as url:
        answer = smoke(url)
    assert answer.returncode == 1
    assert words in answer.stderr
    assert KEY not in answer.stdout + answer.stderr
