"""deploy/make-env: random secrets in a file that only its owner reads, and never over one that is there."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "deploy" / "make-env"


def run(target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, target], capture_output=True, text=True, check=False, umask=0o022)


def values(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_secret_gets_a_value_of_its_own(tmp_path: Path) -> None:
    assert run(tmp_path / "env").returncode == 0
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600
    made, example = values(tmp_path / "env"), values(SCRIPT.parent / "env.example")
    assert made.keys() == example.keys()
    secret = [value for name, value in made.items() if not example[name]]
    assert len(set(secret)) == len(secret) > 8
    assert all(re.fullmatch("[0-9a-f]{48}", value) for value in secret)
    assert {name: value for name, value in made.items() if example[name]} == {
        name: value for name, value in example.items() if value
    }


def test_two_runs_make_different_secrets(tmp_path: Path) -> None:
    run(tmp_path / "one")
    run(tmp_path / "two")
    assert values(tmp_path / "one")["RAY_AUTH_TOKEN"] != values(tmp_path / "two")["RAY_AUTH_TOKEN"]


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "env"
    target.write_text("RAY_AUTH_TOKEN=mine\n")
    answer = run(target)
    assert answer.returncode == 1
    assert "there already" in answer.stderr
    assert target.read_text() == "RAY_AUTH_TOKEN=mine\n"
