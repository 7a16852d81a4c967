"""Running a server that refuses root when OrthoRay itself runs as root.

The server gets an unprivileged account. Its data folder belongs to that account, but the folders above it
(and above the server's program) may be closed to it: an 0700 home of root is the usual case. No mode of the
user's folders is changed; the server then gets one ambient capability that lets it pass: DAC_READ_SEARCH, or
where a container withholds that one, DAC_OVERRIDE.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from orthoray.errors import ConfigurationError

_ACCOUNTS = ("postgres", "nobody")
_PASSAGES = ("", "dac_read_search", "dac_override")
_REMEDY = "start OrthoRay as an ordinary user, or use a PostgreSQL server of your own (IMAGERY_DB_HOST ...)."


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs a server, and the words before its command that make it so (none: we ourselves)."""

    uid: int
    gid: int
    launcher: tuple[str, ...] = ()

    def own(self, path: Path) -> None:
        """Give a file or folder of ours to the account."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid)


def server_account(folder: Path, program: Path) -> Account:
    """The account for `program` with its data in `folder`, which becomes its own.

    An ordinary user is the account. Root takes the owner of the folder if that is not root, else `postgres`,
    else `nobody`.

    Raises:
        ConfigurationError: the folder is another user's, or no account can reach program and folder.
    """
    owner = folder.stat()
    if os.geteuid() != 0:
        if owner.st_uid != os.geteuid():
            raise ConfigurationError(
                "The database in ORTHORAY_HOME belongs to another user: "
                "start OrthoRay as that user, or set ORTHORAY_HOME to a folder of your own."
            )
        return Account(owner.st_uid, owner.st_gid)
    uid, gid = (owner.st_uid, owner.st_gid) if owner.st_uid else _unprivileged()
    account = Account(uid, gid)
    try:
        account.own(folder)
    except PermissionError:
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and this root may not change users: {_REMEDY}"
        ) from None
    return Account(uid, gid, _launcher(account, folder, program))


def _unprivileged() -> tuple[int, int]:
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise ConfigurationError(
        f"PostgreSQL does not run as root, and there is no user postgres or nobody: {_REMEDY}"
    )


def _launcher(account: Account, folder: Path, program: Path) -> tuple[str, ...]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and `setpriv` is not installed: {_REMEDY}"
        )
    base = (setpriv, f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups")
    for capability in _PASSAGES:
        launcher = (*base, *_passage(capability), "--")
        if _reaches(launcher, folder, program):
            return launcher
    raise ConfigurationError(
        f"PostgreSQL does not run as root, and the user {account.uid} cannot reach ORTHORAY_HOME: {_REMEDY}"
    )


def _passage(capability: str) -> tuple[str, ...]:
    if not capability:
        return ()
    # without no_setuid_fixup, access(2) ignores the capability, and PostgreSQL does not find its own program
    return (f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}", "--securebits=+no_setuid_fixup")


def _reaches(launcher: tuple[str, ...], folder: Path, program: Path) -> bool:
    """Try it: modes, access lists, capabilities and security modules all have a say.

    PostgreSQL says on stderr, not by its status, that it does not find itself.
    """
    attempt = subprocess.run(
        [*launcher, "/bin/sh", "-c", '"$1" --version >/dev/null && cd "$2"', "sh", str(program), str(folder)],
        capture_output=True,
        timeout=30,
        check=False,
        cwd="/",
        env={"LC_ALL": "C"},
    )
    return attempt.returncode == 0 and not attempt.stderr
