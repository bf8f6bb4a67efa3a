"""The BuildKit inside a Docker Engine.

An engine answers the calls of BuildKit's API on its own socket, in one of two ways. Newer ones take HTTP/2 with prior
knowledge there. Older ones, back to 18.09, only after `POST /grpc` with `Upgrade: h2c`, answered with 101; what comes
behind that answer's header, in the same read even, is HTTP/2 already. Newer engines deprecate the second way, so the
first one is tried first. Which of them it is does not change while an engine runs: it is found out once, before the
first connection is used.

Podman's socket answers Docker's API too, but has no BuildKit behind it. It says who it is in the header of its answer
to `/_ping` (`Libpod-API-Version`), so that the refusal can name it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack

import anyio
import anyio.abc
import anyio.lowlevel
import h11

from remote.errors import RefusedError, UnreachableError, UnsuitableError
from remote.tcp import REFUSED

Open = Callable[[Sequence[str]], Awaitable[anyio.abc.ByteStream]]
"""Connects to the engine, ready to speak these protocols (names of ALPN, where there is TLS)."""
Dial = Callable[[], Awaitable[anyio.abc.ByteStream]]

_HTTP1 = ("http/1.1",)
_HTTP2 = ("h2", "http/1.1")
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""A client's first words: RFC 9113, 3.4, with an empty SETTINGS frame."""
_FRAME_HEADER = 9
_TYPE = 3
"""Where a frame's header, of 9 bytes, has its type: RFC 9113, 4.1."""
_SETTINGS = 4
_MOST_HEAD = 65536
_SWITCHING = 101


class EngineStream(anyio.abc.ByteStream):
    """What an upgraded connection carries: first what came with the answer's header, then the rest.

    Args:
        stream: the connection; this owns it.
        ahead: what was read of it already.
    """

    def __init__(self, stream: anyio.abc.ByteStream, ahead: bytes) -> None:
        self._stream = stream
        self._ahead = ahead

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Take what has arrived, at most `max_bytes`."""
        if self._ahead:
            await anyio.lowlevel.checkpoint()
            data, self._ahead = self._ahead[:max_bytes], self._ahead[max_bytes:]
            return data
        return await self._stream.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        """Send all of it."""
        await self._stream.send(item)

    async def send_eof(self) -> None:
        """Send nothing more; receiving goes on."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()


async def dialer(connect: Open, *, name: str) -> Dial:
    """Find out how an engine wants to be spoken to.

    Args:
        connect: opens a connection to its socket.
        name: the engine's address in messages.

    Returns:
        What opens connections that speak HTTP/2, each with BuildKit's API behind it.

    Raises:
        UnreachableError: nothing answers.
        UnsuitableError: it is Podman, or no Docker Engine.
    """
    await _greet(connect, name)
    if await takes_http2(connect):

        async def plain() -> anyio.abc.ByteStream:
            return await connect(_HTTP2)

        return plain

    async def upgraded() -> anyio.abc.ByteStream:
        return await _upgraded(connect, name)

    # A first one, so that a refusal comes before anything is built.
    await (await upgraded()).aclose()
    return upgraded


async def _greet(connect: Open, name: str) -> None:
    """Ask who is there."""
    async with await connect(_HTTP1) as stream:
        status, headers, _ = await _ask(stream, "GET", "/_ping", (("Connection", "close"),), name)
    if "libpod-api-version" in headers:
        raise UnsuitableError(
            f"{name}: this is Podman's socket, and Podman has no BuildKit behind it",
            hint="run a buildkitd beside it (as root, or rootless), and name its socket with --host unix:///...",
        )
    if "api-version" not in headers:
        raise UnsuitableError(
            f"{name}: expected a Docker Engine, got HTTP status {status} from something else",
            hint="name the socket of a Docker Engine with docker://, or that of a buildkitd with unix:// or tcp://",
        )


async def takes_http2(connect: Open) -> bool:
    """Whether the engine answers HTTP/2's preface in HTTP/2.

    Raises:
        RemoteError: there is nobody to answer.
    """
    answer = b""
    async with await connect(_HTTP2) as stream:
        try:
            await stream.send(_PREFACE)
            while len(answer) < _FRAME_HEADER:
                answer += await stream.receive()
        except RefusedError as error:
            raise error.reason from error
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return False
    # The first frame of an HTTP/2 server is SETTINGS; an answer in HTTP/1 has the last letter of its name there.
    return answer[_TYPE] == _SETTINGS


async def _upgraded(connect: Open, name: str) -> anyio.abc.ByteStream:
    async with AsyncExitStack() as opened:
        stream = await opened.enter_async_context(await connect(_HTTP1))
        headers = (("Connection", "Upgrade"), ("Upgrade", "h2c"))
        status, _, rest = await _ask(stream, "POST", "/grpc", headers, name)
        if status == _SWITCHING:
            opened.pop_all()
            return EngineStream(stream, rest)
    raise UnsuitableError(
        f"{name}: the engine does not lead to its BuildKit: POST /grpc is answered with status {status}",
        hint="Docker 18.09 or newer is needed, and what stands in front of the socket must let /grpc pass",
    )


async def _ask(
    stream: anyio.abc.ByteStream, method: str, target: str, headers: Sequence[tuple[str, str]], name: str
) -> tuple[int, Mapping[str, str], bytes]:
    """One request: the answer's status, its header by lower-case name, and what came behind the header."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD)
    request = h11.Request(method=method, target=target, headers=[("Host", "docker"), *headers])
    try:
        await stream.send((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                try:
                    connection.receive_data(await stream.receive())
                except anyio.EndOfStream:
                    connection.receive_data(b"")
            elif isinstance(event, h11.Response) or (
                isinstance(event, h11.InformationalResponse) and event.status_code == _SWITCHING
            ):
                found = {key.decode("latin-1"): value.decode("latin-1") for key, value in event.headers}
                return event.status_code, found, connection.trailing_data[0]
    except h11.RemoteProtocolError as error:
        raise UnsuitableError(
            f"{name}: expected a Docker Engine, got an answer that is not HTTP/1.1: {error}",
            hint="a buildkitd's socket is named with unix:// or tcp://",
        ) from error
    except anyio.BrokenResourceError as error:
        if str(error).startswith(REFUSED):
            raise UnsuitableError(
                f"{name}: {error}", hint="name one that it trusts with cert= and key= in its address"
            ) from error
        raise UnreachableError(
            f"{name}: the connection broke before the engine answered: {str(error) or 'reset'}",
            hint="the daemon's log may say why",
        ) from error
