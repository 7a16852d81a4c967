"""deploy/Dockerfile and .dockerignore: the locked dependencies, no root, and nothing in it that does not belong there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
LOCKED = {
    package["name"]: package.get("version")
    for package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
}


def argument(name: str) -> str:
    found = re.search(rf'^ARG {name}="?([^"\n]*)"?$', DOCKERFILE, re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_last_stage_is_not_root() -> None:
    last = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    assert re.findall(r"^USER (.+)$", last, re.MULTILINE) == ["1000"]
    assert "HEALTHCHECK" in last
    assert "RAY_AUTH_MODE=token" in last
    assert "HOME=/home/orthoray" in last


def test_what_it_installs_is_locked() -> None:
    assert argument("SYNC").startswith("--frozen --no-default-groups")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"UV_VERSION := {argument('UV_VERSION')}\n" in makefile
    # boto3 and botocore are released together, and the lock has botocore.
    assert argument("BOTO3_VERSION") == LOCKED["botocore"]


def test_python_is_that_of_the_project() -> None:
    assert argument("BASE").startswith("python:3.11-slim")


def test_no_secret_is_built_in() -> None:
    assert re.search(r"PASSWORD|SECRET|AUTH_TOKEN *=", DOCKERFILE) is None


def test_the_context_has_what_is_copied_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    let_in = {pattern[1:] for pattern in patterns if pattern.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)
    assert "**/.env" in patterns


def test_every_package_of_the_wheel_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert [name for name in packages if f"\nCOPY {name} {name}\n" not in DOCKERFILE] == []
