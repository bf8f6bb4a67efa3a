"""The moving part of a connection: two tasks, all streams, both roles.

One task reads, one writes. The writer is a task of its own and takes from a queue, for two reasons: the reader never
waits for a write (it answers pings and settings while the peer does not read, so two peers cannot block each other),
and a cancelled call never tears a frame apart, since no call ever writes to the transport itself. The queue is bounded
for calls: `transmit` waits while more than `QUEUE_LIMIT` bytes are in it. Answers to the peer's own frames always fit;
a peer that floods us with pings and does not read is told to calm down, and dropped. Answers to pings go with the next
write, or after `PING_SECONDS` without one.

Senders take turns: who waits for what all streams share (room in the queue, the connection's window) stands in line,
puts `TURN` bytes into the queue, then goes to the end of the line. A turn is counted in bytes, not in visits, because
windows open by odd amounts: by visits, some calls would always meet a full window and others always the crumbs.
Waiting for a stream's own window is done outside of the line.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, runtime_checkable

import anyio
from anyio.abc import ByteStream
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import H2Error

from orchestrator.buildkit.grpc.framing import Outgoing, Piece
from orchestrator.buildkit.grpc.metadata import (
    Headers,
    check_response,
    read_status,
    refuse_request,
    response_headers,
    trailers,
)
from orchestrator.buildkit.grpc.status import ConnectionLostError, GrpcError, Status, code_name, error_of_reset
from orchestrator.buildkit.grpc.stream import Signal, Stream
from orchestrator.buildkit.grpc.wire import Data, Granted, Wire

TURN = 256 * 1024
"""Bytes of a call that go before another call has its turn."""
QUEUE_LIMIT = 256 * 1024
"""Bytes; what is queued goes out in one write, so this is about the size of a write too: sixteen frames of 16 KiB."""
FLOOD_LIMIT = 4 * 1024 * 1024
READ_SIZE = 256 * 1024
PING_SECONDS = 0.1
"""How long the answer to a ping waits for company (`wire` says why). Whoever waits for it waits for seconds."""
CLOSE_SECONDS = 1.0
"""Bound of every step of closing: writing the last frames, hearing the peer's last words, closing the transport."""

OnRequest = Callable[[Stream, Headers], None]


@runtime_checkable
class Gathering(Protocol):
    """A byte stream that takes what it sends in pieces."""

    def send_pieces(self, pieces: Sequence[Piece], /) -> Awaitable[None]:
        """Send all of them, one behind the other."""
        ...


