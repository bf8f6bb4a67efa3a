"""A byte stream inside an RPC, so that another connection can run in it.

BuildKit's `Control.Session` is such an RPC: in both directions its messages are `BytesMessage { bytes data = 1; }`
(`api/services/control/control.proto`), and what they carry is an HTTP/2 connection in which we are the server.
"""

from collections.abc import Iterator, Sequence

import anyio
from anyio.abc import ByteStream

from orchestrator.buildkit.grpc.call import Call
from orchestrator.buildkit.grpc.framing import Piece
from orchestrator.buildkit.grpc.status import ConnectionLostError, GrpcError

CHUNK = 256 * 1024
"""Largest number of bytes put into one message."""

_DATA_TAG = 0x0A
_TAG = bytes((_DATA_TAG,))
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE = 0x80
_MAX_VARINT_SIZE = 10


def bytes_messages(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, ...]]:
    """Write as many `BytesMessage { bytes data = 1; }` as it takes."""
    message: list[Piece] = []
    size = 0
    for each in pieces:
        piece = each
        while size + len(piece) > CHUNK:
            view = memoryview(piece)
            message.append(view[: CHUNK - size])
            yield (_TAG + varint(CHUNK), *message)
            piece, message, size = view[CHUNK - size :], [], 0
        message.append(piece)
        size += len(piece)
    if size:
        yield (_TAG + varint(size), *message)


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    written = bytearray()
    while number >= _MORE:
        written.append(number & 0x7F | _MORE)
        number >>= 7
    written.append(number)
    return bytes(written)


def decode_bytes_message(message: bytes) -> bytes:
    """Read `BytesMessage { bytes data = 1; }`; unknown fields are skipped, the last `data` counts.

    Raises:
        ValueError: the message is malformed.
    """
    data = b""
    offset = 0
    while offset < len(message):
        tag, offset = _varint(message, offset)
        kind = tag & 7
        if kind == _BYTES:
            size, offset = _varint(message, offset)
        elif kind == _VARINT:
            size = _varint(message, offset)[1] - offset
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"expected a BytesMessage, got a field of wire type {kind}")
        end = offset + size
        if end > len(message):
            raise ValueError("expected a BytesMessage, got one that is cut off")
        if tag == _DATA_TAG:
            data = message[offset:end]
        offset = end
    return data


def _varint(message: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(message[offset : offset + _MAX_VARINT_SIZE]):
        value |= (byte & 0x7F) << 7 * index
        if byte < _MORE:
            return value, offset + index + 1
    raise ValueError("expected a BytesMessage, got a malformed number")


class Tunnel(ByteStream):
    """The bytes that a call's messages carry.

    `receive` raises `anyio.EndOfStream` when the peer ended the call with OK; when the call failed,
    `anyio.BrokenResourceError` with the failure as its cause. `aclose` half-closes the call; its owner ends it.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._unread = b""
        self._closed = False

    async def send(self, item: bytes) -> None:
        """Send bytes, in messages of at most `CHUNK` bytes."""
        await self.send_pieces((item,))

    async def send_pieces(self, pieces: Sequence[Piece]) -> None:
        """Send bytes that are in pieces, in messages of at most `CHUNK` bytes."""
        if self._closed:
            raise anyio.ClosedResourceError
        try:
            await self._call.send_many(tuple(bytes_messages(pieces)))
        except (GrpcError, ConnectionLostError) as error:
            raise anyio.BrokenResourceError(str(error)) from error

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Take the next bytes, at most `max_bytes`."""
        if self._closed:
            raise anyio.ClosedResourceError
        while not self._unread:
            try:
                self._unread = decode_bytes_message(await self._call.receive())
            except (GrpcError, ConnectionLostError, ValueError) as error:
                raise anyio.BrokenResourceError(str(error)) from error
        data = self._unread[:max_bytes]
        self._unread = self._unread[max_bytes:]
        return data

    async def send_eof(self) -> None:
        """Half-close the call."""
        await self._call.end()

    async def aclose(self) -> None:
        """Half-close the call and take no more bytes."""
        self._closed = True
        await self._call.end()
