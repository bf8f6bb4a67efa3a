"""Connections to registries and their token servers, each kept for the next request to the same place.

They are httpcore's, which httpx stands on: HTTP/1.1 over TCP or TLS, alone or through a proxy. What httpx puts on top
(cookies, redirects, authentication, decoding) is not wanted for registries, and a pool of connections looks at all of
them four times for each request; together that was half of what a small request costs.

A connection has one request at a time. Who finds none that is idle opens one, up to a limit for each kind: those for
loopback hosts, which no proxy can reach, are apart from those which honour the proxy variables of the environment, as
Docker does, and certificates are read where there is TLS.
"""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote, urlsplit

import anyio
import httpcore
import msgspec

from orchestrator.registry.proxies import proxy_for

LOST = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
"""What happens to connections: all that httpcore raises while it uses one."""

_MOST = 8
_IDLE_SECONDS = 5.0
"""A connection that was idle for longer is not used again: servers close them, too."""
_TIMEOUTS = {"connect": 10.0, "read": 60.0, "write": 60.0}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_RESERVED = "%:/?#[]@!$&'()*+,;=~"
"""What has a meaning in URLs (RFC 3986, 2.2), or is quoted already."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A URL as a request needs it."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """What decides whether two places are one server's."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The `Host` of a request."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def place(url: str) -> Place:
    """The place that a URL names.

    Args:
        url: an absolute one of http or https.

    Raises:
        ValueError: its host or port cannot be.
    """
    # A server's `Location` may hold whatever its bytes are.
    split = urlsplit(quoted(url))
    port = split.port
    if split.scheme not in _DEFAULT_PORTS or not split.hostname:
        raise ValueError("it is not an http or https URL with a host")
    return Place(
        scheme=split.scheme,
        host=split.hostname,
        port=_DEFAULT_PORTS[split.scheme] if port is None else port,
        target=(split.path or "/") + (f"?{split.query}" if split.query else ""),
    )


def quoted(url: str) -> str:
    """A URL without characters that no URL has."""
    return quote(url, safe=_RESERVED)


class Response:
    """An answer whose body may still be on its way.

    Attributes:
        status: the HTTP status.
        scheme: of the place that answered.
    """

    def __init__(self, answer: httpcore.Response, scheme: str) -> None:
        self.status = answer.status
        self.scheme = scheme
        self._answer = answer
        self._closed = False
        self._headers: dict[bytes, list[str]] = {}
        for name, value in answer.headers:
            self._headers.setdefault(name.lower(), []).append(value.decode(errors="replace"))

    def header(self, name: str) -> str:
        """A header's value by its name in lower case, or nothing; the values of several are one list."""
        return ", ".join(self.headers(name))

    def headers(self, name: str) -> list[str]:
        """The values of all headers of a name."""
        return self._headers.get(name.encode(), [])

    @asynccontextmanager
    async def chunks(self) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The body as it comes; it may be left before its end.

        httpcore nests generators, and closing the outermost one leaves the others to the garbage collector, which trio
        rightly complains about. Reading on from the closed connection ends all of them.
        """
        stream = self._answer.aiter_stream()
        try:
            yield stream
        finally:
            await self.aclose()
            with suppress(*LOST):
                async for _ in stream:
                    pass

    async def aclose(self) -> None:
        """Let go of the connection: it is closed, unless the body was read to its end."""
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._answer.aclose()


class Connections:
    """Those of one kind.

    Args:
        local: whether no proxy can reach the other end.
        secure: whether they have TLS.
    """

    def __init__(self, *, local: bool, secure: bool) -> None:
        self._said: Mapping[str, str] = {} if local else _said()
        self._tls = _tls() if secure else None
        self._idle: list[tuple[tuple[str, str, int], httpcore.AsyncConnectionInterface]] = []
        self._busy = 0
        self._free = anyio.Semaphore(_MOST, fast_acquire=True)

    @asynccontextmanager
    async def send(
        self, method: str, to: Place, headers: Mapping[str, str], content: bytes | None
    ) -> AsyncGenerator[Response, None]:
        """Send a request over the connection that was used last for this origin, or over a new one.

        Args:
            method: the request's.
            to: where.
            headers: what is said beside the host and the length.
            content: the request's body.

        Raises:
            LOST: what happened to the connection.
            ConfigError: the proxy that the environment names cannot be used.
        """
        lines = [("host", to.authority), *headers.items()]
        if content is not None:
            lines.append(("content-length", str(len(content))))
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=to.scheme, host=to.host, port=to.port, target=to.target),
            headers=lines,
            content=content,
            extensions={"timeout": _TIMEOUTS},
        )
        async with self._one(to) as connection:
            response = Response(await connection.handle_async_request(request), to.scheme)
            try:
                yield response
            finally:
                await response.aclose()

    @asynccontextmanager
    async def _one(self, to: Place) -> AsyncGenerator[httpcore.AsyncConnectionInterface, None]:
        async with self._free:
            self._busy += 1
            connection = None
            try:
                connection = await self._take(to)
                yield connection
            finally:
                self._busy -= 1
                if connection is not None:
                    await self._leave(to, connection)

    async def _take(self, to: Place) -> httpcore.AsyncConnectionInterface:
        same = [number for number, (origin, _) in enumerate(self._idle) if origin == to.origin]
        if same:
            _, connection = self._idle.pop(same[-1])
            if not connection.has_expired():
                return connection
            await _close(connection)
        if len(self._idle) + self._busy > _MOST:
            # The one that was idle longest makes room.
            await _close(self._idle.pop(0)[1])
        return self._new(to)

    async def _leave(self, to: Place, connection: httpcore.AsyncConnectionInterface) -> None:
        if connection.is_available():
            self._idle.append((to.origin, connection))
        else:
            await _close(connection)

    def _new(self, to: Place) -> httpcore.AsyncConnectionInterface:
        """A connection that is opened by its first request."""
        proxy = proxy_for(*to.origin, self._said)
        through = None
        if proxy is not None:
            at = httpcore.URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target="/")
            through = httpcore.Proxy(at, auth=proxy.auth)
        pool = httpcore.AsyncConnectionPool(ssl_context=self._tls, proxy=through, keepalive_expiry=_IDLE_SECONDS)
        return pool.create_connection(httpcore.Origin(to.scheme.encode(), to.host.encode(), to.port))

    async def aclose(self) -> None:
        """Close them all."""
        while self._idle:
            await _close(self._idle.pop()[1])


async def _close(connection: httpcore.AsyncConnectionInterface) -> None:
    with anyio.CancelScope(shield=True):
        await connection.aclose()


def _said() -> Mapping[str, str]:
    from urllib.request import getproxies  # noqa: PLC0415 -- with email and http.client, for loopback in vain

    return getproxies()


def _tls() -> ssl.SSLContext:
    """Certificates are verified, against SSL_CERT_FILE or SSL_CERT_DIR where these are set."""
    from orchestrator.registry.http import httpx  # noqa: PLC0415 -- for this alone

    return httpx.create_ssl_context(trust_env=True)
