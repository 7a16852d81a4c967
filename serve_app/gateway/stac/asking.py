"""What clients ask of STAC's searches, checked: `GET` and `POST` mean the same.

All that is wrong is malformed (400), as STAC API has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orthoray.errors import BadInput
from orthoray.items import Bounds, ItemQuery
from orthoray.moments import in_utc
from orthoray.pages import MAX_LIMIT
from serve_app.gateway.stac.geometry import areas_of

MAX_IDS = 500
MAX_COLLECTIONS = 100
MAX_WORD = 256
# Of extensions that are not served. Left out in silence they would give answers that are wrong.
_UNSERVED = ("filter", "filter-lang", "filter-crs", "query", "sortby", "fields", "q")
_LISTS = ("ids", "collections", "bbox")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_INTERVAL = (
    "datetime is a moment or an interval of RFC 3339, open at one end at most: 2026-05-01T00:00:00Z, "
    "2026-05-01T00:00:00Z/2026-06-01T00:00:00Z, 2026-05-01T00:00:00Z/.."
)
_BOX = (
    "bbox is west,south,east,north in degrees, for instance 28.1,46.9,29.0,47.5, with south <= north; west > east is "
    "across the antimeridian."
)

Word = Annotated[str, Field(max_length=MAX_WORD)]


class SearchBody(BaseModel):
    """The body of POST /stac/search; all filters have to be met."""

    model_config = ConfigDict(extra="forbid")

    collections: list[Word] | None = Field(default=None, max_length=MAX_COLLECTIONS)
    ids: list[Word] | None = Field(default=None, max_length=MAX_IDS)
    bbox: list[float] | None = Field(
        default=None, description="west, south, east, north in degrees; with heights: six numbers"
    )
    datetime: Word | None = Field(
        default=None, description="RFC 3339: a moment, or an interval a/b, ../b, a/.."
    )
    intersects: dict[str, Any] | None = Field(default=None, description="a GeoJSON geometry; not beside bbox")
    limit: int = Field(
        default=50, ge=1, description=f"how many at most; more than {MAX_LIMIT} are {MAX_LIMIT}"
    )
    next: Word | None = Field(default=None, description="from the body of the link `next`")

    def query(self) -> ItemQuery:
        """
        Raises:
            BadInput: a filter is none.
        """
        if self.bbox is not None and self.intersects is not None:
            raise BadInput("Send bbox or intersects, not both.")
        since, until = _span(self.datetime)
        return ItemQuery(
            limit=min(self.limit, MAX_LIMIT),
            next=self.next,
            ids=None if self.ids is None else [found for word in self.ids if (found := _id(word))],
            bbox=None if self.bbox is None else _bounds(self.bbox),
            areas=None if self.intersects is None else areas_of(self.intersects),
            since=since,
            until=until,
        )


def read_body(body: Mapping[str, Any]) -> SearchBody:
    """
    Raises:
        BadInput: a field is unknown or does not fit; the first is named.
    """
    refuse_unserved(body)
    try:
        return SearchBody.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise BadInput(
                f"{where}: there is no field of this name: /docs shows those that there are."
            ) from None
        raise BadInput(f"{where}: {first['msg']}") from None


def read_parameters(parameters: Mapping[str, str]) -> SearchBody:
    """The same from the query of a GET; lists are separated by commas, `intersects` is JSON. Raises as `read_body`."""
    refuse_unserved(parameters)
    body: dict[str, Any] = {}
    for name in SearchBody.model_fields.keys() & parameters.keys():
        text = parameters[name]
        body[name] = text.split(",") if name in _LISTS else text
    if "intersects" in body:
        try:
            body["intersects"] = json.loads(body["intersects"])
        except (ValueError, RecursionError):
            raise BadInput("intersects is a GeoJSON geometry, written as JSON.") from None
    return read_body(body)


def refuse_unserved(names: Mapping[str, Any]) -> None:
    """
    Raises:
        BadInput: the request wants what an extension of STAC API has and this API does not.
    """
    if found := [name for name in _UNSERVED if name in names]:
        raise BadInput(
            f"{found[0]} is of an extension of STAC API that is not served here: /stac/conformance lists what is."
        )


def _id(word: str) -> UUID | None:
    """None of what cannot be an id: nothing is called so."""
    try:
        return UUID(word)
    except ValueError:
        return None


def _bounds(numbers: list[float]) -> Bounds:
    """Heights are left out: nothing here has one."""
    if len(numbers) == 6:
        numbers = [*numbers[:2], *numbers[3:5]]
    if len(numbers) != 4:
        raise BadInput(_BOX)
    west, south, east, north = numbers
    # NaN fails every comparison.
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise BadInput(_BOX)
    return west, south, east, north


def _span(text: str | None) -> tuple[datetime | None, datetime | None]:
    if text is None:
        return None, None
    ends = text.split("/")
    if len(ends) == 1:
        moment = _moment(ends[0])
        return moment, moment
    if len(ends) != 2 or all(end in {"", ".."} for end in ends):
        raise BadInput(_INTERVAL)
    since, until = (None if end in {"", ".."} else _moment(end) for end in ends)
    if since and until and since > until:
        raise BadInput(f"The interval ends before it begins. {_INTERVAL}")
    return since, until


def _moment(text: str) -> datetime:
    try:
        if not _MOMENT.fullmatch(text):
            raise BadInput(_INTERVAL)
        return in_utc(datetime.fromisoformat(text.upper()))
    except ValueError:  # the 32nd of a month, or a year that nobody counts
        raise BadInput(_INTERVAL) from None
