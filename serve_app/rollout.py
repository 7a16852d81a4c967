"""Handing the application to a Ray cluster, as `serve deploy` does, and waiting until it serves.

Serve builds an application anew only when its description changes, and keeps what it built over the loss of its head. Neither
settings nor code are in the description. So it gets a `revision` that changes with them, and tells nothing of them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import yaml  # which Ray itself needs
from pydantic import SecretStr

from orthoray.errors import ConfigurationError
from orthoray.settings import Settings

POLL_S = 1.0
RUNNING, FAILED = "RUNNING", "DEPLOY_FAILED"
# Of `requests`, too, in which Ray's client speaks.
AWAY = (OSError, RuntimeError)

Step = Callable[[str], None]


class Serve(Protocol):
    """What is used of Ray's client of the dashboard."""

    def deploy_applications(self, config: dict[str, Any]) -> None: ...

    def get_serve_details(self) -> dict[str, Any]: ...


def connect(address: str) -> Serve:
    """Ray's client of the dashboard at `address`.

    Raises:
        ConfigurationError: nobody answers there, or it refuses the token.
    """
    from ray.dashboard.modules.serve.sdk import ServeSubmissionClient  # here: it takes seconds

    try:
        client: Serve = ServeSubmissionClient(address)
    except AWAY as error:
        raise ConfigurationError(
            f"There is no Ray dashboard at {address}, or it refuses RAY_AUTH_TOKEN: see --address."
        ) from error
    return client


def read_description(path: Path, settings: Settings) -> dict[str, Any]:
    """The description of `serve deploy` in `path`, with the revision as an argument of each application.

    Raises:
        ConfigurationError: there is no such file, or Serve does not accept it.
    """
    from ray.serve.schema import ServeDeploySchema

    try:
        description: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        ServeDeploySchema.model_validate(description)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigurationError(f"{path} is not what `serve deploy` takes: {_line(error)}") from error
    for application in description["applications"]:
        application["args"] = {**application.get("args", {}), "revision": revision(settings)}
    return description


def revision(settings: Settings) -> str:
    """A word that is another one as soon as a setting or the installed code is."""
    facts = {name: _plain(getattr(settings, name)) for name in Settings.model_fields}
    facts["code"] = importlib.metadata.distribution("orthoray").read_text("RECORD")
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


def roll_out(serve: Serve, description: Mapping[str, Any], patience_s: float, step: Step) -> None:
    """Deploy, and return when all applications run.

    Raises:
        ConfigurationError: one does not, for the reason that Serve tells, or not in time.
    """
    try:
        serve.deploy_applications(dict(description))
    except AWAY as error:
        raise ConfigurationError(f"Ray Serve does not take the description: {_line(error)}") from error
    deadline = time.monotonic() + patience_s
    told = ""
    while True:
        states = _states(serve, [application["name"] for application in description["applications"]])
        for name, (status, message) in states.items():
            if status == FAILED:
                raise ConfigurationError(f"{name}: {status}: {message or 'the dashboard tells more.'}")
        if all(status == RUNNING for status, _ in states.values()):
            step("running")
            return
        now = ", ".join(sorted({status for status, _ in states.values()}))
        if time.monotonic() > deadline:
            reasons = " ".join(message for _, message in states.values() if message)
            raise ConfigurationError(
                f"Not running within {patience_s:g} s but {now}: {reasons or 'see the page Serve of the dashboard.'}"
            )
        if now != told:
            step(now.lower().replace("_", " ") + " ...")
            told = now
        time.sleep(POLL_S)


def _states(serve: Serve, names: list[str]) -> dict[str, tuple[str, str]]:
    """(status, message) by application; a cluster that does not answer for a moment is no failure."""
    try:
        applications = serve.get_serve_details()["applications"]
    except AWAY:
        return dict.fromkeys(names, ("NO_ANSWER", ""))
    return {
        name: (applications[name]["status"], _line(applications[name]["message"] or ""))
        if name in applications
        else ("NOT_STARTED", "")
        for name in names
    }


def _line(message: object) -> str:
    """In one line; of a long one the end, where the reason of a stack trace stands."""
    return " ".join(str(message).split())[-600:]
