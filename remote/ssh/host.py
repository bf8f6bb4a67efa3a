"""One host: one SSH connection to it, opened when it is first needed, and opened again after it was lost.

What speaks SSH is a `Transport`: OpenSSH's own `ssh` (`openssh`) where it serves, as it is much faster, else asyncssh
in this process (`inprocess`); or the one that the address names. Either has one connection for all streams, so that
sshd's MaxStartups sees one however many builds run. Who opens a stream while the host is gone waits for it to come
back, as long as `Backoff` has patience.
"""

from contextlib import AsyncExitStack
from typing import Protocol, Self

import anyio
from anyio.abc import ByteStream

from remote.address import SshAddress
from remote.bridge import open_bridge
from remote.errors import UnreachableError
from remote.ssh import openssh
from remote.ssh.backoff import Backoff


class Connection(Protocol):
    """One SSH connection to a host."""

    @property
    def lost(self) -> bool:
        """Whether it is of no use any more."""
        ...

    async def open(self, path: str) -> ByteStream:
        """Open a connection to whoever listens at a socket of the host.

        Raises:
            UnreachableError: the connection is lost, or nobody listens there. Who finds that out later than this has
                its stream raise a `RefusedError`, before any byte.
            UnsuitableError: the host forwards no sockets.
        """
        ...

    async def run(self, script: bytes, *, most: int) -> bytes:
        """See `Host.run`."""
        ...

    async def close(self) -> None:
        """Close it, and all of its streams."""
        ...


class Transport(Protocol):
    """Connects to one host."""

    async def connect(self) -> Connection:
        """Connect.

        Raises:
            AddressError: OpenSSH's files are wrong.
            UnreachableError: the host cannot be reached.
            UnsuitableError: the host is not trusted, or trusts us not.
        """
        ...


class Host:
    """An async context manager: no connection and no stream outlives the block.

    Args:
        address: where the host is.
    """

    def __init__(self, address: SshAddress) -> None:
        self._address = address
        self._stack = AsyncExitStack()
        self._tasks = anyio.create_task_group()
        self._connecting = anyio.Lock()
        self._backoff = Backoff()
        self._transport: Transport | None = None
        self._connection: Connection | None = None
        self._given_up: UnreachableError | None = None
        self._times_given_up = 0

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._tasks.cancel_scope.cancel()
        # Not given the block's own error: a task group would wrap it, and a caller expects what was raised.
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            with anyio.CancelScope(shield=True):
                if self._connection is not None:
                    await self._connection.close()
                await self._stack.aclose()

    async def connect(self) -> None:
        """Connect to the host, unless that is so.

        Raises:
            AddressError, UnreachableError, UnsuitableError: as of `open`, before anything is opened.
        """
        await self._connected()

    async def open(self, path: str) -> ByteStream:
        """Open a connection to whoever listens at a socket of the host.

        Raises:
            AddressError: OpenSSH's files are wrong.
            UnreachableError: the host cannot be reached, or nobody listens there; see `Connection.open`.
            UnsuitableError: the host is not trusted, trusts us not, or forwards no sockets.
        """
        connection = await self._connected()
        try:
            return await connection.open(path)
        except UnreachableError:
            if not connection.lost:
                raise
        # The connection, not the daemon, was gone, and nobody had noticed.
        return await (await self._connected()).open(path)

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
        return await (await self._connected()).run(script, most=most)

    async def _connected(self) -> Connection:
        given_up = self._times_given_up
        async with self._connecting:
            if self._given_up is not None and self._times_given_up != given_up:
                # Whoever tried while we waited has tried for us, too.
                raise UnreachableError(self._given_up.message, hint=self._given_up.hint)
            while self._connection is None or self._connection.lost:
                lost, self._connection = self._connection, None
                if lost is not None:
                    await lost.close()
                try:
                    transport = self._transport = self._transport or await self._chosen()
                    self._connection = await transport.connect()
                except UnreachableError as error:
                    pause = self._backoff.failed()
                    if pause is None:
                        self._given_up = error
                        self._times_given_up += 1
                        raise
                    await anyio.sleep(pause)
                else:
                    self._backoff.succeeded()
            return self._connection

    async def _chosen(self) -> Transport:
        if (settings := await openssh.chosen(self._address)) is not None:
            return openssh.OpenSsh(self._address, settings, self._tasks)
        # asyncssh takes long to import.
        from remote.ssh.inprocess import InProcess  # noqa: PLC0415

        return InProcess(self._address, await self._stack.enter_async_context(open_bridge()), self._tasks)
