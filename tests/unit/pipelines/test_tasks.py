"""Runs and reports from storage to storage, without Ray."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import cast

import pypdf
import pytest
import rasterio
from orders import order_of
from PIL import Image
from rasters import RGBN, UTM, fields, write_bands

from orthoray.contracts import Language, Outcome, Report
from orthoray.errors import NotFound, TruncatedImage
from orthoray.keys import heatmap_key, index_key, report_id, report_key, thumbnail_key
from orthoray.ports import ReportOrder, RunOrder
from orthoray.storage.config import StorageConfig
from orthoray.storage.local import LocalStorage
from pipelines.tasks import analyse_order, render_order


@pytest.fixture
def config(tmp_path: Path) -> StorageConfig:
    return StorageConfig(root=tmp_path / "storage")


def outcome_of(config: StorageConfig, order: RunOrder) -> Outcome:
    *steps, outcome = analyse_order(config, order)
    assert all(isinstance(step, float) and 0 <= step <= 1 for step in steps)
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.mark.parametrize("tenant", ["default", "farm"])
def test_a_run_leaves_a_heatmap_and_a_raster_under_keys_of_its_id(
    config: StorageConfig, tmp_path: Path, tenant: str
) -> None:
    source = write_bands(tmp_path / "поле.tif", fields(), RGBN, **UTM)
    order = order_of(config, source, tenant)
    outcome = outcome_of(config, order)
    storage = config.open()
    assert outcome.heatmap_key == heatmap_key(tenant, order.run.id)
    assert outcome.index_key == index_key(tenant, order.run.id)
    assert Image.open(io.BytesIO(storage.get_bytes("heatmaps", outcome.heatmap_key))).size == (6, 8)
    with (
        rasterio.MemoryFile(storage.get_bytes("heatmaps", outcome.index_key)) as file,
        file.open() as dataset,
    ):
        assert dataset.shape == (8, 6)
    assert outcome.provenance["image_sha256"] == order.imagery.sha256


def test_a_repeated_run_gives_the_same_objects(config: StorageConfig, tmp_path: Path) -> None:
    order = order_of(config, write_bands(tmp_path / "a.tif", fields(), RGBN))
    first, second = (outcome_of(config, order).model_dump(exclude={"seconds"}) for _ in range(2))
    assert first == second
    assert len(list(config.open().list("heatmaps"))) == 2


def test_the_runs_own_wishes_are_heard(config: StorageConfig, tmp_path: Path) -> None:
    source = write_bands(tmp_path / "a.tif", fields())
    order = order_of(config, source, bands="R,G,B,N", thresholds=[0.9, 0.5, 0.1], language="ro")
    outcome = outcome_of(config, order)
    assert outcome.provenance["thresholds"]["cuts"] == [0.9, 0.5, 0.1]
    assert [row.pixels for row in outcome.statistics.classes] == [0, 24, 0, 24]


def test_what_went_wrong_reaches_the_caller_and_nothing_is_stored(
    config: StorageConfig, tmp_path: Path
) -> None:
    source = write_bands(tmp_path / "a.tif", fields(80, 80), RGBN)
    order = order_of(config, source)
    storage = config.open()
    storage.put_bytes("imagery", order.run.imagery_object_key, source.read_bytes()[:2000])
    with pytest.raises(TruncatedImage):
        list(analyse_order(config, order))
    storage.delete("imagery", order.run.imagery_object_key)
    with pytest.raises(NotFound):
        list(analyse_order(config, order))
    assert list(storage.list("heatmaps")) == []


class Watched(LocalStorage):
    """Calls back before a number of objects is stored."""

    def __init__(self, root: Path, before_put: Callable[[int], None]) -> None:
        super().__init__(root)
        self._before_put, self._puts = before_put, 0

    def move_file(self, bucket: str, key: str, local: Path, content_type: str | None = None) -> None:
        self._puts += 1
        self._before_put(self._puts)
        super().move_file(bucket, key, local, content_type)


@pytest.mark.parametrize(("at", "puts"), [(1, [1]), (2, [1, 2])])
def test_a_run_that_becomes_unwanted_while_it_is_stored_leaves_nothing(
    config: StorageConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, puts: list[int]
) -> None:
    order = order_of(config, write_bands(tmp_path / "a.tif", fields(), RGBN))
    reached, gone_on, made = threading.Event(), threading.Event(), []

    def before_put(number: int) -> None:
        made.append(number)
        if number == at:
            reached.set()
            assert gone_on.wait(10)

    storage = Watched(tmp_path / "storage", before_put)
    monkeypatch.setattr(StorageConfig, "open", lambda _: storage)
    steps = cast(Generator[float | Outcome, None, None], analyse_order(config, order))
    next(steps)
    assert reached.wait(10)
    worker = next(thread for thread in threading.enumerate() if thread.name == "analyse")
    steps.close()
    gone_on.set()
    worker.join(10)
    assert made == puts
    assert list(storage.list("heatmaps")) == []


@pytest.mark.parametrize("pictures", [True, False])
def test_a_report_is_a_pdf_with_or_without_its_pictures(
    config: StorageConfig, tmp_path: Path, pictures: bool
) -> None:
    order = order_of(config, write_bands(tmp_path / "field.tif", fields(), RGBN, **UTM))
    report = report_of(order, outcome_of(config, order), "en")
    if not pictures:
        config.open().delete("heatmaps", heatmap_key("default", order.run.id))
        config.open().delete("imagery", thumbnail_key("default", order.imagery.id))
    assert render_order(config, report) == report_key("default", report.report.id)
    text, _ = rendered(config, report)
    assert "field.tif" in text
    assert "NDVI" in text


def report_of(order: RunOrder, outcome: Outcome, language: Language) -> ReportOrder:
    """A report on a finished run."""
    run = order.run.model_copy(
        update={**dict(outcome), "status": "completed", "completed_at": datetime.now(UTC)}
    )
    report = Report(
        id=report_id(run.id, language),
        analysis_run_id=run.id,
        status="processing",
        language=language,
        created_at=datetime.now(UTC),
    )
    return ReportOrder(report=report, run=run, imagery=order.imagery, tenant=order.tenant)


def rendered(config: StorageConfig, order: ReportOrder) -> tuple[str, str]:
    """The words of the PDF, and the drawing commands of its pages."""
    pdf = pypdf.PdfReader(io.BytesIO(config.open().get_bytes("reports", render_order(config, order))))
    words = " ".join(" ".join(page.extract_text() for page in pdf.pages).split())
    return words, "".join(page.get_contents().get_data().decode("latin-1") for page in pdf.pages)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "words"), [("ru", "NDVI, культура: кукуруза"), ("ro", "cultura: porumb")]
)
@pytest.mark.parametrize("run_language", ["ru", "ro", "en"])
def test_a_report_tells_the_source_of_its_thresholds_in_its_language(
    config: StorageConfig, tmp_path: Path, language: Language, words: str, run_language: Language
) -> None:
    source = write_bands(tmp_path / "field.tif", fields(), RGBN)
    order = order_of(config, source, crop="corn", language=run_language)
    text, _ = rendered(config, report_of(order, outcome_of(config, order), language))
    assert words in text
    assert "earlier program" not in text


@pytest.mark.slow
def test_a_users_own_styles_change_the_report(
    config: StorageConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_bands(tmp_path / "field.tif", fields(), RGBN)
    order = order_of(config, source, crop="corn")
    report = report_of(order, outcome_of(config, order), "ru")
    before, drawn_before = rendered(config, report)
    styles = ModuleType("OLD.styles")
    own = {"name": "Мой индекс", "description": "Смотрит на поле.", "formula": "N / R"}
    vars(styles).update(
        PRIMARY_COLOR="#FF0000",
        SPECTRAL_INDEX_DESCRIPTIONS={"NDVI": own},
        CROP_THRESHOLDS={"Кукуруза": {"healthy": 0.77, "stressed": 0.44, "description": "Поздний гибрид."}},
    )
    monkeypatch.setitem(sys.modules, "OLD.styles", styles)
    after, drawn_after = rendered(config, report)
    for words in (*own.values(), "0,77", "0,44", "Поздний гибрид."):
        assert words in after
        assert words not in before
    assert "1 0 0 rg" in drawn_after
    assert "1 0 0 rg" not in drawn_before
