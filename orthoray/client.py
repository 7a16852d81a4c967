"""A client of the HTTP API, blocking (`Client`) and for asyncio (`AsyncClient`).

    with Client("http://127.0.0.1:8080", key) as api:
        imagery = api.upload("field.tif", bands="R,G,B,N")
        run = api.wait(api.start_run(imagery.id, "NDVI"))
        api.download(run, "index.tif", "ndvi.tif")

Both take the same steps: generators yield what has to be done and are given what came of it. Every POST carries an
`Idempotency-Key`, so what fails on the way is sent again, after the time that the server asks for.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import random
import time
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar
from uuid import UUID, uuid4

import httpx2
from pydantic import BaseModel

from orthoray.contracts import AnalysisRun, Imagery, Page, Report
from orthoray.errors import OrthoRayError
from orthoray.uploads import PartedUpload

PARTED_BYTES = 32 << 20
"""Single files from this size on go in parts."""
MAX_TRIES = 6
MAX_PAUSE_S = 60.0
_CHUNK_BYTES = 1 << 20
_TRANSIENT = {408, 429, 502, 503, 504}
_PLACES: Mapping[type, str] = {Imagery: "/imagery", AnalysisRun: "/analysis-runs", Report: "/reports"}

Model = TypeVar("Model", bound=BaseModel)
Record = TypeVar("Record", Imagery, AnalysisRun, Report)
Work = TypeVar("Work", AnalysisRun, Report)
P = ParamSpec("P")
T = TypeVar("T")


class ApiError(OrthoRayError):
    """The server refused or failed. `fields` has the problem (RFC 9457) and `request_id`; `kind` is such as MissingBands."""

    def __init__(self, detail: str | None = None, **fields: Any) -> None:
        super().__init__(detail, **fields)
        self.status: int = fields["status"]
        self.kind = str(fields.get("type", "")).rpartition(":")[2]


class Unreachable(OrthoRayError):
    """The server does not answer, however often it is asked."""


class Failed(OrthoRayError):
    """A run or report ended without a result; `fields["record"]` is that one."""


class TimedOut(OrthoRayError):
    """It has not ended in time. It goes on, so you may wait again."""


@dataclass(frozen=True)
class _Call:
    """A request. `files` go as a form; a file that comes is written to `into`."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] | None = None
    content: bytes | None = None
    files: tuple[Path, ...] = ()
    form: Mapping[str, str] | None = None
    into: Path | None = None

    def arguments(self, stack: ExitStack) -> dict[str, Any]:
        opened = [("file", (path.name, stack.enter_context(path.open("rb")))) for path in self.files]
        body = {"files": opened, "data": self.form} if opened else {"content": self.content}
        return {"method": self.method, "url": self.url, "headers": self.headers, "params": self.params} | body


Step = _Call | float | Callable[[], Any]
"""What a driver does: send it, sleep so many seconds, or call it where that blocks nobody."""
Steps = Generator[Step, Any, T]


