"""A proxy before an HTTP server that can be told to misbehave: `with FaultyProxy(port) as proxy: proxy.fault = "errors"`."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Literal, Self

Fault = Literal["none", "errors", "cut", "slow", "silent"]

CHUNK = 64 * 1024
# A connection that is in order while there is a fault is ended soon, so that its client gets its share of trouble.
LIFE_S = 1.0
_ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>A test.</Message></Error>"
ANSWERS = (
    (500, b"InternalError"),
    (503, b"SlowDown"),
    (503, b"ServiceUnavailable"),
)


class FaultyProxy:
    """Passes connections on to a port of this machine. With a fault, `share` of the new connections have it:

    - `errors`: requests are answered 500 or 503 by the proxy itself
    - `cut`: the connection ends somewhere within the first 200 KB of an answer
    - `slow`: an answer begins seconds late
    - `silent`: nothing is ever answered
    """

    def __init__(self, target: int, seed: int = 1) -> None:
        self._target = target
        self._dice = random.Random(seed)
        self._open: set[asyncio.StreamWriter] = set()
        self._fault: Fault = "none"
        self.share = 0.5
        self.hit = 0
        self._started: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="faulty-proxy")
        self._thread.start()
        self.port = self._started.result(10)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._started.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        self._end_all()

    @property
    def fault(self) -> Fault:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        """From now on, also for those that are connected: their connections end."""
        self._fault = fault
        self._loop.call_soon_threadsafe(self._end_all)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _end_all(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        fault = self._fault if self._dice.random() < self.share else "none"
        if fault != "none":
            self.hit += 1
        try:
            with suppress(OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                if fault == "errors":
                    await self._refuse(reader, writer)
                elif fault == "silent":
                    await asyncio.sleep(600)
                else:
                    await self._pass_on(reader, writer, fault)
        except asyncio.CancelledError:
            pass  # the proxy ends, and asyncio's servers complain of handlers that are cancelled
        finally:
            self._open.discard(writer)
            writer.close()

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if length and b"100-continue" not in head.lower():
            left = int(length[1])
            while left:
                left -= len(await reader.readexactly(min(left, CHUNK)))
        status, code = self._dice.choice(ANSWERS)
        body = b"" if head.startswith(b"HEAD") else _ERROR % code
        writer.write(
            b"HTTP/1.1 %d Trouble\r\ncontent-type: application/xml\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, len(body), body)
        )
        await writer.drain()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault
    ) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._open.add(inner_writer)
        up = asyncio.create_task(_copy(reader, inner_writer))
        try:
            if fault == "slow":
                await asyncio.sleep(self._dice.uniform(2, 4))
            limit = self._dice.randrange(1, 200_000) if fault == "cut" else None
            life = LIFE_S if fault == "none" and self._fault != "none" else None
            with suppress(TimeoutError):
                async with asyncio.timeout(life):
                    await _copy(inner_reader, writer, limit)
        finally:
            up.cancel()
            self._open.discard(inner_writer)
            inner_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None = None) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK if limit is None else min(CHUNK, limit)):
            writer.write(data)
            await writer.drain()
            if limit is not None:
                limit -= len(data)
                if limit <= 0:
                    writer.transport.abort()
                    return
