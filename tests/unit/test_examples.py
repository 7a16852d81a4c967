"""The scripts in examples/ do what they say, here without Ray."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
from batches import write_images

from pipelines.batch import run_batch
from pipelines.campaign import in_turn

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_season_of_flights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = load("campaign")
    monkeypatch.setattr(campaign, "run_batch", lambda request, out: run_batch(request, out, spread=in_turn))
    write_images(tmp_path / "flights" / "2026-05-01", 2)
    write_images(tmp_path / "flights" / "2026-06-01", 1, broken=True)
    table = campaign.season(tmp_path / "flights", tmp_path / "results").to_pylist()
    assert [(row["day"], row["images"], row["failed"]) for row in table] == [
        ("2026-05-01", 2, 0),
        ("2026-06-01", 2, 1),
    ]
    assert table[0]["healthy_percent"] == pytest.approx(50, abs=1)
    images: Any = pq.read_table(tmp_path / "results" / "2026-05-01" / "statistics.parquet")
    assert campaign.weighted(images, "mean") == pytest.approx(table[0]["mean"])
    assert (tmp_path / "results" / "2026-06-01" / "summary.pdf").is_file()
