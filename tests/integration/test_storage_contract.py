"""The storage contract on a real S3 server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx2
import pytest
from parts_contract import KEY, PartsContract
from storage_contract import BUCKET, OTHER_BUCKET, StorageContract

from orthoray.errors import ConfigurationError, Unavailable
from orthoray.storage.parts import PartStore, part_store
from orthoray.storage.s3 import S3Storage
from serve_app.local.objectstore import EmbeddedS3, S3Facts


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Facts]:
    server = EmbeddedS3(tmp_path_factory.mktemp("home"))
    yield server.start()
    server.stop()


@pytest.fixture(scope="module")
def connected(facts: S3Facts) -> S3Storage:
    return S3Storage(facts.endpoint, facts.access_key, facts.secret_key, region=facts.region)


@pytest.fixture
def storage(connected: S3Storage) -> Iterator[S3Storage]:
    connected.ensure_buckets([BUCKET, OTHER_BUCKET])
    yield connected
    for bucket in (BUCKET, OTHER_BUCKET):
        for stored in connected.list(bucket):
            connected.delete(bucket, stored.key)


class TestS3Storage(StorageContract):
    survives_replacement = False


class TestS3Parts(PartsContract):
    has_urls = True
    part_bytes = 5 << 20
    keeps_replaced = True  # SeaweedFS does, AWS does not
    grain_s = 1.1

    @pytest.fixture
    def store(self, storage: S3Storage) -> PartStore:
        return part_store(storage)


def test_a_part_goes_straight_to_the_server(storage: S3Storage) -> None:
    store = part_store(storage)
    token = store.begin(BUCKET, KEY, "image/tiff")
    url = store.url(BUCKET, KEY, token, 1, 60)
    assert url is not None
    for content in (b"a first try", b"second try"):
        answer = httpx2.put(url, content=content)
        assert answer.status_code == 200, answer.text
        time.sleep(1.1)  # SeaweedFS lists both, and tells them apart by seconds
    (part,) = store.parts(BUCKET, KEY, token)
    assert part.size == 10
    assert answer.headers["etag"].strip('"') == part.etag
    assert httpx2.put(url.replace("partNumber=1", "partNumber=2"), content=b"x").status_code == 403
    store.complete(BUCKET, KEY, token, [part])
    assert storage.get_bytes(BUCKET, KEY) == b"second try"
    assert storage.call("head_object", Bucket=BUCKET, Key=KEY)["ContentType"] == "image/tiff"


def test_clients_may_know_the_server_by_another_address(storage: S3Storage) -> None:
    url = part_store(storage, "https://files.example.org").url(BUCKET, KEY, "token", 1, 60)
    assert url is not None
    assert url.startswith(f"https://files.example.org/{BUCKET}/imagery/01/")
    assert part_store(storage, "none").url(BUCKET, KEY, "token", 1, 60) is None
    with pytest.raises(ConfigurationError, match="S3_PUBLIC_ENDPOINT"):
        part_store(storage, "files.example.org:0")


def test_content_types_are_kept(storage: S3Storage) -> None:
    storage.put_bytes(BUCKET, "a", b"x", "image/png")
    assert storage._fs.call_s3("head_object", Bucket=BUCKET, Key="a")["ContentType"] == "image/png"


def test_deletes_more_than_one_batch(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orthoray.storage.s3._DELETE_BATCH", 3)
    for number in range(7):
        storage.put_bytes(BUCKET, f"a/{number}", b"")
    storage.delete_prefix(BUCKET, "a")
    assert list(storage.list(BUCKET)) == []


def test_a_broken_download_is_resumed(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(256)) * 20_000
    storage.put_bytes(BUCKET, "a", content)
    genuine, broken = S3Storage._get, threading.Event()

    def break_once(self: S3Storage, *arguments: object) -> dict[str, object]:
        answer = genuine(self, *arguments)  # type: ignore[arg-type]  # passed on as they came
        if not broken.is_set():
            broken.set()
            body, read = answer["Body"], answer["Body"].read

            async def read_little(size: int) -> bytes:
                if body.tell():
                    raise ConnectionResetError
                piece: bytes = await read(min(size, 1000))
                return piece

            monkeypatch.setattr(body, "read", read_little)
        return answer

    monkeypatch.setattr(S3Storage, "_get", break_once)
    assert storage.get_bytes(BUCKET, "a") == content
    assert broken.is_set()


def test_wrong_credentials_are_not_the_users_fault(facts: S3Facts) -> None:
    for access, secret in ((facts.access_key, "wrong"), ("wrong", facts.secret_key)):
        stranger = S3Storage(facts.endpoint, access, secret)
        for call in (stranger.check, lambda: stranger.get_bytes(BUCKET, "a")):  # noqa: B023 called at once
            with pytest.raises(Unavailable, match="refuses our credentials") as caught:
                call()
            assert facts.endpoint not in str(caught.value)


def test_a_missing_bucket_is_not_a_missing_object(connected: S3Storage) -> None:
    with pytest.raises(Unavailable, match="bucket"):
        connected.put_bytes("no-such-bucket", "a", b"x")
    with pytest.raises(Unavailable, match="no-such-bucket"):
        connected.check("no-such-bucket")
    connected.delete("no-such-bucket", "a")
    assert list(connected.list("no-such-bucket")) == []
    assert not connected.exists("no-such-bucket", "a")
