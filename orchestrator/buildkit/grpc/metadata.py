"""The header blocks of gRPC over HTTP/2: requests, responses, trailers, and the metadata among them.

Facts: `doc/PROTOCOL-HTTP2.md` of github.com/grpc/grpc. Values under keys ending in `-bin` are bytes, written as base64
without padding and accepted with or without it; all other values are printable ASCII.
"""

import base64
import binascii
import re
from collections.abc import Iterable

from orchestrator.buildkit.grpc.status import GrpcError, Status, error_of_http, percent_decode, percent_encode

Metadata = tuple[tuple[str, str | bytes], ...]
"""Pairs of a lower-case key and a value; values of `-bin` keys are bytes."""
Headers = list[tuple[bytes, bytes]]

_KEY = re.compile(r"(?!grpc-)[0-9a-z_.-]+")
_TEXT = re.compile(r"[\x20-\x7e]*")
_CONTENT_TYPE = b"application/grpc"
_TRANSPORT = frozenset({b"te", b"content-type", b"content-length", b"user-agent", b"accept-encoding"})
_USER_AGENT = b"fleetpacks"


def bin_encode(value: bytes) -> bytes:
    """Write the value of a `-bin` key."""
    return base64.b64encode(value).rstrip(b"=")


def bin_decode(value: bytes) -> bytes:
    """Read the value of a `-bin` key, padded or not.

    Raises:
        ValueError: it is not base64.
    """
    try:
        return base64.b64decode(value.rstrip(b"=") + b"=" * (-len(value.rstrip(b"=")) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"expected base64, got {value[:40]!r}") from error


def encode_metadata(metadata: Metadata) -> Headers:
    """Write metadata as header fields.

    Raises:
        ValueError: a key is not lower-case `[0-9a-z_.-]`, is reserved, or its value cannot be sent under it.
    """
    headers: Headers = []
    for key, value in metadata:
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"{key!r} is no metadata key: expected lower-case [0-9a-z_.-], not beginning with `grpc-`")
        if key.endswith("-bin"):
            if isinstance(value, str):
                raise ValueError(f"metadata {key!r} carries bytes, got a string")
            headers.append((key.encode(), bin_encode(value)))
        else:
            if isinstance(value, bytes) or _TEXT.fullmatch(value) is None:
                raise ValueError(f"metadata {key!r} carries printable ASCII, got {value!r}")
            headers.append((key.encode(), value.encode()))
    return headers


def decode_metadata(headers: Iterable[tuple[bytes, bytes]]) -> Metadata:
    """Read the metadata among header fields, without those that belong to the transport.

    Raises:
        GrpcError: INVALID_ARGUMENT for a `-bin` value that is not base64.
    """
    metadata: list[tuple[str, str | bytes]] = []
    for key, value in headers:
        if key in _TRANSPORT or key.startswith((b":", b"grpc-")):
            continue
        name = key.decode("ascii", "replace")
        if name.endswith("-bin"):
            try:
                metadata += ((name, bin_decode(part.strip())) for part in value.split(b","))
            except ValueError as error:
                raise GrpcError(Status.INVALID_ARGUMENT, f"metadata {name}: {error}") from error
        else:
            metadata.append((name, value.decode("utf-8", "replace")))
    return tuple(metadata)


def request_headers(method: str, authority: str, metadata: Metadata) -> Headers:
    """The header block that opens an RPC.

    Args:
        method: the full path, `/package.Service/Method`.
        authority: the server's name.
        metadata: the caller's own fields.

    Raises:
        ValueError: see `encode_metadata`.
    """
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", method.encode()),
        (b":authority", authority.encode()),
        (b"te", b"trailers"),
        (b"content-type", _CONTENT_TYPE),
        (b"user-agent", _USER_AGENT),
        *encode_metadata(metadata),
    ]


def response_headers() -> Headers:
    """The header block before a server's first message."""
    return [(b":status", b"200"), (b"content-type", _CONTENT_TYPE)]


def trailers(error: GrpcError | None) -> Headers:
    """The header block that ends an RPC; None is OK."""
    if error is None:
        return [(b"grpc-status", b"0")]
    fields: Headers = [(b"grpc-status", b"%d" % error.status)]
    if error.message:
        fields.append((b"grpc-message", percent_encode(error.message).encode()))
    if error.details is not None:
        fields.append((b"grpc-status-details-bin", bin_encode(error.details)))
    return fields


def refuse_request(headers: Iterable[tuple[bytes, bytes]]) -> Headers | None:
    """The response to a request that is no gRPC request we can read, or None when it is one."""
    fields = dict(headers)
    if fields.get(b":method") != b"POST":
        return [(b":status", b"405"), (b"allow", b"POST")]
    if not fields.get(b"content-type", b"").startswith(_CONTENT_TYPE):
        return [(b":status", b"415")]
    encoding = fields.get(b"grpc-encoding", b"identity")
    if encoding != b"identity":
        text = f"messages in {encoding.decode('ascii', 'replace')!r} are not supported"
        accepted = (b"grpc-accept-encoding", b"identity")
        return [*response_headers(), *trailers(GrpcError(Status.UNIMPLEMENTED, text)), accepted]
    return None


def check_response(headers: Iterable[tuple[bytes, bytes]]) -> GrpcError | None:
    """The error of response headers that begin no stream of messages, or None when they do."""
    fields = dict(headers)
    if b"grpc-status" in fields:
        return None
    http_status = fields.get(b":status", b"").decode("ascii", "replace")
    if http_status != "200":
        return error_of_http(http_status)
    content_type = fields.get(b"content-type", b"")
    if not content_type.startswith(_CONTENT_TYPE):
        return GrpcError(
            Status.UNKNOWN, f"expected content-type application/grpc, got {content_type.decode('ascii', 'replace')!r}"
        )
    return None


def read_status(headers: Iterable[tuple[bytes, bytes]]) -> GrpcError | None:
    """What trailers (or the headers of a trailers-only response) say: an error, or None for OK."""
    fields = dict(headers)
    raw = fields.get(b"grpc-status")
    message = percent_decode(fields.get(b"grpc-message", b"").decode("utf-8", "replace"))
    if raw is None:
        return GrpcError(Status.UNKNOWN, "the peer ended the call without grpc-status")
    try:
        status = Status(int(raw))
    except ValueError:
        code = raw.decode("ascii", "replace")
        return GrpcError(Status.UNKNOWN, f"{message} (unknown grpc-status {code!r})".lstrip())
    if status is Status.OK:
        return None
    details: bytes | None
    try:
        details = bin_decode(fields[b"grpc-status-details-bin"])
    except (KeyError, ValueError):
        details = None
    return GrpcError(status, message, details)
