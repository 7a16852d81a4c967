from __future__ import annotations

import pickle
import time

import pytest

from orthoray.errors import ConfigurationError, Unavailable
from orthoray.storage.s3 import S3Storage


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("minio:9000", "http://minio:9000"),
        ("127.0.0.1:8333", "http://127.0.0.1:8333"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("http://minio:9000/", "http://minio:9000"),
        ("https://s3.example.org", "https://s3.example.org"),
        (None, None),
    ],
)
def test_understands_endpoints(endpoint: str | None, url: str | None) -> None:
    assert S3Storage(endpoint, "key", "secret")._fs.endpoint_url == url


@pytest.mark.parametrize("endpoint", ["ftp://minio", "http://", "minio:port", "http://user:pw@minio", "a?b"])
def test_refuses_what_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="MINIO_ENDPOINT"):
        S3Storage(endpoint, "key", "secret")


@pytest.mark.slow
def test_a_server_that_is_not_there_is_unavailable_soon_and_discreetly() -> None:
    storage = S3Storage("127.0.0.1:1", "the-key", "the-secret")
    started = time.monotonic()
    for call in (storage.check, lambda: storage.get_bytes("imagery", "a")):
        with pytest.raises(Unavailable) as caught:
            call()
        assert not any(word in str(caught.value) for word in ("127.0.0.1", "the-key", "the-secret"))
    assert time.monotonic() - started < 10


def test_travels_to_another_process() -> None:
    copy = pickle.loads(pickle.dumps(S3Storage("minio:9000", "key", "secret")))  # noqa: S301 our own bytes
    assert copy._fs.endpoint_url == "http://minio:9000"
