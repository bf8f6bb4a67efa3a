"""The server role: handlers, one task for each RPC."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping

import anyio
from anyio.abc import ByteStream

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
    running: set[int] = set()
    async with anyio.create_task_group() as tasks:

        async def run_handler(handler: Handler, call: Call, stream: Stream) -> None:
            with anyio.CancelScope() as scope:
                stream.handler = scope
                link.finish(stream, await _outcome(handler, call))
            running.discard(stream.id)

        def on_request(stream: Stream, headers: Headers) -> None:
            method = dict(headers).get(b":path", b"").decode("ascii", "replace")
            handler = handlers.get(method)
            if handler is None:
                link.finish(stream, GrpcError(Status.UNIMPLEMENTED, f"unknown method {method}"))
                return
            # Streams that are reset as fast as they are opened leave handlers behind that were not cancelled yet.
            if len(running) >= MAX_INBOUND_STREAMS:
                link.finish(stream, GrpcError(Status.UNAVAILABLE, "too many calls at a time"))
                return
            try:
                metadata = decode_metadata(headers)
            except GrpcError as error:
                link.finish(stream, error)
                return
            running.add(stream.id)
            call = Call(link, stream, method, metadata, message_limit=message_limit)
            tasks.start_soon(run_handler, handler, call, stream, name=method)

        link = Link(stream, on_request=on_request)
        async with link.run():
            await link.ended.wait()
        tasks.cancel_scope.cancel()
    if link.broken:
        raise ConnectionLostError(link.lost)


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


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
