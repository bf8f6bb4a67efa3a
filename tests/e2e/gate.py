"""A registry that wants a login: it lets in to the lab's whoever has a token, and gives one for a password."""

import json
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream

from tests.lab import Lab

USER = "planted"
_TLS_HANDSHAKE = 0x16
_PIECE = 1 << 20
_OVER = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
_NO_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent a TLS request to an HTTP server.\n"
"""As Go's servers do; a builder then knows that this registry speaks plain HTTP."""


class Gate(msgspec.Struct):
    """Who came, and with what."""

    password: str
    token: str
    """What every token begins with."""
    address: str = ""
    logins: set[str] = msgspec.field(default_factory=set[str])
    """Programs that logged in with the password."""
    guests: set[str] = msgspec.field(default_factory=set[str])
    """Programs that came with a token."""
    given: int = 0

    def refusal(self, head: bytes) -> bytes | None:
        """What is answered here; None: the request is passed on."""
        request, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = request.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        scheme, _, said = headers.get("authorization", "").partition(" ")
        agent = headers.get("user-agent", "")
        if path.partition("?")[0] == "/token":
            if (scheme, said) != ("Basic", b64encode(f"{USER}:{self.password}".encode()).decode()):
                return _answer("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="gate"')
            self.logins.add(agent)
            self.given += 1
            body = json.dumps({"token": f"{self.token}{self.given}", "expires_in": 900}).encode()
            return _answer("200 OK", body, "Content-Type: application/json")
        if scheme == "Bearer" and said.startswith(self.token):
            self.guests.add(agent)
            return None
        if scheme == "Basic":
            self.logins.add(agent)
        challenge = f'Bearer realm="http://{self.address}/token",service="gate"'
        if path.startswith("/v2/") and len(path) > len("/v2/"):
            name = path.removeprefix("/v2/").partition("?")[0]
            for middle in ("/manifests/", "/blobs/", "/tags/"):
                name = name.partition(middle)[0]
            challenge += f',scope="repository:{name}:pull{"" if method in {"GET", "HEAD"} else ",push"}"'
        return _answer("401 Unauthorized", b"{}", f"WWW-Authenticate: {challenge}")


def _answer(status: str, body: bytes, *lines: str) -> bytes:
    head = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(head).encode() + body


@asynccontextmanager
async def gate(lab: Lab, *, password: str, token: str) -> AsyncGenerator[Gate]:
    """Serve plain HTTP on this machine."""
    made = Gate(password=password, token=token)

    async def serve(stream: SocketStream) -> None:
        async with stream:
            with suppress(*_OVER):
                await _serve(stream, made, lab)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        made.address = f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610 -- anyio's, not Django's
        tasks.start_soon(listener.serve, serve)
        yield made
        tasks.cancel_scope.cancel()


async def _serve(stream: SocketStream, made: Gate, lab: Lab) -> None:
    data = await stream.receive()
    if data[0] == _TLS_HANDSHAKE:
        await stream.send(_NO_TLS)
        return
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    refused = made.refusal(head)
    if refused is not None:
        await _read_on(stream, head, len(body))
        await stream.send(refused)
        return
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"authorization:", b"connection:"))]
    host, _, port = lab.registry.partition(":")
    # The name that it was asked by stays: from that the registry makes the addresses of uploads.
    async with await anyio.connect_tcp(host, int(port)) as real, anyio.create_task_group() as tasks:
        await real.send(b"\r\n".join((*kept, b"Connection: close", b"", b"")) + body)
        tasks.start_soon(_pump, stream, real)
        await _pump(real, stream)
        tasks.cancel_scope.cancel()


async def _read_on(stream: SocketStream, head: bytes, known: int) -> None:
    """Take what a client is about to send: one that is answered before may see nothing of the answer."""
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = (int(lengths[0].partition(b":")[2]) if lengths else 0) - known
    while left > 0:
        left -= len(await stream.receive(_PIECE))


async def _pump(source: SocketStream, target: SocketStream) -> None:
    with suppress(*_OVER):
        while True:
            await target.send(await source.receive(_PIECE))
