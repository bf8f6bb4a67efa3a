"""One host: one SSH connection to it, opened when it is first needed, and opened again after it was lost.

Each connection to the daemon is a channel (`direct-streamlocal@openssh.com`) of it. Those are no sessions: sshd's
MaxSessions does not count them, and MaxStartups sees one connection however many builds run. A question every 15
seconds tells when the host is gone without a word; the channels then break, and who opens one later waits for the host
to come back, as long as `Backoff` has patience.
"""

import os
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Self

import anyio
import anyio.to_thread
import asyncssh
import msgspec
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED, OPEN_UNKNOWN_CHANNEL_TYPE

from remote.address import SshAddress
from remote.bridge import Bridge, open_bridge
from remote.errors import AddressError, RemoteError, UnreachableError, UnsuitableError
from remote.ssh.backoff import Backoff
from remote.ssh.channel import WINDOW, Carrier, SshStream
from remote.ssh.options import Login, logins
from remote.ssh.trust import Witness, refused
from remote.unix import UnixStream

SOCKET_HINT = (
    "start the daemon, put the user into the group of its socket, or name another one: ?socket=/path; and the host's "
    "sshd must forward sockets: AllowStreamLocalForwarding yes"
)
"""OpenSSH's sshd tells no more than that it failed."""
_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
_Chain = tuple[asyncssh.SSHClientConnection, ...]
"""The connections on the way, the last of which leads to the host."""


class Host:
    """An async context manager: no connection and no channel outlives the block.

    Args:
        address: where the host is.
    """

    def __init__(self, address: SshAddress) -> None:
        self._address = address
        self._name = str(address)
        self._stack = AsyncExitStack()
        self._tasks = anyio.create_task_group()
        self._connecting = anyio.Lock()
        self._backoff = Backoff()
        self._chain: _Chain = ()
        self._given_up: UnreachableError | None = None
        self._times_given_up = 0
        self._bridge: Bridge

    async def __aenter__(self) -> Self:
        self._bridge = await self._stack.enter_async_context(open_bridge())
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._tasks.cancel_scope.cancel()
        # Not given the block's own error: a task group would wrap it, and a caller expects what was raised.
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            with anyio.CancelScope(shield=True):
                await self._bridge.call(partial(_close, self._chain))
                await self._stack.aclose()

    async def connect(self) -> None:
        """Connect to the host, unless that is so.

        Raises:
            AddressError, UnreachableError, UnsuitableError: as of `open`, before anything is opened.
        """
        await self._connected()

    async def open(self, path: str) -> SshStream:
        """Open a connection to whoever listens at a socket of the host.

        Raises:
            AddressError: OpenSSH's files are wrong.
            UnreachableError: the host cannot be reached, or nobody listens there.
            UnsuitableError: the host is not trusted, trusts us not, or forwards no sockets.
        """
        chain = await self._connected()
        try:
            return await self._open(chain, path)
        except UnreachableError:
            if not chain[-1].is_closed():
                raise
        # The connection, not the daemon, was gone, and nobody had noticed.
        return await self._open(await self._connected(), path)

    async def run(self, script: bytes, *, most: int) -> bytes:
        """Have the host's `sh` run a script, which it gets on its standard input: nothing is quoted, no file is made.

        That is a session, which sshd's MaxSessions counts, without a terminal, an agent, or variables of ours.

        Args:
            script: in POSIX' language.
            most: how many bytes of its output are wanted.

        Returns:
            The beginning of its output. Its errors and its exit code are not looked at.

        Raises:
            AddressError, UnreachableError: as of `open`.
            UnsuitableError: the host is not trusted, trusts us not, or lets us run nothing.
        """
        chain = await self._connected()
        return await self._bridge.call(partial(_run, chain[-1], script, most, name=self._name))

    async def _open(self, chain: _Chain, path: str) -> SshStream:
        near, far = socket.socketpair()
        for each in (near, far):
            each.setblocking(False)
        try:
            carrier = await self._bridge.call(partial(_open, chain[-1], far, path, name=self._name))
        except BaseException:
            near.close()
            far.close()
            raise
        self._tasks.start_soon(self._carry, carrier, far)
        return SshStream(UnixStream(near), carrier, self._bridge)

    async def _carry(self, carrier: Carrier, far: socket.socket) -> None:
        try:
            with suppress(anyio.ClosedResourceError):
                await self._bridge.call(carrier.carry)
        finally:
            # Cancelled before it began, it has closed nothing.
            far.close()

    async def _connected(self) -> _Chain:
        given_up = self._times_given_up
        async with self._connecting:
            if self._given_up is not None and self._times_given_up != given_up:
                # Whoever tried while we waited has tried for us, too.
                raise UnreachableError(self._given_up.message, hint=self._given_up.hint)
            while not self._chain or self._chain[-1].is_closed():
                lost, self._chain = self._chain, ()
                await self._bridge.call(partial(_close, lost))
                try:
                    self._chain = await self._bridge.call(partial(_connect, self._address))
                except UnreachableError as error:
                    pause = self._backoff.failed()
                    if pause is None:
                        self._given_up = error
                        self._times_given_up += 1
                        raise
                    await anyio.sleep(pause)
                else:
                    self._backoff.succeeded()
            return self._chain


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
        return UnsuitableError(
            f"{name}: {where} takes none of our keys: {error.reason}",
            hint="add the key to ~/.ssh/authorized_keys of the user there, and to an agent here (ssh-add), if it has a "
            "passphrase; `ssh` with the same name, user and port has to work without a question",
        )
    if isinstance(error, (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported)):
        return UnsuitableError(
            f"{name}: {where}: {error.reason}", hint="is it an SSH server, and does it speak what OpenSSH 7.4 does?"
        )
    if isinstance(error, TimeoutError):
        what = "no answer in time"
    elif isinstance(error, OSError):
        # asyncio puts an address of its own into most of them.
        what = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    else:
        what = str(error)
    return UnreachableError(
        f"{name}: {where}: {what}", hint="is the host up, and does sshd listen there? `ssh` with the same name may tell"
    )


