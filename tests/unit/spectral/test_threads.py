import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthoray.spectral import threads
from orthoray.spectral.threads import run_in_strips, run_in_threads, run_together, strips, worker_count


@pytest.fixture
def two_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(
    ("setting", "count"),
    [("", 2), ("1", 1), ("2", 2), ("8", 2), ("1,4", 1), (" 1 ", 1), ("0", 2), ("-1", 2), ("many", 2)],
)
def test_workers_are_the_processors_that_ray_gives(two_processors, monkeypatch, setting, count):
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    assert worker_count() == count


def test_workers_where_there_is_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert worker_count() == 1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 200_000))
def test_strips_cover_every_row_once(height, width):
    rows = [row for part in strips(height, width) for row in range(part.start, part.stop)]
    assert rows == list(range(height))


def test_results_are_in_order_and_two_threads_work(two_processors):
    together, before = threading.Barrier(2, timeout=10), threading.active_count()

    def work(item):
        if item < 2:
            together.wait()
        return item * item

    assert run_in_threads(work, range(50)) == [item * item for item in range(50)]
    assert threading.active_count() <= before


@pytest.mark.parametrize("items", [[], [7]])
def test_little_work_starts_no_thread(two_processors, monkeypatch, items):
    monkeypatch.setattr(threads, "ThreadPoolExecutor", None)
    assert run_in_threads(lambda item: (item, threading.current_thread()), items) == [
        (item, threading.main_thread()) for item in items
    ]


def test_one_processor_starts_no_thread(two_processors, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(threads, "ThreadPoolExecutor", None)
    assert run_in_threads(str, [1, 2, 3]) == ["1", "2", "3"]


def test_the_earliest_failure_is_raised_and_ends_the_work(two_processors):
    together = threading.Barrier(2, timeout=10)
    begun = []

    def work(item):
        begun.append(item)
        together.wait()
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"):
        run_in_threads(work, range(100))
    assert sorted(begun) == [0, 1]


def test_errstate_holds_in_every_thread(two_processors):
    together = threading.Barrier(2, timeout=10)

    def work(value):
        together.wait()
        return float(np.float32(1) / np.float32(value))

    with np.errstate(divide="ignore"):
        assert run_in_threads(work, [0, 0]) == [np.inf, np.inf]


def test_strips_of_an_image_from_the_top(two_processors):
    values = np.arange(3000 * 100).reshape(3000, 100)
    sums = run_in_strips(lambda rows: values[rows].sum(), *values.shape)
    assert sums == [values[rows].sum() for rows in strips(*values.shape)]
    assert len(sums) == 5


def test_two_steps_together(two_processors):
    assert run_together(lambda: 1, lambda: "two") == (1, "two")

    def fails():
        raise KeyError

    with pytest.raises(KeyError):
        run_together(fails, lambda: 1)
    with pytest.raises(KeyError):
        run_together(lambda: 1, fails)
