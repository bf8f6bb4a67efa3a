"""From BuildKit's status stream to our values: a pure function."""

from google.protobuf.timestamp_pb2 import Timestamp

from orchestrator.buildkit.model import BuildWarning, Log, StatusUpdate, Vertex, VertexStatus
from orchestrator.buildkit.protos import control_pb2

_NANOSECONDS = 1_000_000_000


def decode_status(message: bytes) -> StatusUpdate:
    """Decode one message of `Control.Status`.

    Raises:
        google.protobuf.message.DecodeError: it is not a StatusResponse.
    """
    response = control_pb2.StatusResponse.FromString(message)
    return StatusUpdate(
        vertexes=tuple(_vertex(vertex) for vertex in response.vertexes),
        statuses=tuple(_status(status) for status in response.statuses),
        logs=tuple(Log(vertex=log.vertex, data=log.msg, stream=log.stream) for log in response.logs),
        warnings=tuple(_warning(warning) for warning in response.warnings),
    )


def _vertex(vertex: control_pb2.Vertex) -> Vertex:
    return Vertex(
        digest=vertex.digest,
        name=vertex.name,
        inputs=tuple(vertex.inputs),
        started=_seconds(vertex.started) if vertex.HasField("started") else None,
        completed=_seconds(vertex.completed) if vertex.HasField("completed") else None,
        cached=vertex.cached,
        error=vertex.error or None,
    )


def _status(status: control_pb2.VertexStatus) -> VertexStatus:
    return VertexStatus(
        vertex=status.vertex,
        id=status.id,
        current=status.current,
        total=status.total,
        completed=status.HasField("completed"),
        began=_seconds(status.started) if status.HasField("started") else None,
        ended=_seconds(status.completed) if status.HasField("completed") else None,
    )


def _warning(warning: control_pb2.VertexWarning) -> BuildWarning:
    return BuildWarning(
        vertex=warning.vertex,
        message=warning.short.decode(errors="replace"),
        detail=b"\n".join(warning.detail).decode(errors="replace"),
        url=warning.url or None,
        file=warning.info.filename or None,
        line=warning.ranges[0].start.line if warning.ranges else None,
    )


def _seconds(timestamp: Timestamp) -> float:
    return timestamp.seconds + timestamp.nanos / _NANOSECONDS
