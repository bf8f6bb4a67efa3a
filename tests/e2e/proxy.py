"""A registry in front of the lab's that refuses what a test says: everything else reaches the real one."""

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

import anyio
import httpx
from anyio.abc import SocketAttribute, SocketStream

from tests.lab import Lab

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TLS_HANDSHAKE = 0x16
_HOP = frozenset({"connection", "content-length", "transfer-encoding", "content-encoding"})

CUT = -1
"""Closes the connection when half of the request's body has come."""

Refuse = Callable[[str, str], int | None]
"""Method and path -> the status to refuse with, or None; 0 closes the connection without a word, and so does `CUT`."""


@asynccontextmanager
async def refusing(lab: Lab, refuse: Refuse, *, delay: float = 0, address: str = "127.0.0.1") -> AsyncGenerator[str]:
    """Serve plain HTTP; yields `ADDRESS:PORT`.

    Args:
        lab: whose registry answers what is not refused.
        refuse: which requests are.
        delay: seconds until any answer.
        address: of this machine, at which it listens.
    """

    async def serve(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                answer = await _answer(stream, real, refuse)
                await anyio.sleep(delay)
                await stream.send(answer)

    async with (
        httpx.AsyncClient(base_url=f"http://{lab.registry}", trust_env=False, timeout=60) as real,
        await anyio.create_tcp_listener(local_host=address) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, serve)
        port: int = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
        yield f"{address}:{port}"
        tasks.cancel_scope.cancel()


async def _answer(stream: SocketStream, real: httpx.AsyncClient, refuse: Refuse) -> bytes:
    data = await stream.receive()
    if data[0] == _TLS_HANDSHAKE:
        # As Go's servers do; a builder then knows that this registry speaks plain HTTP.
        return b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent a TLS request to an HTTP server.\n"
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    length = int(found[1]) if found else 0
    request, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = request.split(" ")
    status = refuse(method, path)
    while len(body) < (length // 2 if status == CUT else length):
        body += await stream.receive()
    if status in {0, CUT}:
        raise anyio.EndOfStream
    if status is not None:
        return (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    answer = await real.request(
        method, path, content=body, headers=[pair for pair in headers if pair[0].lower() not in _HOP]
    )
    answered = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOP]
    # What a HEAD tells the length of is not sent.
    length_line = answer.headers.get("content-length", "0") if method == "HEAD" else str(len(answer.content))
    text = [f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}", *(f"{name}: {value}" for name, value in answered)]
    text += [f"Content-Length: {length_line}", "Connection: close", "", ""]
    return "\r\n".join(text).encode("latin-1") + answer.content
