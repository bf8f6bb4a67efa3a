"""What a `Call` and the `Link` under it know together about one HTTP/2 stream."""

from collections import deque
from copy import copy
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from orchestrator.buildkit.grpc.metadata import Headers


class Signal:
    """Wakes everybody who waits, once.

    A lost wake-up is excluded by order: `wait` takes the event before it suspends for the first time, hence in the
    same step in which the waiter saw that its condition is not met; a later `fire` sets that very event.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    async def wait(self) -> None:
        """Sleep until the next `fire`."""
        event = self._event
        if event is None:
            event = self._event = anyio.Event()
        await event.wait()

    def fire(self) -> None:
        """Wake all who wait now."""
        event = self._event
        if event is not None:
            self._event = None
            event.set()


class Stream:
    """One HTTP/2 stream that carries one RPC.

    Attributes:
        id: the stream's id.
        chunks: payloads that arrived and were not taken by the application.
        ending: what `receive` raises after the last chunk: `anyio.EndOfStream` or the failure; None while open.
        trailers: what carries the status, in the client role, from its arrival on.
        live: whether the link still knows the stream: frames may be sent.
        headers_sent: whether the response has begun, in the server role.
        ended: whether this side half-closed it.
        readable: fired when chunks or the ending arrive.
        window: fired when more may be sent, or nothing any more.
        handler: cancelled when the stream fails, in the server role.
    """

    __slots__ = (
        "chunks", "ended", "ending", "handler", "headers_sent", "id", "live", "readable", "trailers", "window",
    )  # fmt: skip

    def __init__(self, stream_id: int) -> None:
        self.id = stream_id
        self.chunks: deque[bytes] = deque()
        self.ending: Exception | None = None
        self.trailers: Headers | None = None
        self.live = True
        self.headers_sent = False
        self.ended = False
        self.readable = Signal()
        self.window = Signal()
        self.handler: anyio.CancelScope | None = None

    def finish(self, ending: Exception) -> None:
        """Nothing more arrives. The first failure counts; a failure after the peer's regular end counts too."""
        if self.ending is None or isinstance(self.ending, anyio.EndOfStream):
            self.ending = ending
        self.readable.fire()
        self.window.fire()

    def check_sendable(self) -> None:
        """Raise what stands in the way of sending, if anything does."""
        if self.ended:
            raise anyio.ClosedResourceError
        if not self.live:
            if self.ending is None or isinstance(self.ending, anyio.EndOfStream):
                raise anyio.BrokenResourceError
            raise copy(self.ending)
