"""Parts on an S3 server: its multipart uploads, and the addresses by which clients send parts to it themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar

import botocore.session  # type: ignore[import-untyped]  # botocore ships no types
from botocore.config import Config  # type: ignore[import-untyped]  # as above

from orthoray.errors import NotFound, WrongState
from orthoray.storage.keys import check_bucket, check_key
from orthoray.storage.parts import PART_BYTES, UNREACHABLE, PendingObject, StoredPart
from orthoray.storage.s3 import S3Storage, endpoint_url, server_errors

_REPLACED = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})


class S3Parts:
    """See `orthoray.storage.parts.PartStore`."""

    knows_digests: ClassVar = False

    def __init__(self, storage: S3Storage, public_endpoint: str | None = None) -> None:
        """Raises `ConfigurationError` where the public endpoint is no address."""
        self._storage = storage
        self._is_reachable = public_endpoint != UNREACHABLE
        given = public_endpoint if self._is_reachable else None
        self._endpoint = endpoint_url(given, "S3_PUBLIC_ENDPOINT") if given else None

    def begin(self, bucket: str, key: str, content_type: str | None = None) -> str:
        options = {"ContentType": content_type} if content_type else {}
        with server_errors(writing=True):
            token: str = self._call("create_multipart_upload", bucket, key, **options)["UploadId"]
        return token

    @contextmanager
    def writer(self, bucket: str, key: str, token: str, number: int) -> Iterator[_Writer]:
        with tempfile.SpooledTemporaryFile(PART_BYTES) as spool:
            yield _Writer(self, (bucket, key, token, number), spool)

    def put(self, bucket: str, key: str, token: str, number: int, data: bytes) -> StoredPart:
        with server_errors():
            answer = self._call("upload_part", bucket, key, UploadId=token, PartNumber=number, Body=data)
        return StoredPart(number, len(data), answer["ETag"].strip('"'))

    def parts(self, bucket: str, key: str, token: str) -> list[StoredPart]:
        found: dict[int, dict[str, Any]] = {}
        marker: dict[str, Any] = {}
        while True:
            with server_errors():
                page = self._call("list_parts", bucket, key, UploadId=token, **marker)
            for part in page.get("Parts", ()):
                # SeaweedFS lists a part that was sent again once more.
                before = found.setdefault(part["PartNumber"], part)
                if part["LastModified"] >= before["LastModified"]:
                    found[part["PartNumber"]] = part
            if not page.get("IsTruncated"):
                return [
                    StoredPart(number, part["Size"], part["ETag"].strip('"'))
                    for number, part in sorted(found.items())
                ]
            marker = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def complete(
        self, bucket: str, key: str, token: str, parts: Sequence[StoredPart], sha256: str | None = None
    ) -> None:
        chosen = {"Parts": [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]}
        try:
            with server_errors():
                self._call("complete_multipart_upload", bucket, key, UploadId=token, MultipartUpload=chosen)
        except Exception as error:
            answer = getattr(error.__cause__, "response", None) or getattr(
                getattr(error.__cause__, "__cause__", None), "response", None
            )
            if isinstance(answer, dict) and answer.get("Error", {}).get("Code") in _REPLACED:
                raise WrongState("A part was replaced in this moment: complete again.") from error
            raise

    def abort(self, bucket: str, key: str, token: str) -> None:
        try:
            with server_errors():
                self._call("abort_multipart_upload", bucket, key, UploadId=token)
        except NotFound:
            return

    def pending(self, bucket: str) -> Iterator[PendingObject]:
        marker: dict[str, Any] = {}
        while True:
            try:
                with server_errors():
                    page = self._storage.call("list_multipart_uploads", Bucket=check_bucket(bucket), **marker)
            except NotFound:
                return  # no bucket yet
            for begun in page.get("Uploads", ()):
                yield PendingObject(begun["Key"], begun["UploadId"], begun["Initiated"])
            if not page.get("IsTruncated"):
                return
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def url(self, bucket: str, key: str, token: str, number: int, seconds: int) -> str | None:
        if not self._is_reachable:
            return None
        where = {"Bucket": check_bucket(bucket), "Key": check_key(key)}
        signed: str = self._presigner.generate_presigned_url(
            "upload_part", Params={**where, "UploadId": token, "PartNumber": number}, ExpiresIn=seconds
        )
        return signed

    def _call(self, method: str, bucket: str, key: str, **arguments: Any) -> dict[str, Any]:
        return self._storage.call(method, Bucket=check_bucket(bucket), Key=check_key(key), **arguments)

    @cached_property
    def _presigner(self) -> Any:
        """It only computes: signing contacts nobody."""
        facts = self._storage.facts
        endpoint = self._endpoint or facts["endpoint_url"]
        return botocore.session.get_session().create_client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=facts["key"],
            aws_secret_access_key=facts["secret"],
            region_name=facts["region"],
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"} if endpoint else {},
                request_checksum_calculation="when_required",
            ),
        )


class _Writer:
    def __init__(self, store: S3Parts, place: tuple[str, str, str, int], spool: Any) -> None:
        self._store, self._place, self._spool = store, place, spool

    def write(self, data: bytes) -> None:
        self._spool.write(data)

    def commit(self) -> StoredPart:
        self._spool.seek(0)
        return self._store.put(*self._place, self._spool.read())