class _Api:
    def __init__(self, url: str, key: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"X-API-Key": key} if key else {}

    def _send(self, call: _Call) -> Steps[httpx2.Response]:
        """Sent again while that may help. An absolute address is another server's: no key goes there."""
        if call.url.startswith("/"):
            once = {"Idempotency-Key": str(uuid4())} if call.method == "POST" else {}
            headers = {**once, **self._headers, **call.headers}
            call = replace(call, url=self._url + call.url, headers=headers)
        # DELETE cancels a run that goes on, and a second one would delete it.
        tries = MAX_TRIES if call.method == "DELETE" else 1
        while True:
            outcome: httpx2.Response | httpx2.TransportError = yield call
            if isinstance(outcome, httpx2.Response) and outcome.status_code < 400:
                return outcome
            error, pause = _error_of(outcome), _pause_after(outcome, tries)
            if pause is None or tries == MAX_TRIES:
                raise error
            # An earlier try is still under way, which is no reason to give up.
            tries += not (isinstance(error, ApiError) and error.kind == "InFlight")
            yield pause

    def _get(self, path: str, kind: type[Model], **params: Any) -> Steps[Model]:
        return kind.model_validate_json((yield from self._send(_Call("GET", path, params=params))).content)

    def _post(self, path: str, kind: type[Model], body: Mapping[str, Any], **headers: str) -> Steps[Model]:
        headers["Content-Type"] = "application/json"
        call = _Call("POST", path, headers, content=json.dumps(_given(body), default=str).encode())
        return kind.model_validate_json((yield from self._send(call)).content)

    def upload(
        self,
        /,
        *paths: str | Path,
        progress: Callable[[int, int], object] | None = None,
        parted: bool | None = None,
        **facts: Any,
    ) -> Steps[Imagery]:
        """One imagery of one or more files; `facts` are the fields of POST /imagery: bands, sensor, captured_at, gps_lat ...

        A large file, or with `parted` any, goes in parts: called again with the same after an interruption, it goes on where
        it was, for a day. `progress(sent, size)` is told bytes.
        """
        files, facts, tell = tuple(map(Path, paths)), _given(facts), progress or (lambda *_: None)
        size = sum(path.stat().st_size for path in files)
        if len(files) == 1 and (size >= PARTED_BYTES if parted is None else parted):
            return (yield from self._upload_in_parts(files[0], size, facts, tell))
        form = {name: _text(value) for name, value in facts.items()}
        answer = yield from self._send(_Call("POST", "/imagery", files=files, form=form))
        tell(size, size)
        return Imagery.model_validate_json(answer.content)

    def _upload_in_parts(
        self, path: Path, size: int, facts: dict[str, Any], tell: Callable[[int, int], object]
    ) -> Steps[Imagery]:
        sha256: str = yield functools.partial(_digest_of, path)
        upload = yield from self._begun({"filename": path.name, "size": size, "sha256": sha256, **facts})
        place, before = f"/imagery/uploads/{upload.id}", -1
        # Presigned addresses expire: fresh ones are asked for as long as they bring the file on.
        while before < upload.received_bytes < size:
            before = sent = upload.received_bytes
            first: int | None = 1
            while first:
                shown = yield from self._get(place, PartedUpload, first=first)
                first = shown.next_part
                for part in (part for part in shown.parts if not part.received):
                    at = (part.number - 1) * shown.part_bytes
                    content = yield functools.partial(_read, path, at, part.size_bytes)
                    try:
                        yield from self._send(_Call("PUT", part.url, content=content))
                    except ApiError as error:
                        if part.url.startswith("/") or error.status != 403:
                            raise
                        first = None
                        break
                    sent += part.size_bytes
                    tell(sent, size)
            upload = yield from self._get(place, PartedUpload)
        return (yield from self._post(f"{place}/complete", Imagery, {"sha256": sha256}))

    def _begun(self, wish: dict[str, Any]) -> Steps[PartedUpload]:
        """An open upload of this file. Its key says what it is, so that another process finds it; when it has ended, the
        next one's key says that too."""
        before = ""
        while True:
            about = json.dumps([wish, before], default=str, sort_keys=True)
            key = f"upload-{hashlib.sha256(about.encode()).hexdigest()}"
            begun = yield from self._post("/imagery/uploads", PartedUpload, wish, **{"Idempotency-Key": key})
            try:
                known = yield from self._get(f"/imagery/uploads/{begun.id}", PartedUpload)
                if known.status == "open":
                    return known
            except ApiError as error:
                if error.status != 404:
                    raise
            before = str(begun.id)

    def start_run(self, /, imagery_id: UUID | str, index_type: str, **options: Any) -> Steps[AnalysisRun]:
        """`options` are the fields of POST /analysis-runs: auto_report, language, thresholds, priority ..."""
        body = {"imagery_id": imagery_id, "index_type": index_type, **options}
        return (yield from self._post("/analysis-runs", AnalysisRun, body))

    def start_report(self, run_id: UUID | str, language: str | None = None) -> Steps[Report]:
        return (yield from self._post("/reports", Report, {"analysis_run_id": run_id, "language": language}))

    def get(self, kind: type[Record], record_id: UUID | str) -> Steps[Record]:
        return (yield from self._get(f"{_PLACES[kind]}/{record_id}", kind))

    def page(self, /, kind: type[Record], **filters: Any) -> Steps[Page[Record]]:
        """Of a listing, newest first: `limit`, `next` of the page before, and the filters of its route."""
        found: Page[Record] = yield from self._get(_PLACES[kind], Page[kind], **_given(filters))  # type: ignore[valid-type]
        return found

    def wait(
        self, record: Work, *, timeout_s: float = 3600, progress: Callable[[Work], object] | None = None
    ) -> Steps[Work]:
        """The run or report when it is completed; `progress` is told of every change.

        Raises:
            Failed: it ended otherwise.
            TimedOut: it has not ended in time.
        """
        deadline, pause, told = time.monotonic() + timeout_s, 0.2, ""
        while True:
            record = yield from self._get(f"{_PLACES[type(record)]}/{record.id}", type(record))
            state = f"{record.status} {getattr(record, 'progress', '')} {record.attempts}"
            if progress and state != told:
                progress(record)
            told = state
            if record.status == "completed":
                return record
            if record.status in {"failed", "cancelled"}:
                raise Failed(f"It is {record.status}: {record.error or 'nobody wanted it.'}", record=record)
            if time.monotonic() + pause > deadline:
                raise TimedOut
            yield pause
            pause = min(pause * 1.3, 3.0)

    def download(self, record: Imagery | AnalysisRun | Report, what: str, target: str | Path) -> Steps[Path]:
        """`content` or `thumbnail` of an imagery, `heatmap`, `index.tif` or `legend` of a run, `pdf` of a report.

        `target` is there when it is whole.
        """
        path = Path(target)
        part = path.with_name(f"{path.name}.part")
        yield from self._send(_Call("GET", f"{_PLACES[type(record)]}/{record.id}/{what}", into=part))
        return part.replace(path)

    def delete(self, record: Imagery | AnalysisRun | Report) -> Steps[None]:
        """A run that has not ended is cancelled."""
        try:
            yield from self._send(_Call("DELETE", f"{_PLACES[type(record)]}/{record.id}"))
        except ApiError as error:
            if error.status != 404:  # somebody was faster
                raise


