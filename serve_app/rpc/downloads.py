"""Objects of the storage as streams of pieces, of which one call brings only so many.

Serve reads such a stream as fast as the storage gives it and keeps what the client has not taken yet, so it is the length of a
call that bounds its memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from orthoray.errors import BadInput
from orthoray.ports import Caller
from orthoray.storage.base import Storage
from serve_app.gateway.files import stat_own
from serve_app.rpc import orthoray_pb2 as pb

MAX_DOWNLOAD_BYTES = 32 * 1024**2


async def pieces_of(
    storage: Storage, caller: Caller, bucket: str, key: str, *, media_type: str, filename: str, offset: int
) -> AsyncIterator[pb.FileChunk]:
    """From `offset` on; the first piece has `info`, and is there in any case.

    Raises:
        NotFound: it is another tenant's, whatever row led here.
        BadInput: the object ends before `offset`.
    """
    facts = await stat_own(caller.tenant, storage, bucket, key)
    if not 0 <= offset <= facts.size:
        raise BadInput(f"offset is from 0 to {facts.size}, the size of the file.", size_bytes=facts.size)
    info: pb.FileInfo | None = pb.FileInfo(
        filename=filename, media_type=media_type, size_bytes=facts.size, etag=facts.etag or "", offset=offset
    )
    end = min(facts.size, offset + MAX_DOWNLOAD_BYTES)
    pieces = await asyncio.to_thread(storage.iter_range, bucket, key, offset, end)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield pb.FileChunk(info=info, data=piece)
        info = None
    if info is not None:
        yield pb.FileChunk(info=info)
