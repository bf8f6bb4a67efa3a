"""A registry that answers as a test says, for the refusals, failures and silences that a real one does not have."""

import re
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

import anyio
import msgspec
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

_TLS = b"\x16"
"""How TLS begins: RFC 8446, 5.1."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Asked(msgspec.Struct, frozen=True):
    """A request that came in; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


HANG_UP = 0
"""A status that is none: the connection is closed without a word."""


class Answer(msgspec.Struct, frozen=True):
    """What is said to it."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


Script = Callable[[Asked], Awaitable[Answer]]


@asynccontextmanager
async def scripted_registry(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[str]:
    """Serve HTTP on the loopback, plain unless there is a context; yields `127.0.0.1:PORT`."""

    async def serve(stream: ByteStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                asked = await _read(stream)
                answer = await script(asked)
                if answer.status == HANG_UP:
                    return
                head = {**answer.headers, "Content-Length": str(len(answer.body)), "Connection": "close"}
                lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
                lines += [f"{name}: {value}" for name, value in head.items()]
                body = b"" if asked.method == "HEAD" else answer.body
                await stream.send("\r\n".join([*lines, "", ""]).encode() + body)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        served = listener if tls is None else TLSListener(listener, tls, standard_compatible=False)
        tasks.start_soon(served.serve, serve)
        port: int = listener.extra(SocketAttribute.local_port)  # noqa: S610  anyio's, not Django's
        yield f"127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


async def _read(stream: ByteStream) -> Asked:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
        if data.startswith(_TLS):
            # Who tries TLS first goes on in the clear when this comes, and would wait for it otherwise.
            await stream.send(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            raise anyio.EndOfStream
    head, _, body = data.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0:
        missing -= len(await stream.receive())
    request, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = request.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Asked(method=method, path=path, headers=headers)