def _blocking(steps: Callable[Concatenate[_Api, P], Steps[T]]) -> Callable[Concatenate[Client, P], T]:
    @functools.wraps(steps)
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        going, outcome = steps(self._api, *args, **kwargs), None
        while True:
            try:
                step = going.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            do: Any = self._carry_out if isinstance(step, _Call) else time.sleep
            outcome = step() if callable(step) else do(step)

    return call


def _awaited(
    steps: Callable[Concatenate[_Api, P], Steps[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    @functools.wraps(steps)
    async def call(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        going, outcome = steps(self._api, *args, **kwargs), None
        while True:
            try:
                step = going.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            do: Any = self._carry_out if isinstance(step, _Call) else asyncio.sleep
            outcome = await (asyncio.to_thread(step) if callable(step) else do(step))

    return call


class Client:
    """Blocking. Every method may raise `ApiError` and `Unreachable`."""

    def __init__(self, url: str, key: str | None = None, *, timeout_s: float = 60) -> None:
        self._api, self._http = _Api(url, key), httpx2.Client(timeout=timeout_s)

    def _carry_out(self, call: _Call) -> httpx2.Response | httpx2.TransportError:
        try:
            with ExitStack() as stack, self._http.stream(**call.arguments(stack)) as answer:
                if call.into is None or answer.is_error:
                    answer.read()
                    return answer
                with call.into.open("wb") as file:
                    for piece in answer.iter_bytes(_CHUNK_BYTES):
                        file.write(piece)
                return answer
        except httpx2.TransportError as error:
            return error

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    upload, download = _blocking(_Api.upload), _blocking(_Api.download)
    start_run, start_report = _blocking(_Api.start_run), _blocking(_Api.start_report)
    get, page = _blocking(_Api.get), _blocking(_Api.page)
    wait, delete = _blocking(_Api.wait), _blocking(_Api.delete)


class AsyncClient:
    """The same for asyncio: every method is awaited."""

    def __init__(self, url: str, key: str | None = None, *, timeout_s: float = 60) -> None:
        self._api, self._http = _Api(url, key), httpx2.AsyncClient(timeout=timeout_s)

    async def _carry_out(self, call: _Call) -> httpx2.Response | httpx2.TransportError:
        try:
            with ExitStack() as stack:
                async with self._http.stream(**call.arguments(stack)) as answer:
                    if call.into is None or answer.is_error:
                        await answer.aread()
                        return answer
                    with call.into.open("wb") as file:
                        async for piece in answer.aiter_bytes(_CHUNK_BYTES):
                            file.write(piece)
                    return answer
        except httpx2.TransportError as error:
            return error

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    upload, download = _awaited(_Api.upload), _awaited(_Api.download)
    start_run, start_report = _awaited(_Api.start_run), _awaited(_Api.start_report)
    get, page = _awaited(_Api.get), _awaited(_Api.page)
    wait, delete = _awaited(_Api.wait), _awaited(_Api.delete)


def _error_of(outcome: httpx2.Response | httpx2.TransportError) -> ApiError | Unreachable:
    if not isinstance(outcome, httpx2.Response):
        return Unreachable(f"The server does not answer: {str(outcome) or type(outcome).__name__}")
    try:
        problem = dict(json.loads(outcome.content))
    except (ValueError, TypeError):  # of a proxy in between
        problem = {}
    detail = problem.pop("detail", None) or f"HTTP status {outcome.status_code}"
    told = {"status": outcome.status_code, "request_id": outcome.headers.get("x-request-id")}
    return ApiError(detail, **{**problem, **told})


def _pause_after(outcome: httpx2.Response | httpx2.TransportError, number: int) -> float | None:
    """Seconds until the next try: those that the server names, else longer from try to try; None where there is no use."""
    usual = min(0.5 * 2.0 ** (number - 1), MAX_PAUSE_S) * random.uniform(0.5, 1)  # noqa: S311 - no secret
    if not isinstance(outcome, httpx2.Response):
        return usual
    if outcome.status_code not in _TRANSIENT and b"urn:orthoray:InFlight" not in outcome.content:
        return None
    named: str = outcome.headers.get("retry-after", "")
    return min(float(named), MAX_PAUSE_S) if named.isdigit() else usual


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    """Of a form's field: lists have commas between."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, at: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(size)
