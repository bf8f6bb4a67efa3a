"""A byte stream inside an RPC, so that another connection can run in it.

BuildKit's `Control.Session` is such an RPC: in both directions its messages are `BytesMessage { bytes data = 1; }`
(`api/services/control/control.proto`), and what they carry is an HTTP/2 connection in which we are the server.
"""

import anyio
from anyio.abc import ByteStream

from orchestrator.buildkit.grpc.call import Call
from orchestrator.buildkit.grpc.status import ConnectionLostError, GrpcError

CHUNK = 64 * 1024
"""Largest number of bytes put into one message."""

_DATA_TAG = 0x0A
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE = 0x80
_MAX_VARINT_SIZE = 10


def encode_bytes_message(data: bytes | memoryview) -> bytes:
    """Write `BytesMessage { bytes data = 1; }`."""
    prefix = bytearray((_DATA_TAG,))
    size = len(data)
    while size >= _MORE:
        prefix.append(size & 0x7F | _MORE)
        size >>= 7
    prefix.append(size)
    return b"".join((prefix, data))


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
        if self._closed:
            raise anyio.ClosedResourceError
        with memoryview(item) as view:
            messages = [encode_bytes_message(view[start : start + CHUNK]) for start in range(0, len(view), CHUNK)]
        try:
            await self._call.send_many(messages)
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
