"""`ray start --head` with a Redis that has a password, which stands in no command line: `python -m serve_app.head --head ...`.

Ray takes the password as an option and hands it on to its GCS and, by way of the raylet, to every worker process, where any
user of the machine could read it. It is taken from REDIS_PASSWORD here. The GCS gets it in its environment, by a way that its
options have; the workers do not need it. By inner functions of Ray, whose release is pinned.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from ray._private import services
from ray.scripts.scripts import start


def without_password(command: list[str], password: str) -> tuple[list[str], dict[str, str]]:
    """The command line of one of Ray's processes without the password, and what its environment needs instead."""
    option = f"--redis_password={password}"
    if option in command:
        kept = ["--fromenv=redis_password" if word == option else word for word in command]
        return kept, {"FLAGS_redis_password": password}
    # the command lines of workers are words of the raylet's
    shown = re.compile(rf"(redis[._-]password=){re.escape(password)}")
    return [shown.sub(r"\1", word) for word in command], {}


def main() -> None:
    """Starts the node with the options that follow, as `ray start` does."""
    password, original = os.environ["REDIS_PASSWORD"], services.start_ray_process

    def start_ray_process(command: list[str], *arguments: Any, **options: Any) -> Any:
        kept, more = without_password(command, password)
        if more:
            options["env_updates"] = {**(options.get("env_updates") or {}), **more}
        return original(kept, *arguments, **options)

    services.start_ray_process = start_ray_process
    start.main(args=[*sys.argv[1:], f"--redis-password={password}"], prog_name="ray start")


if __name__ == "__main__":
    main()
