"""SSH within this process, by asyncssh: a connection to a host, and a channel in it for each byte stream.

The channels' `direct-streamlocal@openssh.com` are no sessions: sshd's MaxSessions does not count them. A question every
15 seconds tells when the host is gone without a word; the channels then break.
"""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread
import asyncssh
import msgspec
from anyio.abc import TaskGroup
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED, OPEN_UNKNOWN_CHANNEL_TYPE

from remote.address import SshAddress
from remote.bridge import Bridge
from remote.errors import AddressError, RemoteError
from remote.ssh import failures
from remote.ssh.channel import WINDOW, Carrier, SshStream
from remote.ssh.options import Login, logins
from remote.ssh.trust import Witness, refused
from remote.unix import UnixStream

_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
_Chain = tuple[asyncssh.SSHClientConnection, ...]
"""The connections on the way, the last of which leads to the host."""


class InProcess:
    """A `Transport` to one host.

    Args:
        address: where the host is.
        bridge: leads to asyncio's loop; open longer than any connection.
        tasks: where channels are carried; they end before the connections are closed.
    """

    def __init__(self, address: SshAddress, bridge: Bridge, tasks: TaskGroup) -> None:
        self._address = address
        self._bridge = bridge
        self._tasks = tasks

    async def connect(self) -> "_Connection":
        """See `Transport`."""
        chain = await self._bridge.call(partial(_connect, self._address))
        return _Connection(chain, self._bridge, self._tasks, name=str(self._address))


class _Connection:
    def __init__(self, chain: _Chain, bridge: Bridge, tasks: TaskGroup, *, name: str) -> None:
        self._chain = chain
        self._bridge = bridge
        self._tasks = tasks
        self._name = name

    @property
    def lost(self) -> bool:
        """See `Connection`."""
        return self._chain[-1].is_closed()

    async def open(self, path: str) -> SshStream:
        """See `Connection`."""
        near, far = socket.socketpair()
        for each in (near, far):
            each.setblocking(False)
        try:
            carrier = await self._bridge.call(partial(_open, self._chain[-1], far, path, name=self._name))
        except BaseException:
            near.close()
            far.close()
            raise
        self._tasks.start_soon(self._carry, carrier, far)
        return SshStream(UnixStream(near), carrier, self._bridge)

    async def run(self, script: bytes, *, most: int) -> bytes:
        """See `Connection`."""
        return await self._bridge.call(partial(_run, self._chain[-1], script, most, name=self._name))

    async def close(self) -> None:
        """See `Connection`."""
        await self._bridge.call(partial(_close, self._chain))

    async def _carry(self, carrier: Carrier, far: socket.socket) -> None:
        try:
            with suppress(anyio.ClosedResourceError):
                await self._bridge.call(carrier.carry)
        finally:
            # Cancelled before it began, it has closed nothing.
            far.close()


async def judge(address: SshAddress) -> None:
    """Connect to a host, and leave it: for what is said of its key, and of those of hosts on the way.

    Runs on asyncio's loop.

    Raises:
        AddressError, UnreachableError, UnsuitableError: as of `Connection`.
    """
    await _close(await _connect(address))


async def _connect(address: SshAddress) -> _Chain:
    chain: list[asyncssh.SSHClientConnection] = []
    try:
        found = await _logins(address)
        for login in found:
            chain.append(await _login(login, chain[-1] if chain else None, name=str(address), to=address.at))
    except BaseException:
        with anyio.CancelScope(shield=True):
            await _close(chain)
        raise
    return tuple(chain)


async def _logins(address: SshAddress) -> Sequence[Login]:
    found = await logins(address.host, address.user, address.port)
    if address.at is not None and not all(login.direct for login in found):
        raise AddressError(
            f"{address}: at= names an address, and something else than this machine connects to the host",
            hint="take at= out of the address, or ProxyJump and ProxyCommand out of what ~/.ssh/config says of it",
        )
    return found


