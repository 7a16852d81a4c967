"""Which objects hold which content, and which imagery uses them: identical content is stored once for each tenant.

A key is written by one upload only and never again, so an object that nobody uses any more can be deleted at leisure. Whoever
begins to use an object, and whoever ends to, locks its row first, in the order of the digests; so of a last user that leaves and
a new one that comes one is first, and the other sees what it did.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from orthoray.database import Connection, one, read_queries
from orthoray.ports import StoredFile

SQL = read_queries(Path(__file__).with_name("contents.sql"))


async def lock_imagery(connection: Connection, imagery_id: UUID) -> None:
    """Wait until nobody else catalogues this imagery or clears up after it, and keep others waiting until the commit."""
    await connection.execute(SQL["lock_imagery"], {"id": imagery_id})


async def claim(
    connection: Connection,
    tenant: str,
    files: Iterable[StoredFile],
    is_there: Callable[[str], Awaitable[bool]],
) -> dict[str, str]:
    """For each file the key of the object that holds its content: its own, or that of an earlier upload.

    `is_there` says whether there is an object under a key; what should be there and is not (somebody removed it) is not shared.
    """
    keys: dict[str, str] = {}
    for file in sorted(files, key=lambda file: file.sha256):
        values = {**file.model_dump(include={"object_key", "sha256", "size_bytes"}), "tenant": tenant}
        key = await _claimed(connection, values)
        if key != file.object_key and not await is_there(key):
            await connection.execute(SQL["retire_object"], {"object_key": key})
            key = await _claimed(connection, values)
        keys[file.object_key] = key
    return keys


async def _claimed(connection: Connection, values: Mapping[str, Any]) -> str:
    row = await one(connection, SQL["claim_content"], values)
    assert row is not None
    key: str = row["object_key"]
    return key


async def use(connection: Connection, imagery_id: UUID, keys: Iterable[str]) -> None:
    for key in set(keys):
        await connection.execute(SQL["insert_use"], {"object_key": key, "imagery_id": imagery_id})


async def release(connection: Connection, tenant: str, imagery_id: UUID) -> list[str]:
    """The imagery uses its objects no more; the keys of those that nobody else uses."""
    rows = await connection.execute(SQL["lock_objects_of"], {"tenant": tenant, "id": imagery_id})
    keys = [row["object_key"] for row in await rows.fetchall()]
    await connection.execute(SQL["delete_uses"], {"id": imagery_id, "keys": keys})
    gone = await connection.execute(SQL["delete_unused_objects"], {"keys": keys})
    return [row["object_key"] for row in await gone.fetchall()]


async def unclaimed(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Those that no imagery uses."""
    rows = await connection.execute(SQL["find_claimed"], {"keys": list(keys)})
    claimed = {row["object_key"] for row in await rows.fetchall()}
    return [key for key in keys if key not in claimed]
