"""`orthoray deploy`: what is sent changes with settings and code, and its end is the application's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orthoray.errors import ConfigurationError
from orthoray.settings import Settings
from serve_app import rollout
from serve_app.rollout import connect, read_description, revision, roll_out

FILE = Path(__file__).parents[2] / "deploy" / "serve.yaml"


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **{"orthoray_home": Path("/nowhere"), **values})


class FakeServe:
    """Gives its answers in turn, the last one for ever; None is a dashboard that does not answer."""

    def __init__(self, *statuses: str | None, message: str = "") -> None:
        self.statuses = list(statuses)
        self.message = message
        self.deployed: list[dict[str, Any]] = []

    def deploy_applications(self, config: dict[str, Any]) -> None:
        self.deployed.append(config)

    def get_serve_details(self) -> dict[str, Any]:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status is None:
            raise OSError
        return {"applications": {"orthoray": {"status": status, "message": self.message}}}


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "POLL_S", 0.0)


def test_the_description_is_the_file_with_a_revision() -> None:
    sent = read_description(FILE, settings())
    (application,) = sent["applications"]
    assert application["args"] == {"revision": revision(settings())}
    application["args"] = {}
    assert sent == yaml.safe_load(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "changed",
    [{"default_language": "en"}, {"redis_url": "redis://:other@redis:6379/0"}, {"gateway_port": 9000}],
)
def test_the_revision_changes_with_every_setting(changed: dict[str, Any]) -> None:
    before = settings(redis_url="redis://:one@redis:6379/0")
    after = settings(**{"redis_url": "redis://:one@redis:6379/0", **changed})
    assert revision(before) == revision(before.model_copy())
    assert revision(before) != revision(after)


def test_the_revision_changes_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    class Distribution:
        def read_text(self, name: str) -> str:
            return f"another {name}"

    before = revision(settings())
    monkeypatch.setattr(rollout.importlib.metadata, "distribution", lambda _: Distribution())
    assert revision(settings()) != before


def test_no_secret_is_sent() -> None:
    sent = read_description(FILE, settings(report_db_password="hunter2"))
    assert "hunter2" not in str(sent)


@pytest.mark.parametrize(
    ("text", "words"), [("applications: [", "is not what"), ("applications: 1", "applications")]
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=words) as caught:
        read_description(tmp_path / "a.yaml", settings())
    assert "\n" not in caught.value.detail


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml cannot be read: No such file"):
        read_description(tmp_path / "none.yaml", settings())


def test_it_ends_when_the_application_runs() -> None:
    serve = FakeServe("DEPLOYING", None, "UNHEALTHY", "RUNNING")
    lines: list[str] = []
    wanted = read_description(FILE, settings())
    roll_out(serve, wanted, 10, lines.append)
    assert serve.deployed == [wanted]
    assert lines == ["deploying ...", "no answer ...", "unhealthy ...", "running"]


def test_a_failure_is_told_with_its_reason() -> None:
    serve = FakeServe("DEPLOYING", "DEPLOY_FAILED", message="Set\n  IMAGERY_DB_HOST")
    with pytest.raises(ConfigurationError, match="orthoray: DEPLOY_FAILED: Set IMAGERY_DB_HOST"):
        roll_out(serve, read_description(FILE, settings()), 10, lambda _: None)


def test_it_does_not_wait_for_ever() -> None:
    with pytest.raises(ConfigurationError, match="Not running within 0 s but DEPLOYING"):
        roll_out(FakeServe("DEPLOYING"), read_description(FILE, settings()), 0, lambda _: None)


def test_a_refusal_of_serve_is_told() -> None:
    class Refusing(FakeServe):
        def deploy_applications(self, config: dict[str, Any]) -> None:
            raise RuntimeError("Request failed with status code 400:\nthe port")

    with pytest.raises(
        ConfigurationError, match=r"does not take the description: Request failed .* the port"
    ):
        roll_out(Refusing("RUNNING"), read_description(FILE, settings()), 10, lambda _: None)


def test_nobody_there_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"no Ray dashboard at http://127\.0\.0\.1:1"):
        connect("http://127.0.0.1:1")
