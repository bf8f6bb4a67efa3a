"""How an RPC ends: status codes, the two errors a caller can meet, and the codings of their text on the wire.

Facts: `doc/statuscodes.md`, `doc/PROTOCOL-HTTP2.md` and `doc/http-grpc-status-mapping.md` of github.com/grpc/grpc.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from h2.errors import ErrorCodes


class Status(IntEnum):
    """The status codes of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class GrpcError(Exception):
    """An RPC that ended with another status than OK; raised by a handler, it is the status that the client gets.

    Attributes:
        status: the status code, never `Status.OK`.
        message: the peer's text, decoded; may be empty.
        details: the bytes of `grpc-status-details-bin` (a `google.rpc.Status`), or None.
    """

    def __init__(self, status: Status, message: str = "", details: bytes | None = None) -> None:
        super().__init__(status, message, details)
        self.status = status
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return f"{self.status.name}: {self.message}" if self.message else self.status.name


class ConnectionLostError(Exception):
    """The HTTP/2 connection under an RPC is gone, or takes no new RPC; nothing is known about the RPC's outcome."""


_OF_HTTP: Mapping[int, Status] = MappingProxyType({
    400: Status.INTERNAL,
    401: Status.UNAUTHENTICATED,
    403: Status.PERMISSION_DENIED,
    404: Status.UNIMPLEMENTED,
    429: Status.UNAVAILABLE,
    502: Status.UNAVAILABLE,
    503: Status.UNAVAILABLE,
    504: Status.UNAVAILABLE,
})  # fmt: skip

_OF_RESET: Mapping[int, tuple[Status, str]] = MappingProxyType({
    ErrorCodes.NO_ERROR: (Status.INTERNAL, "the peer ended the stream without a status"),
    ErrorCodes.PROTOCOL_ERROR: (Status.INTERNAL, "the peer saw a breach of HTTP/2"),
    ErrorCodes.INTERNAL_ERROR: (Status.INTERNAL, "the peer failed internally"),
    ErrorCodes.FLOW_CONTROL_ERROR: (Status.INTERNAL, "the peer saw a breach of flow control"),
    ErrorCodes.SETTINGS_TIMEOUT: (Status.INTERNAL, "the peer waited too long for our settings"),
    ErrorCodes.FRAME_SIZE_ERROR: (Status.INTERNAL, "the peer saw a frame of a wrong size"),
    ErrorCodes.REFUSED_STREAM: (Status.UNAVAILABLE, "the peer refused the stream before it did anything"),
    ErrorCodes.CANCEL: (Status.CANCELLED, "the peer cancelled the call"),
    ErrorCodes.COMPRESSION_ERROR: (Status.INTERNAL, "the peer could not decode our headers"),
    ErrorCodes.CONNECT_ERROR: (Status.INTERNAL, "the peer lost a connection"),
    ErrorCodes.ENHANCE_YOUR_CALM: (Status.RESOURCE_EXHAUSTED, "the peer asks for less load"),
    ErrorCodes.INADEQUATE_SECURITY: (Status.PERMISSION_DENIED, "the peer asks for better transport security"),
})  # fmt: skip


def error_of_http(http_status: str) -> GrpcError:
    """The error of a response that carries no `grpc-status`, from its HTTP status."""
    status = _OF_HTTP.get(int(http_status), Status.UNKNOWN) if http_status.isdecimal() else Status.UNKNOWN
    return GrpcError(status, f"expected a gRPC response, got HTTP status {http_status}")


def error_of_reset(code: int) -> GrpcError:
    """The error of a stream that the peer reset, from the code of its RST_STREAM."""
    status, text = _OF_RESET.get(code, (Status.UNKNOWN, "the peer reset the stream"))
    return GrpcError(status, f"{text} (RST_STREAM {code_name(code)})")


def code_name(code: int) -> str:
    """The name of an HTTP/2 error code, or its number where it has none."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"0x{code:x}"


def percent_encode(text: str) -> str:
    """Write a status message as `grpc-message`: UTF-8, all but printable ASCII (and `%` itself) as `%XX`.

    A lone surrogate, as Python uses for undecodable file names, becomes `?`.
    """
    raw = text.encode("utf-8", "replace")
    return "".join(chr(byte) if 0x20 <= byte <= 0x7E and byte != 0x25 else f"%{byte:02X}" for byte in raw)  # noqa: PLR2004  the bounds of printable ASCII and `%`, as the specification writes them


def percent_decode(text: str) -> str:
    """Read a `grpc-message`. Malformed escapes stay as they are, undecodable bytes are replaced."""
    return unquote_to_bytes(text).decode("utf-8", "replace")
