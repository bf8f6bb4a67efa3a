"""A byte stream to a socket of a host, by way of one here that `ssh` forwards.

It is a socket, and its bytes are nobody's business here: neither asyncio nor a second loop is needed. What it does not
tell is why it ends. That nobody took the connection on the host's side, and that the connection to the host is lost,
looks like the end that a daemon makes; `ssh` knows better.
"""

from collections.abc import Sequence
from typing import Protocol

import anyio
from anyio.abc import ByteStream

from remote.errors import RefusedError, RemoteError
from remote.unix import UnixStream


class Forwarder(Protocol):
    """The `ssh` at the other end."""

    @property
    def left(self) -> bool:
        """Whether it was we who ended it."""
        ...

    @property
    def words(self) -> str:
        """The last that it said."""
        ...

    def gone(self) -> bool:
        """Whether it has ended."""
        ...

    def refused(self, path: str, *, before: int) -> RemoteError | None:
        """Why a stream was not taken, if it was not."""
        ...


class ForwardedStream(ByteStream):
    """One connection.

    Args:
        raw: to the socket here; this owns it.
        through: who forwards it.
        path: of the socket on the host.
        before: how many connections to it had not been taken before.
    """

    def __init__(self, raw: UnixStream, through: Forwarder, path: str, *, before: int) -> None:
        self._raw = raw
        self._through = through
        self._path = path
        self._before = before
        self._heard = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Take what has arrived, at most `max_bytes`."""
        try:
            data = await self._raw.receive(max_bytes)
        except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
            raise self._reason(error) from error
        self._heard = True
        return data

    async def send(self, item: bytes) -> None:
        """Send all of it."""
        await self.send_pieces((item,))

    async def send_pieces(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Send all of several pieces, without putting them together first."""
        try:
            await self._raw.send_pieces(pieces)
        except anyio.BrokenResourceError as error:
            raise self._reason(error) from error

    async def send_eof(self) -> None:
        """Send nothing more; receiving goes on."""
        await self._raw.send_eof()

    async def aclose(self) -> None:
        """Close it; what was sent before still leaves."""
        await self._raw.aclose()

    def _reason(self, error: Exception) -> Exception:
        if self._through.left:
            return error
        if self._through.gone():
            return anyio.BrokenResourceError(f"the SSH connection is lost: {self._through.words}")
        if not self._heard and (refusal := self._through.refused(self._path, before=self._before)) is not None:
            return RefusedError(refusal)
        return error
