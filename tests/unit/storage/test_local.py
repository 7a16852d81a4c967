from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path

import pytest
from storage_contract import StorageContract

from orthoray.errors import ConfigurationError, NotAllowed, TooLarge, Unavailable, WrongState
from orthoray.storage import LocalStorage


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root")


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage(tmp_path / "root")


def test_only_the_owner_may_look(storage: LocalStorage, tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        storage.put_bytes("imagery", "a/b/c", b"x")
    finally:
        os.umask(previous)
    modes = {
        path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
    }
    assert modes.pop("root/imagery/a/b/c") == 0o600
    assert set(modes.values()) == {0o700}


def test_deleting_leaves_no_empty_folders(storage: LocalStorage, tmp_path: Path) -> None:
    storage.put_bytes("imagery", "a/b/c", b"x")
    storage.put_bytes("imagery", "a/d", b"x")
    storage.delete("imagery", "a/b/c")
    assert sorted(path.name for path in (tmp_path / "root/imagery").rglob("*")) == ["a", "d"]
    storage.delete_prefix("imagery", "a")
    assert list((tmp_path / "root/imagery").iterdir()) == []


@pytest.mark.parametrize("call", ["get_bytes", "open", "stat", "exists", "delete", "iter_range"])
def test_does_not_follow_links_out_of_the_root(storage: LocalStorage, tmp_path: Path, call: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"secret")
    storage.ensure_buckets(["imagery"])
    (tmp_path / "root/imagery/link").symlink_to(tmp_path / "outside")
    (tmp_path / "root/imagery/file").symlink_to(tmp_path / "outside/secret")
    (tmp_path / "root/imagery/loop").symlink_to(tmp_path / "root/imagery/loop")
    for key in ("link/secret", "file", "loop/x"):
        with pytest.raises(NotAllowed):
            getattr(storage, call)("imagery", key)
    with pytest.raises(NotAllowed):
        storage.put_bytes("imagery", "link/new", b"x")
    assert list(storage.list("imagery")) == []
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["secret"]


def test_a_root_behind_a_link_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    storage = LocalStorage(tmp_path / "link")
    storage.put_bytes("imagery", "a", b"x")
    assert storage.get_bytes("imagery", "a") == b"x"


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, Unavailable, "disk of the storage is full"),
        (errno.EDQUOT, Unavailable, "disk of the storage is full"),
        (errno.EFBIG, TooLarge, "file system"),
        (errno.EIO, Unavailable, "cannot be read or written"),
    ],
)
def test_a_failed_write_leaves_the_old_object_and_nothing_else(
    storage: LocalStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
    words: str,
) -> None:
    def fail(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    storage.put_bytes("imagery", "a", b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind, match=words) as caught:
        storage.put_bytes("imagery", "a", b"new")
    assert str(tmp_path) not in str(caught.value)
    assert storage.get_bytes("imagery", "a") == b"old"
    assert list((tmp_path / "root/.tmp").iterdir()) == []


def test_a_name_cannot_be_object_and_folder(storage: LocalStorage) -> None:
    storage.put_bytes("imagery", "a/b", b"x")
    with pytest.raises(WrongState):
        storage.put_bytes("imagery", "a", b"x")
    with pytest.raises(WrongState):
        storage.put_bytes("imagery", "a/b/c", b"x")
    assert storage.get_bytes("imagery", "a/b") == b"x"


def test_sweeps_only_old_leftovers(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    old, young = tmp_path / ".tmp/old", tmp_path / ".tmp/young"
    for leftover in (old, young):
        leftover.write_bytes(b"half")
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    LocalStorage(tmp_path)
    assert not old.exists()
    assert young.exists()
    assert list(storage.list("imagery")) == []


def test_names_the_setting_when_the_folder_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="STORAGE_ROOT"):
        LocalStorage(tmp_path / "file" / "root")


def test_the_check_sees_a_missing_bucket(storage: LocalStorage) -> None:
    with pytest.raises(Unavailable, match="imagery"):
        storage.check("imagery")
