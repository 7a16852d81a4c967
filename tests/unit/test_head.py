"""Command lines of Ray's processes without the password of Redis."""

from __future__ import annotations

from serve_app.head import without_password


def test_the_gcs_gets_the_password_by_its_environment_and_workers_not_at_all() -> None:
    command = ["gcs_server", "--redis_address=redis", "--redis_password=p4ss"]
    kept, environment = without_password(command, "p4ss")
    assert kept == ["gcs_server", "--redis_address=redis", "--fromenv=redis_password"]
    assert environment == {"FLAGS_redis_password": "p4ss"}

    worker = "python default_worker.py --node=1 --redis-password=p4ss --x"
    others = ["-Dray.redis.password=p4ss", '"--ray_redis_password=p4ss"', "--name=p4ss"]
    kept, environment = without_password(["raylet", f"--python_worker_command={worker}", *others], "p4ss")
    assert kept == [
        "raylet",
        "--python_worker_command=python default_worker.py --node=1 --redis-password= --x",
        "-Dray.redis.password=",
        '"--ray_redis_password="',
        "--name=p4ss",
    ]
    assert environment == {}
