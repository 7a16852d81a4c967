"""What becomes of the errors of Ray's tasks, without Ray."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ray.exceptions import OutOfMemoryError, RayTaskError, WorkerCrashedError

from orthoray.errors import OrthoRayError, TruncatedImage, Unavailable
from pipelines import raster


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RayTaskError("compute", "", TruncatedImage()), TruncatedImage),
        (RayTaskError("compute", "", TruncatedImage()).as_instanceof_cause(), TruncatedImage),
        (RayTaskError("compute", "", ValueError("x")), RayTaskError),
        (WorkerCrashedError(), Unavailable),
        (OutOfMemoryError("too much"), Unavailable),
    ],
)
def test_errors_of_tasks(monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]) -> None:
    def get(_: object) -> None:
        raise error

    monkeypatch.setattr(raster, "ray", SimpleNamespace(get=get))
    with pytest.raises(kind) as caught:
        raster.fetched(object())
    assert isinstance(caught.value, OrthoRayError) == (kind is not RayTaskError)
    assert isinstance(caught.value, RayTaskError) == (kind is RayTaskError)
