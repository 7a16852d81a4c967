"""Events: CloudEvents 1.0, written into a table beside the state that they tell of, in the same transaction.

`orthoray.relay` carries them on. What each type bears stands in docs/reference/events.md.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from orthoray.database import Connection
from orthoray.telemetry import TRACE, carried

STREAM = "orthoray:events"
"""The key in Redis that all events go to."""
CHANNEL = "outbox"
"""Of LISTEN and NOTIFY, which spare the relay from asking all the time."""
# Any will do as long as all versions of OrthoRay use the same one.
_NAMESPACE = UUID("5d6c7a0e-3c56-5f6b-9a46-0d5f5b1f2e11")
_WRITE = """
with written as (
    insert into outbox (id, type, subject, event) values (%(id)s, %(type)s, %(subject)s, %(event)s::json)
)
select pg_notify(%(channel)s, '')
"""


def event_id(kind: str, subject: str, occasion: datetime | str | int) -> str:
    """The id of the event that tells of one change of state, the same however often it is asked for.

    `occasion` tells this change from others of the same kind to the same subject.
    """
    if isinstance(occasion, datetime):
        occasion = occasion.astimezone(UTC).isoformat()
    return str(uuid5(_NAMESPACE, f"{kind} {subject} {occasion}"))


def cloud_event(
    service: str,
    kind: str,
    subject: str,
    data: dict[str, Any],
    tenant: str,
    *,
    occasion: datetime | str | int,
) -> dict[str, Any]:
    """A CloudEvents 1.0 event in its structured JSON form (https://github.com/cloudevents/spec).

    Within a trace it bears `traceparent`, as the extension "Distributed Tracing" says.
    """
    attributes = {
        "id": event_id(kind, subject, occasion),
        "source": f"/orthoray/{service}",
        "type": kind,
        "subject": subject,
        "datacontenttype": "application/json",
        "tenant": tenant,
    }
    attributes |= {name: value for name, value in carried().items() if name in TRACE}
    event: dict[str, Any] = json.loads(JSONFormat().write(CloudEvent(attributes, data)))
    return event


class Outbox:
    """Writes one service's events in the transaction of the change that they tell of."""

    def __init__(self, service: str) -> None:
        self._service = service

    async def emit(
        self,
        connection: Connection,
        kind: str,
        subject: object,
        tenant: str,
        *,
        occasion: datetime | str | int,
        **data: Any,
    ) -> dict[str, Any]:
        """Write the event; returns it. Events of one subject keep their order.

        Call it after the statement that changes the subject's row: the lock on that row is what makes the order of two
        transactions the order of their events.
        """
        event = cloud_event(self._service, kind, str(subject), data, tenant, occasion=occasion)
        values = {key: event[key] for key in ("id", "type", "subject")}
        await connection.execute(_WRITE, {**values, "event": json.dumps(event), "channel": CHANNEL})
        return event