class Link:
    """All streams of one connection.

    Args:
        transport: carries the bytes; closed when `run` ends.
        on_request: takes a new RPC, in the server role; None makes this the client.

    Attributes:
        received_bytes: bytes read from the transport.
        sent_bytes: bytes written to the transport.
        lost: why the connection is over, or None.
        broken: whether it ended in another way than by a regular close.
        ended: set when the connection is over.
    """

    def __init__(self, transport: ByteStream, *, on_request: OnRequest | None = None) -> None:
        self._transport = transport
        self._on_request = on_request
        self._wire = Wire(client=on_request is None)
        self._streams: dict[int, Stream] = {}
        self._turn = anyio.Lock(fast_acquire=True)
        self._opening = anyio.Lock(fast_acquire=True)
        self._room = Signal()
        self._work = Signal()
        self._read_all = anyio.Event()
        self._written = anyio.Event()
        self._lingering = False
        self._goaway: str | None = None
        self.ended = anyio.Event()
        self.lost: str | None = None
        self.broken = False
        self.received_bytes = 0
        self.sent_bytes = 0

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Read and write while the block runs; then say goodbye, within a bounded time, and close the transport."""
        failure: Exception | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read)
                tasks.start_soon(self._write)
                try:
                    yield
                except Exception as error:  # noqa: BLE001  raised again below, outside the group that would wrap it
                    failure = error
                finally:
                    if self.lost is None:
                        self._wire.goaway(ErrorCodes.NO_ERROR)
                        self._lose("this side closed the connection")
                    with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                        await self._written.wait()
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(CLOSE_SECONDS, shield=True) as closing:
                await self._transport.aclose()
            if closing.cancelled_caught:
                with anyio.CancelScope(shield=True):
                    await anyio.aclose_forcefully(self._transport)
        if failure is not None:
            raise failure

    async def _read(self) -> None:
        wire = self._wire
        receive = self._transport.receive
        try:
            while self.lost is None:
                data = await receive(READ_SIZE)
                self.received_bytes += len(data)
                for event in wire.receive(data):
                    if isinstance(event, Data):
                        self._take_data(event)
                    elif isinstance(event, Granted):
                        self._take_window(event)
                    else:
                        self._dispatch(event)
                if wire.urgent or (wire.queued and not self._lingering):
                    self._work.fire()
                    if wire.queued > FLOOD_LIMIT:
                        wire.goaway(ErrorCodes.ENHANCE_YOUR_CALM)
                        self._lose("the peer sends control frames and does not read the answers", broken=True)
        except anyio.EndOfStream:
            self._lose("the peer closed the connection")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            self._lose(f"the connection broke: {_why(error)}", broken=True)
        except H2Error as error:
            self._lose(f"the peer broke HTTP/2: {error}", broken=True)
        finally:
            self._read_all.set()

    async def _write(self) -> None:
        wire = self._wire
        try:
            while True:
                if wire.queued:
                    if not wire.urgent:
                        await self._linger()
                    size, pieces = wire.queued, wire.take_output()
                    self._room.fire()
                    if isinstance(self._transport, Gathering):
                        await self._transport.send_pieces(pieces)
                    else:
                        await self._transport.send(b"".join(pieces))
                    self.sent_bytes += size
                elif self.lost is not None:
                    return
                else:
                    await self._work.wait()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            # The peer may have answered, and closed, before it read all we sent: its last words count more.
            with anyio.move_on_after(CLOSE_SECONDS):
                await self._read_all.wait()
            self._lose(f"the connection broke: {_why(error)}", broken=True)
        finally:
            self._written.set()

    async def _linger(self) -> None:
        self._lingering = True
        with anyio.move_on_after(PING_SECONDS):
            while not self._wire.urgent and self.lost is None:
                await self._work.wait()
        self._lingering = False

    # What calls do

    @property
    def refusal(self) -> str | None:
        """Why no new stream can be opened, or None."""
        return self.lost or self._goaway

    @property
    def is_server(self) -> bool:
        """Whether the peer opens the streams."""
        return self._on_request is not None

    async def open(self, headers: Headers) -> Stream:
        """Open a stream as soon as the peer allows one more.

        Raises:
            ConnectionLostError: the connection ended, or takes no new streams.
        """
        wire = self._wire
        async with self._opening:
            while True:
                if self.refusal is not None:
                    raise ConnectionLostError(self.refusal)
                if len(self._streams) < wire.max_streams and wire.queued <= QUEUE_LIMIT:
                    break
                await self._room.wait()
            try:
                stream = Stream(wire.request(headers))
            except H2Error as error:
                raise ConnectionLostError(f"the connection takes no new call: {error}") from error
            self._streams[stream.id] = stream
            self._work.fire()
            return stream

    async def transmit(self, stream: Stream, outgoing: Outgoing) -> None:
        """Queue messages, as fast as the windows and the transport allow.

        Raises:
            GrpcError: the call failed.
            ConnectionLostError: the connection ended.
            anyio.BrokenResourceError: the peer ended the call with OK and does not want more.
            anyio.ClosedResourceError: this side half-closed the call before.
        """
        wire = self._wire
        while outgoing.remaining:
            stream.check_sendable()
            if wire.stream_window(stream.id) <= 0:
                await stream.window.wait()
                continue
            async with self._turn:
                await self._take_turn(stream, outgoing)

    async def _take_turn(self, stream: Stream, outgoing: Outgoing) -> None:
        wire = self._wire
        rest = max(outgoing.remaining - TURN, 0)
        while outgoing.remaining > rest:
            stream.check_sendable()
            if wire.stream_window(stream.id) <= 0:
                return
            if wire.connection_window <= 0 or wire.queued > QUEUE_LIMIT:
                await self._room.wait()
                continue
            if self.is_server and not stream.headers_sent:
                stream.headers_sent = True
                wire.headers(stream.id, response_headers())
            wire.send_data(stream.id, outgoing, outgoing.remaining - rest)
            self._work.fire()

    def end(self, stream: Stream) -> None:
        """Half-close, once; nothing to do on a call that is over."""
        if stream.live and not stream.ended:
            stream.ended = True
            self._wire.end(stream.id)
            self._work.fire()

    def consumed(self, stream: Stream, size: int) -> None:
        """The application took bytes: the peer may send as many again."""
        if self.lost is None:
            self._wire.consumed(stream.id, size)
            if self._wire.queued:
                self._work.fire()

    def abandon(self, stream: Stream, ending: Exception) -> None:
        """Give a call up: the peer is told when it does not know yet, without waiting for it."""
        if stream.live:
            self._retire(stream, ErrorCodes.CANCEL)
        stream.finish(ending)
        self._drop_unread(stream)

    def finish(self, stream: Stream, error: GrpcError | None) -> None:
        """End an RPC with its status, in the server role; None is OK."""
        if stream.live:
            head = [] if stream.headers_sent else response_headers()
            self._wire.headers(stream.id, [*head, *trailers(error)], end=True)
            stream.ended = True
            # As grpc-go does: a client that still sends learns that nobody listens.
            self._retire(stream, ErrorCodes.NO_ERROR if stream.ending is None else None)
        stream.finish(anyio.ClosedResourceError())
        self._drop_unread(stream)

    def _drop_unread(self, stream: Stream) -> None:
        self.consumed(stream, sum(map(len, stream.chunks)))
        stream.chunks.clear()

    def _retire(self, stream: Stream, code: ErrorCodes | None) -> None:
        stream.live = False
        del self._streams[stream.id]
        if code is not None:
            self._wire.reset(stream.id, code)
        self._work.fire()
        self._room.fire()

    def break_off(self, reason: str) -> None:
        """The connection is over, though no byte of it says so."""
        self._lose(reason, broken=True)

    # What the peer does

    def _take_data(self, data: Data) -> None:
        stream = self._streams.get(data.stream_id)
        if stream is None:
            self._wire.consumed(data.stream_id, data.overhead + len(data.payload))
            return
        if data.overhead:
            self._wire.consumed(data.stream_id, data.overhead)
        if data.payload:
            stream.chunks.append(data.payload)
            stream.readable.fire()

    def _take_window(self, granted: Granted) -> None:
        if granted.stream_id == 0:
            self._room.fire()
        elif (stream := self._streams.get(granted.stream_id)) is not None:
            stream.window.fire()

    def _dispatch(self, event: Event) -> None:
        match event:
            case WindowUpdated(stream_id=0):
                self._room.fire()
            case RemoteSettingsChanged():
                self._room.fire()
                for stream in self._streams.values():
                    stream.window.fire()
            case RequestReceived():
                self._begin(event.stream_id, event.headers)
            case ConnectionTerminated():
                self._take_goaway(event)
            case WindowUpdated() | ResponseReceived() | TrailersReceived() | StreamEnded() | StreamReset():
                known = self._streams.get(event.stream_id)
                if known is not None:
                    self._dispatch_on(known, event)
            case _:
                pass

    def _dispatch_on(
        self, stream: Stream, event: WindowUpdated | ResponseReceived | TrailersReceived | StreamEnded | StreamReset
    ) -> None:
        match event:
            case WindowUpdated():
                stream.window.fire()
            case ResponseReceived():
                self._take_response(stream, event.headers)
            case TrailersReceived():
                stream.trailers = event.headers
            case StreamEnded():
                self._take_end(stream)
            case StreamReset():
                self._fail(stream, error_of_reset(event.error_code))

    def _begin(self, stream_id: int, headers: Headers) -> None:
        stream = self._streams[stream_id] = Stream(stream_id)
        refusal = refuse_request(headers)
        if refusal is not None:
            self._wire.headers(stream_id, refusal, end=True)
            self._retire(stream, ErrorCodes.NO_ERROR)
        elif self._on_request is not None:
            self._on_request(stream, headers)

    def _take_response(self, stream: Stream, headers: Headers) -> None:
        error = check_response(headers)
        if error is not None:
            self.abandon(stream, error)
        elif any(key == b"grpc-status" for key, _ in headers):
            stream.trailers = headers

    def _take_end(self, stream: Stream) -> None:
        if self.is_server:
            stream.finish(anyio.EndOfStream())
            return
        self._retire(stream, None if stream.ended else ErrorCodes.NO_ERROR)
        if stream.trailers is None:
            stream.finish(GrpcError(Status.INTERNAL, "the peer ended the call without trailers"))
        else:
            stream.finish(read_status(stream.trailers) or anyio.EndOfStream())

    def _fail(self, stream: Stream, error: Exception) -> None:
        self._retire(stream, None)
        stream.finish(error)
        if stream.handler is not None:
            stream.handler.cancel()

    def _take_goaway(self, event: ConnectionTerminated) -> None:
        code = ErrorCodes.NO_ERROR if event.error_code is None else event.error_code
        text = (event.additional_data or b"").decode("utf-8", "replace")
        said = f"GOAWAY {code_name(code)}" + (f": {text}" if text else "")
        calm = (
            "it sees too much load from this side" if code == ErrorCodes.ENHANCE_YOUR_CALM else "it takes no new calls"
        )
        self._goaway = f"the peer is closing the connection, {calm} ({said})"
        self._room.fire()
        if not self.is_server:
            last = event.last_stream_id or 0
            for stream in [stream for stream in self._streams.values() if stream.id > last]:
                self._fail(stream, ConnectionLostError(self._goaway))

    def _lose(self, reason: str, *, broken: bool = False) -> None:
        if self.lost is not None:
            return
        self.lost = reason if self._goaway is None else f"{reason}; {self._goaway}"
        self.broken = broken
        for stream in list(self._streams.values()):
            self._fail(stream, ConnectionLostError(self.lost))
        self._work.fire()
        self._room.fire()
        self.ended.set()


def _why(error: Exception) -> str:
    cause = error.__cause__ or error
    return str(error) or str(cause) or type(cause).__name__
