"""Asking a frontend: a build whose frontend is this client, which passes the question on and builds nothing.

`Control.Solve` answers with what exporters say; what a frontend says is in the result's metadata, and only a client of
the gateway API sees that (`buildctl` and `buildx` do the same). A Solve without frontend makes the daemon wait for such
a client on any connection, which names the build in its calls' metadata: client/build.go and client/buildid, v0.30.0.
"""

from collections.abc import Mapping

import anyio
from google.protobuf.message import DecodeError

from orchestrator.buildkit.border import malformed_error, unknown_build
from orchestrator.buildkit.grpc import Connection, GrpcError, Metadata, Status
from orchestrator.buildkit.protos import gateway_pb2, status_pb2

_BRIDGE = "/moby.buildkit.v1.frontend.LLBBridge"
_BUILD_ID = "buildkit-controlapi-buildid"
_CAPS = {"frontend.caps": "moby.buildkit.frontend.subrequests"}
"""What a Dockerfile's own frontend (`# syntax=`) must be able to do to be given the question."""
_UNKNOWN_PAUSE = 0.2
"""Seconds until a build that the daemon does not know yet is named again. It waits 3 s itself."""


class Question:
    """One question within one build.

    Args:
        ref: the build's.
        frontend: who is asked.
        attrs: the frontend's attributes, with the `requestid` among them.

    Attributes:
        answer: the metadata of the result, once there is one.
    """

    def __init__(self, ref: str, *, frontend: str, attrs: Mapping[str, str]) -> None:
        self._ref = ref
        self._metadata: Metadata = ((_BUILD_ID, ref),)
        self._request = gateway_pb2.SolveRequest(
            frontend=frontend, frontend_opt={**_CAPS, **attrs}, allow_result_return=True, allow_result_array_ref=True
        ).SerializeToString()
        self.answer: Mapping[str, bytes] = {}

    async def ask(self, control: Connection) -> None:
        """Ask, keep the answer, and let the build end with it: a refusal becomes the build's error.

        Raises:
            GrpcError: the daemon does not know the gateway, or lost the build.
            ConnectionLostError: the connection ended.
            ProtocolError: what it says cannot be read.
        """
        try:
            response = await self._solve(control)
            self.answer = dict(gateway_pb2.SolveResponse.FromString(response).result.metadata)
        except GrpcError as error:
            if error.status is Status.UNIMPLEMENTED:
                raise
            ended = gateway_pb2.ReturnRequest(error=_status(error))
        except DecodeError as error:
            raise malformed_error(error) from error
        else:
            ended = gateway_pb2.ReturnRequest(result=gateway_pb2.Result())
        await control.unary(f"{_BRIDGE}/Return", ended.SerializeToString(), metadata=self._metadata)

    async def _solve(self, control: Connection) -> bytes:
        while True:
            try:
                return await control.unary(f"{_BRIDGE}/Solve", self._request, metadata=self._metadata)
            except GrpcError as error:
                # It may be slow to begin with the build.
                if not unknown_build(error, self._ref):
                    raise
            await anyio.sleep(_UNKNOWN_PAUSE)


def _status(error: GrpcError) -> status_pb2.Status:
    # Its details go along, and come back with the build's own error.
    try:
        status = status_pb2.Status.FromString(error.details or b"")
    except DecodeError:
        status = status_pb2.Status()
    status.code, status.message = error.status, error.message
    return status
