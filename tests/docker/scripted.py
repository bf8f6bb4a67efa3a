"""An engine that answers by a script, for what a real one does not do on demand: be old, hang, hang up, say nonsense.

It speaks just enough HTTP/1.1: a request with a `Content-Length` or chunks, one answer, and the end.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import h11
import msgspec

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Components": [{"Name": "Engine"}]}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked."""

    method: str
    target: str
    headers: Mapping[str, str]


class Answering:
    """The other end of one request.

    Attributes:
        request: its head.
    """

    def __init__(self, stream: anyio.abc.SocketStream, connection: h11.Connection, request: Request) -> None:
        self._stream = stream
        self._connection = connection
        self.request = request

    async def body(self) -> bytes:
        """All of the request's body.

        Raises:
            h11.RemoteProtocolError: the client hung up before its end.
        """
        received = b""
        while True:
            event = await _next(self._stream, self._connection)
            match event:
                case h11.Data(data=data):
                    received += bytes(data)
                case h11.EndOfMessage():
                    return received
                case _:
                    raise AssertionError(event)

    async def head(self, status: int = 200, content_type: str = "application/json") -> None:
        """Begin an answer of unknown length."""
        headers = [("Content-Type", content_type), ("Transfer-Encoding", "chunked")]
        await self._say(h11.Response(status_code=status, headers=headers))

    async def line(self, reply: object) -> None:
        """A line of a progress stream."""
        await self._say(h11.Data(data=json.dumps(reply).encode() + b"\r\n"))

    async def end(self) -> None:
        """The end of an answer."""
        await self._say(h11.EndOfMessage())

    async def whole(self, reply: object, status: int = 200) -> None:
        """A whole answer."""
        await self.raw(json.dumps(reply).encode(), status)

    async def raw(self, data: bytes, status: int = 200, content_type: str = "application/json") -> None:
        """A whole answer, word for word."""
        headers = [("Content-Type", content_type), ("Content-Length", str(len(data)))]
        await self._say(h11.Response(status_code=status, headers=headers))
        await self._say(h11.Data(data=data))
        await self.end()

    async def until_left(self) -> None:
        """Wait until the client hangs up."""
        while True:
            try:
                await self._stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return

    async def _say(self, event: h11.Event) -> None:
        await self._stream.send(self._connection.send(event) or b"")


Script = Callable[[Answering], Awaitable[None]]


@asynccontextmanager
async def scripted(
    socket: Path, script: Script, *, version: Mapping[str, object] = VERSION
) -> AsyncGenerator[list[Request]]:
    """Listen at a socket; yields the requests as they come, but for those for the version."""
    requests: list[Request] = []

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            connection = h11.Connection(h11.SERVER)
            try:
                event = await _next(stream, connection)
            except h11.RemoteProtocolError:
                return
            if not isinstance(event, h11.Request):
                return
            request = Request(
                method=event.method.decode(),
                target=event.target.decode(),
                headers={key.decode(): value.decode() for key, value in event.headers},
            )
            answering = Answering(stream, connection, request)
            if request.target.endswith("/version"):
                await answering.whole(version)
                return
            requests.append(request)
            # A client may know enough before the answer's end.
            with suppress(anyio.BrokenResourceError):
                await script(answering)

    listener = await anyio.create_unix_listener(socket)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield requests
        tasks.cancel_scope.cancel()


async def _next(stream: anyio.abc.SocketStream, connection: h11.Connection) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        try:
            connection.receive_data(await stream.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            connection.receive_data(b"")
    return event
