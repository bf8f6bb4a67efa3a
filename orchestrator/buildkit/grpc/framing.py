"""gRPC's length-prefixed messages, without I/O.

A message on the wire is one byte of flags (1: compressed), four bytes of length (big endian), then its bytes; it may
be cut anywhere into DATA frames, and one DATA frame may hold many. `MessageDecoder` puts messages together again.
`Outgoing` is the other direction: it hands out slices of the messages to be sent. A message may come in pieces, and
what goes to the transport are pieces, too, so that contents are not copied on their way: large copies are made in
memory that the system has just cleared for them, page by page, which takes longer than copying.
"""

import struct
from collections.abc import Sequence
from typing import TypeAlias

from orchestrator.buildkit.grpc.status import GrpcError, Status

DEFAULT_MESSAGE_LIMIT = 32 * 1024 * 1024
"""Bytes. BuildKit's own limit is 16 MiB in both directions (`util/defaults`, `DefaultMaxRecvMsgSize`)."""

Piece: TypeAlias = bytes | memoryview
"""A view has single bytes as its items."""
Message: TypeAlias = bytes | tuple[Piece, ...]
"""Whole, or in pieces."""

_PREFIX = struct.Struct(">BL")
_PREFIX_SIZE = _PREFIX.size
_JOIN_BELOW = 1024


class MessageDecoder:
    """Puts messages together from the payloads of DATA frames.

    Args:
        limit: the largest message to accept, in bytes.
    """

    __slots__ = ("_buffer", "_limit", "_need")

    def __init__(self, limit: int = DEFAULT_MESSAGE_LIMIT) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._need = -1

    @property
    def pending(self) -> bool:
        """Whether a message has begun and is not complete: at the end of a stream, it was cut off."""
        return bool(self._buffer) or self._need >= 0

    def feed(self, data: bytes | memoryview) -> None:
        """Add the next bytes of the stream."""
        self._buffer += data

    def next_message(self) -> bytes | None:
        """Take the next complete message, or None when more bytes are needed.

        Raises:
            GrpcError: RESOURCE_EXHAUSTED for a message over the limit, INTERNAL for a compressed one (no compression
                was offered to the peer) and for unknown flags.
        """
        buffer = self._buffer
        if self._need < 0:
            if len(buffer) < _PREFIX_SIZE:
                return None
            flags, size = _PREFIX.unpack_from(buffer)
            if flags:
                what = "a compressed message, but no compression was agreed on" if flags == 1 else f"flags {flags:#x}"
                raise GrpcError(Status.INTERNAL, f"expected an uncompressed message, got {what}")
            if size > self._limit:
                raise GrpcError(
                    Status.RESOURCE_EXHAUSTED, f"a message of {size} bytes is larger than the limit of {self._limit}"
                )
            del buffer[:_PREFIX_SIZE]
            self._need = size
        need = self._need
        if len(buffer) < need:
            return None
        self._need = -1
        if len(buffer) == need:
            self._buffer = bytearray()
            return bytes(buffer)
        with memoryview(buffer) as view:
            message = bytes(view[:need])
        del buffer[:need]
        return message


class Outgoing:
    """The bytes of messages with their prefixes, handed out in slices of any size.

    Args:
        messages: what to send; they must not change while this is in use.

    Attributes:
        remaining: how many bytes were not handed out yet.
    """

    __slots__ = ("_index", "_offset", "_parts", "remaining", "started")

    def __init__(self, messages: Sequence[Message]) -> None:
        parts: list[Piece] = []
        total = 0
        for message in messages:
            pieces = (message,) if isinstance(message, bytes) else message
            size = sum(map(len, pieces))
            prefix = _PREFIX.pack(0, size)
            if size < _JOIN_BELOW:
                parts.append(b"".join((prefix, *pieces)))
            else:
                parts.append(prefix)
                parts += map(memoryview, pieces)
            total += size + _PREFIX_SIZE
        self._parts = parts
        self._index = 0
        self._offset = 0
        self.remaining = total
        self.started = False

    def take(self, size: int, into: list[Piece]) -> None:
        """Append slices of exactly `size` bytes to `into`; `size` is at most `remaining`."""
        self.started = True
        self.remaining -= size
        parts, index, offset = self._parts, self._index, self._offset
        while size:
            part = parts[index]
            left = len(part) - offset
            if left <= size:
                into.append(part[offset:] if offset else part)
                index += 1
                offset = 0
                size -= left
            else:
                into.append(part[offset : offset + size])
                offset += size
                size = 0
        self._index, self._offset = index, offset