async def _open(connection: asyncssh.SSHClientConnection, far: socket.socket, path: str, *, name: str) -> Carrier:
    carrier = Carrier(UnixStream(far))
    try:
        # A channel whose opening is given up half-way would stay open on the host.
        with anyio.fail_after(_OPEN_SECONDS, shield=True):
            await connection.create_unix_connection(lambda: carrier, path, window=WINDOW)
    except TimeoutError as error:
        # One that does not answer this is of no use any more.
        connection.abort()
        raise UnreachableError(
            f"{name}: sshd gives no answer within {_OPEN_SECONDS:.0f} s", hint="is the host well, and its network?"
        ) from error
    except asyncssh.ChannelOpenError as error:
        if error.code in (OPEN_ADMINISTRATIVELY_PROHIBITED, OPEN_UNKNOWN_CHANNEL_TYPE):
            raise UnsuitableError(
                f"{name}: the host's sshd forwards no sockets: {error.reason}",
                hint="allow it in the host's sshd_config: AllowStreamLocalForwarding yes (and no DisableForwarding)",
            ) from error
        raise UnreachableError(
            f"{name}: nobody answers at {path} on the host ({error.reason}), or our user there may not open it",
            hint=SOCKET_HINT,
        ) from error
    except (OSError, asyncssh.Error) as error:
        raise UnreachableError(f"{name}: the connection broke: {error}", hint="is the host well?") from error
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
        raise UnreachableError(
            f"{name}: sshd begins no session within {_OPEN_SECONDS:.0f} s", hint="is the host well, and its network?"
        ) from error
    except asyncssh.ChannelOpenError as error:
        raise UnsuitableError(
            f"{name}: the host's sshd lets us run nothing: {error.reason}",
            hint="its sshd_config says MaxSessions 0, or the user there has no shell",
        ) from error
    except (OSError, asyncssh.Error) as error:
        raise UnreachableError(f"{name}: the connection broke: {error}", hint="is the host well?") from error
    output = b""
    try:
        while len(output) < most and (data := await process.stdout.read(most - len(output))):
            output += data
    except (OSError, asyncssh.Error) as error:
        raise UnreachableError(f"{name}: the connection broke: {error}", hint="is the host well?") from error
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
