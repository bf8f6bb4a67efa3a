"""One channel of an SSH connection as a byte stream.

The channel lives on asyncio's loop, and its user perhaps on trio's. Between them is a pair of connected sockets, on
either loop: bytes cross as through any socket, in large pieces and with its backpressure, and no name of a socket
appears in a file system.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import anyio
import asyncssh
from anyio.abc import ByteStream

from remote.bridge import Bridge
from remote.unix import UnixStream

WINDOW = 4 << 20
"""Bytes that the host may send ahead of us. What we may send is the host's to say; OpenSSH's sshd: 2 MiB."""
_PIECE = 1 << 18
"""Bytes taken from the user at once."""
_QUEUED = 32
"""Packets, of at most 32 KiB each, after which the host's sending is held up until the user has taken them."""
_UNSENT = 1 << 20
"""Bytes that wait to be encrypted, above which no more are taken from the user."""
_LINGER = 5.0
"""Seconds for what was sent before closing to leave."""


class _Channel(Protocol):
    """What is used of asyncssh's channel."""

    def set_write_buffer_limits(self, high: int) -> None: ...
    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class Carrier(asyncssh.SSHUNIXSession[bytes]):
    """Carries bytes between a channel and a socket. Used on asyncio's loop only, but for `failure`.

    The callbacks are asyncssh's; none of them blocks or raises.

    Args:
        far: our end of the pair; this owns it.
    """

    def __init__(self, far: UnixStream) -> None:
        self.failure: str | None = None
        """Why the SSH connection was lost under the channel; set before the socket's other end hears of an end."""
        self._far = far
        self._queue: list[bytes] = []
        self._held = False
        self._arrived = anyio.Event()
        self._room = anyio.Event()
        self._room.set()
        self._ended = False
        self._left = False
        self._over = anyio.Event()
        self._lost = anyio.Event()
        self._taken = anyio.Event()
        self._delivered = anyio.Event()
        self._channel: _Channel | None = None

    def connection_made(self, chan: _Channel) -> None:
        """The channel is open."""
        chan.set_write_buffer_limits(high=_UNSENT)
        self._channel = chan

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed: by the host, by us, or because the SSH connection is lost."""
        if exc is not None:
            self.failure = str(exc) or type(exc).__name__
        self._ended = True
        self._arrived.set()
        self._room.set()
        self._lost.set()
        self._over.set()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """The daemon has sent something."""
        del datatype
        self._queue.append(data)
        if len(self._queue) > _QUEUED and self._channel is not None:
            self._held = True
            self._channel.pause_reading()
        self._arrived.set()

    def eof_received(self) -> bool:
        """The daemon will send no more."""
        self._ended = True
        self._arrived.set()
        return True

    def pause_writing(self) -> None:
        """The host takes no more for now."""
        self._room = anyio.Event()

    def resume_writing(self) -> None:
        """The host takes more."""
        self._room.set()

    async def leave(self) -> None:
        """The user has closed the other end."""
        self._left = True
        self._over.set()

    async def carry(self) -> None:
        """Carry bytes until the channel is lost and all of it was taken, or the user has left."""
        channel = self._channel
        if channel is None:
            return
        try:
            async with self._far, anyio.create_task_group() as tasks:
                tasks.start_soon(self._deliver, channel)
                tasks.start_soon(self._take, channel)
                await self._over.wait()
                if self._left:
                    with anyio.move_on_after(_LINGER):
                        await self._taken.wait()
                else:
                    await self._delivered.wait()
                tasks.cancel_scope.cancel()
            channel.close()
            with anyio.move_on_after(_LINGER):
                await self._lost.wait()
        finally:
            channel.abort()

    async def _deliver(self, channel: _Channel) -> None:
        """From the host to the user."""
        with suppress(anyio.BrokenResourceError):
            while self._queue or not self._ended:
                if not self._queue:
                    self._arrived = anyio.Event()
                    await self._arrived.wait()
                    continue
                data = b"".join(self._queue)
                self._queue.clear()
                await self._far.send(data)
                if self._held and not self._ended:
                    self._held = False
                    channel.resume_reading()
            await self._far.send_eof()
        self._delivered.set()

    async def _take(self, channel: _Channel) -> None:
        """From the user to the host."""
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, OSError):
            while True:
                try:
                    data = await self._far.receive(_PIECE)
                except anyio.EndOfStream:
                    channel.write_eof()
                    break
                channel.write(data)
                await self._room.wait()
        self._taken.set()


class SshStream(ByteStream):
    """A channel's end as its user has it, on the user's loop.

    Args:
        near: the user's end of the pair; this owns it.
        carrier: has the other one.
        bridge: leads to it.
    """

    def __init__(self, near: UnixStream, carrier: Carrier, bridge: Bridge) -> None:
        self._near = near
        self._carrier = carrier
        self._bridge = bridge

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Take what has arrived, at most `max_bytes`."""
        try:
            return await self._near.receive(max_bytes)
        except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
            raise self._failure(error) from error

    async def send(self, item: bytes) -> None:
        """Send all of it."""
        await self.send_pieces((item,))

    async def send_pieces(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Send all of several pieces, without putting them together first."""
        if self._carrier.failure is not None:
            raise anyio.BrokenResourceError(self._carrier.failure)
        try:
            await self._near.send_pieces(pieces)
        except anyio.BrokenResourceError as error:
            raise self._failure(error) from error

    async def send_eof(self) -> None:
        """Send nothing more; receiving goes on."""
        await self._near.send_eof()

    async def aclose(self) -> None:
        """Close the channel; what was sent before still leaves."""
        try:
            await self._near.aclose()
        finally:
            with anyio.CancelScope(shield=True), suppress(anyio.ClosedResourceError):
                await self._bridge.call(self._carrier.leave)

    def _failure(self, error: Exception) -> Exception:
        return error if self._carrier.failure is None else anyio.BrokenResourceError(self._carrier.failure)
