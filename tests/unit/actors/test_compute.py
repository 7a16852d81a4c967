"""How jobs end: tried again, failed with a reason, or given up."""

from __future__ import annotations

import asyncio

import pytest
from ray.exceptions import RayTaskError, WorkerCrashedError

from actors import compute
from actors.compute import MAX_ATTEMPTS, attempt, chore, code_of, insist, may_pass
from actors.metrics import ATTEMPTS, FAILURES
from orthoray.errors import MissingBands, NotFound, TruncatedImage, Unavailable, WrongState


class Calls:
    """Something to call that fails with each of `errors` in turn, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.count = 0
        self.reasons: list[str] = []

    async def __call__(self, reason: str = "") -> None:
        self.count += 1
        self.reasons.append(reason)
        if self.errors:
            raise self.errors.pop(0)


def through_the_queue(work: Calls, fail: Calls, most: int = 20) -> int:
    """What the queue does with `attempt`: after how many retries the job ended."""
    for attempts in range(most):
        try:
            asyncio.run(attempt(work, fail, attempts=attempts, what="analysis"))
        except Unavailable:
            continue
        return attempts
    raise AssertionError("the job never ends")


def test_work_that_succeeds_in_the_end_never_fails() -> None:
    work, fail = Calls(*[Unavailable()] * (MAX_ATTEMPTS - 1)), Calls()
    assert through_the_queue(work, fail) == MAX_ATTEMPTS - 1
    assert fail.count == 0


def test_trouble_that_does_not_pass_is_told_with_the_last_reason() -> None:
    work, fail = Calls(*[Unavailable("The storage is away.")] * 99), Calls()
    assert through_the_queue(work, fail) == MAX_ATTEMPTS - 1
    assert fail.reasons == [
        "The analysis failed 5 times, the last time because of this: The storage is away."
    ]


def test_a_failure_is_told_until_somebody_listens_and_nothing_is_computed_meanwhile() -> None:
    work, fail = Calls(*[Unavailable()] * 99), Calls(*[Unavailable()] * 6)
    assert through_the_queue(work, fail) == MAX_ATTEMPTS + 5
    assert work.count == MAX_ATTEMPTS
    assert fail.reasons[-1].startswith("The analysis was interrupted 5 times")


def test_a_bad_image_fails_at_once() -> None:
    work, fail = Calls(TruncatedImage()), Calls()
    assert through_the_queue(work, fail) == 0
    assert fail.reasons == [TruncatedImage().detail]


def test_a_run_that_is_gone_need_not_fail() -> None:
    work, fail = Calls(TruncatedImage()), Calls(NotFound())
    assert through_the_queue(work, fail) == 0
    assert fail.count == 1


def test_a_cancelled_job_is_neither_failed_nor_swallowed() -> None:
    fail = Calls()

    async def interrupted() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(attempt(interrupted, fail, attempts=0, what="analysis"))
    assert fail.count == 0


def test_an_unexpected_error_says_no_more_than_its_kind() -> None:
    fail = Calls()
    error = RayTaskError("analyse", "trace /secret/path", ValueError("/secret/path"))
    asyncio.run(attempt(Calls(error), fail, attempts=0, what="analysis"))
    assert fail.reasons == ["The analysis met an unexpected error (ValueError)."]


def test_chores_survive_an_outage_and_end_at_a_refusal() -> None:
    for passing in (Unavailable(), RuntimeError("a bug")):
        with pytest.raises(type(passing)):
            asyncio.run(chore(Calls(passing), what="clean-up"))
    asyncio.run(chore(Calls(NotFound()), what="clean-up"))
    asyncio.run(chore(Calls(WrongState()), what="clean-up"))


@pytest.mark.parametrize(("missed", "calls"), [(0, 1), (2, 3)])
def test_a_missed_call_is_made_again(monkeypatch: pytest.MonkeyPatch, missed: int, calls: int) -> None:
    monkeypatch.setattr(compute, "INSIST_WAITS_S", (0.0, 0.0))
    call = Calls(*[Unavailable()] * missed)
    asyncio.run(insist(call))
    assert call.count == calls


@pytest.mark.parametrize(("error", "calls"), [(Unavailable, 3), (NotFound, 1)])
def test_insisting_ends(monkeypatch: pytest.MonkeyPatch, error: type[Exception], calls: int) -> None:
    monkeypatch.setattr(compute, "INSIST_WAITS_S", (0.0, 0.0))
    call = Calls(*[error()] * 9)
    with pytest.raises(error):
        asyncio.run(insist(call))
    assert call.count == calls


def test_what_may_pass() -> None:
    assert may_pass(Unavailable())
    assert may_pass(WorkerCrashedError())
    assert may_pass(ConnectionError())
    assert not may_pass(NotFound())
    assert not may_pass(RayTaskError("analyse", "trace", ValueError()))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TruncatedImage(), "bad_image"),
        (MissingBands(), "impossible"),
        (Unavailable(), "unavailable"),
        (RayTaskError("analyse", "trace", ValueError()), "internal"),
        (RayTaskError("analyse", "trace", TruncatedImage()).as_instanceof_cause(), "bad_image"),
        (WorkerCrashedError(), "process_lost"),
        (KeyError(), "internal"),
    ],
)
def test_a_failure_is_counted_by_one_of_a_few_words(error: Exception, code: str) -> None:
    assert code_of(error) == code


def test_attempts_and_failures_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[str, ...]] = []
    for counter in (ATTEMPTS, FAILURES):
        monkeypatch.setattr(counter, "inc", lambda _, tags: counted.append(tuple(tags.values())))
    through_the_queue(Calls(Unavailable()), Calls())
    through_the_queue(Calls(TruncatedImage()), Calls())
    asyncio.run(attempt(Calls(), Calls(), attempts=MAX_ATTEMPTS, what="report"))
    assert counted == [
        *(("analysis", "retried"), ("analysis", "done")),
        *(("analysis", "failed"), ("analysis", "bad_image")),
        ("report", "interrupted"),
    ]
