"""Sends callbacks: one POST to an address that was checked, and nothing of the answer but its status."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from typing import Any
from uuid import UUID

import httpcore2
import structlog
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from actors.metrics import CALLBACKS
from actors.shares import Shares
from orthoray.callbacks import CallbackPolicy, check_url, secret_of_tenant, signed_headers, wait_after
from orthoray.errors import Impossible
from orthoray.ports import CallbackOrder
from orthoray.queue import PutOff

CONNECT_S = 5.0
TOTAL_S = 15.0
# A job that could not even begin, because a service of ours was away.
SOON_S = 5
GONE = 410

LOOK_UPS = 8
# Callbacks under way at once, in all, of one tenant, and to one host.
AT_ONCE = 32
OF_TENANT = 16
TO_HOST = 4

Resolve = Callable[[str, int], Awaitable[list[str]]]

log = structlog.get_logger(__name__)


class NotDelivered(Exception):
    """The message was not taken; `wait_s` is when to try again."""

    def __init__(self, reason: str, wait_s: int) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class CallbackRetry(BaseRetryStrategy):
    """As the failed attempt says; soon when something of ours was away. What ends it is its row."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        wait = exception.wait_s if isinstance(exception, NotDelivered | PutOff) else SOON_S
        return RetryDecision(retry_in={"milliseconds": int(1000 * wait)})


class Refused(Exception):
    """This message will never be taken, or must not be sent."""


class Sender:
    """Sends messages to where a policy allows. For one event loop."""

    def __init__(self, policy: CallbackPolicy, resolve: Resolve | None = None) -> None:
        self._policy = policy
        self._backend = _CheckedBackend(policy, resolve or resolver())
        self._tls: ssl.SSLContext | None = None
        self._agent = f"OrthoRay/{version('orthoray')}"

    async def send(self, order: CallbackOrder) -> None:
        """POST the message once; redirects are not followed, the answer's body is not read.

        Raises:
            Refused: trying again is of no use, with the reason.
            OSError, httpcore2.NetworkError, TimeoutError ...: it may pass.
        """
        try:
            parts = check_url(order.url, self._policy)
        except Impossible as error:
            raise Refused(error.detail) from None
        body = order.body.encode()
        secret = secret_of_tenant(self._policy.secret, order.tenant)
        headers = {
            "host": parts.netloc,
            "content-type": "application/cloudevents+json; charset=utf-8",
            "user-agent": self._agent,
            "content-length": str(len(body)),
            **signed_headers(secret, order.event_id, int(time.time()), body),
        }
        if self._tls is None:
            self._tls = await asyncio.to_thread(httpcore2.default_ssl_context)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        url = httpcore2.URL(scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target=target)
        async with (
            asyncio.timeout(TOTAL_S),
            httpcore2.AsyncConnectionPool(ssl_context=self._tls, network_backend=self._backend) as pool,
            pool.stream(
                "POST",
                url,
                headers=list(headers.items()),
                content=body,
                extensions={"timeout": {"connect": CONNECT_S}},
            ) as answer,
        ):
            status = answer.status
        if status == GONE:
            raise Refused("the receiver answered 410 Gone")
        if not 200 <= status < 300:
            redirect = ", a redirect, which callbacks do not follow" if 300 <= status < 400 else ""
            raise OSError(f"the receiver answered {status}{redirect}")


class _CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Looks a name up once, checks all that it means, and connects to what was checked: no later look-up can differ."""

    def __init__(self, policy: CallbackPolicy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        if not all(self._policy.allows(address) for address in addresses):
            raise Refused(
                "the host leads to a private address: use a public one, or list its network in CALLBACK_NETWORKS"
            )
        error: Exception = OSError("the host has no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failure:
                error = failure
        raise error

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        raise Refused("callbacks go to hosts only")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def resolver() -> Resolve:
    """Looks names up in threads of its own: those of the event loop have to be free for the database."""
    threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="look-up")

    async def resolve(host: str, port: int) -> list[str]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(threads, look_up)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    return resolve


class Teller:
    """Carries out the jobs of a worker's queue of callbacks, of which each host and each tenant has a share only: a receiver
    that does not answer holds its place for 15 seconds."""

    def __init__(
        self,
        policy: CallbackPolicy | None,
        start: Callable[[UUID], Awaitable[CallbackOrder | None]],
        end: Callable[[UUID, str | None, bool], Awaitable[object]],
    ) -> None:
        """`start` and `end` are `start_callback` and `end_callback` of the service."""
        self._sender = Sender(policy) if policy else None
        self._start = start
        self._end = end
        self._shares = Shares()

    async def tell(self, subject: UUID, tenant: str, host: str) -> None:
        """
        Raises:
            PutOff: others are being told in the share of this one.
            NotDelivered, Unavailable: try again.
        """
        sizes = {f"tenant {tenant}": OF_TENANT, f"host {host}": TO_HOST}
        with self._shares.place(sizes):
            order = await self._start(subject)
            await deliver(order, self._sender, lambda error, given_up: self._end(subject, error, given_up))


async def deliver(
    order: CallbackOrder | None,
    sender: Sender | None,
    end: Callable[[str | None, bool], Awaitable[object]],
) -> None:
    """Make one attempt and tell of it by `end(error, given_up)`; nothing when there is nothing to do any more.

    Raises:
        NotDelivered: try again.
        Unavailable: it could not be told of; the receiver may get the message twice, with the same id.
    """
    if order is None:
        return
    if sender is None:
        await end("this installation has no WEBHOOK_SECRET any more to sign with", True)
        return
    try:
        await sender.send(order)
    except Refused as error:
        await end(str(error), True)
        CALLBACKS.inc(1, {"outcome": "given_up"})
        log.warning("callback given up", subject=str(order.subject), reason=str(error))
    except Exception as error:
        reason, wait = _reason(error), wait_after(order.attempts)
        await end(reason, wait is None)
        CALLBACKS.inc(1, {"outcome": "given_up" if wait is None else "retried"})
        if wait is not None:
            raise NotDelivered(reason, wait) from error
        log.warning("callback given up", subject=str(order.subject), reason=reason, attempts=order.attempts)
    else:
        await end(None, False)
        CALLBACKS.inc(1, {"outcome": "delivered"})


def _reason(error: Exception) -> str:
    """For the one who asked for the callback: neither addresses of ours nor the receiver's words."""
    if isinstance(error, TimeoutError | httpcore2.TimeoutException):
        return f"the receiver did not answer within {TOTAL_S:g} seconds"
    if isinstance(error, socket.gaierror):
        return "the host is not known"
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return "the host's certificate is not valid"
    if isinstance(error, httpcore2.NetworkError):
        return "the connection could not be made, or was cut"
    if isinstance(error, httpcore2.ProtocolError):
        return "the receiver does not speak HTTP"
    return str(error) if type(error) is OSError else type(error).__name__
