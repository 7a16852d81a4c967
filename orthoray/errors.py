"""The one exception tree. Its docstrings are the default messages that users read.

How an exception becomes an HTTP status stands in one table, `serve_app.gateway.problems`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OrthoRayError(Exception):
    """The request could not be carried out."""

    def __init__(self, detail: str | None = None, **fields: Any) -> None:
        """`detail` says what is wrong and what to do; `fields` are machine-readable helpers beside it."""
        self.detail = detail or (type(self).__doc__ or "").strip()
        self.fields = fields
        super().__init__(self.detail)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep `fields` when the exception travels between processes."""
        return _rebuild, (type(self), self.detail, self.fields)


def _rebuild(kind: type[OrthoRayError], detail: str, fields: dict[str, Any]) -> OrthoRayError:
    return kind(detail, **fields)


class BadInput(OrthoRayError):
    """The request is malformed."""


class NotAuthenticated(OrthoRayError):
    """Credentials are missing or wrong: send your API key in the header X-API-Key."""


class NotAllowed(OrthoRayError):
    """These credentials do not allow this."""


class NotFound(OrthoRayError):
    """There is nothing here under this id."""


class WrongState(OrthoRayError):
    """This cannot be done in the present state."""


class InFlight(WrongState):
    """A request with this Idempotency-Key is under way: send it again after the seconds of Retry-After."""


class TooLarge(OrthoRayError):
    """This is larger than the limit."""


class NotAnImage(OrthoRayError):
    """The file is not an image that OrthoRay reads (JPEG, PNG, BMP, TIFF, JPEG 2000 or camera raw)."""


class TruncatedImage(NotAnImage):
    """The image file is incomplete or damaged: upload it again."""


class Impossible(OrthoRayError):
    """The request is well-formed but cannot be satisfied."""


class MissingBands(Impossible):
    """The image lacks bands that the index needs."""


class UnknownIndex(Impossible):
    """There is no index with this name: GET /indices lists them."""


class KeyReused(Impossible):
    """This Idempotency-Key belongs to another request: take a new one for each request, and the same for its repeats only."""


class TooMany(OrthoRayError):
    """This is more than one caller may ask for: try again after the seconds of Retry-After."""


class TooSlow(OrthoRayError):
    """The body came too slowly: send it again over a better connection."""


class Unavailable(OrthoRayError):
    """A part of the service does not answer at the moment: try again in a few seconds."""


class TimedOut(Unavailable):
    """A part of the service did not answer in time: try again in a few seconds."""


class NoNode(Unavailable):
    """No node of the cluster can compute this: ask the operator for one with a free CPU, labelled role=cpu or without a role."""


class ConfigurationError(OrthoRayError):
    """A setting is wrong."""


REASONS: Mapping[type[BaseException], str] = {
    NotAnImage: "bad_image",
    TooLarge: "too_large",
    Impossible: "impossible",
    NotFound: "gone",
    WrongState: "not_wanted",
    TooMany: "too_many",
    NoNode: "no_node",
    Unavailable: "unavailable",
    OrthoRayError: "refused",
}
"""The words that failures are counted by; the first class that fits."""

PROCESS_LOST = "process_lost"
"""The word for work whose process or node died."""


def reason_code(error: BaseException) -> str:
    """One of the words of `REASONS`; "internal" for what nobody foresaw."""
    return next((code for kind, code in REASONS.items() if isinstance(error, kind)), "internal")
