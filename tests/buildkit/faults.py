"""A connection to a daemon on which something goes wrong at a chosen HTTP/2 frame, and which counts that it did."""

import struct
from typing import Literal

import anyio
import msgspec
from anyio.abc import ByteStream

from tests.buildkit.tap import PREFACE

DATA = 0x0
_HEADER = 9
_GOAWAY = struct.Struct(">HBBBLLL")
_MOST_STREAMS = 2**31 - 1

Kind = Literal["cut", "goaway", "goaway at once", "garbage"]


class Fault(msgspec.Struct):
    """What goes wrong, and when: at the nth frame of DATA on one of a client's connections."""

    connection: int
    """In the order in which they were opened: 0 is control, then one for each session."""
    sent: bool
    """Whether frames of ours are counted, or the daemon's."""
    nth: int
    kind: Kind
    fired: int = 0
    opened: int = 0
    open_now: int = 0

    def wrap(self, stream: ByteStream) -> ByteStream:
        """A new connection, on which it may happen."""
        number = self.opened
        self.opened += 1
        self.open_now += 1
        return _Faulty(stream, self, affected=number == self.connection)


class _Counter:
    """Finds DATA frames in a stream that is cut anywhere."""

    def __init__(self, skip: int) -> None:
        self._skip = skip
        self._header = b""
        self.frames = 0

    def until(self, data: bytes, nth: int) -> int | None:
        """Where in these bytes the nth DATA frame has begun, just behind its header; None: not in these."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            need = _HEADER - len(self._header)
            self._header += data[at : at + need]
            at += need
            if len(self._header) == _HEADER:
                self._skip = int.from_bytes(self._header[:3], "big")
                kind, self._header = self._header[3], b""
                self.frames += kind == DATA
                if kind == DATA and self.frames == nth:
                    return at
        return None


class _Faulty(ByteStream):
    def __init__(self, stream: ByteStream, fault: Fault, *, affected: bool) -> None:
        self._stream = stream
        self._fault = fault
        self._affected = affected
        self._sent = _Counter(len(PREFACE))
        self._received = _Counter(0)
        self._closed = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self._stream.receive(max_bytes)
        if self._affected and not self._fault.sent and not self._fault.fired:
            at = self._received.until(data, self._fault.nth)
            if at is not None:
                return await self._happen(data, at)
        return data

    async def send(self, item: bytes) -> None:
        if self._affected and self._fault.sent and not self._fault.fired:
            at = self._sent.until(bytes(item), self._fault.nth)
            if at is not None:
                self._fault.fired += 1
                await self._stream.send(bytes(item)[:at])
                await self._stream.aclose()
                raise anyio.BrokenResourceError
        await self._stream.send(item)

    async def _happen(self, data: bytes, at: int) -> bytes:
        """What comes instead of the rest, from before the frame that was to be the nth."""
        self._fault.fired += 1
        before = data[: max(at - _HEADER, 0)]
        match self._fault.kind:
            case "cut":
                await self._stream.aclose()
                return before or self._end()
            case "goaway":
                return before + _goaway(_MOST_STREAMS, 0) + data[max(at - _HEADER, 0) :]
            case "goaway at once":
                return before + _goaway(0, 11) + data[max(at - _HEADER, 0) :]
            case "garbage":
                return before + b"\xff" * 64

    def _end(self) -> bytes:
        raise anyio.EndOfStream

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._fault.open_now -= 1
        await self._stream.aclose()


def _goaway(last: int, code: int) -> bytes:
    return _GOAWAY.pack(0, 8, 0x7, 0, 0, last, code)
