"""Temporary folders, and those that killed processes have left."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pipelines.scratch import scratch_folder


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def left_by_a_killed_process(parent: Path) -> Path:
    folder = parent / "orthoray-run-killed"
    folder.mkdir()
    (folder / ".in-use").touch()
    (folder / "index.tif").write_bytes(b"half")
    return folder


def test_a_folder_is_gone_afterwards() -> None:
    with scratch_folder() as folder:
        (folder / "index.tif").write_bytes(b"whole")
    assert not folder.exists()


def test_what_a_killed_process_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = left_by_a_killed_process(tmp_path)
    with scratch_folder():
        assert left.exists(), "it may be new"
    os.utime(left, (0, 0))
    with scratch_folder() as mine:
        assert not left.exists()
        os.utime(mine, (0, 0))
        with scratch_folder():
            assert mine.exists(), "it is in use"
