"""A tap between a client and a daemon's unix socket: bytes and solves are counted where they pass.

The proxy moves bytes in both directions and reads the client's HTTP/2 frames beside: a Solve is a HEADERS frame whose
`:path` says so. Counting at the socket treats every client alike.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
from hpack import Decoder
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame

from remote.address import UnixAddress
from remote.connect import connect
from remote.unix import UnixStream

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SOLVE = b"/moby.buildkit.v1.Control/Solve"
_FRAME_HEADER = 9
_MOST = 1 << 18


class Tap:
    """What passed since the last `reset`."""

    def __init__(self) -> None:
        self.sent = 0
        """Bytes from clients to the daemon."""
        self.received = 0
        self.solves = 0

    def reset(self) -> None:
        """Begin a new count."""
        self.sent = self.received = self.solves = 0


class _Requests:
    """The request headers of one connection's client side."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._buffer = bytearray()
        self._skip = len(_PREFACE)
        self._decoder = Decoder()
        self._block = b""

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while True:
            # DATA frames, nearly all bytes there are, are skipped and never copied again.
            if self._skip:
                taken = min(self._skip, len(self._buffer))
                del self._buffer[:taken]
                self._skip -= taken
            if self._skip or len(self._buffer) < _FRAME_HEADER:
                return
            frame, length = Frame.parse_frame_header(memoryview(bytes(self._buffer[:_FRAME_HEADER])))
            if not isinstance(frame, HeadersFrame | ContinuationFrame):
                self._skip = _FRAME_HEADER + length
                continue
            if len(self._buffer) < _FRAME_HEADER + length:
                return
            frame.parse_body(memoryview(bytes(self._buffer[_FRAME_HEADER : _FRAME_HEADER + length])))
            del self._buffer[: _FRAME_HEADER + length]
            self._block += frame.data
            if "END_HEADERS" in frame.flags:
                headers = self._decoder.decode(self._block, raw=True)
                self._block = b""
                self._tap.solves += any(name == b":path" and value == _SOLVE for name, value in headers)


@asynccontextmanager
async def tapped(daemon: Path, socket: Path) -> AsyncGenerator[Tap]:
    """Listen on `socket` and forward everything to `daemon`, counting."""
    tap = Tap()

    async def serve(accepted: anyio.abc.SocketStream) -> None:
        client = UnixStream(accepted.extra(anyio.abc.SocketAttribute.raw_socket))  # noqa: S610 -- anyio's, not Django's
        async with client, await connect(UnixAddress(path=str(daemon))) as upstream, anyio.create_task_group() as tasks:

            async def down() -> None:
                await _pump(upstream, client, lambda data: setattr(tap, "received", tap.received + len(data)))
                tasks.cancel_scope.cancel()

            requests = _Requests(tap)

            def up(data: bytes) -> None:
                tap.sent += len(data)
                requests.feed(data)

            tasks.start_soon(down)
            await _pump(client, upstream, up)
            tasks.cancel_scope.cancel()

    async with await anyio.create_unix_listener(socket) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield tap
        tasks.cancel_scope.cancel()
    await anyio.Path(socket).unlink(missing_ok=True)


async def _pump(
    source: anyio.abc.ByteReceiveStream, sink: anyio.abc.ByteSendStream, note: Callable[[bytes], None]
) -> None:
    try:
        while True:
            data = await source.receive(_MOST)
            note(data)
            await sink.send(data)
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return
