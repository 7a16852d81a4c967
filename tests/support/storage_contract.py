"""What every storage must do. A test module subclasses this and gives a fixture `storage` with empty buckets."""

from __future__ import annotations

import hashlib
import io
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orthoray.errors import BadInput, NotFound, TooLarge, Unavailable
from orthoray.storage import ObjectInfo, Storage

BUCKET = "imagery"
OTHER_BUCKET = "reports"
MEGABYTE = 1 << 20

ODD_KEYS = [
    "a.jpg",
    "imagery/0192/поле у реки (1).jpg",
    "imagery/0192/câmp țărănesc.tif",
    "日本/🚜.png",
    "a+b c%20d&e=f;g#h?versionId=1@2.tif",
    "quote'\"and`tick$.txt",
    "dots/..a/b..c/...",
    ".hidden/.file",
    "arn:aws:s3:x:123456789012:accesspoint/y",
    "k" * 255,
    "/".join(["р" * 100] * 5),
]


class StorageContract:
    """Subclasses set `survives_replacement`: whether an open reader keeps the content that it opened."""

    survives_replacement = True
    picklable = True

    def test_gives_back_what_was_put(self, storage: Storage) -> None:
        storage.put_bytes(BUCKET, "a/b.bin", b"content", "application/octet-stream")
        assert storage.get_bytes(BUCKET, "a/b.bin") == b"content"
        assert storage.exists(BUCKET, "a/b.bin")
        assert storage.size(BUCKET, "a/b.bin") == 7

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_keeps_odd_keys_as_they_are(self, storage: Storage, key: str) -> None:
        storage.put_bytes(BUCKET, key, key.encode())
        assert storage.get_bytes(BUCKET, key) == key.encode()
        assert list(storage.list(BUCKET)) == [ObjectInfo(key, len(key.encode()))]
        assert b"".join(storage.iter_range(BUCKET, key)) == key.encode()
        storage.delete(BUCKET, key)
        assert not storage.exists(BUCKET, key)

    @pytest.mark.parametrize(
        "key", ["", "/a", "a/", "../a", "a/../b", "a/./b", "a//b", "a\\b", "a\0b", "a\nb"]
    )
    def test_refuses_unsafe_keys_everywhere(self, storage: Storage, tmp_path: Path, key: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: storage.put_bytes(BUCKET, key, b"x"),
            lambda: storage.put_file(BUCKET, key, Path(__file__)),
            lambda: storage.get_bytes(BUCKET, key),
            lambda: storage.open(BUCKET, key),
            lambda: storage.stat(BUCKET, key),
            lambda: storage.exists(BUCKET, key),
            lambda: storage.delete(BUCKET, key),
            lambda: storage.iter_range(BUCKET, key),
            lambda: storage.local_path(BUCKET, key).__enter__(),
        ]
        for call in calls:
            with pytest.raises(BadInput):
                call()

    def test_a_scan_finds_what_a_listing_does(self, storage: Storage) -> None:
        for key in ("a/1", "a-1", "b", "a/b/2"):
            storage.put_bytes(BUCKET, key, b"x")
        assert sorted(info.key for info in storage.scan(BUCKET)) == ["a-1", "a/1", "a/b/2", "b"]
        assert sorted(info.key for info in storage.scan(BUCKET, "a/")) == ["a/1", "a/b/2"]

    def test_buckets_are_apart(self, storage: Storage) -> None:
        storage.put_bytes(BUCKET, "same", b"one")
        storage.put_bytes(OTHER_BUCKET, "same", b"two")
        storage.delete(BUCKET, "same")
        assert storage.get_bytes(OTHER_BUCKET, "same") == b"two"

    def test_an_empty_object_is_an_object(self, storage: Storage) -> None:
        storage.put_bytes(BUCKET, "empty", b"")
        assert storage.exists(BUCKET, "empty")
        assert storage.size(BUCKET, "empty") == 0
        assert storage.get_bytes(BUCKET, "empty", max_bytes=0) == b""
        assert list(storage.iter_range(BUCKET, "empty")) == []
        with storage.open(BUCKET, "empty") as stored:
            assert stored.read() == b""
        with storage.local_path(BUCKET, "empty") as path:
            assert path.stat().st_size == 0

    def test_says_that_an_object_is_missing(self, storage: Storage) -> None:
        storage.put_bytes(BUCKET, "folder/object", b"x")
        for key in ("absent", "folder", "folder/object/below"):
            assert not storage.exists(BUCKET, key)
            for call in (storage.get_bytes, storage.open, storage.stat, storage.size, storage.iter_range):
                with pytest.raises(NotFound):
                    call(BUCKET, key)
            with pytest.raises(NotFound), storage.local_path(BUCKET, key):
                pass

    def test_the_limit_of_get_bytes_counts_inclusively(self, storage: Storage) -> None:
        storage.put_bytes(BUCKET, "a", b"12345")
        assert storage.get_bytes(BUCKET, "a", max_bytes=5) == b"12345"
        with pytest.raises(TooLarge):
            storage.get_bytes(BUCKET, "a", max_bytes=4)

    def test_replaces_whole_objects(self, storage: Storage) -> None:
        storage.put_bytes(BUCKET, "a", b"a long first content")
        before = storage.stat(BUCKET, "a")
        storage.put_bytes(BUCKET, "a", b"short")
        after = storage.stat(BUCKET, "a")
        assert storage.get_bytes(BUCKET, "a") == b"short"
        assert (before.size, after.size) == (20, 5)
        assert before.etag != after.etag

    def test_knows_the_time_of_writing(self, storage: Storage) -> None:
        storage.put_bytes(BUCKET, "a", b"x")
        modified = storage.stat(BUCKET, "a").modified
        assert modified.tzinfo is not None
        assert abs(datetime.now(UTC) - modified) < timedelta(seconds=30)

    def test_deleting_twice_is_deleting(self, storage: Storage) -> None:
        storage.put_bytes(BUCKET, "a/b/c", b"x")
        for _ in range(2):
            storage.delete(BUCKET, "a/b/c")
        storage.delete(BUCKET, "a/b")
        assert list(storage.list(BUCKET)) == []

    def test_deletes_a_folder_and_not_its_neighbours(self, storage: Storage) -> None:
        for key in ("a/1", "a/b/2", "ab/3", "a.jpg", "b/a/4"):
            storage.put_bytes(BUCKET, key, b"x")
        for _ in range(2):
            storage.delete_prefix(BUCKET, "a/")
        assert [stored.key for stored in storage.list(BUCKET)] == ["a.jpg", "ab/3", "b/a/4"]
        storage.delete_prefix(BUCKET, "b")
        assert [stored.key for stored in storage.list(BUCKET)] == ["a.jpg", "ab/3"]

    @pytest.mark.parametrize("prefix", ["", "/", "..", "../", "a/../b"])
    def test_never_deletes_everything(self, storage: Storage, prefix: str) -> None:
        storage.put_bytes(BUCKET, "a/1", b"x")
        with pytest.raises(BadInput):
            storage.delete_prefix(BUCKET, prefix)
        assert storage.exists(BUCKET, "a/1")

    def test_lists_by_prefix_in_the_order_of_keys(self, storage: Storage) -> None:
        keys = ["d-e", "d.f", "d/x", "d/y/z", "d0", "dж", "e"]
        for number, key in enumerate(reversed(keys)):
            storage.put_bytes(BUCKET, key, b"x" * number)
        assert [stored.key for stored in storage.list(BUCKET)] == keys
        assert [stored.key for stored in storage.list(BUCKET, "d/")] == ["d/x", "d/y/z"]
        assert [stored.key for stored in storage.list(BUCKET, "d/y")] == ["d/y/z"]
        assert [stored.key for stored in storage.list(BUCKET, "d")] == keys[:-1]
        assert list(storage.list(BUCKET, "e")) == [ObjectInfo("e", 0)]
        assert list(storage.list(BUCKET, "nothing/")) == []

    def test_reads_ranges(self, storage: Storage) -> None:
        content = bytes(range(256)) * 40
        storage.put_bytes(BUCKET, "a", content)
        for start, end in ((0, None), (0, 1), (5, 5), (100, 5000), (10_239, None), (10_000, 99_999)):
            assert b"".join(storage.iter_range(BUCKET, "a", start, end)) == content[start:end]
        pieces = list(storage.iter_range(BUCKET, "a", 1, 10_001, chunk=4096))
        assert b"".join(pieces) == content[1:10_001]
        assert max(map(len, pieces)) <= 4096
        assert list(storage.iter_range(BUCKET, "a", 20_000)) == []

    @pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 4), (0, -1)])
    def test_refuses_backward_ranges(self, storage: Storage, start: int, end: int) -> None:
        storage.put_bytes(BUCKET, "a", b"0123456789")
        with pytest.raises(BadInput):
            storage.iter_range(BUCKET, "a", start, end)

    def test_a_range_can_be_given_up(self, storage: Storage) -> None:
        storage.put_bytes(BUCKET, "a", bytes(3 * MEGABYTE))
        pieces = storage.iter_range(BUCKET, "a", chunk=1024)
        assert len(next(pieces)) == 1024
        del pieces
        storage.iter_range(BUCKET, "a")
        assert storage.size(BUCKET, "a") == 3 * MEGABYTE

    def test_opens_a_seekable_file(self, storage: Storage) -> None:
        content = bytes(range(256)) * 12_000
        storage.put_bytes(BUCKET, "a", content)
        with storage.open(BUCKET, "a") as stored:
            assert stored.seekable()
            assert stored.read(4) == content[:4]
            assert stored.seek(-6, io.SEEK_END) == len(content) - 6
            assert stored.read() == content[-6:]
            assert stored.read(1) == b""
            stored.seek(2_000_001)
            stored.seek(1, io.SEEK_CUR)
            assert stored.tell() == 2_000_002
            assert stored.read(1_000_000) == content[2_000_002:3_000_002]

    def test_puts_and_gives_files(self, storage: Storage, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"pixels")
        storage.put_file(BUCKET, "imagery/1/Поле.TIF", source, "image/tiff")
        assert source.read_bytes() == b"pixels"
        with storage.local_path(BUCKET, "imagery/1/Поле.TIF") as path:
            assert path.suffix == ".TIF"
            assert path.read_bytes() == b"pixels"
        assert storage.get_bytes(BUCKET, "imagery/1/Поле.TIF") == b"pixels"

    def test_moves_files(self, storage: Storage, tmp_path: Path) -> None:
        for content in (b"pixels", b"better ones"):
            source = tmp_path / "source"
            source.write_bytes(content)
            storage.move_file(BUCKET, "imagery/1/index.tif", source, "image/tiff")
            assert storage.get_bytes(BUCKET, "imagery/1/index.tif") == content
        assert [found.key for found in storage.list(BUCKET)] == ["imagery/1/index.tif"]

    def test_a_missing_source_is_the_callers_fault(self, storage: Storage, tmp_path: Path) -> None:
        for put in (storage.put_file, storage.move_file):
            with pytest.raises(FileNotFoundError):
                put(BUCKET, "a", tmp_path / "absent")
        assert not storage.exists(BUCKET, "a")

    def test_takes_big_files(self, storage: Storage, tmp_path: Path) -> None:
        block = hashlib.sha256(b"seed").digest() * 2048  # 64 KiB
        content = b"".join(bytes([number % 256]) + block for number in range(40 * 16))
        source = tmp_path / "big"
        source.write_bytes(content)
        storage.put_file(BUCKET, "big", source)
        assert storage.size(BUCKET, "big") == len(content) > 40 * MEGABYTE
        digest = hashlib.sha256()
        for piece in storage.iter_range(BUCKET, "big"):
            digest.update(piece)
        assert digest.digest() == hashlib.sha256(content).digest()
        with storage.local_path(BUCKET, "big") as path:
            assert path.read_bytes() == content
        at = 20 * MEGABYTE - 3
        assert b"".join(storage.iter_range(BUCKET, "big", at, at + 7)) == content[at : at + 7]

    def test_a_reader_never_sees_a_mixture(self, storage: Storage) -> None:
        old, new = b"o" * (4 * MEGABYTE), b"n" * (3 * MEGABYTE)
        storage.put_bytes(BUCKET, "a", old)
        with storage.open(BUCKET, "a") as stored:
            pieces = storage.iter_range(BUCKET, "a", chunk=1024)
            assert stored.read(1024) == next(pieces) == old[:1024]
            storage.put_bytes(BUCKET, "a", new)
            if self.survives_replacement:
                assert stored.read() == b"".join(pieces) == old[1024:]
            else:
                with pytest.raises(Unavailable, match="replaced"):
                    stored.read()
        assert storage.get_bytes(BUCKET, "a") == new

    def test_concurrent_writers_leave_one_whole_object(self, storage: Storage) -> None:
        contents = [bytes([65 + number]) * (200_000 + number) for number in range(4)]
        done = threading.Event()

        def write(content: bytes) -> None:
            for _ in range(5):
                storage.put_bytes(BUCKET, "shared/key", content)

        def read() -> int:
            seen = 0
            while not done.is_set():
                assert storage.get_bytes(BUCKET, "shared/key") in contents
                seen += 1
            return seen

        storage.put_bytes(BUCKET, "shared/key", contents[0])
        with ThreadPoolExecutor(6) as threads:
            readers = [threads.submit(read) for _ in range(2)]
            try:
                list(threads.map(write, contents))
            finally:
                done.set()
            assert all(reader.result() > 0 for reader in readers)
        assert storage.get_bytes(BUCKET, "shared/key") in contents

    def test_deleting_does_not_disturb_writers_in_the_same_folder(self, storage: Storage) -> None:
        def churn(name: int) -> None:
            for _ in range(25):
                storage.put_bytes(BUCKET, f"deep/er/{name}", b"x")
                assert storage.get_bytes(BUCKET, f"deep/er/{name}") == b"x"
                storage.delete(BUCKET, f"deep/er/{name}")

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(churn, range(4)))
        assert list(storage.list(BUCKET)) == []

    def test_makes_buckets_once_and_again(self, storage: Storage) -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(storage.ensure_buckets, [["fresh-1", "fresh-2"]] * 4))
        storage.put_bytes("fresh-1", "a", b"x")
        storage.ensure_buckets(["fresh-1"])
        assert storage.get_bytes("fresh-1", "a") == b"x"
        storage.delete("fresh-1", "a")
        storage.check()
        storage.check("fresh-1", "fresh-2")

    def test_travels_to_another_process(self, storage: Storage) -> None:
        if self.picklable:
            storage.put_bytes(BUCKET, "a", b"x")
            assert pickle.loads(pickle.dumps(storage)).get_bytes(BUCKET, "a") == b"x"  # noqa: S301 our own bytes
