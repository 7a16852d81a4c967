"""Signs of life of a batch's driver: by them others see that it works, and it sees when another has taken its place."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import structlog

from orthoray.batches import BEAT_S, SUPERSEDED
from orthoray.errors import OrthoRayError, WrongState
from pipelines.ledger import Ledger

log = structlog.get_logger(__name__)


class SignsOfLife:
    """Beside the work of a driver, in a thread of its own, as long as the context is open."""

    def __init__(self, ledger: Ledger, every_s: float = BEAT_S) -> None:
        self._ledger = ledger
        self._every_s = every_s
        self._over = threading.Event()
        self._lost = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._give, name="signs of life", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _give(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                if not self._ledger.beat():
                    self._lost.set()
                    return
            except OrthoRayError as error:  # the service is away: it is asked again
                log.warning("no sign of life given", reason=error.detail)

    def expect_own(self) -> None:
        """
        Raises:
            WrongState: the last sign showed that the batch is another driver's.
        """
        if self._lost.is_set():
            raise WrongState(SUPERSEDED)

    def ask(self) -> None:
        """The same, as of this moment."""
        if not self._ledger.beat():
            self._lost.set()
        self.expect_own()
