"""From an address to a connected byte stream."""

from collections.abc import Sequence
from functools import partial

import anyio.abc

from remote import engine, tcp
from remote.address import Address, EngineAddress, TcpAddress, UnixAddress
from remote.engine import Dial
from remote.errors import UnreachableError
from remote.unix import UnixStream

_HTTP2 = ("h2",)


async def dialer(address: Address) -> Dial:
    """Get ready to connect to a builder: whoever answers is asked once how it wants to be spoken to.

    Returns:
        What opens connections with BuildKit's API behind them; it raises `UnreachableError`.

    Raises:
        AddressError: a certificate's file is wrong.
        UnreachableError: nothing answers.
        UnsuitableError: what answers can be no builder.
    """
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
