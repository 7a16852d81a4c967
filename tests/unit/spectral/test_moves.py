"""Pieces reach their places, whatever their order; a source that is too short is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from orthoray.spectral.moves import Move, copy_all


def test_pieces_lie_where_they_should(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    content = bytes(range(256)) * 40_000  # more than one piece at a time
    source.write_bytes(content)
    target.write_bytes(b"head")
    with source.open("rb") as file:
        number = file.fileno()
        half = len(content) // 2
        moves = [
            Move(number, half, 4, len(content) - half),
            Move(number, 0, 4 + len(content) - half, half),
            Move(number, 7, 99, 0),
        ]
        copy_all(moves, target)
    assert target.read_bytes() == b"head" + content[half:] + content[:half]


def test_a_source_that_ends_early_is_an_error(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"abc")
    target.touch()
    with source.open("rb") as file, pytest.raises(OSError, match="shorter"):
        copy_all([Move(file.fileno(), 1, 0, 3)], target)
