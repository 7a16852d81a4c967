"""What Prometheus is told by the workers, at the metrics port of the node that each runs on: docs/reference/metrics.md.

Ray puts `ray_` before the names, and `_total` behind those of counters.
"""

from __future__ import annotations

from collections.abc import Mapping

from ray.util.metrics import Counter, Gauge, Histogram

from orthoray.contracts import RunStatus
from orthoray.queue import Backlog

QUEUES = ("compute", "chores", "callbacks", "events")
OPEN_STATES: tuple[RunStatus, ...] = ("queued", "processing")
# From a photo on an idle machine to a backlog over night.
_SECONDS = [0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 36_000]

JOBS_WAITING = Gauge("orthoray_jobs_waiting", "Jobs that could start now", tag_keys=("service", "queue"))
OLDEST_JOB = Gauge(
    "orthoray_oldest_job_seconds",
    "How long the oldest job that could start now has been waiting",
    tag_keys=("service", "queue"),
)
RUNS_OPEN = Gauge(
    "orthoray_runs_open", "Analysis runs or reports by state, as their rows say", tag_keys=("kind", "state")
)
SLOTS = Gauge("orthoray_slots", "Runs or reports that may be under way at once", tag_keys=("service",))
ATTEMPTS = Counter(
    "orthoray_attempts",
    "Attempts to compute a run or a report, by how they ended",
    tag_keys=("kind", "outcome"),
)
FAILURES = Counter(
    "orthoray_failures", "Runs and reports that failed for good, by the reason", tag_keys=("kind", "reason")
)
PIXELS = Counter("orthoray_pixels", "Pixels of completed runs")
COMPUTE_SECONDS = Counter(
    "orthoray_compute_seconds", "Seconds that completed runs took to compute, reading and writing included"
)
TURNAROUND = Histogram(
    "orthoray_turnaround_seconds",
    "Seconds from the request to the result",
    boundaries=_SECONDS,
    tag_keys=("kind",),
)
CALLBACKS = Counter(
    "orthoray_callbacks", "Attempts to deliver a callback, by how they ended", tag_keys=("outcome",)
)
ALL = (
    JOBS_WAITING,
    OLDEST_JOB,
    RUNS_OPEN,
    SLOTS,
    ATTEMPTS,
    FAILURES,
    PIXELS,
    COMPUTE_SECONDS,
    TURNAROUND,
    CALLBACKS,
)


def tell_backlog(service: str, backlog: Mapping[str, Backlog]) -> None:
    """Nothing where nothing waits: a gauge keeps its last value otherwise."""
    for queue in QUEUES:
        waiting = backlog.get(queue, Backlog())
        JOBS_WAITING.set(waiting.jobs, {"service": service, "queue": queue})
        OLDEST_JOB.set(waiting.oldest_s, {"service": service, "queue": queue})


def tell_open(kind: str, counts: Mapping[RunStatus, int]) -> None:
    """`counts` are rows by state."""
    for state in OPEN_STATES:
        RUNS_OPEN.set(counts.get(state, 0), {"kind": kind, "state": state})
