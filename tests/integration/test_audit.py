"""The audit on a real PostgreSQL."""

from __future__ import annotations

import io
from collections.abc import Mapping
from uuid import uuid4

import pytest
from installations import settings_of
from rich.console import Console
from wired import Services

from orthoray.ports import Write
from serve_app.local.auditing import forget_writes, list_writes

pytestmark = pytest.mark.anyio


def shown(dsns: Mapping[str, str], tenant: str | None = None, since: str = "7d") -> list[str]:
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(list_writes(settings_of(dsns), tenant=tenant, since=since, limit=10))
    return console.export_text().splitlines()[1:]


async def test_an_entry_is_kept_before_and_completed_after(services: Services) -> None:
    write = Write(id=uuid4(), caller="token:ana", method="POST", path="/imagery", request_id="r1")
    await services.imagery.record_write("farm", write)
    (line,) = shown(services.dsns)
    assert line.split()[2:] == ["farm", "token:ana", "POST", "/imagery", "unknown", "r1"]
    done = write.model_copy(update={"status": 201, "route": "/imagery", "location": "/imagery/7"})
    await services.imagery.record_write("farm", done)
    await services.imagery.record_write("farm", done.model_copy(update={"status": 500}))
    (line,) = shown(services.dsns, "farm")
    assert line.split()[4:] == ["POST", "/imagery", "->", "/imagery/7", "201", "r1"]
    assert shown(services.dsns, "other") == []


async def test_old_entries_are_forgotten_when_asked(services: Services) -> None:
    for _ in range(2):
        await services.imagery.record_write("farm", Write(id=uuid4(), caller="a", method="PUT", path="/x"))
    services.query(
        "imagery",
        "update audit_log set began_at = now() - interval '500 days' where id = (select min(id::text)::uuid from audit_log)"
        " returning id",
    )
    assert len(shown(services.dsns)) == 1
    forget_writes(settings_of(services.dsns), "400d", Console(file=io.StringIO()))
    assert len(shown(services.dsns, since="600d")) == 1
