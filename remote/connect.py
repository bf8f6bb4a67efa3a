"""From an address to a connected byte stream."""

import anyio.abc

from remote.address import Address
from remote.errors import UnreachableError
from remote.unix import UnixStream


async def connect(address: Address) -> anyio.abc.ByteStream:
    """Open a connection to the daemon at an address. The caller closes it.

    Raises:
        UnreachableError: no such socket, no permission, or nobody listens there.
    """
    try:
        return await UnixStream.connect(address.path)
    except FileNotFoundError as error:
        raise UnreachableError(
            f"{address}: no such socket", hint="start buildkitd, or name another builder with --host"
        ) from error
    except PermissionError as error:
        raise UnreachableError(
            f"{address}: permission denied", hint="run as a user (or in a group) that may open the socket"
        ) from error
    except OSError as error:
        raise UnreachableError(
            f"{address}: {error.strerror or error}", hint="is buildkitd running? its log says why it stopped"
        ) from error
