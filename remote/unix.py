"""A unix socket as a byte stream.

anyio's own stream for unix sockets waits, on asyncio, with `loop.add_reader(socket, future.set_result, None)`. When it
is cancelled in the very turn of the loop in which the socket became readable (a connection closed from both sides), the
callback meets a cancelled future, and asyncio reports an InvalidStateError to nobody in particular (anyio 4.16.0,
`_backends/_asyncio.py`). `anyio.wait_readable` has no such race, on either event loop.
"""

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

_FULL_QUEUE_PAUSE = 0.05
"""Seconds between two attempts to connect."""
_MOST_PIECES = 512
"""That the kernel is handed at once; it takes 1024 (sendmsg(2), IOV_MAX)."""
_CREDENTIALS = "3i"
"""A process, a user, a group: struct ucred."""


class UnixStream(ByteStream):
    """A connected unix socket. Receiving and sending are for one task each.

    Args:
        raw: connected and non-blocking; this owns it.
    """

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._receiving = anyio.ResourceGuard("reading from")
        self._sending = anyio.ResourceGuard("writing to")

    @classmethod
    async def connect(cls, path: str) -> Self:
        """Connect to whoever listens at a path.

        Raises:
            OSError: nobody does, or we may not.
        """
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        raw.setblocking(False)
        try:
            while True:
                await anyio.lowlevel.checkpoint()
                try:
                    raw.connect(path)
                except BlockingIOError:
                    # The listener's queue is full. No event tells when it is not, and a thread could not be cancelled.
                    await anyio.sleep(_FULL_QUEUE_PAUSE)
                else:
                    return cls(raw)
        except BaseException:
            raw.close()
            raise

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Take what has arrived, at most `max_bytes`."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        with self._receiving:
            waited = False
            while True:
                try:
                    data = self._raw.recv(max_bytes)
                except BlockingIOError:
                    await anyio.wait_readable(self._raw)
                    waited = True
                except OSError as error:
                    raise self._failure(error) from error
                else:
                    if not waited:
                        # Others have their turn, but what was taken is not lost to a cancellation.
                        await anyio.lowlevel.cancel_shielded_checkpoint()
                    if not data:
                        raise anyio.EndOfStream
                    return data

    async def send(self, item: bytes) -> None:
        """Send all of it."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        with self._sending, memoryview(item) as view:
            sent = 0
            while sent < len(view):
                try:
                    sent += self._raw.send(view[sent:])
                except BlockingIOError:
                    await anyio.wait_writable(self._raw)
                except OSError as error:
                    raise self._failure(error) from error
        await anyio.lowlevel.cancel_shielded_checkpoint()

    async def send_pieces(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Send all of several pieces, without putting them together first."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        with self._sending:
            number = sent = 0
            while number < len(pieces):
                batch = list(pieces[number : number + _MOST_PIECES])
                batch[0] = memoryview(batch[0])[sent:]
                try:
                    sent += self._raw.sendmsg(batch)
                except BlockingIOError:
                    await anyio.wait_writable(self._raw)
                    continue
                except OSError as error:
                    raise self._failure(error) from error
                while number < len(pieces) and sent >= len(pieces[number]):
                    sent -= len(pieces[number])
                    number += 1
        await anyio.lowlevel.cancel_shielded_checkpoint()

    async def send_eof(self) -> None:
        """Send nothing more; receiving goes on."""
        with self._sending:
            try:
                self._raw.shutdown(socket.SHUT_WR)
            except OSError as error:
                raise self._failure(error) from error
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close the socket; who waits for it gets ClosedResourceError."""
        if self._raw.fileno() >= 0:
            anyio.notify_closing(self._raw)
            self._raw.close()
        await anyio.lowlevel.checkpoint()

    def _failure(self, error: OSError) -> Exception:
        if self._raw.fileno() < 0:
            return anyio.ClosedResourceError()
        return anyio.BrokenResourceError(error.strerror or str(error))


def listener(path: str) -> int | None:
    """The process that listens at a unix socket; None where the kernel does not tell, or nobody does.

    That is who called listen(2): with a socket that systemd has opened for a service, systemd (unix(7), SO_PEERCRED).
    """
    with socket.socket(socket.AF_UNIX) as tried, suppress(OSError):
        tried.setblocking(False)
        tried.connect(path)
        pid, _, _ = struct.unpack(
            _CREDENTIALS, tried.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
        )
        return int(pid) or None
    return None
