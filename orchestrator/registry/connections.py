"""Connections to registries and their token servers, each kept for the next request to the same place.

A connection has one request at a time. Who finds none that is idle opens one, up to a limit for each place: whoever
waits for a registry that does not answer keeps nobody from another. Those for loopback hosts, which no proxy can reach,
are apart from those which honour the proxy variables of the environment, as Docker does, and certificates are read
where there is TLS.
"""

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from orchestrator.registry import trust
from orchestrator.registry.connection import Connection, Response
from orchestrator.registry.opening import opened
from orchestrator.registry.places import Place
from orchestrator.registry.proxies import AUTHENTICATION_REQUIRED, Proxy, proxy_for, refused

_MOST = 8
"""Requests at once to one place."""
_MOST_IDLE = 16
"""Connections that are kept for another request, to whatever places."""


class Connections:
    """Those of one kind.

    Args:
        local: whether no proxy can reach the other end.
        ca: a file of authorities that are trusted, too.
    """

    def __init__(self, *, local: bool, ca: Path | None = None) -> None:
        self._ca = ca
        self._said: Mapping[str, str] = {} if local else _said()
        self._tls: ssl.SSLContext | None = None
        self._proxies: dict[tuple[str, str, int], Proxy | None] = {}
        self._idle: list[tuple[tuple[str, str, int], Connection]] = []
        self._free: dict[tuple[str, str, int], anyio.Semaphore] = {}

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
            LostError: what happened to the connection.
            ConfigError: the proxy that the environment names cannot be used, wants to know who we are, or refuses to
                connect us; or the certificates that it names cannot be read.
        """
        target, lines = to.target, {"host": to.authority, **headers}
        proxy = self._proxy(to)
        if proxy is not None and to.scheme == "http":
            target, lines = f"http://{to.authority}{target}", {**lines, **proxy.headers}
        if to.origin not in self._free:
            self._free[to.origin] = anyio.Semaphore(_MOST, fast_acquire=True)
        async with self._free[to.origin]:
            connection = None
            try:
                connection = await self._take(to) or await opened(to, proxy, self._context)
                head = await connection.ask(method, target, lines, content)
                if proxy is not None and to.scheme == "http" and head.status_code == AUTHENTICATION_REQUIRED:
                    raise refused(proxy)
                yield Response(head, connection, to.scheme)
            finally:
                if connection is not None:
                    await self._leave(to, connection)

    def _proxy(self, to: Place) -> Proxy | None:
        if to.origin not in self._proxies:
            self._proxies[to.origin] = proxy_for(*to.origin, self._said)
        return self._proxies[to.origin]

    async def _take(self, to: Place) -> Connection | None:
        """One that may be used again."""
        same = [number for number, (origin, _) in enumerate(self._idle) if origin == to.origin]
        if same:
            _, connection = self._idle.pop(same[-1])
            if connection.is_fresh:
                return connection
            await connection.aclose()
        return None

    async def _leave(self, to: Place, connection: Connection) -> None:
        if not connection.rest():
            await connection.aclose()
            return
        self._idle.append((to.origin, connection))
        if len(self._idle) > _MOST_IDLE:
            # The one that was idle longest makes room.
            await self._idle.pop(0)[1].aclose()

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = trust.verifying(self._ca)
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    async def aclose(self) -> None:
        """Close them all."""
        while self._idle:
            await self._idle.pop()[1].aclose()


def _said() -> Mapping[str, str]:
    from urllib.request import getproxies  # noqa: PLC0415 -- with email and http.client, for loopback in vain

    return getproxies()
