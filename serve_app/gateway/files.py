"""Objects of the storage as HTTP answers: streamed, with ranges (RFC 9110) and validators."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from orthoray.errors import NotFound
from orthoray.keys import belongs_to
from orthoray.storage.base import ObjectStat, Storage
from serve_app.gateway.caching import BY_CALLER, IMMUTABLE, REVALIDATED, is_known
from serve_app.gateway.problems import problem

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

# What /openapi.json says of an answer that is a file.
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "a picture"}}
TIFF: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/tiff": {}}, "description": "a cloud-optimised GeoTIFF"},
    206: {"content": {"image/tiff": {}}, "description": "the bytes that were asked for"},
}
PDF: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/pdf": {}}, "description": "the report"}
}
ANY_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {}}, "description": "the file, as what it is"},
    206: {"content": {"image/*": {}}, "description": "the bytes that were asked for"},
}


async def send_object(
    request: Request,
    storage: Storage,
    bucket: str,
    key: str,
    media_type: str,
    filename: str,
    *,
    download: bool = False,
    immutable: bool = True,
) -> Response:
    """The object, or the one range of it that the request asks for; 304 when the client has it already.

    `immutable`: there is never another one at the request's address.

    Raises:
        NotFound: it is another tenant's, whatever row led here.
    """
    facts = await stat_own(request.state.caller.tenant, storage, bucket, key)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": _disposition("attachment" if download else "inline", filename),
        "Cache-Control": IMMUTABLE if immutable else REVALIDATED,
        "Vary": BY_CALLER,
        "X-Content-Type-Options": "nosniff",
    }
    if facts.etag:
        headers["ETag"] = f'"{facts.etag}"'
        if is_known(request.headers.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
    start, end, status = 0, facts.size, 200
    if wanted := _wanted_range(request, headers.get("ETag")):
        start, end = _span(wanted, facts.size)
        if start >= end:
            answer = problem(
                416, "Range not satisfiable", f"The file has {facts.size} bytes.", path=request.url.path
            )
            answer.headers["Content-Range"] = f"bytes */{facts.size}"
            return answer
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{facts.size}"
    headers["Content-Length"] = str(end - start)
    if getattr(request.state, "head", False):
        return Response(status_code=status, headers=headers, media_type=media_type)
    pieces = await asyncio.to_thread(storage.iter_range, bucket, key, start, end)
    return StreamingResponse(pieces, status_code=status, headers=headers, media_type=media_type)


async def stat_own(tenant: str, storage: Storage, bucket: str, key: str) -> ObjectStat:
    """What is known of an object that is to be sent to somebody of this tenant.

    Raises:
        NotFound: it is another tenant's, whatever row led here, or there is none.
    """
    if not belongs_to(tenant, key):
        raise NotFound
    return await asyncio.to_thread(storage.stat, bucket, key)


def _disposition(kind: str, filename: str) -> str:
    """Both forms of RFC 6266: programs such as curl know only the plain one."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", filename)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename)}"


def _wanted_range(request: Request, etag: str | None) -> re.Match[str] | None:
    """The one range that the request asks for; None where the whole file is to be sent (RFC 9110, 13.1.5 and 14.2)."""
    wanted = _RANGE.fullmatch(request.headers.get("range", "").strip())
    # A client that has the beginning of another version must not get the end of this one.
    if wanted is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last = wanted.groups()
    runs_backwards = first and last and int(first) > int(last)
    return wanted if (first or last) and not runs_backwards else None


def _span(wanted: re.Match[str], size: int) -> tuple[int, int]:
    """`bytes=a-b`, `a-` and `-n` (the last n) as a half-open range."""
    first, last = wanted.groups()
    if not first:
        return max(0, size - int(last)), size if int(last) else 0
    return int(first), min(size, int(last) + 1) if last else size
