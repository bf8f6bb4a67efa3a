"""One RPC, the same class in both roles: messages go in and out as bytes."""

from collections.abc import Sequence
from copy import copy
from typing import Self

import anyio
from anyio.lowlevel import checkpoint

from orchestrator.buildkit.grpc.framing import DEFAULT_MESSAGE_LIMIT, Message, MessageDecoder, Outgoing
from orchestrator.buildkit.grpc.link import Link
from orchestrator.buildkit.grpc.metadata import Metadata
from orchestrator.buildkit.grpc.status import GrpcError, Status
from orchestrator.buildkit.grpc.stream import Stream

_RECEIVES_PER_CHECKPOINT = 64


class Call:
    """One RPC. Several tasks may send at a time: their messages take turns. One task at a time may receive.

    Attributes:
        method: the full path, `/package.Service/Method`.
        metadata: the request's metadata: what was sent (client), what came in (server).
    """

    def __init__(
        self, link: Link, stream: Stream, method: str, metadata: Metadata, *, message_limit: int = DEFAULT_MESSAGE_LIMIT
    ) -> None:
        self.method = method
        self.metadata = metadata
        self._link = link
        self._stream = stream
        self._decoder = MessageDecoder(message_limit)
        self._sending = anyio.Lock(fast_acquire=True)
        self._receiving = anyio.ResourceGuard("receiving from")
        self._streak = 0

    async def send(self, message: bytes) -> None:
        """Send one message; see `send_many`."""
        await self.send_many((message,))

    async def send_many(self, messages: Sequence[Message]) -> None:
        """Send messages in as few writes as the peer's windows allow; return when all are queued for writing.

        When this is cancelled in the middle of a message the call cannot go on, and is reset.

        Raises:
            GrpcError: the call failed; the peer's status, when it sent one.
            ConnectionLostError: the connection ended.
            anyio.BrokenResourceError: the peer ended the call with OK and does not want more; `receive` goes on.
            anyio.ClosedResourceError: `end` was called before.
        """
        async with self._sending:
            self._stream.check_sendable()
            outgoing = Outgoing(messages)
            try:
                await self._link.transmit(self._stream, outgoing)
            except BaseException:
                if outgoing.started and self._stream.live:
                    self._link.abandon(self._stream, GrpcError(Status.CANCELLED, "cancelled while sending a message"))
                raise

    async def end(self) -> None:
        """Send no more messages. In the server role the call ends when its handler returns, and this does nothing."""
        async with self._sending:
            if not self._link.is_server:
                self._link.end(self._stream)

    async def receive(self) -> bytes:
        """Take the next message. What arrived before a failure is delivered before the failure is raised.

        Raises:
            anyio.EndOfStream: the peer ended the call with OK (client role), or half-closed it (server role).
            GrpcError: the call ended with another status, was reset, or a message is over the limit or malformed.
            ConnectionLostError: the connection ended.
        """
        with self._receiving:
            # Buffered messages come without suspending; every so often the other tasks must have their turn.
            self._streak += 1
            if self._streak >= _RECEIVES_PER_CHECKPOINT:
                self._streak = 0
                await checkpoint()
            stream = self._stream
            while True:
                try:
                    message = self._decoder.next_message()
                except GrpcError as error:
                    self._refuse(error)
                    raise
                if message is not None:
                    return message
                if stream.chunks:
                    chunk = stream.chunks.popleft()
                    self._decoder.feed(chunk)
                    self._link.consumed(stream, len(chunk))
                elif stream.ending is None:
                    self._streak = 0
                    await stream.readable.wait()
                elif isinstance(stream.ending, anyio.EndOfStream) and self._decoder.pending:
                    raise GrpcError(Status.INTERNAL, "the peer ended the call in the middle of a message")
                else:
                    raise copy(stream.ending)

    async def receive_many(self, size: int) -> list[bytes]:
        """Take the messages that are here: at least one, and no more once they have `size` bytes.

        Raises:
            EndOfStream, GrpcError, ConnectionLostError: as `receive`, when not one is there.
        """
        messages = [await self.receive()]
        total = len(messages[0])
        while total < size and (message := self._here()) is not None:
            messages.append(message)
            total += len(message)
        return messages

    def _here(self) -> bytes | None:
        """The next message, when all of it has arrived. A broken one is left to `receive`, which finds it again."""
        stream = self._stream
        while True:
            try:
                message = self._decoder.next_message()
            except GrpcError:
                return None
            if message is not None or not stream.chunks:
                return message
            chunk = stream.chunks.popleft()
            self._decoder.feed(chunk)
            self._link.consumed(stream, len(chunk))

    def _refuse(self, error: GrpcError) -> None:
        """Nothing can be read after a broken message; a handler still has to send its status."""
        if self._link.is_server:
            self._stream.finish(error)
        else:
            self._link.abandon(self._stream, error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None
