"""Byte streams in memory, and a peer made of plain `h2` that does exactly what a test says."""

import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
from anyio.abc import ByteStream, ObjectReceiveStream, ObjectSendStream, UNIXSocketStream
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, RequestReceived, SettingsAcknowledged
from h2.settings import SettingCodes, Settings

from orchestrator.buildkit.grpc import Connection, Handler, open_client, serve

OK_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]
E = TypeVar("E", bound=Event)


class MemoryByteStream(ByteStream):
    """One end of a pipe in memory; `cut` bytes at most come at a time, so that tests can split frames anywhere."""

    def __init__(self, send: ObjectSendStream[bytes], receive: ObjectReceiveStream[bytes], cut: int) -> None:
        self._send, self._receive, self._cut = send, receive, cut
        self._unread = b""

    async def send(self, item: bytes) -> None:
        await self._send.send(item)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self._unread:
            self._unread = await self._receive.receive()
        size = min(max_bytes, self._cut)
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    async def send_eof(self) -> None:
        await self._send.aclose()

    async def aclose(self) -> None:
        await self._send.aclose()
        await self._receive.aclose()


def pipe(*, buffered: float = 16, cut: int = 1 << 30) -> tuple[MemoryByteStream, MemoryByteStream]:
    """Two connected ends; a sender waits while `buffered` writes are not read."""
    to_right, from_left = anyio.create_memory_object_stream[bytes](buffered)
    to_left, from_right = anyio.create_memory_object_stream[bytes](buffered)
    return MemoryByteStream(to_right, from_right, cut), MemoryByteStream(to_left, from_left, cut)


async def socket_pair() -> tuple[ByteStream, ByteStream]:
    """Two connected unix sockets."""
    left, right = socket.socketpair()
    return await UNIXSocketStream.from_socket(left), await UNIXSocketStream.from_socket(right)


@asynccontextmanager
async def time_limit() -> AsyncGenerator[None]:
    """A test that hangs is a test that fails."""
    with anyio.fail_after(60):
        yield


@asynccontextmanager
async def connected(handlers: Mapping[str, Handler], *, cut: int = 1 << 30) -> AsyncGenerator[Connection]:
    """Our client, connected to our server."""
    left, right = pipe(cut=cut)
    async with time_limit(), anyio.create_task_group() as tasks:
        tasks.start_soon(serve, right, handlers)
        async with open_client(left, authority="test") as connection:
            yield connection


class Peer:
    """Plain `h2` at the other end of a pipe."""

    def __init__(self, stream: ByteStream, *, client: bool, settings: Mapping[SettingCodes, int] | None = None) -> None:
        self.stream = stream
        self.h2 = H2Connection(H2Configuration(client_side=client, header_encoding="utf-8"))
        self.h2.local_settings = Settings(client=client, initial_values=dict(settings or {}))
        self.h2.initiate_connection()
        self.seen: list[Event] = []

    async def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            await self.stream.send(data)

    async def expect(self, kind: type[E]) -> E:
        """The next event of a kind; those before it are dropped."""
        while True:
            while self.seen:
                event = self.seen.pop(0)
                if isinstance(event, kind):
                    return event
            await self.flush()
            self.seen += self.h2.receive_data(await self.stream.receive())
            await self.flush()

    async def request(self, path: str, *messages: bytes, end: bool = False) -> int:
        """Open a stream."""
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, request_headers(path), end_stream=end and not messages)
        for index, message in enumerate(messages, 1):
            self.h2.send_data(stream_id, framed(message), end_stream=end and index == len(messages))
        await self.flush()
        return stream_id

    async def expect_request(self) -> int:
        return (await self.expect(RequestReceived)).stream_id

    async def respond(self, stream_id: int, *messages: bytes, status: int = 0) -> None:
        """A whole response."""
        self.h2.send_headers(stream_id, OK_HEADERS)
        for message in messages:
            self.h2.send_data(stream_id, framed(message))
        self.h2.send_headers(stream_id, [("grpc-status", str(status))], end_stream=True)
        await self.flush()


def framed(message: bytes) -> bytes:
    """A message with its prefix."""
    return b"\0" + len(message).to_bytes(4, "big") + message


@asynccontextmanager
async def client_of_peer(
    settings: Mapping[SettingCodes, int] | None = None, *, buffered: float = 1000
) -> AsyncGenerator[tuple[Connection, Peer]]:
    """Our client, connected to a scripted server."""
    left, right = pipe(buffered=buffered)
    async with time_limit(), right, open_client(left, authority="test") as connection:
        peer = Peer(right, client=False, settings=settings)
        await peer.expect(SettingsAcknowledged)
        yield connection, peer


@asynccontextmanager
async def peer_of_server(
    handlers: Mapping[str, Handler], settings: Mapping[SettingCodes, int] | None = None
) -> AsyncGenerator[Peer]:
    """A scripted client, connected to our server."""
    left, right = pipe(buffered=1000)
    async with time_limit(), anyio.create_task_group() as tasks:
        tasks.start_soon(serve, right, handlers)
        async with left:
            peer = Peer(left, client=True, settings=settings)
            await peer.expect(SettingsAcknowledged)
            yield peer


def request_headers(path: str) -> list[tuple[str, str]]:
    """What a client sends first."""
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
