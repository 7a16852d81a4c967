"""Storage on an S3 server (MinIO, SeaweedFS, AWS ...), through s3fs.

Requests go through `S3FileSystem.call_s3`, which takes bucket and key as they are; the path methods of s3fs
take a folder of objects for an object.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import aiohttp
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # botocore ships no types
from fsspec.asyn import sync
from s3fs import S3FileSystem

from orthoray.errors import ConfigurationError, NotFound, OrthoRayError, TooLarge, Unavailable
from orthoray.storage.base import CHUNK_BYTES, ObjectInfo, ObjectStat, byte_range
from orthoray.storage.keys import check_bucket, check_folder, check_key, check_prefix

_PART_BYTES = 16 << 20
_MAX_PARTS = 10_000  # S3
_DELETE_BATCH = 1000  # S3
_CONNECT_TIMEOUT_S = 3
_READ_TIMEOUT_S = 60
_ATTEMPTS = 3
_FAILURES = (OSError, BotoCoreError, aiohttp.ClientError)
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound", "NoSuchUpload"})
_TOO_LARGE = frozenset({"413", "EntityTooLarge"})
_NO_ANSWER = "The object storage does not answer: try again in a few seconds."
_NO_BUCKET = "The object storage lacks the bucket: restart OrthoRay, which makes it."
_FULL = "The object storage is full: ask the operator to make room, then try again."
_REPLACED = "The object was replaced while it was being read: try again."
_REFUSED = "The object storage refuses our credentials: ask the operator to check them."
_REASONS = {
    **dict.fromkeys(_MISSING, _NO_BUCKET),
    **dict.fromkeys(("507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"), _FULL),
    **dict.fromkeys(("412", "PreconditionFailed"), _REPLACED),
    **dict.fromkeys(("401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"), _REFUSED),
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class S3Storage:
    """A `Storage` on an S3 server. It may be used from several threads and sent to other processes.

    Nothing is cached: another process sees a written object at once, and is seen.
    """

    def __init__(
        self,
        endpoint: str | None,
        access_key: str | None,
        secret_key: str | None,
        *,
        region: str = "us-east-1",
        scratch: Path | None = None,
    ) -> None:
        """Remember the server; nothing is contacted yet.

        Args:
            endpoint: `https://host[:port]`, `http://host[:port]` or, meaning the latter, `host[:port]`; None
                for AWS.
            access_key: with `secret_key`, the credentials; None: those of the machine, as botocore finds
                them.
            secret_key: see `access_key`.
            region: where buckets are made.
            scratch: the folder for the files of `local_path` (default: the system's).

        Raises:
            ConfigurationError: the endpoint is not an address of a server.
        """
        url = endpoint_url(endpoint) if endpoint else None
        self._region = region
        self._scratch = scratch
        self.facts = {"endpoint_url": url, "key": access_key, "secret": secret_key, "region": region}
        config: dict[str, Any] = {
            "signature_version": "s3v4",
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "read_timeout": _READ_TIMEOUT_S,
            "retries": {"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            "max_pool_connections": 32,
            # trailing checksums are refused by many servers that speak S3
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        if url:
            config["s3"] = {"addressing_style": "path"}
            if urlsplit(url).hostname in _LOOPBACK:
                config["proxies"] = {}  # HTTP_PROXY is for others
        self._fs: Any = _ExactKeys(
            endpoint_url=url,
            key=access_key,
            secret=secret_key,
            client_kwargs={"region_name": region},
            config_kwargs=config,
            max_concurrency=4,
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def put_file(self, bucket: str, key: str, local: Path, content_type: str | None = None) -> None:
        path = f"{check_bucket(bucket)}/{check_key(key)}"
        part = max(_PART_BYTES, -(-local.stat().st_size // _MAX_PARTS))
        with local.open("rb"):
            pass  # what is wrong with the local file is not the server's doing
        with server_errors(writing=True):
            self._fs.put_file(str(local), path, chunksize=part, **_content_type(content_type))

    def move_file(self, bucket: str, key: str, local: Path, content_type: str | None = None) -> None:
        self.put_file(bucket, key, local, content_type)

    def put_bytes(self, bucket: str, key: str, data: bytes, content_type: str | None = None) -> None:
        with server_errors(writing=True):
            self._on_object("put_object", bucket, key, Body=data, **_content_type(content_type))

    def get_bytes(self, bucket: str, key: str, max_bytes: int | None = None) -> bytes:
        etag = None
        if max_bytes is not None:
            found = self.stat(bucket, key)
            etag = found.etag
            if found.size > max_bytes:
                raise TooLarge(f"The object is larger than {max_bytes} bytes.")
        return b"".join(self._pieces(_Version(bucket, key, etag), 0, None))

    def open(self, bucket: str, key: str) -> BinaryIO:
        found = self.stat(bucket, key)
        return io.BufferedReader(_Reader(self, _Version(bucket, key, found.etag), found.size), CHUNK_BYTES)

    def stat(self, bucket: str, key: str) -> ObjectStat:
        with server_errors():
            found = self._on_object("head_object", bucket, key)
        etag = found.get("ETag", "").strip('"')
        return ObjectStat(found["ContentLength"], found["LastModified"], etag or None)

    def size(self, bucket: str, key: str) -> int:
        return self.stat(bucket, key).size

    def exists(self, bucket: str, key: str) -> bool:
        try:
            self.stat(bucket, key)
        except NotFound:
            return False
        return True

    def delete(self, bucket: str, key: str) -> None:
        try:
            with server_errors():
                self._on_object("delete_object", bucket, key)
        except NotFound:
            return

    def delete_prefix(self, bucket: str, prefix: str) -> None:
        found = self.list(bucket, check_folder(prefix))
        while batch := [{"Key": stored.key} for stored in islice(found, _DELETE_BATCH)]:
            with server_errors():
                answer = self._fs.call_s3(
                    "delete_objects", Bucket=bucket, Delete={"Objects": batch, "Quiet": True}
                )
            if any(failed.get("Code") not in _MISSING for failed in answer.get("Errors", ())):
                raise Unavailable("The object storage could not delete some of the objects: try again.")

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        found = self.scan(bucket, prefix)
        # not every server keeps S3's order: SeaweedFS lists a folder before "folder-"
        return iter(sorted(found, key=lambda stored: stored.key))

    def scan(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        return self._listing(check_bucket(bucket), check_prefix(prefix))

    def _listing(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        arguments = {"Bucket": bucket, "Prefix": prefix}
        while True:
            try:
                with server_errors():
                    page = self._fs.call_s3("list_objects_v2", **arguments)
            except NotFound:
                return  # no bucket yet, so no objects
            for stored in page.get("Contents", ()):
                if not stored["Key"].endswith("/"):  # markers that some tools leave for folders
                    yield ObjectInfo(stored["Key"], stored["Size"])
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def iter_range(
        self, bucket: str, key: str, start: int = 0, end: int | None = None, chunk: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        found = self.stat(bucket, key)
        at, stop = byte_range(start, end, found.size)
        return self._pieces(_Version(bucket, key, found.etag), at, stop, chunk)

    @contextmanager
    def local_path(self, bucket: str, key: str) -> Iterator[Path]:
        found = self.stat(bucket, key)
        with tempfile.TemporaryDirectory(prefix="orthoray-", dir=self._scratch) as folder:
            path = Path(folder, f"object{PurePosixPath(key).suffix}")
            with path.open("wb") as target:
                for piece in self._pieces(_Version(bucket, key, found.etag), 0, found.size):
                    _save(piece, target)
            yield path

    def ensure_buckets(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                self._head_bucket(name)
            except NotFound:
                self._make_bucket(name)

    def check(self, *buckets: str) -> None:
        if not buckets:
            with server_errors():
                self._fs.call_s3("list_buckets")
        for name in buckets:
            try:
                self._head_bucket(name)
            except NotFound:
                raise Unavailable(f"The object storage has no bucket {name!r}.") from None

    def _head_bucket(self, name: str) -> None:
        with server_errors():
            self._fs.call_s3("head_bucket", Bucket=check_bucket(name))

    def _make_bucket(self, name: str) -> None:
        where = {} if self._region == "us-east-1" else {"LocationConstraint": self._region}
        options = {"CreateBucketConfiguration": where} if where else {}
        try:
            with server_errors():
                self._fs.call_s3("create_bucket", Bucket=name, **options)
        except OrthoRayError:
            self._head_bucket(name)  # another process was faster; or the bucket is not ours, and this says so

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """One request, for those who know S3; raises what `server_errors` turns into errors of ours."""
        answer: dict[str, Any] = self._fs.call_s3(method, **arguments)
        return answer

    def _on_object(self, method: str, bucket: str, key: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._fs.call_s3(
            method, Bucket=check_bucket(bucket), Key=check_key(key), **arguments
        )
        return answer

    def _pieces(
        self, version: _Version, at: int, stop: int | None, chunk: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        """Stream a range of one version of an object; a broken connection is resumed where it broke."""
        for attempt in range(_ATTEMPTS):
            if at == stop:
                return
            with server_errors():
                answer = self._get(version, at, stop)
            version = replace(version, etag=answer.get("ETag"))
            stop, body = at + answer["ContentLength"], answer["Body"]
            try:
                while at < stop and (piece := sync(self._fs.loop, _read, body, min(chunk, stop - at))):
                    at += len(piece)
                    yield piece
            except _FAILURES as error:
                if attempt == _ATTEMPTS - 1:
                    raise _explained(error) from error
            finally:
                self._fs.loop.call_soon_threadsafe(body.close)
        if at != stop:
            raise Unavailable(_NO_ANSWER)

    def _get(self, version: _Version, at: int, stop: int | None) -> dict[str, Any]:
        options: dict[str, Any] = {"IfMatch": version.etag} if version.etag else {}
        if at or stop is not None:
            options["Range"] = f"bytes={at}-" if stop is None else f"bytes={at}-{stop - 1}"
        return self._on_object("get_object", version.bucket, version.key, **options)


@dataclass(frozen=True, slots=True)
class _Version:
    """An object, and which content of it is meant (`etag`; None: the present one)."""

    bucket: str
    key: str
    etag: str | None


class _ExactKeys(S3FileSystem):  # type: ignore[misc]  # s3fs ships no types
    """s3fs without its own retries (botocore's are enough) and without `?versionId=` in paths."""

    retries = 1

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None


class _Reader(io.RawIOBase):
    """One version of an object as a seekable file; every read is a request, so it wants a buffer."""

    def __init__(self, storage: S3Storage, version: _Version, size: int) -> None:
        super().__init__()
        self._storage = storage
        self._version = version
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("negative seek position")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._read(self._at + len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._read(None)

    def _read(self, end: int | None) -> bytes:
        at, stop = byte_range(self._at, end, self._size)
        data = b"".join(self._storage._pieces(self._version, at, stop))
        self._at += len(data)
        return data


async def _read(body: Any, size: int) -> bytes:
    """Exactly `size` bytes, less only at the end: a hop between threads for each packet would be dear."""
    parts = []
    while size and (part := await body.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _save(piece: bytes, target: BinaryIO) -> None:
    try:
        target.write(piece)
    except OSError as error:
        raise Unavailable(
            "There is no room on this machine for a temporary copy of the object: free some disk space."
        ) from error


def endpoint_url(endpoint: str, setting: str = "MINIO_ENDPOINT") -> str:
    """The endpoint with its scheme. Raises `ConfigurationError`, naming the setting, where it is no address."""
    url = endpoint if "://" in endpoint else f"http://{endpoint}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{setting} is not an address of an S3 server: "
            "write host:port, http://host:port or https://host:port."
        )
    return url.rstrip("/")


def _content_type(content_type: str | None) -> dict[str, str]:
    return {"ContentType": content_type} if content_type else {}


@contextmanager
def server_errors(*, writing: bool = False) -> Iterator[None]:
    """Turn what the server or the network says into what a user understands."""
    try:
        yield
    except _FAILURES as error:
        raise _explained(error, writing=writing) from error


def _explained(error: BaseException, *, writing: bool = False) -> OrthoRayError:
    answer = getattr(error.__cause__, "response", None) or getattr(error, "response", None)
    if not isinstance(answer, dict):
        return Unavailable(_NO_ANSWER)
    code = str(answer.get("Error", {}).get("Code", ""))
    if code in _MISSING and not writing:
        return NotFound("There is no such object in the storage.")
    if code in _TOO_LARGE:
        return TooLarge("The object is larger than the object storage allows.")
    return Unavailable(
        _REASONS.get(code, "The object storage could not do this: try again in a few seconds.")
    )
