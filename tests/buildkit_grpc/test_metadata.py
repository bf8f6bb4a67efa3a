import base64

import pytest
from h2.errors import ErrorCodes
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit.grpc.metadata import (
    Metadata,
    bin_decode,
    bin_encode,
    check_response,
    decode_metadata,
    encode_metadata,
    read_status,
    refuse_request,
    trailers,
)
from orchestrator.buildkit.grpc.status import (
    GrpcError,
    Status,
    error_of_reset,
    percent_decode,
    percent_encode,
)

keys = st.from_regex(r"x[0-9a-z_.-]{0,10}", fullmatch=True).filter(lambda key: not key.endswith("-bin"))
pairs = st.one_of(
    st.tuples(keys, st.from_regex(r"[\x20-\x7e]{0,20}", fullmatch=True)),
    st.tuples(keys.map(lambda key: f"{key}-bin"), st.binary(max_size=40)),
)


@given(st.text())
def test_status_messages_survive_percent_encoding(text: str) -> None:
    encoded = percent_encode(text)

    assert percent_decode(encoded) == text
    assert all(" " <= character <= "~" for character in encoded)


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_any_percent_sequence_decodes_to_some_text(text: str) -> None:
    assert isinstance(percent_decode(text), str)


def test_a_lone_surrogate_in_a_message_does_not_hide_the_status() -> None:
    assert percent_encode("no file \udcff") == "no file ?"


@given(st.binary())
def test_binary_values_decode_with_and_without_padding(value: bytes) -> None:
    assert bin_decode(bin_encode(value)) == value
    assert bin_decode(base64.b64encode(value)) == value


@given(st.binary())
def test_a_malformed_binary_value_is_a_value_error_or_bytes(value: bytes) -> None:
    try:
        decoded = bin_decode(value)
    except ValueError:
        return
    assert bin_decode(bin_encode(decoded)) == decoded


@given(st.lists(pairs, max_size=6).map(tuple))
def test_metadata_survives_the_wire(metadata: Metadata) -> None:
    assert decode_metadata(encode_metadata(metadata)) == metadata


def test_joined_binary_values_are_split() -> None:
    assert decode_metadata([(b"x-bin", b"AAE,AgM=")]) == (("x-bin", b"\0\1"), ("x-bin", b"\2\3"))


def test_a_binary_value_that_is_not_base64_is_the_callers_fault() -> None:
    with pytest.raises(GrpcError, match="x-bin") as caught:
        decode_metadata([(b"x-bin", b"?")])

    assert caught.value.status is Status.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "pair",
    [
        ("Upper", "x"),
        ("", "x"),
        (":path", "/x"),
        ("grpc-timeout", "1S"),
        ("x\r\n", "x"),
        ("x", "line\r\nbreak"),
        ("x", "ü"),
        ("x", b"bytes"),
        ("x-bin", "text"),
    ],
)
def test_metadata_that_cannot_be_sent_is_refused(pair: tuple[str, str | bytes]) -> None:
    with pytest.raises(ValueError, match="metadata"):
        encode_metadata((pair,))


@given(st.sampled_from([status for status in Status if status]), st.text(), st.none() | st.binary())
def test_errors_survive_trailers(status: Status, message: str, details: bytes | None) -> None:
    error = read_status(trailers(GrpcError(status, message, details)))

    assert error is not None
    assert (error.status, error.message, error.details) == (status, message, details)


def test_ok_trailers_are_no_error() -> None:
    assert read_status(trailers(None)) is None


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ([], Status.UNKNOWN, "without grpc-status"),
        ([(b"grpc-status", b"99")], Status.UNKNOWN, "unknown grpc-status '99'"),
        ([(b"grpc-status", b"\xff")], Status.UNKNOWN, "unknown grpc-status"),
        ([(b"grpc-status", b"5"), (b"grpc-message", b"a%20b%")], Status.NOT_FOUND, "a b%"),
        ([(b"grpc-status", b"5"), (b"grpc-status-details-bin", b"?")], Status.NOT_FOUND, ""),
    ],
)
def test_odd_trailers_are_read(fields: list[tuple[bytes, bytes]], status: Status, text: str) -> None:
    error = read_status(fields)

    assert error is not None
    assert error.status is status
    assert text in error.message
    assert error.details is None


@pytest.mark.parametrize(
    ("http", "status"),
    [
        ("400", Status.INTERNAL),
        ("401", Status.UNAUTHENTICATED),
        ("403", Status.PERMISSION_DENIED),
        ("404", Status.UNIMPLEMENTED),
        ("429", Status.UNAVAILABLE),
        ("500", Status.UNKNOWN),
        ("502", Status.UNAVAILABLE),
        ("503", Status.UNAVAILABLE),
        ("504", Status.UNAVAILABLE),
        ("", Status.UNKNOWN),
    ],
)
def test_http_statuses_become_grpc_statuses(http: str, status: Status) -> None:
    error = check_response([(b":status", http.encode())])

    assert error is not None
    assert error.status is status


def test_a_grpc_status_counts_more_than_the_http_status() -> None:
    assert check_response([(b":status", b"503"), (b"grpc-status", b"5")]) is None


def test_a_response_of_another_type_is_an_error() -> None:
    error = check_response([(b":status", b"200"), (b"content-type", b"text/html")])

    assert error is not None
    assert "text/html" in error.message


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCodes.NO_ERROR, Status.INTERNAL),
        (ErrorCodes.PROTOCOL_ERROR, Status.INTERNAL),
        (ErrorCodes.FLOW_CONTROL_ERROR, Status.INTERNAL),
        (ErrorCodes.REFUSED_STREAM, Status.UNAVAILABLE),
        (ErrorCodes.CANCEL, Status.CANCELLED),
        (ErrorCodes.ENHANCE_YOUR_CALM, Status.RESOURCE_EXHAUSTED),
        (ErrorCodes.INADEQUATE_SECURITY, Status.PERMISSION_DENIED),
        (ErrorCodes.STREAM_CLOSED, Status.UNKNOWN),
        (0xBEEF, Status.UNKNOWN),
    ],
)
def test_reset_codes_become_statuses(code: int, status: Status) -> None:
    assert error_of_reset(code).status is status


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        ([(b":method", b"GET")], (b":status", b"405")),
        ([(b":method", b"POST"), (b"content-type", b"text/html")], (b":status", b"415")),
        (
            [(b":method", b"POST"), (b"content-type", b"application/grpc"), (b"grpc-encoding", b"gzip")],
            (b"grpc-status", b"12"),
        ),
    ],
)
def test_requests_that_are_no_grpc_are_refused(fields: list[tuple[bytes, bytes]], first: tuple[bytes, bytes]) -> None:
    refusal = refuse_request(fields)

    assert refusal is not None
    assert first in refusal
