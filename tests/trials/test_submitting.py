"""`ray job submit` from a clean checkout, word for word as docs/how-to/run-a-campaign.md has it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from batches import write_images
from stack import Stack

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "run-a-campaign.md"
IMAGES = 24


@pytest.fixture
def stack() -> Iterator[Stack]:
    stack = Stack()
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What is committed, and nothing else."""
    place = tmp_path / "orthoray"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True, timeout=120)  # noqa: S607 - the user's own
    return place


def documented(stack: Stack) -> str:
    """The block of the page, with this installation's home and port."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if "ray job submit" in block)
    for told, here in (
        ("~/.local/share/orthoray", str(stack.home)),
        ("http://127.0.0.1:8265", f"http://127.0.0.1:{stack.dashboard_port}"),
    ):
        assert told in block
        block = block.replace(told, here)
    return str(block)


def submit(stack: Stack, checkout: Path, script: str) -> subprocess.CompletedProcess[str]:
    environment = {**stack.environment, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    return subprocess.run(
        ["bash", "-c", script],  # noqa: S607 - as a user has it
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_a_batch_from_a_clean_checkout(
    stack: Stack, checkout: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    write_images(stack.home / "storage" / "imagery" / "2026", IMAGES, side=700)
    script = documented(stack)
    began = time.monotonic()
    answer = submit(stack, checkout, script)
    first = time.monotonic() - began
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{IMAGES} of {IMAGES} images completed" in answer.stdout + answer.stderr
    again = submit(stack, checkout, script)
    assert again.returncode != 0, "Ray takes a submission id once"
    assert "already" in again.stdout + again.stderr

    for path in sorted(write_images(tmp_path / "more", IMAGES + 2, side=700).iterdir())[IMAGES:]:
        shutil.copy(path, stack.home / "storage" / "imagery" / "2026")
    rest = submit(stack, checkout, script.replace("may-2026", "may-2026-again"))
    assert rest.returncode == 0, rest.stdout + rest.stderr
    assert f"({IMAGES} before)" in rest.stdout + rest.stderr, "only the rest is done"
    with stack.client() as api:
        (batch,) = api.get("/batches").json()["items"]
    assert (batch["status"], batch["total"], batch["completed"]) == ("completed", IMAGES + 2, IMAGES + 2)
    results = stack.home / "storage" / "heatmaps" / batch["prefix"]
    assert (results / "summary.pdf").read_bytes().startswith(b"%PDF-")
    assert (
        subprocess.run(
            ["git", "status", "--porcelain"],  # noqa: S607 - the user's own
            cwd=checkout,
            capture_output=True,
            check=True,
        ).stdout
        == b""
    ), "the checkout is still clean"
    tell(
        f"{IMAGES} of {IMAGES} images completed, {first:.0f} s with the upload of the checkout; the same id again: refused; "
        f"another id after two more images: {IMAGES} known, 2 done"
    )
