"""`Idempotency-Key`: a request that is sent again is carried out once.

The claim of a key is a row, written before any work. It holds a lease, which the gateway prolongs while it works, and `subject`,
the id of whatever the request makes. Who takes a key over whose holder died makes the same row under the same id, or finds it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from pydantic import BaseModel, Field

from orthoray.errors import BadInput

MAX_KEY_LENGTH = 255
_KEY = re.compile(r"[!-~]{1,255}")
LIFETIME = timedelta(hours=24)
"""How long a key is remembered, from its first use."""
LEASE = timedelta(seconds=30)
"""How long a request whose process died keeps others of its key waiting, at most."""
MAX_ANSWER_BYTES = 64 * 1024
"""Larger answers are not kept: the repeat is carried out again, and finds what the first has made."""


def checked_key(text: str) -> str:
    """The key that a header names, quoted (RFC 9651, a string) or bare.

    Raises:
        BadInput: it is empty, too long, or has others than visible ASCII characters.
    """
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not _KEY.fullmatch(key):
        raise BadInput(
            f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} visible ASCII characters without spaces: take a new UUID for each "
            "request."
        )
    return key


def fingerprint_of(method: str, path: str, content: bytes | Iterable[str]) -> str:
    """What tells two requests of one tenant apart: method, path with query, and the body or what stands for it."""
    digest = hashlib.sha256(f"{method} {path}\n".encode())
    if isinstance(content, bytes):
        digest.update(content)
    else:
        for line in content:
            # With its length, so that no two lists of lines look the same.
            digest.update(f"{len(line)}:{line}\n".encode())
    return digest.hexdigest()


class Claim(BaseModel):
    """A request that wants to be carried out. `fingerprint` is None while the body has not been read; `holder` is the id of
    this attempt, and `subject` that of what it will make."""

    key: str
    fingerprint: str | None
    holder: UUID
    subject: UUID


class KeptAnswer(BaseModel):
    """The answer that repeats get."""

    status: int
    headers: dict[str, str] = Field(default_factory=dict)
    body: str


class Claimed(BaseModel):
    """What there is under a key: the claim if it was free (`is_mine`), else the first's answer, or how long its holder has
    still got."""

    is_mine: bool
    subject: UUID
    fingerprint: str | None
    answer: KeptAnswer | None = None
    wait_s: int = 1
