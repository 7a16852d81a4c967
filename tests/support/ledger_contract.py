"""What every ledger keeps to, whatever keeps its rows."""

from __future__ import annotations

from collections.abc import Callable

from batches import a_ref, a_request, a_result

from pipelines.ledger import Ledger

REQUEST = a_request(None)


def states(ledger: Ledger) -> dict[str, str]:
    return {row.source: row.status for row in ledger.rows()}


class LedgerContract:
    """Tests of a fixture `ledger`, whose batch is that of `REQUEST`."""

    def open(self, ledger: Ledger, *sources: str, parameters: str = "p", version: str = "1") -> None:
        ledger.open(REQUEST, parameters, [a_ref(source, version) for source in sources])

    def test_rows_come_in_the_order_of_their_sources(self, ledger: Ledger) -> None:
        self.open(ledger, "b", "a", "Ж", "B")
        assert list(states(ledger).items()) == [(source, "waiting") for source in ("B", "a", "b", "Ж")]
        assert ledger.waiting() == {"B", "a", "b", "Ж"}

    def test_what_is_completed_stays_when_the_batch_is_opened_again(self, ledger: Ledger) -> None:
        self.open(ledger, "a", "b", "c")
        assert [ledger.start(a_ref("a")), ledger.start(a_ref("a")), ledger.start(a_ref("b"))] == [1, 2, 1]
        assert ledger.complete(a_ref("a"), a_result("k"))
        assert ledger.fail(a_ref("b"), "It is damaged.")
        assert states(ledger) == {"a": "completed", "b": "failed", "c": "waiting"}
        assert [row.error for row in ledger.rows()] == [None, "It is damaged.", None]
        assert ledger.start(a_ref("a")) is None

        self.open(ledger, "a", "b", "d")
        assert states(ledger) == {"a": "completed", "b": "waiting", "d": "waiting"}
        assert ledger.waiting() == {"b", "d"}
        assert ledger.start(a_ref("b")) == 1, "counted anew"
        assert next(ledger.rows()).result == a_result("k")

    def test_of_two_results_the_first_counts(self, ledger: Ledger) -> None:
        self.open(ledger, "a", "b")
        assert ledger.start(a_ref("a")) == 1
        assert ledger.complete(a_ref("a"), a_result("first"))
        assert not ledger.complete(a_ref("a"), a_result("second"))
        assert not ledger.fail(a_ref("a"), "Too late.")
        assert not ledger.complete(a_ref("nobody"), a_result("k"))
        first, second = ledger.rows()
        assert first.result is not None
        assert (first.result.key, first.error, second.status) == ("first", None, "waiting")

    def test_other_content_and_other_parameters_are_done_again(self, ledger: Ledger) -> None:
        def complete() -> None:
            ledger.start(a_ref("a"))
            assert ledger.complete(a_ref("a"), a_result("k"))

        self.open(ledger, "a")
        complete()
        self.open(ledger, "a", parameters="q")
        assert ledger.waiting() == {"a"}
        complete()
        self.open(ledger, "a", parameters="q", version="2")
        assert ledger.start(a_ref("a", "1")) is None, "a task of the killed job, with what is there no more"
        assert not ledger.complete(a_ref("a", "1"), a_result("k"))
        assert ledger.start(a_ref("a", "2")) == 1

    def test_a_result_is_found_by_its_key(self, ledger: Ledger) -> None:
        self.open(ledger, "a")
        assert ledger.find("k") is None
        ledger.start(a_ref("a"))
        ledger.complete(a_ref("a"), a_result("k"))
        assert ledger.find("k") == a_result("k")
        assert ledger.find("l") is None

    def test_an_empty_batch_has_no_rows(self, ledger: Ledger) -> None:
        self.open(ledger, "a")
        self.open(ledger)
        assert states(ledger) == {}


MakeLedger = Callable[[], Ledger]