async def _login(
    login: Login, through: asyncssh.SSHClientConnection | None, *, name: str, to: str | None
) -> asyncssh.SSHClientConnection:
    witness = Witness()
    if to is not None:
        login = msgspec.structs.replace(login, at=(to, login.at[1]))
    said = {**login.said, "client_factory": lambda: witness}
    if through is not None:
        said["tunnel"] = through
    try:
        try:
            return await asyncssh.connect(**said, sock=None if to is None else await _connected_to(login))
        except (asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost, ConnectionResetError):
            if not login.accepted:
                raise
            # Perhaps it has no key of the kinds that are known of it any more (an sshd hangs up then), and is to show
            # one that it has.
            again = None if to is None else await _connected_to(login)
            return await asyncssh.connect(**said, sock=again, server_host_key_algs="default")
    except asyncssh.HostKeyNotVerifiable as error:
        raise refused(name, witness, login.known, at=login.at) from error
    except (OSError, TimeoutError, asyncssh.Error, asyncssh.ChannelOpenError) as error:
        raise _login_error(error, login, name=name) from error


async def _connected_to(login: Login) -> socket.socket:
    # asyncssh connects to the name; what it is handed is checked by the name, too.
    connect = partial(socket.create_connection, login.at, timeout=login.said["connect_timeout"])
    found = await anyio.to_thread.run_sync(connect)
    found.setblocking(False)
    return found


def _login_error(error: Exception, login: Login, *, name: str) -> RemoteError:
    where = f"{login.at[0]}:{login.at[1]}" + ("" if login.host in name else f", which {name} is behind")
    if isinstance(error, asyncssh.PermissionDenied):
        return failures.no_key(name, where, error.reason)
    if isinstance(error, (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported)):
        return failures.no_server(name, where, error.reason)
    if isinstance(error, TimeoutError):
        what = "no answer in time"
    elif isinstance(error, OSError):
        # asyncio puts an address of its own into most of them.
        what = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    else:
        what = str(error)
    return failures.unreachable(name, where, what)


async def _open(connection: asyncssh.SSHClientConnection, far: socket.socket, path: str, *, name: str) -> Carrier:
    carrier = Carrier(UnixStream(far))
    try:
        # A channel whose opening is given up half-way would stay open on the host.
        with anyio.fail_after(_OPEN_SECONDS, shield=True):
            await connection.create_unix_connection(lambda: carrier, path, window=WINDOW)
    except TimeoutError as error:
        # One that does not answer this is of no use any more.
        connection.abort()
        raise failures.silent(name, "gives no answer", _OPEN_SECONDS) from error
    except asyncssh.ChannelOpenError as error:
        if error.code in (OPEN_ADMINISTRATIVELY_PROHIBITED, OPEN_UNKNOWN_CHANNEL_TYPE):
            raise failures.no_forwarding(name, error.reason) from error
        raise failures.no_daemon(name, path, error.reason) from error
    except (OSError, asyncssh.Error) as error:
        raise failures.broken(name, str(error)) from error
    return carrier


async def _run(connection: asyncssh.SSHClientConnection, script: bytes, most: int, *, name: str) -> bytes:
    try:
        # As in `_open`.
        with anyio.fail_after(_OPEN_SECONDS, shield=True):
            process: asyncssh.SSHClientProcess[bytes] = await connection.create_process(
                "sh -s",
                input=script,
                stderr=asyncssh.DEVNULL,
                encoding=None,
                request_pty=False,
                x11_forwarding=False,
                env=None,
                send_env=None,
            )
    except TimeoutError as error:
        raise failures.silent(name, "begins no session", _OPEN_SECONDS) from error
    except asyncssh.ChannelOpenError as error:
        raise failures.no_session(name, error.reason) from error
    except (OSError, asyncssh.Error) as error:
        raise failures.broken(name, str(error)) from error
    output = b""
    try:
        while len(output) < most and (data := await process.stdout.read(most - len(output))):
            output += data
    except (OSError, asyncssh.Error) as error:
        raise failures.broken(name, str(error)) from error
    finally:
        process.close()
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await process.wait_closed()
    return output


async def _close(chain: "_Chain | list[asyncssh.SSHClientConnection]") -> None:
    for connection in reversed(chain):
        connection.close()
        with anyio.move_on_after(_CLOSE_SECONDS) as patience:
            await connection.wait_closed()
        if patience.cancelled_caught:
            connection.abort()
