"""What a failure means: the one place that says which are tried again, by what words they are told and counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import structlog
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from orthoray.attempts import LOST, Ending
from orthoray.errors import (
    PROCESS_LOST,
    REASONS,
    Impossible,
    NoNode,
    NotAnImage,
    NotFound,
    OrthoRayError,
    TooLarge,
    TooMany,
    Unavailable,
    WrongState,
)

Outcome = Literal["failed", "lost", "unavailable"]

# What each exception makes of an attempt, and the word that it is counted by; the first class that fits.
#
# `failed`: the same work would fail again. `unavailable`: something that the work needs was away; it is waited for. `lost`: the
# process died or met what nobody foresaw; it may be the image's doing, so this is tried a few times only.
MEANING: Mapping[type[BaseException], tuple[Outcome, str]] = {
    NotAnImage: ("failed", REASONS[NotAnImage]),
    TooLarge: ("failed", REASONS[TooLarge]),
    Impossible: ("failed", REASONS[Impossible]),
    NotFound: ("failed", REASONS[NotFound]),
    WrongState: ("failed", REASONS[WrongState]),
    # A queue that is full has room a little later.
    TooMany: ("unavailable", REASONS[TooMany]),
    NoNode: ("unavailable", REASONS[NoNode]),
    Unavailable: ("unavailable", REASONS[Unavailable]),
    OrthoRayError: ("failed", REASONS[OrthoRayError]),
    # The work's own exceptions, which Ray hands over as these and as their own class at once.
    MemoryError: ("lost", "out_of_memory"),
    ConnectionError: ("unavailable", "unavailable"),
    TimeoutError: ("unavailable", "unavailable"),
    OSError: ("lost", "internal"),
    RayTaskError: ("failed", "internal"),
    OutOfMemoryError: ("lost", "out_of_memory"),
    RayError: ("lost", PROCESS_LOST),
    Exception: ("lost", "internal"),
}

log = structlog.get_logger(__name__)


def ending_of(error: BaseException, what: str) -> Ending:
    """How the attempt ended that met this, with a sentence without paths and stack traces."""
    return Ending(outcome=_meaning(error)[0], reason=_reason(error, what))


def may_pass(error: BaseException) -> bool:
    """Whether the same work could succeed a little later: a service away, a process or node lost, but not a bad image."""
    return _meaning(error)[0] != "failed"


def code_of(error: BaseException) -> str:
    """One of a few words, for counting."""
    return _meaning(error)[1]


def _meaning(error: BaseException) -> tuple[Outcome, str]:
    if type(error) is OrthoRayError:  # a service met what it did not foresee
        return "lost", "internal"
    return next(meaning for kind, meaning in MEANING.items() if isinstance(error, kind))


def _reason(error: BaseException, what: str) -> str:
    if isinstance(error, OrthoRayError):
        return error.detail
    log.error("unexpected failure", what=what, error=str(error))
    if isinstance(error, RayTaskError):
        return f"The {what} met an unexpected error ({type(error.cause).__name__})."
    if isinstance(error, OutOfMemoryError):
        return "The process that computed it was ended because the memory of its node ran out."
    if isinstance(error, RayError):
        return LOST
    return f"The {what} met an unexpected error ({type(error).__name__})."
