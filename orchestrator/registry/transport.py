"""One HTTP exchange with a registry or its token server: connections, proxies, redirects, patience.

Connections are opened when first needed: those for loopback hosts, which no proxy can reach, are apart from those
which honour the proxy variables of the environment, as Docker does, and certificates are read where there is TLS. Each
connection is the only one of an httpx client: a pool of several looks at all of them four times for each request, with
a system call for each that is idle, which is most of what a small request costs.

Redirects are followed here and not by httpx, because `Authorization` belongs to one origin: it is dropped for good when
a redirect leaves it.

An exchange is repeated as a whole, reading of the body included, until `consume` returns; a consumer that has passed
bytes on must turn a lost connection into an error of its own.
"""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Self, TypeVar

import anyio
import msgspec

from orchestrator import __version__
from orchestrator.errors import FleetpacksError, RegistryError, RegistryUnavailableError
from orchestrator.registry import backoff, failures, hosts
from orchestrator.registry.http import httpx

_T = TypeVar("_T")
Consumer = Callable[[httpx.Response], Awaitable[_T]]
_Origin = tuple[str, str, int]
"""Scheme, host, port."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(60.0, connect=10.0, pool=None)
_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1)
_MOST_CONNECTIONS = 8
"""Of one kind."""
_LARGEST_REFUSAL = 64 * 1024


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


class _Connections:
    """Those of one kind.

    Args:
        local: whether no proxy can reach the other end.
        secure: whether they have TLS.
    """

    def __init__(self, *, local: bool, secure: bool) -> None:
        self._local = local
        self._tls = _tls(secure=secure)
        self._idle: list[tuple[_Origin, httpx.AsyncClient]] = []
        self._opened: list[httpx.AsyncClient] = []
        self._free = anyio.Semaphore(_MOST_CONNECTIONS, fast_acquire=True)

    @asynccontextmanager
    async def one(self, origin: _Origin) -> AsyncGenerator[httpx.AsyncClient, None]:
        """One for the block: the last that was used for this origin, or a new one, or the one that was idle longest."""
        async with self._free:
            same = [place for place, (last, _) in enumerate(self._idle) if last == origin]
            if same or len(self._opened) == _MOST_CONNECTIONS:
                _, client = self._idle.pop(same[-1] if same else 0)
            else:
                client = httpx.AsyncClient(trust_env=not self._local, timeout=_TIMEOUT, limits=_ONE, verify=self._tls)
                self._opened.append(client)
            # A registry has no business with cookies, and they would tie requests of different apps together.
            client.cookies.clear()
            try:
                yield client
            finally:
                self._idle.append((origin, client))

    async def aclose(self) -> None:
        """Close them all."""
        for client in self._opened:
            await client.aclose()


class Transport:
    """The connections of one run to all registries. An async context manager.

    Args:
        patience: how long to try.
        timing: the clock.
    """

    def __init__(self, *, patience: backoff.Patience, timing: backoff.Timing) -> None:
        self._patience = patience
        self._timing = timing
        self._connections: dict[tuple[bool, bool], _Connections] = {}
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
            RegistryUnavailableError: after all attempts, or when the server asks to come back too late.
            RegistryError: the server's certificate does not verify.
            ProtocolError: a redirect that must not be followed.
            FleetpacksError: whatever `consume` raises.
        """
        started = self._timing.now()
        attempt = 0
        while True:
            attempt += 1
            asked: float | None = None
            try:
                async with self._answer(request) as response:
                    if response.status_code not in failures.RETRYABLE:
                        return await consume(response)
                    body = await read(response, _LARGEST_REFUSAL, request.host, cut=True)
                    said = failures.explanation(body)
                    reason = f"HTTP {response.status_code}" + (f", {said}" if said else "")
                    asked = backoff.retry_after(response.headers.get("retry-after"), now=self._timing.now())
            except httpx.TransportError as error:
                if is_untrusted(error):
                    raise _untrusted(request, error) from None
                reason = describe(error)
                if not repeat_lost:
                    lost = failures.unavailable(request.host, request.action, reason)
                    raise NoAnswerError(lost.message, hint=lost.hint) from None
            except (httpx.InvalidURL, httpx.DecodingError) as error:
                raise failures.broken(request.host, f"cannot {request.action}: {error}") from None
            wait = backoff.delay(
                self._patience,
                attempt=attempt,
                elapsed=self._timing.now() - started,
                asked=asked,
                jitter=self._timing.jitter(),
            )
            if wait is None:
                raise failures.unavailable(request.host, request.action, reason, asked=asked)
            await self._timing.sleep(wait)

    @asynccontextmanager
    async def _answer(self, request: Request) -> AsyncGenerator[httpx.Response, None]:
        """The first answer that is not a redirect to be followed."""
        url = httpx.URL(request.url)
        headers = {**request.headers, "user-agent": f"fleetpacks/{__version__}"}
        for _ in range(_MOST_REDIRECTS + 1):
            async with self._to(url).one(_origin(url)) as client:
                message = client.build_request(request.method, url, headers=headers, content=request.content)
                response = await client.send(message, stream=True, follow_redirects=False)
                try:
                    location = response.headers.get("location")
                    reading = request.method in {"GET", "HEAD"}
                    if response.status_code not in _REDIRECTS or location is None or not reading:
                        yield response
                        return
                finally:
                    await response.aclose()
            target = url.join(location)
            refusal = hosts.refuse_redirect(str(url), str(target))
            if refusal is not None:
                raise failures.broken(request.host, f"cannot {request.action}: redirect not followed: {refusal}")
            if _origin(target) != _origin(url):
                headers.pop("authorization", None)
            url = target
        raise failures.broken(request.host, f"cannot {request.action}: more than {_MOST_REDIRECTS} redirects")

    def _to(self, url: httpx.URL) -> _Connections:
        kind = (hosts.is_loopback(url.host), url.scheme == "https")
        if kind not in self._connections:
            local, secure = kind
            self._connections[kind] = _Connections(local=local, secure=secure)
            self._stack.push_async_callback(self._connections[kind].aclose)
        return self._connections[kind]


