"""Package indexes on the loopback, each answer of which is fetched once: what was asked before comes out of memory.

Builds take their packages from this machine then, whatever the network does meanwhile. Addresses of the real ones in an
answer are replaced by ours, so that files come this way, too.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import httpx
import msgspec
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

INDEXES = {
    "npm": "https://registry.npmjs.org",
    "pypi": "https://pypi.org/simple",
    "go": "https://proxy.golang.org",
    "maven": "https://repo1.maven.org/maven2",
    "crates": "https://index.crates.io",
}
"""What the operator's file calls them."""
_FILES = {"pypi-files": "https://files.pythonhosted.org"}
_CRATES = "crates-files"
"""Where these are, the index of crates says (doc.rust-lang.org/cargo/reference/registry-index.html)."""
_LONGEST_HEAD = 1 << 16


class _Kept(msgspec.Struct, frozen=True):
    status: int
    type: str
    body: bytes


class Offline:
    """The indexes, and how often they had to ask the real ones."""

    def __init__(self, port: int, real: httpx.AsyncClient) -> None:
        self.asked = 0
        self._base = f"http://127.0.0.1:{port}"
        self._real = real
        self._upstreams = {**INDEXES, **_FILES}
        self._kept: dict[tuple[str, str], _Kept] = {}

    def address(self, name: str) -> str:
        """Where an index is."""
        return f"{self._base}/{name}"

    async def serve(self, stream: SocketStream) -> None:
        """Answer one connection's requests."""
        async with stream:
            requests = BufferedByteReceiveStream(stream)
            with suppress(anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    head = (await requests.receive_until(b"\r\n\r\n", _LONGEST_HEAD)).decode("latin-1")
                    request, *lines = head.split("\r\n")
                    method, path, _ = request.split(" ")
                    headers = {
                        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
                    }
                    kept = await self._answer(path, headers.get("accept", "*/*"))
                    said = f"HTTP/1.1 {kept.status} x\r\ncontent-type: {kept.type}\r\ncontent-length: {len(kept.body)}"
                    await stream.send(f"{said}\r\n\r\n".encode() + (b"" if method == "HEAD" else kept.body))
                    if headers.get("connection") == "close":
                        return

    async def _answer(self, path: str, accept: str) -> _Kept:
        known = self._kept.get((path, accept))
        if known is not None:
            return known
        self.asked += 1
        _, name, rest = (*path.split("/", 2), "")[:3]
        upstream = self._upstreams.get(name)
        if upstream is None:
            return _Kept(404, "text/plain", b"")
        try:
            answer = await self._real.get(f"{upstream}/{rest}", headers={"accept": accept})
        except httpx.HTTPError as error:
            return _Kept(502, "text/plain", str(error).encode())
        kept = _Kept(answer.status_code, answer.headers.get("content-type", "application/octet-stream"), answer.content)
        if path == "/crates/config.json":
            said = msgspec.json.decode(kept.body, type=dict[str, object])
            self._upstreams[_CRATES] = str(said["dl"])
        if kept.type.startswith("text/html") or "json" in kept.type:
            kept = _Kept(kept.status, kept.type, self._ours(kept.body))
        if kept.status < httpx.codes.INTERNAL_SERVER_ERROR:
            self._kept[path, accept] = kept
        return kept

    def _ours(self, body: bytes) -> bytes:
        # One address may begin with another.
        for name, upstream in sorted(self._upstreams.items(), key=lambda each: -len(each[1])):
            body = body.replace(upstream.encode(), self.address(name).encode())
        return body


@asynccontextmanager
async def offline() -> AsyncGenerator[Offline]:
    """Serve the indexes, empty at first, as plain HTTP."""
    async with (
        httpx.AsyncClient(timeout=60, follow_redirects=True) as real,
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        port: int = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
        indexes = Offline(port, real)
        tasks.start_soon(listener.serve, indexes.serve)
        yield indexes
        tasks.cancel_scope.cancel()
