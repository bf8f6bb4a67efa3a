"""The lab's registry at another address of this machine, perhaps behind a login."""

from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream

from tests.lab import Lab

_TLS_HANDSHAKE = 0x16
_NOWHERE = "198.51.100.1"
"""Of RFC 5737: no packet is ever sent there."""
_WANTED = (
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
)


async def own_address() -> str:
    """An address of this machine that is no loopback, so that nobody takes plain HTTP there for granted."""
    async with await anyio.create_connected_udp_socket(_NOWHERE, 9) as udp:
        address = udp.extra(SocketAttribute.local_address)  # noqa: S610 -- anyio's, not Django's
    return str(address[0])


@asynccontextmanager
async def relay(lab: Lab, *, address: str = "127.0.0.1", login: str = "") -> AsyncGenerator[str]:
    """Pass every connection on, as it is; yields `ADDRESS:PORT`.

    Args:
        lab: whose registry it is.
        address: at which it listens.
        login: `user:password`, which the first request of a connection has to have; empty: nobody is asked.
    """
    host, port = lab.registry.split(":")
    wanted = b"basic " + b64encode(login.encode()).lower()

    async def serve(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                first = await stream.receive()
                while first[0] != _TLS_HANDSHAKE and b"\r\n\r\n" not in first:
                    first += await stream.receive()
                if login and wanted not in first.lower():
                    await stream.send(_WANTED)
                    return
                async with await anyio.connect_tcp(host, int(port)) as real, anyio.create_task_group() as both:
                    await real.send(first)
                    both.start_soon(_pass, stream, real, both.cancel_scope)
                    both.start_soon(_pass, real, stream, both.cancel_scope)

    async with await anyio.create_tcp_listener(local_host=address) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        local: int = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- as above
        yield f"{address}:{local}"
        tasks.cancel_scope.cancel()


async def _pass(source: SocketStream, target: SocketStream, both: anyio.CancelScope) -> None:
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        while True:
            await target.send(await source.receive())
    both.cancel()
