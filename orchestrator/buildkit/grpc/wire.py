"""HTTP/2 as one object without I/O: bytes in, events out, frames out.

`h2` owns what is intricate: the preface, settings, HPACK, the states of streams, pings. DATA frames, the only frames
that come by the ten thousand, go around it, because building a frame object and running two state machines for each
costs ten times more than moving its bytes (22 against 2 microseconds to send 16 KiB, 52 against 4 to receive them):

- sending: `send_data` writes headers and slices of many DATA frames at once, and books their sizes in `h2`'s windows;
- receiving: `receive` cuts the stream into frames, yields DATA as `Data`, and shows everything else to `h2`. A DATA
  frame that ends its stream is shown too, but empty, so that the stream's state is right. The windows that we grant
  are therefore counted here, and granted again by `consumed`, when the application has taken the bytes. DATA that
  cannot be right (unknown stream, before the headers, after the end) is shown to `h2` whole, which raises or resets.

So do the windows that the peer grants: nothing else comes while we send, and grpc-go grants by quarters of a window
that begins with 64 KiB. What is not plainly right is shown to `h2` here, too.

PINGs go around it as well, because their answers may wait: grpc-go measures a connection by sending one, with a window
update, after what it receives, and the next as soon as that is answered (`internal/transport/bdp_estimator.go` of
google.golang.org/grpc), so that an answer at once to each makes ten frames of one.

Nor does `h2` outlive a GOAWAY: it closes itself, while gRPC's graceful GOAWAY lets running streams finish.
"""

import struct
from collections.abc import Iterable, Iterator

import msgspec
from h2.config import H2Configuration
from h2.connection import ConnectionInputs, H2Connection, H2ConnectionStateMachine
from h2.errors import ErrorCodes
from h2.events import Event, RemoteSettingsChanged, RequestReceived, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import FlowControlError, FrameTooLargeError, ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Encoder, HeaderTuple

from orchestrator.buildkit.grpc.framing import Outgoing, Piece
from orchestrator.buildkit.grpc.metadata import Headers

STREAM_WINDOW = 4 * 1024 * 1024
"""Bytes a peer may send on one stream before the application takes them."""
CONNECTION_WINDOW = 64 * 1024 * 1024
"""Bytes a peer may send on all streams together: the bound of what slow readers can make us hold, and room for
sixteen streams that nobody reads before they hinder the others."""
MAX_INBOUND_STREAMS = 1000
MAX_HEADER_LIST = 1024 * 1024
"""Bytes. A status may carry a whole Dockerfile in its details; grpc-go drops a status that does not fit."""
STREAMS_BEFORE_SETTINGS = 100
"""Streams to open before the peer has told its limit: RFC 9113 (6.5.2) asks every peer to allow as many."""

_DEFAULT_WINDOW = 65_535
_LARGEST_WINDOW = 2**31 - 1
_PREFACE_SIZE = 24
_FRAME = struct.Struct(">HBBBL")
_FRAME_SIZE = _FRAME.size
HTTP1 = "it answers in HTTP/1"
"""Of the error that means: a server on this connection, but none for gRPC."""
NOT_HTTP = "it does not speak HTTP/2"
"""The same of a server for something else: its first bytes are no frame."""
_HTTP1_SIZE = int.from_bytes(b"HTT")
"""The length that `HTTP/1.1 400` has as a frame's header."""
_WINDOW_UPDATE = struct.Struct(">HBBBLL")
_DATA, _HEADERS, _PUSH_PROMISE, _PING, _WINDOW_UPDATE_TYPE, _CONTINUATION = 0x0, 0x1, 0x5, 0x6, 0x8, 0x9
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_PING_SIZE = 8
_PATIENT_BYTES = 1024
"""Answers to pings that may wait together."""


class Data(msgspec.Struct, frozen=True, gc=False):
    """The payload of one DATA frame; `overhead` is its padding, which counts in the windows too."""

    stream_id: int
    payload: bytes
    overhead: int


