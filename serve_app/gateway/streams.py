"""The way of a run as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from orthoray.errors import BadInput
from orthoray.standings import Standing
from serve_app.gateway.watching import Watch

_ID = re.compile(r"(\d{1,9})\.([012])\.(\d{1,4})", re.ASCII)
Place = tuple[int, int, int]

BEAT_S = 15.0
"""Without an event, a comment says that the connection lives."""
RETRY_MS = 3000
MAX_STREAM_S = 600.0
"""Then the client comes back, and shows its credentials anew."""

SSE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "events until the run ends"},
    204: {"description": "the end has been told: do not come back"},
}
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def place_of(event_id: str | None) -> Place | None:
    """The place that a client has been told of, from the `id` of an event.

    Raises:
        BadInput: it is not one of ours.
    """
    if not event_id:
        return None
    found = _ID.fullmatch(event_id)
    if found is None:
        raise BadInput("Last-Event-ID is not the id of an event of a run: leave it out.")
    attempt, part, progress = (int(number) for number in found.groups())
    return attempt, part, progress


async def events_of(watch: Watch, first: Standing, after: Place | None) -> AsyncGenerator[str]:
    """Every event behind `after`; the last one is that of the end, unless the client has to come back for it."""
    yield f"retry: {RETRY_MS}\n\n"
    status, told = None, after
    try:
        # Closed with this generator, so that a client that leaves makes room at once.
        async with aclosing(watch.follow(first, beat_s=BEAT_S, until_s=MAX_STREAM_S)) as standings:
            async for standing in standings:
                if standing is None:
                    yield ": still here\n\n"
                elif told is None or standing.place > told:
                    yield _event("progress" if standing.status == status else "state", standing)
                    told = standing.place
                status = standing.status if standing else status
    except LookupError:
        yield f"event: deleted\ndata: {json.dumps({'id': str(first.id)})}\n\n"


def _event(kind: str, standing: Standing) -> str:
    data = standing.model_dump(mode="json", exclude={"tenant"})
    event_id = ".".join(map(str, standing.place))
    # JSON has no line breaks of its own, so this is one line.
    return f"id: {event_id}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
