"""Services of a session whose methods take one message and answer one."""

from collections.abc import Awaitable, Callable

from google.protobuf.message import DecodeError

from orchestrator.buildkit.grpc import Call, GrpcError, Handler, Status

UnaryHandler = Callable[[bytes], Awaitable[bytes]]
"""From a request to a response, both serialised. May raise `GrpcError`."""


def unary(handler: UnaryHandler) -> Handler:
    """Serve a method that takes one message and answers one."""

    async def serve(call: Call) -> None:
        message = await call.receive()
        try:
            response = await handler(message)
        except DecodeError as error:
            raise GrpcError(Status.INVALID_ARGUMENT, f"{call.method}: {error}") from error
        await call.send(response)

    return serve
