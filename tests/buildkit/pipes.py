"""Two byte streams connected in memory."""

import math

import anyio
from anyio.abc import ByteStream, ObjectReceiveStream, ObjectSendStream


class Pipe(ByteStream):
    """One end. Closing it is seen by the other, in both directions, as with a socket."""

    def __init__(self, incoming: ObjectReceiveStream[bytes], outgoing: ObjectSendStream[bytes]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._unread = b""

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = self._unread or await self._incoming.receive()
        self._unread = data[max_bytes:]
        return data[:max_bytes]

    async def send(self, item: bytes) -> None:
        await self._outgoing.send(bytes(item))

    async def send_eof(self) -> None:
        await self._outgoing.aclose()

    async def aclose(self) -> None:
        await self._outgoing.aclose()
        await self._incoming.aclose()


def pipes() -> tuple[Pipe, Pipe]:
    """Both ends."""
    there, here_in = anyio.create_memory_object_stream[bytes](math.inf)
    back, there_in = anyio.create_memory_object_stream[bytes](math.inf)
    return Pipe(there_in, there), Pipe(here_in, back)