def _tls(*, secure: bool) -> ssl.SSLContext:
    """Certificates are verified, against SSL_CERT_FILE or SSL_CERT_DIR where these are set; else against none."""
    return httpx.create_ssl_context(trust_env=True) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _origin(url: httpx.URL) -> _Origin:
    port = url.port if url.port is not None else {"https": 443}.get(url.scheme, 80)
    return (url.scheme, url.host, port)


async def read(response: httpx.Response, limit: int, host: str, *, cut: bool = False) -> bytes:
    """A whole body of at most `limit` bytes, or with `cut` its beginning.

    Raises:
        ProtocolError: it is longer.
    """
    body = bytearray()
    async with chunks(response) as stream:
        async for chunk in stream:
            body += chunk
            if len(body) > limit:
                if cut:
                    return bytes(body[:limit])
                raise failures.broken(host, f"an answer is longer than {limit} bytes")
    return bytes(body)


@asynccontextmanager
async def chunks(response: httpx.Response) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """The body as it comes; it may be left before its end.

    httpx nests generators, and closing the outermost one leaves the others to the garbage collector, which trio rightly
    complains about. Reading on from the closed connection ends all of them.
    """
    stream = response.aiter_raw()
    try:
        yield stream
    finally:
        await response.aclose()
        with suppress(httpx.HTTPError, httpx.StreamError):
            async for _ in stream:
                pass


def describe(error: httpx.TransportError) -> str:
    """What happened to a connection, in words; httpx leaves some messages empty."""
    names: dict[type[httpx.TransportError], str] = {
        httpx.ConnectTimeout: "no connection in time",
        httpx.ReadTimeout: "no answer in time",
        httpx.WriteTimeout: "it does not take our data in time",
    }
    return names.get(type(error)) or str(error) or "the connection was lost"


def is_untrusted(error: BaseException) -> bool:
    """Whether a connection failed because the server's certificate does not verify."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _untrusted(request: Request, error: httpx.TransportError) -> FleetpacksError:
    return RegistryError(
        f"cannot {request.action}: the certificate of {httpx.URL(request.url).host} does not verify: "
        f"{failures.clean(str(error))}",
        hint="let SSL_CERT_FILE name a bundle that holds the registry's certificate authority",
    )
