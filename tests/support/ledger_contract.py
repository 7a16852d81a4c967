"""What every ledger keeps to, whatever keeps its rows."""

from __future__ import annotations

import pytest
from batches import a_ref, a_request, a_result

from orthoray.errors import WrongState
from pipelines.ledger import Ledger

REQUEST = a_request(None)


def states(ledger: Ledger) -> dict[str, str]:
    return {row.source: row.status for row in ledger.rows()}


class LedgerContract:
    """Tests of a fixture `ledger`, whose batch is that of `REQUEST`."""

    def opened(self, ledger: Ledger, *sources: str, parameters: str = "p", version: str = "1") -> Ledger:
        return ledger.opened(REQUEST, parameters, [a_ref(source, version) for source in sources])

    def test_rows_come_in_the_order_of_their_sources(self, ledger: Ledger) -> None:
        ledger = self.opened(ledger, "b", "a", "Ж", "B")
        assert list(states(ledger).items()) == [(source, "waiting") for source in ("B", "a", "b", "Ж")]
        assert ledger.waiting() == {"B", "a", "b", "Ж"}

    def test_what_is_completed_stays_when_the_batch_is_opened_again(self, ledger: Ledger) -> None:
        ledger = self.opened(ledger, "a", "b", "c")
        assert [ledger.start(a_ref("a")), ledger.start(a_ref("a")), ledger.start(a_ref("b"))] == [1, 2, 1]
        assert ledger.complete(a_ref("a"), a_result("k"))
        assert ledger.fail(a_ref("b"), "It is damaged.", "bad_image")
        assert states(ledger) == {"a": "completed", "b": "failed", "c": "waiting"}
        assert [row.error for row in ledger.rows()] == [None, "It is damaged.", None]
        assert ledger.start(a_ref("a")) is None

        ledger = self.opened(ledger, "a", "b", "d")
        assert states(ledger) == {"a": "completed", "b": "waiting", "d": "waiting"}
        assert ledger.waiting() == {"b", "d"}
        assert ledger.start(a_ref("b")) == 1, "counted anew"
        assert next(ledger.rows()).result == a_result("k")

    def test_of_two_results_the_first_counts(self, ledger: Ledger) -> None:
        ledger = self.opened(ledger, "a", "b")
        assert ledger.start(a_ref("a")) == 1
        assert ledger.complete(a_ref("a"), a_result("first"))
        assert not ledger.complete(a_ref("a"), a_result("second"))
        assert not ledger.fail(a_ref("a"), "Too late.", "internal")
        assert not ledger.complete(a_ref("nobody"), a_result("k"))
        first, second = ledger.rows()
        assert first.result is not None
        assert (first.result.key, first.error, second.status) == ("first", None, "waiting")

    def test_other_content_is_done_again(self, ledger: Ledger) -> None:
        ledger = self.opened(ledger, "a")
        ledger.start(a_ref("a"))
        assert ledger.complete(a_ref("a"), a_result("k"))
        ledger = self.opened(ledger, "a", version="2")
        assert ledger.start(a_ref("a", "1")) is None, "a task of the killed job, with what is there no more"
        assert not ledger.complete(a_ref("a", "1"), a_result("k"))
        assert not ledger.fail(a_ref("a", "1"), "It is damaged.", "bad_image")
        assert ledger.start(a_ref("a", "2")) == 1

    def test_a_late_result_by_other_parameters_completes_nothing(self, ledger: Ledger) -> None:
        first = self.opened(ledger, "a")
        first.start(a_ref("a"))
        second = self.opened(ledger, "a", parameters="q")
        assert second.waiting() == {"a"}
        assert not first.complete(a_ref("a"), a_result("by p"))
        assert not first.fail(a_ref("a"), "It is damaged.", "bad_image")
        assert first.start(a_ref("a")) is None
        assert states(second) == {"a": "waiting"}
        assert second.complete(a_ref("a"), a_result("by q"))
        assert self.opened(ledger, "a", parameters="p").waiting() == {"a"}

    def test_of_two_drivers_the_later_one_has_the_batch(self, ledger: Ledger) -> None:
        first = self.opened(ledger, "a", "b")
        assert first.start(a_ref("a")) == 1
        assert first.beat()
        second = self.opened(ledger, "a", "c")
        assert (first.beat(), second.beat()) == (False, True)
        assert first.start(a_ref("a")) is None, "it begins nothing more"
        assert not first.fail(a_ref("a"), "My disk is full.", "internal")
        assert first.complete(a_ref("a"), a_result("k")), "what it has computed counts"
        with pytest.raises(WrongState, match="Another job has taken over"):
            first.close("1 image is not done.")
        assert states(second) == {"a": "completed", "c": "waiting"}
        second.close()

    def test_a_result_is_found_by_its_key(self, ledger: Ledger) -> None:
        ledger = self.opened(ledger, "a")
        assert ledger.find("k") is None
        ledger.start(a_ref("a"))
        ledger.complete(a_ref("a"), a_result("k"))
        assert ledger.find("k") == a_result("k")
        assert ledger.find("l") is None

    def test_an_empty_batch_has_no_rows(self, ledger: Ledger) -> None:
        self.opened(ledger, "a")
        assert states(self.opened(ledger)) == {}
