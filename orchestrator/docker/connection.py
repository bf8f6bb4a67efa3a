"""aiodocker's client, opened for one request and closed behind it. Runs on an asyncio loop only: `remote.bridge`.

One request, one connection: cancelling it closes its socket, by which an engine learns that it may stop. aiodocker
leaves the answer of a stream that is not read to its end to the garbage collector, so that the answers are noted here
and closed. Nothing is read of the environment: aiodocker would look for DOCKER_HOST, contexts and certificates itself.
"""

import ipaddress
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import aiodocker
import aiohttp
import anyio.to_thread
from aiohttp.abc import ResolveResult

from orchestrator.docker import api, replies
from orchestrator.errors import ProtocolError, UsageError
from remote.address import TcpAddress, UnixAddress
from remote.errors import AddressError
from remote.tcp import client_context

if TYPE_CHECKING:
    import ssl

_API = (1, 44)
"""The newest version of the API that this speaks: what answers look like beyond it is not known here."""
_OLDEST_API = (1, 41)
"""Engine 20.10's."""
_HINT = "fleetpacks needs a Docker Engine of 20.10 or newer; Podman's socket is none"
_CONNECT_SECONDS = 30.0
_LONGEST_LINE = 1 << 20
"""Bytes; a failed build's error may hold a whole command."""


class Connections:
    """Opens clients of one engine.

    Args:
        at: where it listens.
        name: its address in messages.
    """

    def __init__(self, at: UnixAddress | TcpAddress, *, name: str) -> None:
        self._at = at
        self._tls: ssl.SSLContext | None = None
        self._name = name
        self._version: replies.Version | None = None

    async def prepare(self) -> None:
        """Read certificates, on the caller's loop.

        Raises:
            UsageError: they cannot be read, or are none.
        """
        if isinstance(self._at, TcpAddress) and self._at.tls is not None:
            try:
                self._tls = await anyio.to_thread.run_sync(client_context, self._at.tls)
            except AddressError as error:
                raise UsageError(f"{self._name}: {error.message}", hint=error.hint) from error

    async def version(self) -> tuple[replies.Version, str]:
        """Which engine answers, asked once; and the version of the API that is spoken with it.

        Raises:
            ProtocolError: it is none, or none of those that we speak with.
            aiodocker.DockerError, aiohttp.ClientError: to be translated by the caller.
        """
        if self._version is None:
            async with self._client(version="auto", seconds=_CONNECT_SECONDS) as docker:
                self._version = replies.version(await docker.version())
        return self._version, self._api(self._version)

    @asynccontextmanager
    async def opened(self, *, seconds: float | None) -> AsyncGenerator[api.Client]:
        """A client for one request.

        Args:
            seconds: in which the request must be answered; None for those that take as long as they take.
        """
        _, version = await self.version()
        async with self._client(version=f"v{version}", seconds=seconds) as docker:
            yield docker

    @asynccontextmanager
    async def _client(self, *, version: str, seconds: float | None) -> AsyncGenerator[api.Client]:
        answers: list[aiohttp.ClientResponse] = []

        async def note(
            _session: aiohttp.ClientSession, _context: SimpleNamespace, end: aiohttp.TraceRequestEndParams
        ) -> None:
            answers.append(end.response)

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(note)
        url, connector = self._connector()
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_LONGEST_LINE,
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS),
            trace_configs=[trace],
        ) as session:
            try:
                docker = aiodocker.Docker(
                    url=url, connector=connector, session=session, timeout=session.timeout, api_version=version
                )
                yield cast("api.Client", docker)
            finally:
                for answer in answers:
                    answer.close()

    def _connector(self) -> tuple[str, aiohttp.BaseConnector]:
        match self._at:
            case UnixAddress(path=path):
                return "http://docker", aiohttp.UnixConnector(path)
            case TcpAddress(host=host, port=port, tls=tls):
                name = (tls.servername if tls else None) or host
                scheme = "http" if self._tls is None else "https"
                if name != host and _is_ip(name):
                    # aiohttp resolves no addresses, and would speak with whoever has this one.
                    raise UsageError(
                        f"{self._name}: servername: expected a host name, got an IP address",
                        hint="name the engine by that address, or by a name that its certificate holds",
                    )
                connector = aiohttp.TCPConnector(
                    ssl=self._tls or True, resolver=_Resolver(host) if name != host else None
                )
                return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}", connector

    def _api(self, version: replies.Version) -> str:
        if replies.is_podman(version):
            raise ProtocolError(
                f"{self._name}: Podman answers, and it is no Docker Engine",
                hint="name a Docker Engine's socket, or a buildkitd's with unix://",
            )
        newest = _numbers(version.api_version)
        oldest = _numbers(version.min_api_version) or (0,)
        spoken = min(newest, _API)
        if spoken < max(_OLDEST_API, oldest):
            raise ProtocolError(
                f"{self._name}: the engine {version.version} speaks versions {version.min_api_version} to "
                f"{version.api_version} of Docker's API, and fleetpacks 1.{_OLDEST_API[1]} to 1.{_API[1]}",
                hint=_HINT,
            )
        return ".".join(map(str, spoken))


class _Resolver(aiohttp.ThreadedResolver):
    """Finds every name at one host: the name is that of the certificate."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up the one host, and call it by the other's name."""
        return [{**found, "hostname": host} for found in await super().resolve(self._host, port, family)]


def _is_ip(name: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else ()
