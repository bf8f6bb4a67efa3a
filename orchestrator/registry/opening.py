"""Connections are opened: by TCP, with TLS where it is spoken, alone or through a proxy."""

import ssl
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, contextmanager

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from orchestrator.registry.connection import Connection, LostError
from orchestrator.registry.failures import RETRYABLE
from orchestrator.registry.places import Place
from orchestrator.registry.proxies import AUTHENTICATION_REQUIRED, Proxy, forbidden, refused

_SECONDS = 10.0
_OK, _END_OF_OK = 200, 300


async def opened(to: Place, proxy: Proxy | None, tls: Callable[[], ssl.SSLContext]) -> Connection:
    """A connection to a place, or to the proxy that is to be asked for it by its whole URL.

    Args:
        to: where.
        proxy: what stands between us and the place.
        tls: verifies certificates.

    Raises:
        LostError: there is none.
        ConfigError: the proxy wants to know who we are, or refuses to connect us; or `tls` has no certificates.
    """
    if proxy is None:
        stream = await _connected(to.host, to.port)
        return Connection(await _secured(stream, to.host, tls) if to.scheme == "https" else stream)
    stream = await _connected(proxy.host, proxy.port)
    if proxy.scheme == "https":
        stream = await _secured(stream, proxy.host, tls)
    connection = Connection(stream)
    if to.scheme == "http":
        return connection
    return Connection(await _secured(await _behind(connection, to, proxy), to.host, tls))


async def _connected(host: str, port: int) -> ByteStream:
    with _in_time():
        return await anyio.connect_tcp(host, port)


async def _secured(stream: ByteStream, host: str, tls: Callable[[], ssl.SSLContext]) -> ByteStream:
    """The same under TLS; closed when that fails."""
    try:
        # What is wrong with our own certificates is no loss of the connection.
        context = tls()
        with _in_time():
            # HTTP says itself where an answer ends.
            return await TLSStream.wrap(stream, hostname=host, ssl_context=context, standard_compatible=False)
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise


async def _behind(connection: Connection, to: Place, proxy: Proxy) -> ByteStream:
    """What a proxy connects us with; closed when it does not."""
    async with AsyncExitStack() as held:
        held.push_async_callback(connection.aclose)
        answer = await connection.ask("CONNECT", to.address, {"host": to.address, "accept": "*/*", **proxy.headers})
        if answer.status_code == AUTHENTICATION_REQUIRED:
            raise refused(proxy)
        if not _OK <= answer.status_code < _END_OF_OK:
            if answer.status_code not in RETRYABLE:
                raise forbidden(proxy, to.address, answer.status_code)
            raise LostError(f"{answer.status_code} {answer.reason.decode('ascii', 'ignore')}".strip())
        stream = connection.switched()
        held.pop_all()
    return stream


@contextmanager
def _in_time() -> Generator[None]:
    try:
        with anyio.fail_after(_SECONDS):
            yield
    except TimeoutError as error:
        raise LostError("no connection in time") from error
    except anyio.EndOfStream as error:
        raise LostError("it closed the connection before there was TLS") from error
    except (anyio.BrokenResourceError, OSError) as error:
        raise LostError(str(error) or "the connection was lost") from error
