"""The server role: handlers, one task for each RPC."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import cast

import anyio
from anyio.abc import ByteStream, TaskGroup

from orchestrator.buildkit.grpc.call import Call
from orchestrator.buildkit.grpc.framing import DEFAULT_MESSAGE_LIMIT
from orchestrator.buildkit.grpc.link import Link
from orchestrator.buildkit.grpc.metadata import Headers, decode_metadata
from orchestrator.buildkit.grpc.status import ConnectionLostError, GrpcError, Status
from orchestrator.buildkit.grpc.stream import Stream
from orchestrator.buildkit.grpc.wire import MAX_INBOUND_STREAMS

Handler = Callable[[Call], Awaitable[None]]

_logger = logging.getLogger(__name__)


async def serve(
    stream: ByteStream, handlers: Mapping[str, Handler], *, message_limit: int = DEFAULT_MESSAGE_LIMIT
) -> None:
    """Serve RPCs until the peer closes the connection; the stream is closed then, and running handlers are cancelled.

    A handler that returns ends its call with OK, one that raises `GrpcError` (alone, or as the only one in an
    exception group) with that status. Any other exception is logged and becomes UNKNOWN without its text, which may
    hold secrets. A handler is cancelled when the client resets its call. Methods without handler are UNIMPLEMENTED.

    Args:
        stream: connected to a client that speaks HTTP/2 with prior knowledge.
        handlers: by full path, `/package.Service/Method`.
        message_limit: the largest message to accept, in bytes.

    Raises:
        ConnectionLostError: the connection broke, or the peer broke the protocol.
    """
    server = _Server(stream, handlers, message_limit)
    link = server.link
    async with anyio.create_task_group() as server.tasks:
        async with link.run():
            await link.ended.wait()
        server.tasks.cancel_scope.cancel()
    if link.broken:
        raise ConnectionLostError(link.lost)


class _Server:
    """Starts a handler for each request that comes over its link."""

    tasks: TaskGroup

    def __init__(self, stream: ByteStream, handlers: Mapping[str, Handler], message_limit: int) -> None:
        self.link = Link(stream, on_request=self._begin)
        self._handlers = handlers
        self._message_limit = message_limit
        self._running = 0

    def _begin(self, stream: Stream, headers: Headers) -> None:
        method = dict(headers).get(b":path", b"").decode("ascii", "replace")
        try:
            metadata = decode_metadata(headers)
            handler = self._choose(method)
        except GrpcError as error:
            self.link.finish(stream, error)
            return
        call = Call(self.link, stream, method, metadata, message_limit=self._message_limit)
        self._running += 1
        self.tasks.start_soon(self._handle, handler, call, stream, name=method)

    def _choose(self, method: str) -> Handler:
        handler = self._handlers.get(method)
        if handler is None:
            raise GrpcError(Status.UNIMPLEMENTED, f"unknown method {method}")
        # Streams that are reset as fast as they are opened leave handlers behind that have not ended yet.
        if self._running >= MAX_INBOUND_STREAMS:
            raise GrpcError(Status.UNAVAILABLE, "too many calls at a time")
        return handler

    async def _handle(self, handler: Handler, call: Call, stream: Stream) -> None:
        try:
            with anyio.CancelScope() as stream.handler:
                if stream.live:
                    self.link.finish(stream, await _outcome(handler, call))
        finally:
            self._running -= 1


async def _outcome(handler: Handler, call: Call) -> GrpcError | None:
    """Run a handler; its status, None for OK."""
    try:
        await handler(call)
    except Exception as error:
        statuses = [leaf for leaf in _leaves(error) if isinstance(leaf, GrpcError)]
        if len(statuses) == 1:
            return statuses[0]
        if any(isinstance(leaf, ConnectionLostError) for leaf in _leaves(error)):
            return GrpcError(Status.UNAVAILABLE, "the connection was lost")
        _logger.exception("the handler of %s failed", call.method)
        return GrpcError(Status.UNKNOWN, f"the handler of {call.method} failed: {type(error).__name__}")
    return None


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in cast("ExceptionGroup[Exception]", error).exceptions:
            yield from _leaves(inner)
    else:
        yield error
