"""BuildKit's status messages as our values."""

import contextlib

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit import BuildWarning, Log, StatusUpdate, Vertex, VertexStatus
from orchestrator.buildkit.protos import control_pb2, ops_pb2
from orchestrator.buildkit.status import decode_status


def test_a_vertex_keeps_what_has_not_happened_yet_apart_from_time_zero() -> None:
    message = control_pb2.StatusResponse(
        vertexes=[
            control_pb2.Vertex(digest="sha256:a", name="[1/2] FROM x", started=Timestamp()),
            control_pb2.Vertex(
                digest="sha256:b",
                name="[2/2] RUN y",
                inputs=["sha256:a"],
                started=Timestamp(seconds=10, nanos=500_000_000),
                completed=Timestamp(seconds=12, nanos=250_000_000),
                cached=True,
                error="no",
            ),
        ]
    )

    update = decode_status(message.SerializeToString())

    assert update.vertexes == (
        Vertex(
            digest="sha256:a", name="[1/2] FROM x", inputs=(), started=0.0, completed=None, cached=False, error=None
        ),
        Vertex(
            digest="sha256:b",
            name="[2/2] RUN y",
            inputs=("sha256:a",),
            started=10.5,
            completed=12.25,
            cached=True,
            error="no",
        ),
    )


def test_logs_stay_bytes_and_warnings_become_text() -> None:
    warning = control_pb2.VertexWarning(
        vertex="v",
        short=b"FromAsCasing: caf\xff",
        detail=[b"one", b"two"],
        url="https://example.com",
        info=ops_pb2.SourceInfo(filename="Dockerfile"),
        ranges=[ops_pb2.Range(start=ops_pb2.Position(line=3))],
    )
    message = control_pb2.StatusResponse(
        logs=[control_pb2.VertexLog(vertex="v", stream=2, msg=b"half a \xc3")], warnings=[warning]
    )

    update = decode_status(message.SerializeToString())

    assert update.logs == (Log(vertex="v", data=b"half a \xc3", stream=2),)
    assert update.warnings == (
        BuildWarning(
            vertex="v",
            message="FromAsCasing: caf\N{REPLACEMENT CHARACTER}",
            detail="one\ntwo",
            url="https://example.com",
            file="Dockerfile",
            line=3,
        ),
    )


def test_a_status_says_how_far_a_part_of_a_step_has_come() -> None:
    message = control_pb2.StatusResponse(
        statuses=[
            control_pb2.VertexStatus(id="sha256:l", vertex="v", current=5, total=9, started=Timestamp(seconds=1)),
            control_pb2.VertexStatus(id="pushing layers", vertex="v", completed=Timestamp(seconds=2)),
        ]
    )

    update = decode_status(message.SerializeToString())

    assert update.statuses == (
        VertexStatus(vertex="v", id="sha256:l", current=5, total=9, completed=False, began=1.0),
        VertexStatus(vertex="v", id="pushing layers", current=0, total=0, completed=True, ended=2.0),
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_an_update_or_a_decode_error(message: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert isinstance(decode_status(message), StatusUpdate)


@given(
    st.lists(
        st.tuples(
            st.text(max_size=8),
            st.binary(max_size=20),
            st.integers(min_value=-(2**63), max_value=2**63 - 1),
        ),
        max_size=5,
    )
)
def test_every_log_arrives_unchanged_and_in_order(logs: list[tuple[str, bytes, int]]) -> None:
    message = control_pb2.StatusResponse(
        logs=[control_pb2.VertexLog(vertex=vertex, msg=data, stream=stream) for vertex, data, stream in logs]
    )

    update = decode_status(message.SerializeToString())

    assert [(log.vertex, log.data, log.stream) for log in update.logs] == logs
