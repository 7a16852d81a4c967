"""The ledger of files; that of the service keeps the same contract on a real PostgreSQL."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from batches import BATCH, a_ref, a_result
from ledger_contract import REQUEST, LedgerContract

from orthoray.errors import BadInput
from pipelines.ledger import FileLedger, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return FileLedger(tmp_path / "rows", BATCH)


class TestFileLedger(LedgerContract):
    def test_another_process_sees_the_same_rows(self, ledger: Ledger) -> None:
        ledger = ledger.opened(REQUEST, "p", [a_ref("a")])
        twin = pickle.loads(pickle.dumps(ledger))  # noqa: S301 - our own
        assert twin.start(a_ref("a")) == 1
        assert twin.complete(a_ref("a"), a_result())
        assert next(ledger.rows()).status == "completed"

    def test_the_folder_of_another_batch_is_refused(self, tmp_path: Path, ledger: Ledger) -> None:
        ledger.opened(REQUEST, "p", [])
        with pytest.raises(BadInput, match="another batch"):
            FileLedger(tmp_path / "rows", REQUEST.batch_id("someone")).opened(REQUEST, "p", [])


def test_a_folder_with_files_of_others_is_refused_and_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "indices" / "mine.tif"
    mine.parent.mkdir()
    mine.write_bytes(b"not a batch's")
    ledger = FileLedger(tmp_path / ".ledger", BATCH)
    with pytest.raises(BadInput, match="choose another folder"):
        ledger.opened(REQUEST, "p", [])
    assert mine.read_bytes() == b"not a batch's"
    assert not (tmp_path / ".ledger" / "batch").exists()
