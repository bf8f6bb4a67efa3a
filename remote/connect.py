"""From an address to a connected byte stream."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import anyio.abc

from remote import engine, tcp
from remote.address import Address, EngineAddress, SshAddress, TcpAddress, UnixAddress
from remote.engine import Dial
from remote.errors import AddressError, UnreachableError
from remote.unix import UnixStream

_HTTP2 = ("h2",)


@asynccontextmanager
async def reaching(address: Address) -> AsyncGenerator[Callable[[], Awaitable[Dial]]]:
    """Keep what connections to a builder share, as long as the block lasts: an SSH connection, opened when needed.

    Yields:
        What gets ready to connect, as `dialer` does. What it returns is for this block only.
    """
    if not isinstance(address, SshAddress):
        yield partial(dialer, address)
        return
    # Most builders are elsewhere.
    from remote.ssh.daemons import dialer as behind  # noqa: PLC0415
    from remote.ssh.host import Host  # noqa: PLC0415

    async with Host(address) as host:
        yield partial(behind, host, address)


async def dialer(address: Address) -> Dial:
    """Get ready to connect to a builder: whoever answers is asked once how it wants to be spoken to.

    Returns:
        What opens connections with BuildKit's API behind them; it raises `UnreachableError`.

    Raises:
        AddressError: a certificate's file is wrong, or the host is behind sshd: what its connections share has to be
            held by `reaching`.
        UnreachableError: nothing answers.
        UnsuitableError: what answers can be no builder.
    """
    if isinstance(address, SshAddress):
        raise AddressError(
            f"{address}: a host behind sshd does not serve here", hint="name unix://, tcp:// or docker://"
        )
    if isinstance(address, EngineAddress):
        return await engine.dialer(partial(_open, address.at), name=str(address))
    return partial(connect, address)


async def connect(address: UnixAddress | TcpAddress) -> anyio.abc.ByteStream:
    """Open a connection to the buildkitd at an address. The caller closes it.

    Raises:
        AddressError: a certificate's file is wrong.
        UnreachableError: no such socket, no permission, or nobody listens there.
        UnsuitableError: the peer's certificate is not trusted.
    """
    return await _open(address, _HTTP2)


async def _open(address: UnixAddress | TcpAddress, protocols: Sequence[str]) -> anyio.abc.ByteStream:
    if isinstance(address, TcpAddress):
        return await tcp.connect(address, protocols=protocols)
    try:
        return await UnixStream.connect(address.path)
    except FileNotFoundError as error:
        raise UnreachableError(
            f"{address}: no such socket", hint="start the daemon, or name another builder with --host"
        ) from error
    except PermissionError as error:
        raise UnreachableError(
            f"{address}: permission denied", hint="run as a user (or in a group) that may open the socket"
        ) from error
    except OSError as error:
        raise UnreachableError(
            f"{address}: {error.strerror or error}", hint="is the daemon running? Its log says why it stopped"
        ) from error
