"""What every store of parts must do. A test module subclasses this and gives the fixtures `storage` and `store`."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress

import pytest
from storage_contract import BUCKET, OTHER_BUCKET

from orthoray.errors import NotFound, WrongState
from orthoray.storage import Storage
from orthoray.storage.parts import PartStore, StoredPart

KEY = "imagery/01/поле (1).tif"


def put(store: PartStore, token: str, number: int, data: bytes, key: str = KEY) -> StoredPart:
    with store.writer(BUCKET, key, token, number) as part:
        for start in range(0, len(data), 1 << 20):
            part.write(data[start : start + (1 << 20)])
        return part.commit()


def broken(store: PartStore, token: str) -> None:
    with store.writer(BUCKET, KEY, token, 1) as part:
        part.write(b"half")
        raise ConnectionError


class PartsContract:
    """Subclasses may say that parts go straight to the server (`has_urls`), how short any but the last may be, that a part
    which was replaced can still be asked for (`keeps_replaced`), and how long it takes to tell two of a number apart."""

    has_urls = False
    keeps_replaced = False
    grain_s = 0.0
    part_bytes = 1 << 16

    def test_parts_in_any_order_become_an_object(self, storage: Storage, store: PartStore) -> None:
        content = bytes(range(256)) * (self.part_bytes // 256) + b"the end"
        token = store.begin(BUCKET, KEY, "image/tiff")
        assert store.parts(BUCKET, KEY, token) == []
        last = put(store, token, 2, content[self.part_bytes :])
        first = put(store, token, 1, content[: self.part_bytes])
        assert store.parts(BUCKET, KEY, token) == [first, last]
        assert not storage.exists(BUCKET, KEY)
        digest = store.complete(BUCKET, KEY, token, [first, last])
        assert digest in {None, hashlib.sha256(content).hexdigest()}
        assert storage.get_bytes(BUCKET, KEY) == content
        assert list(store.pending(BUCKET)) == []
        for call in (lambda: store.parts(BUCKET, KEY, token), lambda: put(store, token, 1, b"x")):
            with pytest.raises(NotFound):
                call()
        with suppress(NotFound):  # S3 answers as it did before
            store.complete(BUCKET, KEY, token, [first, last])
        store.abort(BUCKET, KEY, token)
        assert storage.get_bytes(BUCKET, KEY) == content

    def test_a_repeated_part_replaces_the_first(self, storage: Storage, store: PartStore) -> None:
        token = store.begin(BUCKET, KEY)
        before = put(store, token, 1, b"one")
        assert put(store, token, 1, b"one") == before
        time.sleep(self.grain_s)
        after = put(store, token, 1, b"two!")
        assert after.etag != before.etag
        assert store.parts(BUCKET, KEY, token) == [after]
        if not self.keeps_replaced:
            with pytest.raises(WrongState, match="replaced"):
                store.complete(BUCKET, KEY, token, [before])
            assert store.parts(BUCKET, KEY, token) == [after]
        store.complete(BUCKET, KEY, token, [after])
        assert storage.get_bytes(BUCKET, KEY) == b"two!"

    def test_another_object_than_is_meant_is_not_made_where_parts_show_that(
        self, storage: Storage, store: PartStore
    ) -> None:
        token = store.begin(BUCKET, KEY)
        part = put(store, token, 1, b"one")
        assert (part.etag == hashlib.sha256(b"one").hexdigest()) == store.knows_digests
        if store.knows_digests:
            with pytest.raises(WrongState, match="SHA-256"):
                store.complete(BUCKET, KEY, token, [part], "0" * 64)
            assert store.parts(BUCKET, KEY, token) == [part]
            assert not storage.exists(BUCKET, KEY)
        store.complete(BUCKET, KEY, token, [part], hashlib.sha256(b"one").hexdigest())
        assert storage.get_bytes(BUCKET, KEY) == b"one"

    def test_a_part_that_breaks_off_leaves_the_earlier_one(self, store: PartStore) -> None:
        token = store.begin(BUCKET, KEY)
        whole = put(store, token, 1, b"whole")
        with pytest.raises(ConnectionError):
            broken(store, token)
        with store.writer(BUCKET, KEY, token, 2) as part:
            part.write(b"never committed")
        assert store.parts(BUCKET, KEY, token) == [whole]
        store.abort(BUCKET, KEY, token)

    def test_what_is_pending_can_be_found_and_aborted(self, storage: Storage, store: PartStore) -> None:
        tokens = {key: store.begin(BUCKET, key) for key in ("a", "b/c")}
        put(store, tokens["a"], 1, b"x", key="a")
        assert {(begun.key, begun.token) for begun in store.pending(BUCKET)} == set(tokens.items())
        assert list(store.pending(OTHER_BUCKET)) == []
        for key, token in tokens.items():
            for _ in range(2):
                store.abort(BUCKET, key, token)
            with pytest.raises(NotFound):
                store.parts(BUCKET, key, token)
        assert list(store.pending(BUCKET)) == []
        assert list(storage.list(BUCKET)) == []

    def test_a_token_is_good_for_its_key_only(self, store: PartStore) -> None:
        token = store.begin(BUCKET, KEY)
        for wrong in (
            lambda: store.parts(BUCKET, "other", token),
            lambda: store.parts(BUCKET, KEY, "0" * 32),
        ):
            with pytest.raises(NotFound):
                wrong()
        store.abort(BUCKET, "other", token)
        assert store.parts(BUCKET, KEY, token) == []
        store.abort(BUCKET, KEY, token)

    def test_where_clients_send_parts(self, store: PartStore) -> None:
        token = store.begin(BUCKET, KEY)
        url = store.url(BUCKET, KEY, token, 3, 60)
        assert (url is not None) == self.has_urls
        store.abort(BUCKET, KEY, token)
