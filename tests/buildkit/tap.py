"""Bytes of a real client, tapped between it and the daemon, taken apart down to gRPC messages.

Frames and headers are read by hyperframe and hpack, not by our own connection: what is checked here must not be what
checks.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import anyio
import msgspec
from anyio.abc import ByteReceiveStream, ByteSendStream, SocketAttribute, SocketStream
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from hpack import Decoder
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, SettingsFrame

from remote.address import UnixAddress
from remote.connect import connect
from remote.unix import UnixStream

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER = 9
_MESSAGE_HEADER = 5


class Tapped(msgspec.Struct):
    """All bytes of one connection."""

    from_client: bytearray = msgspec.field(default_factory=bytearray)
    from_server: bytearray = msgspec.field(default_factory=bytearray)


@asynccontextmanager
async def tap(path: Path, daemon: Path) -> AsyncGenerator[list[Tapped]]:
    """Listen on a unix socket and pass everything on to a daemon's; yields what passed, by connection."""
    connections: list[Tapped] = []

    async def copy(source: ByteReceiveStream, sink: ByteSendStream, copied: bytearray, end: Callable[[], None]) -> None:
        try:
            async for data in source:
                copied.extend(data)
                await sink.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        end()

    async def serve(accepted: SocketStream) -> None:
        client = UnixStream(accepted.extra(SocketAttribute.raw_socket))  # noqa: S610 -- anyio's, not Django's
        connection = Tapped()
        connections.append(connection)
        async with client, await connect(UnixAddress(path=str(daemon))) as server, anyio.create_task_group() as tasks:
            tasks.start_soon(copy, client, server, connection.from_client, tasks.cancel_scope.cancel)
            tasks.start_soon(copy, server, client, connection.from_server, tasks.cancel_scope.cancel)

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield connections
        tasks.cancel_scope.cancel()


class Rpc(msgspec.Struct):
    """One call: its messages in both directions and the headers and trailers of the answer."""

    method: str
    requests: list[bytes] = []
    responses: list[bytes] = []
    answer: dict[str, str] = {}


def rpcs(connection: Tapped) -> list[Rpc]:
    """All calls of one HTTP/2 connection."""
    assert connection.from_client.startswith(PREFACE)
    asked_headers, asked_data = _streams(bytes(connection.from_client[len(PREFACE) :]))
    answer_headers, answer_data = _streams(bytes(connection.from_server))
    return [
        Rpc(
            method=headers[":path"],
            requests=list(_messages(asked_data.get(stream, b""))),
            responses=list(_messages(answer_data.get(stream, b""))),
            answer=answer_headers.get(stream, {}),
        )
        for stream, headers in asked_headers.items()
    ]


def _streams(data: bytes) -> tuple[dict[int, dict[str, str]], dict[int, bytes]]:
    decoder = Decoder()
    headers: dict[int, dict[str, str]] = {}
    bodies: dict[int, bytearray] = {}
    block = b""
    for frame in _frames(data):
        match frame:
            case SettingsFrame():
                # The peer's table is bounded by what the other side allows; take whatever it chose.
                decoder.max_allowed_table_size = 2**20
            case HeadersFrame() | ContinuationFrame():
                block += frame.data
                if "END_HEADERS" in frame.flags:
                    fields = {str(name): str(value) for name, value in decoder.decode(block)}
                    headers.setdefault(frame.stream_id, {}).update(fields)
                    block = b""
            case DataFrame():
                bodies.setdefault(frame.stream_id, bytearray()).extend(frame.data)
            case _:
                pass
    return headers, {stream: bytes(body) for stream, body in bodies.items()}


def _frames(data: bytes) -> Iterator[Frame]:
    view = memoryview(data)
    while len(view) >= _FRAME_HEADER:
        frame, length = Frame.parse_frame_header(view[:_FRAME_HEADER])
        body = view[_FRAME_HEADER : _FRAME_HEADER + length]
        if len(body) < length:
            return
        frame.parse_body(body)
        yield frame
        view = view[_FRAME_HEADER + length :]


def _messages(body: bytes) -> Iterator[bytes]:
    start = 0
    while len(body) >= start + _MESSAGE_HEADER:
        assert body[start] == 0, "a compressed message"
        begin = start + _MESSAGE_HEADER
        end = begin + int.from_bytes(body[start + 1 : begin])
        if len(body) < end:
            return
        yield body[begin:end]
        start = end


def unknown_fields(message: Message, path: str = "") -> Iterator[str]:
    """Where a message or what it holds has fields that our `.proto` files do not know."""
    unknown = UnknownFieldSet(message)
    for index in range(len(unknown)):
        yield f"{path}{message.DESCRIPTOR.full_name}: field {unknown[index].field_number}"
    for descriptor, value in message.ListFields():
        if descriptor.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        below = f"{path}{descriptor.name}."
        if isinstance(value, Message):
            held: Iterable[object] = (value,)
        elif isinstance(value, Mapping):
            held = cast("Mapping[object, object]", value).values()
        else:
            held = value
        for inner in held:
            if isinstance(inner, Message):
                yield from unknown_fields(inner, below)
