"""The client role: RPCs over one HTTP/2 connection on any byte stream."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import ByteStream

from orchestrator.buildkit.grpc.call import Call
from orchestrator.buildkit.grpc.framing import DEFAULT_MESSAGE_LIMIT
from orchestrator.buildkit.grpc.link import Link
from orchestrator.buildkit.grpc.metadata import Metadata, request_headers
from orchestrator.buildkit.grpc.status import GrpcError, Status


class Connection:
    """An open connection to a gRPC server; made by `open_client`.

    Attributes:
        given_up: whether `give_up` ended it.
    """

    def __init__(self, link: Link, *, authority: str, message_limit: int) -> None:
        self._link = link
        self._authority = authority
        self._message_limit = message_limit
        self.given_up = False

    @property
    def takes_calls(self) -> bool:
        """Whether a new RPC can begin: neither has the connection ended, nor did the peer say GOAWAY."""
        return self._link.refusal is None

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return self._link.lost is not None

    def give_up(self, reason: str) -> None:
        """End the connection because its peer is not there any more: whoever uses it gets a `ConnectionLostError`."""
        self.given_up = True
        self._link.break_off(reason)

    @property
    def received_bytes(self) -> int:
        """Bytes read from the transport, HTTP/2's own frames included."""
        return self._link.received_bytes

    @property
    def sent_bytes(self) -> int:
        """Bytes written to the transport, HTTP/2's own frames included."""
        return self._link.sent_bytes

    @asynccontextmanager
    async def call(self, method: str, *, metadata: Metadata = ()) -> AsyncGenerator[Call]:
        """Open an RPC, as soon as the peer allows one more stream.

        Leaving the block before the peer ended the call resets it (CANCEL), without waiting for the peer.

        Args:
            method: the full path, `/package.Service/Method`.
            metadata: the request's own fields.

        Raises:
            ConnectionLostError: the connection ended, or takes no new calls (GOAWAY).
            ValueError: the metadata cannot be sent.
        """
        stream = await self._link.open(request_headers(method, self._authority, metadata))
        try:
            yield Call(self._link, stream, method, metadata, message_limit=self._message_limit)
        finally:
            self._link.abandon(stream, anyio.ClosedResourceError())

    async def unary(self, method: str, request: bytes, *, metadata: Metadata = ()) -> bytes:
        """One request, one response.

        Raises:
            GrpcError: the call ended with another status than OK, or with no or several messages (INTERNAL).
            ConnectionLostError: the connection ended, or takes no new calls (GOAWAY).
            ValueError: the metadata cannot be sent.
        """
        async with self.call(method, metadata=metadata) as call:
            with suppress(anyio.BrokenResourceError):
                await call.send(request)
                await call.end()
            responses = [response async for response in call]
        if len(responses) != 1:
            raise GrpcError(Status.INTERNAL, f"expected one response, got {len(responses)}")
        return responses[0]


@asynccontextmanager
async def open_client(
    stream: ByteStream, *, authority: str, message_limit: int = DEFAULT_MESSAGE_LIMIT
) -> AsyncGenerator[Connection]:
    """Speak gRPC as the client; the stream is closed at the end of the block.

    Args:
        stream: connected to a server that speaks HTTP/2 with prior knowledge.
        authority: the server's name, for `:authority`.
        message_limit: the largest message to accept, in bytes.
    """
    link = Link(stream)
    async with link.run():
        yield Connection(link, authority=authority, message_limit=message_limit)
