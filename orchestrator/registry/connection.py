"""One connection to a server: HTTP/1.1 over a byte stream, one request after another, by h11.

httpx and httpcore speak by h11, too. What they put on top is not wanted for registries (cookies, redirects, decoding, a
trace of every step, a pool that looks at all its connections four times for each request), and is more than half of
what a small request costs.
"""

import select
import ssl
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Self

import anyio
import h11
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute

_SECONDS = 60.0
"""For a request and the head of its answer, and then for each part of the body."""
_IDLE_SECONDS = 5.0
"""A connection that was idle for longer is not used again: servers close them, too."""
_MOST_HEAD = 100 * 1024
_PIECE = 256 * 1024
"""As much as asyncio reads at once: it keeps what is more, where nobody sees it between two requests."""


class LostError(Exception):
    """What happened to a connection, in words."""


class Connection:
    """A connection that is open.

    Args:
        stream: to the server; closed with this.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD)
        self._rested = 0.0
        self._arrived = select.poll()
        raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 -- anyio's, not Django's
        self._arrived.register(raw, select.POLLIN)

    @property
    def is_fresh(self) -> bool:
        """Whether it is worth a request. What arrives while none is under way can only be the end."""
        if time.monotonic() > self._rested + _IDLE_SECONDS or self._arrived.poll(0):
            return False
        tls = self._stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610 -- anyio's, not Django's
        if tls is None:
            return True
        # What came with the last answer, in a record of its own, lies decrypted nowhere yet.
        try:
            tls.read(1)
        except ssl.SSLWantReadError:
            return True
        except ssl.SSLError:
            pass
        return False

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> h11.Response:
        """Send a request and wait for the head of its answer; its body is then to be had by `more`.

        Args:
            method: the request's.
            target: what the request line holds.
            headers: all that is said beside the length.
            content: the request's body.

        Raises:
            LostError: there is no answer.
        """
        lines = [*headers.items()]
        if content is not None:
            lines.append(("content-length", str(len(content))))
        with _lost():
            data = self._http.send(h11.Request(method=method, target=target, headers=lines))
            data += self._http.send(h11.Data(data=content)) if content else b""
            data += self._http.send(h11.EndOfMessage())
            with anyio.fail_after(_SECONDS):
                # A server may answer, and close, before it has read all.
                with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                    await self._stream.send(data)
                while True:
                    event = self._http.next_event()
                    if isinstance(event, h11.Response):
                        return event
                    if event is h11.NEED_DATA:
                        await self._receive()

    async def more(self) -> bytes | None:
        """The next part of the answer's body; None at its end.

        Raises:
            LostError: the connection was lost before the end.
        """
        with _lost():
            while (event := self._http.next_event()) is h11.NEED_DATA:
                with anyio.fail_after(_SECONDS):
                    await self._receive()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    def rest(self) -> bool:
        """Make it ready for another request. Whether it is: not when its answer has not ended, or is its last one."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if self._http.trailing_data[0]:
            # Nobody has asked for it, and it would pass for the next request's answer.
            return False
        self._http.start_next_cycle()
        self._rested = time.monotonic()
        return True

    def switched(self) -> ByteStream:
        """The stream behind a proxy that has answered a CONNECT; it is the caller's now.

        Raises:
            LostError: the proxy says more than its answer. Whoever is behind it waits for us to speak.
        """
        if self._http.trailing_data[0]:
            raise LostError("the proxy sends what nobody has asked for")
        return self._stream

    async def aclose(self) -> None:
        """Close the connection."""
        with anyio.CancelScope(shield=True), suppress(OSError, anyio.BrokenResourceError):
            await self._stream.aclose()

    async def _receive(self) -> None:
        try:
            data = await self._stream.receive(_PIECE)
        except anyio.EndOfStream:
            data = b""
        if not data and self._http.their_state is h11.SEND_RESPONSE:
            raise LostError("it closed the connection without an answer")
        self._http.receive_data(data)


class Response:
    """An answer whose body may still be on its way: iterating over it gives the body as it comes, once.

    Attributes:
        status: the HTTP status.
        scheme: of the place that answered.
    """

    def __init__(self, head: h11.Response, connection: Connection, scheme: str) -> None:
        self.status = head.status_code
        self.scheme = scheme
        self._connection = connection
        self._ended = False
        self._headers: dict[bytes, list[str]] = {}
        for name, value in head.headers:
            self._headers.setdefault(name, []).append(value.decode(errors="replace"))

    def header(self, name: str) -> str:
        """A header's value by its name in lower case, or nothing; the values of several are one list."""
        return ", ".join(self.headers(name))

    def headers(self, name: str) -> list[str]:
        """The values of all headers of a name."""
        return self._headers.get(name.encode(), [])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next part of the body.

        Raises:
            LostError: the connection was lost before its end.
        """
        data = None if self._ended else await self._connection.more()
        if data is None:
            self._ended = True
            raise StopAsyncIteration
        return data


@contextmanager
def _lost() -> Generator[None]:
    try:
        yield
    except TimeoutError as error:
        raise LostError("no answer in time") from error
    # TLS says some of its errors itself.
    except (h11.ProtocolError, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
        raise LostError(str(error) or "the connection was lost") from error
