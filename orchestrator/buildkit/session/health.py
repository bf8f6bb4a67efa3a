"""grpc.health.v1.Health: proof that this side of a session is alive.

A daemon asks every 5 seconds, for at most 15 seconds, and ends the session and its builds after two failures
(BuildKit session/grpc.go, v0.30.0). Answering needs nothing but a turn of the event loop, which is the point: whoever
blocks the loop kills its own builds.
"""

from collections.abc import Mapping

from orchestrator.buildkit.protos import health_pb2
from orchestrator.buildkit.session.unary import UnaryHandler

_SERVING = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING).SerializeToString()


def health_handlers() -> Mapping[str, UnaryHandler]:
    """The service's one method that daemons use, by full path."""
    return {"/grpc.health.v1.Health/Check": _check}


async def _check(message: bytes) -> bytes:
    health_pb2.HealthCheckRequest.FromString(message)
    return _SERVING
