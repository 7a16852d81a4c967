"""How jobs end: tried again, failed with a reason, or given up."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
from ray.exceptions import OutOfMemoryError, RayTaskError, WorkerCrashedError

from actors import compute
from actors.compute import BROKEN_OFF, Attempts, TryAgain, chore, insist
from actors.failures import code_of, ending_of, may_pass
from actors.metrics import ATTEMPTS, FAILURES
from orthoray.attempts import LOST, Ending
from orthoray.errors import MissingBands, NotFound, OrthoRayError, TruncatedImage, Unavailable, WrongState

RUN = uuid4()


def of_task(error: Exception) -> Exception:
    """What Ray makes of an exception of a task."""
    return RayTaskError("analyse", "trace", error).as_instanceof_cause()


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


class Ends:
    """The service's side: hears how attempts ended, and wants others until `most` are over."""

    def __init__(self, most: int = 99, *errors: Exception) -> None:
        self.most, self.errors = most, list(errors)
        self.told: list[tuple[int, Ending]] = []

    async def __call__(self, subject: UUID, number: int, ending: Ending) -> bool:
        if self.errors:
            raise self.errors.pop(0)
        self.told.append((number, ending))
        return ending.outcome != "failed" and number < self.most


def through_the_queue(work: Calls, ends: Ends, most: int = 20) -> int:
    """What the queue does: how many attempts there were."""
    attempts, number = Attempts("analysis", ends), 0

    async def job() -> None:
        nonlocal number
        if await attempts.tell(RUN):  # else the service has nothing to start
            number += 1
            await attempts.make(RUN, number, work)

    for _ in range(most):
        try:
            asyncio.run(job())
        except (TryAgain, Unavailable):
            continue
        return number
    raise AssertionError("the job never ends")


def test_work_that_succeeds_in_the_end_has_told_of_each_attempt_before() -> None:
    ends = Ends()
    assert through_the_queue(Calls(Unavailable("The storage is away."), WorkerCrashedError()), ends) == 3
    assert ends.told == [
        (1, Ending(outcome="unavailable", reason="The storage is away.")),
        (2, Ending(outcome="lost", reason=LOST)),
    ]


def test_the_service_decides_which_attempt_is_the_last() -> None:
    ends = Ends(4)
    assert through_the_queue(Calls(*[WorkerCrashedError()] * 99), ends) == 4
    assert len(ends.told) == 4


def test_a_bad_image_fails_at_once() -> None:
    ends = Ends()
    assert through_the_queue(Calls(TruncatedImage()), ends) == 1
    assert ends.told == [(1, Ending(outcome="failed", reason=TruncatedImage().detail))]


def test_a_failure_is_told_until_somebody_listens_and_nothing_is_computed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compute, "INSIST_WAITS_S", (0.0,))
    work, ends = Calls(TruncatedImage()), Ends(99, *[Unavailable()] * 7)
    assert through_the_queue(work, ends) == 1
    assert work.count == 1
    assert [number for number, _ in ends.told] == [1]


def test_a_job_that_is_broken_off_is_not_held_against_its_image() -> None:
    ends = Ends()
    attempts = Attempts("analysis", ends)

    async def interrupted() -> None:
        raise asyncio.CancelledError

    async def jobs() -> None:
        with pytest.raises(asyncio.CancelledError):
            await attempts.make(RUN, 1, interrupted)
        assert not ends.told
        assert await attempts.tell(RUN)
        assert await attempts.tell(RUN)

    asyncio.run(jobs())
    assert ends.told == [(1, BROKEN_OFF)]


def test_an_unexpected_error_says_no_more_than_its_kind() -> None:
    error = RayTaskError("analyse", "trace /secret/path", ValueError("/secret/path"))
    ending = ending_of(error, "analysis")
    assert ending == Ending(outcome="failed", reason="The analysis met an unexpected error (ValueError).")


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


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (TruncatedImage(), "failed", "bad_image"),
        (MissingBands(), "failed", "impossible"),
        (NotFound(), "failed", "gone"),
        (Unavailable(), "unavailable", "unavailable"),
        (OrthoRayError("The analysis-service met an unexpected error."), "lost", "internal"),
        (RayTaskError("analyse", "trace", ValueError()), "failed", "internal"),
        (of_task(TruncatedImage()), "failed", "bad_image"),
        (of_task(MemoryError()), "lost", "out_of_memory"),
        (of_task(ConnectionResetError()), "unavailable", "unavailable"),
        (of_task(OSError(28, "No space left on device")), "lost", "internal"),
        (of_task(ValueError()), "failed", "internal"),
        (WorkerCrashedError(), "lost", "process_lost"),
        (OutOfMemoryError("killed"), "lost", "out_of_memory"),
        (ConnectionError(), "unavailable", "unavailable"),
        (KeyError(), "lost", "internal"),
    ],
)
def test_what_a_failure_means(error: Exception, outcome: str, code: str) -> None:
    ending = ending_of(error, "analysis")
    assert (ending.outcome, code_of(error)) == (outcome, code)
    assert may_pass(error) == (outcome != "failed")
    assert "/" not in ending.reason


def test_attempts_and_failures_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[str, ...]] = []
    for counter in (ATTEMPTS, FAILURES):
        monkeypatch.setattr(counter, "inc", lambda _, tags: counted.append(tuple(tags.values())))
    through_the_queue(Calls(Unavailable()), Ends())
    through_the_queue(Calls(TruncatedImage()), Ends())
    through_the_queue(Calls(WorkerCrashedError()), Ends(1))
    assert counted == [
        *(("analysis", "retried"), ("analysis", "done")),
        *(("analysis", "failed"), ("analysis", "bad_image")),
        *(("analysis", "failed"), ("analysis", "process_lost")),
    ]
