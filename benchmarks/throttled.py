"""A registry whose every connection is slow: it passes pulls on to the lab's, and counts the bytes of each blob."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress

import anyio
import httpx
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

_LONGEST_HEAD = 1 << 16
_PIECE = 1 << 15
_TLS_HANDSHAKE = b"\x16"
_BLOBS = "/blobs/"
_TOLD = frozenset({"content-type", "content-length", "content-range", "docker-content-digest", "etag"})
_HOP = frozenset({"connection", "host", "content-length", "transfer-encoding"})


class Throttled:
    """The registry, and what came through it.

    Args:
        address: its `ADDRESS:PORT`.
        rate: bytes a second, for each connection.
    """

    def __init__(self, address: str, *, rate: float, real: httpx.AsyncClient) -> None:
        self.address = address
        self.blobs: Counter[str] = Counter()
        """Bytes that were sent of each, by digest."""
        self.begun: list[str] = []
        """Digests in the order in which they were asked for."""
        self._rate = rate
        self._real = real

    def reset(self) -> None:
        """Begin a new count."""
        self.blobs.clear()
        self.begun.clear()

    async def serve(self, stream: SocketStream) -> None:
        """Answer one connection's requests."""
        requests, due = BufferedByteReceiveStream(stream), 0.0
        async with stream:
            with suppress(anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    first = await requests.receive_exactly(1)
                    if first == _TLS_HANDSHAKE:
                        return
                    head = (first + await requests.receive_until(b"\r\n\r\n", _LONGEST_HEAD)).decode("latin-1")
                    request, *lines = head.split("\r\n")
                    method, path, _ = request.split(" ")
                    said = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                    due = await self._answer(stream, method, path, said, due)

    async def _answer(self, stream: SocketStream, method: str, path: str, said: Mapping[str, str], due: float) -> float:
        """Pass a request on; returns when the connection's next byte may be sent."""
        headers = {name: value for name, value in said.items() if name not in _HOP} | {"accept-encoding": "identity"}
        digest = path.rpartition(_BLOBS)[2] if method == "GET" and _BLOBS in path else ""
        if digest:
            self.begun.append(digest)
        async with self._real.stream(method, path, headers=headers) as answer:
            told = [f"{name}: {value}" for name, value in answer.headers.items() if name in _TOLD]
            if "content-length" not in answer.headers:
                told.append("content-length: 0")
            await stream.send("\r\n".join([f"HTTP/1.1 {answer.status_code} x", *told, "", ""]).encode("latin-1"))
            async for piece in answer.aiter_raw(_PIECE):
                due = max(due, anyio.current_time()) + len(piece) / self._rate
                await anyio.sleep_until(due)
                await stream.send(piece)
                if digest:
                    self.blobs[digest] += len(piece)
        return due


@asynccontextmanager
async def throttled(registry: str, *, rate: float) -> AsyncGenerator[Throttled]:
    """Serve pulls as plain HTTP.

    Args:
        registry: `ADDRESS:PORT` of the one that has the images.
        rate: bytes a second, for each connection.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with (
        httpx.AsyncClient(base_url=f"http://{registry}", trust_env=False, timeout=60, limits=limits) as real,
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        port: int = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
        through = Throttled(f"127.0.0.1:{port}", rate=rate, real=real)
        tasks.start_soon(listener.serve, through.serve)
        yield through
        tasks.cancel_scope.cancel()
