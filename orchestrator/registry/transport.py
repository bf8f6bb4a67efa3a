"""One HTTP exchange with a registry or its token server: redirects and patience.

Redirects are followed here, because `Authorization` belongs to one origin: it is dropped for good when a redirect
leaves it.

An exchange is repeated as a whole, reading of the body included, until `consume` returns; a consumer that has passed
bytes on must turn a lost connection into an error of its own.
"""

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urljoin

import anyio
import msgspec

from orchestrator import __version__
from orchestrator.errors import FleetpacksError, RegistryError, RegistryUnavailableError
from orchestrator.registry import backoff, failures, hosts
from orchestrator.registry.connection import LostError, Response
from orchestrator.registry.connections import Connections
from orchestrator.registry.places import Place, place, quoted

_T = TypeVar("_T")
Consumer = Callable[[Response], Awaitable[_T]]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_LARGEST_REFUSAL = 64 * 1024
_PASSING_SECONDS = 2.0
_HEADERS = {
    "accept": "*/*",
    # A compressed transfer would come with bytes that are not those of the digest.
    "accept-encoding": "identity",
    "user-agent": f"fleetpacks/{__version__}",
}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of whom."""

    method: str
    url: str
    host: str
    """The registry on whose behalf this is, for messages."""
    action: str
    """What is to be done, for messages: `read registry.example/app:1`."""
    headers: Mapping[str, str]
    content: bytes | None = None

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url})"


class NoAnswerError(RegistryUnavailableError):
    """No HTTP came over a connection, or there was none; only when lost connections are not to be repeated."""


class Transport:
    """The connections of one run to all registries. An async context manager.

    Args:
        patience: how long to try.
        timing: the clock.
        ca: a file of authorities that are trusted, too.
    """

    def __init__(self, *, patience: backoff.Patience, timing: backoff.Timing, ca: Path | None = None) -> None:
        self._ca = ca
        self._patience = patience
        self._timing = timing
        self._connections: dict[bool, Connections] = {}
        self._local: dict[str, bool] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def exchange(self, request: Request, consume: Consumer[_T], *, repeat_lost: bool = True) -> _T:
        """Send a request until its answer is worth reading, and read it.

        Args:
            request: what to send.
            consume: is given every answer that is no redirect and no reason to try again; its connection is closed or
                reused when it returns.
            repeat_lost: whether a connection that fails is a reason to try again; otherwise it is a `NoAnswerError`.

        Raises:
            RegistryUnavailableError: after all attempts, or when the server asks to come back too late; if it was an
                answer, then a `RegistryBusyError`.
            RegistryError: the server's certificate does not verify.
            ProtocolError: a redirect that must not be followed.
            ConfigError: the environment's proxy or certificates cannot be used.
            FleetpacksError: whatever `consume` raises.
        """
        started = self._timing.now()
        attempt = 0
        while True:
            attempt += 1
            asked: float | None = None
            answered = True
            try:
                async with self._answer(request) as response:
                    if response.status not in failures.RETRYABLE:
                        return await consume(response)
                    body = await read(response, _LARGEST_REFUSAL, request.host, cut=True)
                    said = failures.explanation(body)
                    reason = f"HTTP {response.status}" + (f", {said}" if said else "")
                    asked = backoff.retry_after(response.header("retry-after") or None, now=self._timing.now())
            except LostError as error:
                if is_untrusted(error):
                    raise _untrusted(request, error) from None
                reason, answered = str(error), False
                if not repeat_lost:
                    lost = failures.unavailable(request.host, request.action, reason, answered=False)
                    raise NoAnswerError(lost.message, hint=lost.hint) from None
            wait = backoff.delay(
                self._patience,
                attempt=attempt,
                elapsed=self._timing.now() - started,
                asked=asked,
                jitter=self._timing.jitter(),
            )
            if wait is None:
                raise failures.unavailable(request.host, request.action, reason, answered=answered, asked=asked)
            await self._timing.sleep(wait)

    @asynccontextmanager
    async def _answer(self, request: Request) -> AsyncGenerator[Response, None]:
        """The first answer that is not a redirect to be followed."""
        url, to = request.url, _place(request, request.url)
        headers = {**_HEADERS, **request.headers}
        for _ in range(_MOST_REDIRECTS + 1):
            async with self._to(to).send(request.method, to, headers, request.content) as response:
                location = response.header("location")
                reading = request.method in {"GET", "HEAD"}
                if response.status not in _REDIRECTS or not location or not reading:
                    yield response
                    return
                await _pass_over(response, request)
            target = urljoin(url, quoted(location))
            refusal = hosts.refuse_redirect(url, target)
            if refusal is not None:
                raise failures.broken(request.host, f"cannot {request.action}: redirect not followed: {refusal}")
            before, url, to = to, target, _place(request, target)
            if to.origin != before.origin:
                headers.pop("authorization", None)
        raise failures.broken(request.host, f"cannot {request.action}: more than {_MOST_REDIRECTS} redirects")

    def _to(self, to: Place) -> Connections:
        if to.host not in self._local:
            self._local[to.host] = hosts.is_loopback(to.host)
        local = self._local[to.host]
        if local not in self._connections:
            self._connections[local] = Connections(local=local, ca=self._ca)
            self._stack.push_async_callback(self._connections[local].aclose)
        return self._connections[local]


def _place(request: Request, url: str) -> Place:
    try:
        return place(url)
    except ValueError as error:
        raise failures.broken(request.host, f"cannot {request.action}: {error}") from None


async def read(response: Response, limit: int, host: str, *, cut: bool = False) -> bytes:
    """A whole body of at most `limit` bytes, or with `cut` its beginning.

    Raises:
        ProtocolError: it is longer.
    """
    body = bytearray()
    async for chunk in response:
        body += chunk
        if len(body) > limit:
            if cut:
                return bytes(body[:limit])
            raise failures.broken(host, f"an answer is longer than {limit} bytes")
    return bytes(body)


async def _pass_over(response: Response, request: Request) -> None:
    """Read what a redirect says, so that its connection can be used again; one that says much, or slowly, is closed."""
    with suppress(LostError), anyio.move_on_after(_PASSING_SECONDS):
        await read(response, _LARGEST_REFUSAL, request.host, cut=True)


def is_untrusted(error: BaseException) -> bool:
    """Whether a connection failed because the server's certificate does not verify."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _untrusted(request: Request, error: Exception) -> FleetpacksError:
    return RegistryError(
        f"cannot {request.action}: the certificate of {_place(request, request.url).host} does not verify: "
        f"{failures.clean(str(error))}",
        hint="let SSL_CERT_FILE name a bundle that holds the registry's certificate authority",
    )