class Granted(msgspec.Struct, frozen=True, gc=False):
    """The peer takes more on a stream, or, as that of stream 0, on all of them together."""

    stream_id: int


class _Inbound:
    """What a peer may still send on a stream, and what the application took without being granted again."""

    __slots__ = ("taken", "window")

    def __init__(self) -> None:
        self.window = STREAM_WINDOW
        self.taken = 0


class _States(H2ConnectionStateMachine):
    """Stays open when the peer says GOAWAY."""

    def process_input(self, input_: ConnectionInputs) -> list[Event]:
        return [] if input_ is ConnectionInputs.RECV_GOAWAY else super().process_input(input_)


class _Encoder(Encoder):
    """Writes strings as they are: the bytes that Huffman's code saves cost more than they are worth on these paths."""

    def encode(
        self,
        headers: Iterable[HeaderTuple | tuple[bytes | str, bytes | str] | tuple[bytes | str, bytes | str, bool | None]]
        | dict[bytes | str, bytes | str],
        huffman: bool = False,  # noqa: FBT001, FBT002  the signature of hpack
    ) -> bytes:
        """Encode a header block."""
        return super().encode(headers, huffman=huffman)


class _Http2(H2Connection):
    """`h2` with large header lists, our settings from the first frame on, and graceful GOAWAY."""

    def __init__(self, *, client: bool) -> None:
        # What we send is made and checked by `metadata`, which also takes from what we receive only what it knows. `h2`
        # would drop the connection for a value that begins with a space, and patterns of ignore files come as values.
        config = H2Configuration(
            client_side=client,
            header_encoding=None,
            validate_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        super().__init__(config)
        self.encoder = _Encoder()
        self.state_machine = _States()
        values = {
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
        }
        values |= (
            {SettingCodes.ENABLE_PUSH: 0} if client else {SettingCodes.MAX_CONCURRENT_STREAMS: MAX_INBOUND_STREAMS}
        )
        self.local_settings = Settings(client=client, initial_values=values)
        self.decoder.max_header_list_size = MAX_HEADER_LIST

    def clear_outbound_data_buffer(self) -> None:
        """Keep what is to be sent: `h2` would drop it when the peer says GOAWAY."""


class Wire:
    """One side of an HTTP/2 connection.

    Args:
        client: whether this side opens the streams.

    Attributes:
        queued: bytes waiting in `take_output`.
        urgent: whether some of them are more than answers to pings.
        settled: whether the peer's settings have arrived.
    """

    def __init__(self, *, client: bool) -> None:
        self._h2 = _Http2(client=client)
        self._client = client
        self._input = bytearray()
        self._preface_left = 0 if client else _PREFACE_SIZE
        self._in_headers = False
        self._inbound: dict[int, _Inbound] = {}
        self._window = CONNECTION_WINDOW
        self._taken = 0
        self._output: list[Piece] = []
        self.queued = 0
        self.urgent = False
        self.settled = False
        self._h2.initiate_connection()
        self._flush()
        self._grant(0, CONNECTION_WINDOW - _DEFAULT_WINDOW)

    # Input

    def receive(self, data: bytes) -> Iterator[Event | Data | Granted]:
        """Take bytes from the peer, and yield what they mean.

        Raises:
            h2.exceptions.ProtocolError: the peer broke the protocol; a GOAWAY that says so is in the output.
        """
        if self._preface_left:
            preface = data[: self._preface_left]
            self._preface_left -= len(preface)
            data = data[len(preface) :]
            yield from self._show(preface)
        buffer = self._input
        buffer += data
        offset, end = 0, len(buffer)
        view = memoryview(buffer)
        try:
            while end - offset >= _FRAME_SIZE:
                high, low, kind, flags, stream_id = _FRAME.unpack_from(view, offset)
                size = high << 8 | low
                if size > self._h2.max_inbound_frame_size:
                    said = f"a frame of {size} bytes" if self.settled else NOT_HTTP
                    what = HTTP1 if size == _HTTP1_SIZE else said
                    self._breach(FrameTooLargeError(what), ErrorCodes.FRAME_SIZE_ERROR)
                stop = offset + _FRAME_SIZE + size
                if stop > end:
                    break
                stream_id &= 0x7FFFFFFF
                if kind == _DATA and not self._in_headers and self._expects_data(stream_id):
                    payload = view[offset + _FRAME_SIZE : stop].tobytes()
                    yield from self._receive_data(stream_id, flags, payload)
                elif kind == _WINDOW_UPDATE_TYPE and not self._in_headers and self._widen(view[offset:stop], stream_id):
                    yield Granted(stream_id)
                elif kind == _PING and size == _PING_SIZE and not stream_id and self.settled and not self._in_headers:
                    if not flags & _ACK:
                        self._answer(view[offset + _FRAME_SIZE : stop].tobytes())
                else:
                    if kind in (_HEADERS, _PUSH_PROMISE, _CONTINUATION):
                        self._in_headers = not flags & _END_HEADERS
                    yield from self._show(view[offset:stop].tobytes())
                offset = stop
        finally:
            view.release()
            del buffer[:offset]

    def _expects_data(self, stream_id: int) -> bool:
        """Whether DATA on this stream is ours: it is open for the peer, or it was and its late frames are dropped."""
        return stream_id in self._inbound or (stream_id not in self._h2.streams and self._was_open(stream_id))

    def _was_open(self, stream_id: int) -> bool:
        newest = self._h2.highest_outbound_stream_id if self._client else self._h2.highest_inbound_stream_id
        return stream_id % 2 == 1 and stream_id <= newest

    def _widen(self, frame: memoryview, stream_id: int) -> bool:
        """Take a WINDOW_UPDATE; False: it is not plainly right."""
        target = self._h2.streams.get(stream_id) if stream_id else self._h2
        if target is None or not self.settled or len(frame) != _WINDOW_UPDATE.size:
            return False
        window = target.outbound_flow_control_window + (_WINDOW_UPDATE.unpack(frame)[-1] & 0x7FFFFFFF)
        if not target.outbound_flow_control_window < window <= _LARGEST_WINDOW:
            return False
        target.outbound_flow_control_window = window
        return True

    def _receive_data(self, stream_id: int, flags: int, payload: bytes) -> Iterator[Event | Data]:
        size = len(payload)
        self._window -= size
        if self._window < 0:
            self._breach(FlowControlError("more data than the connection's window"), ErrorCodes.FLOW_CONTROL_ERROR)
        inbound = self._inbound.get(stream_id)
        if inbound is None:
            self.consumed(stream_id, size)
            return
        inbound.window -= size
        if inbound.window < 0:
            self._breach(FlowControlError("more data than the stream's window"), ErrorCodes.FLOW_CONTROL_ERROR)
        if flags & _PADDED:
            if not size or payload[0] >= size:
                self._breach(ProtocolError("padding longer than its frame"), ErrorCodes.PROTOCOL_ERROR)
            payload = payload[1 : size - payload[0]]
        yield Data(stream_id, payload, size - len(payload))
        if flags & _END_STREAM:
            yield from self._show(_FRAME.pack(0, 0, _DATA, _END_STREAM, stream_id))

    def _show(self, frames: bytes) -> Iterator[Event]:
        try:
            events = self._h2.receive_data(frames)
        finally:
            self._flush()
        for event in events:
            match event:
                case RequestReceived() | ResponseReceived():
                    self._inbound[event.stream_id] = _Inbound()
                case StreamEnded() | StreamReset():
                    self._inbound.pop(event.stream_id, None)
                case RemoteSettingsChanged():
                    self.settled = True
                case _:
                    pass
            yield event

    def _breach(self, error: ProtocolError, code: ErrorCodes) -> None:
        self.goaway(code, str(error))
        raise error

    def consumed(self, stream_id: int, size: int) -> None:
        """The application took `size` bytes of a stream: let the peer send as many again, by quarters of a window."""
        self._taken += size
        if self._taken >= CONNECTION_WINDOW // 4:
            self._window += self._taken
            self._grant(0, self._taken)
            self._taken = 0
        inbound = self._inbound.get(stream_id)
        if inbound is None:
            return
        inbound.taken += size
        if inbound.taken >= STREAM_WINDOW // 4:
            inbound.window += inbound.taken
            self._grant(stream_id, inbound.taken)
            inbound.taken = 0

    # Output

    @property
    def max_streams(self) -> int:
        """How many streams the peer lets us have open at a time."""
        return self._h2.remote_settings.max_concurrent_streams if self.settled else STREAMS_BEFORE_SETTINGS

    @property
    def connection_window(self) -> int:
        """Bytes the peer takes now on all streams together."""
        return self._h2.outbound_flow_control_window

    def stream_window(self, stream_id: int) -> int:
        """Bytes the peer takes now on this stream, the connection's window aside; may be negative."""
        stream = self._h2.streams.get(stream_id)
        return 0 if stream is None else stream.outbound_flow_control_window

    def request(self, headers: Headers) -> int:
        """Open a stream, and return its id.

        Raises:
            h2.exceptions.ProtocolError: this connection's ids are used up.
        """
        stream_id = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream_id, headers)
        self._flush()
        return stream_id

    def headers(self, stream_id: int, headers: Headers, *, end: bool = False) -> None:
        """Send a response's headers or trailers."""
        self._h2.send_headers(stream_id, headers, end_stream=end)
        self._flush()

    def send_data(self, stream_id: int, outgoing: Outgoing, limit: int) -> None:
        """Queue as much of `outgoing` as both windows and `limit` (bytes) allow, in as many DATA frames as it takes."""
        h2 = self._h2
        stream = h2.streams[stream_id]
        left = min(outgoing.remaining, limit, h2.outbound_flow_control_window, stream.outbound_flow_control_window)
        if left <= 0:
            return
        stream.outbound_flow_control_window -= left
        h2.outbound_flow_control_window -= left
        largest = h2.max_outbound_frame_size
        output = self._output
        queued = self.queued
        while left:
            size = min(left, largest)
            output.append(_FRAME.pack(size >> 8, size & 0xFF, _DATA, 0, stream_id))
            outgoing.take(size, output)
            queued += _FRAME_SIZE + size
            left -= size
        self.queued = queued
        self.urgent = True

    def end(self, stream_id: int) -> None:
        """Half-close a stream: nothing more comes from us."""
        self._h2.end_stream(stream_id)
        self._flush()

    def reset(self, stream_id: int, code: ErrorCodes) -> None:
        """Give a stream up."""
        self._inbound.pop(stream_id, None)
        self._h2.reset_stream(stream_id, code)
        self._flush()

    def goaway(self, code: ErrorCodes, text: str = "") -> None:
        """Say that the connection ends. Nothing but `take_output` may follow."""
        self._h2.close_connection(code, text.encode() or None)
        self._flush()

    def take_output(self) -> list[Piece]:
        """Everything that is to be written to the peer now."""
        output, self._output = self._output, []
        self.queued = 0
        self.urgent = False
        return output

    def _answer(self, ping: bytes) -> None:
        self._output.append(_FRAME.pack(0, _PING_SIZE, _PING, _ACK, 0) + ping)
        self.queued += _FRAME_SIZE + _PING_SIZE
        self.urgent = self.urgent or self.queued > _PATIENT_BYTES

    def _grant(self, stream_id: int, size: int) -> None:
        self._queue(_WINDOW_UPDATE.pack(0, 4, _WINDOW_UPDATE_TYPE, 0, stream_id, size))

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._queue(data)

    def _queue(self, data: bytes) -> None:
        self._output.append(data)
        self.queued += len(data)
        self.urgent = True
