"""The daemon's side of DiffCopy, written for tests: it asks for what a test says, and remembers what it got."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from orchestrator.buildkit.grpc import Call, GrpcError, Metadata
from orchestrator.buildkit.protos.fsutil_pb2 import Packet, Stat
from orchestrator.buildkit.session.filesync import DIFF_COPY, FileSyncState, file_sync_handlers
from orchestrator.buildkit.session.sources import Source
from tests.buildkit_grpc.peers import connected


class Receiver:
    """What a receiver knows after a transfer.

    Attributes:
        stats: the list, in its order.
        contents: of the files that were asked for and ended.
        errors: the texts of ERR packets.
        listed: whether the end of the list was seen.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.stats: list[Stat] = []
        self.contents: dict[str, bytes] = {}
        self.errors: list[str] = []
        self.listed = False
        self._open: dict[int, bytearray] = {}

    @property
    def paths(self) -> list[str]:
        return [os.fsdecode(stat.path) for stat in self.stats]

    async def send(self, kind: Packet.PacketType, *, number: int = 0, data: bytes = b"") -> None:
        await self.call.send(Packet(type=kind, id=number, data=data).SerializeToString())

    async def ask(self, path: str) -> None:
        number = self.paths.index(path)
        self._open[number] = bytearray()
        await self.send(Packet.PACKET_REQ, number=number)

    async def step(self) -> Packet:
        """Takes one packet and remembers it."""
        packet = Packet.FromString(await self.call.receive())
        match packet.type:
            case Packet.PACKET_STAT if packet.HasField("stat"):
                self.stats.append(packet.stat)
            case Packet.PACKET_STAT:
                self.listed = True
            case Packet.PACKET_DATA if packet.data:
                self._open[packet.id] += packet.data
            case Packet.PACKET_DATA:
                self.contents[self.paths[packet.id]] = bytes(self._open.pop(packet.id))
            case Packet.PACKET_ERR:
                self.errors.append(packet.data.decode())
            case _:
                pass
        return packet

    async def list(self) -> None:
        """Takes packets up to the end of the list."""
        while not self.listed:
            await self.step()

    async def take(self) -> None:
        """Takes packets until all files that were asked for have ended."""
        while self._open:
            await self.step()

    async def finish(self) -> None:
        """FIN, the answer to it, and the end of the call."""
        await self.send(Packet.PACKET_FIN)
        packet = await self.step()
        assert packet.type == Packet.PACKET_FIN
        await self.call.end()
        assert [message async for message in self.call] == []


@asynccontextmanager
async def receiving(
    sources: Sequence[Source], state: FileSyncState, *, name: str = "context", metadata: Metadata = ()
) -> AsyncGenerator[Receiver]:
    """A DiffCopy of the source `name`, over our own client and server."""
    async with (
        connected(file_sync_handlers(sources, state)) as connection,
        connection.call(DIFF_COPY, metadata=(("dir-name", name), *metadata)) as call,
    ):
        yield Receiver(call)


async def receive(
    sources: Sequence[Source],
    state: FileSyncState,
    *,
    name: str = "context",
    metadata: Metadata = (),
    ask: Callable[[Stat], bool] = lambda _: False,
    listed: Callable[[], Awaitable[None]] | None = None,
) -> Receiver:
    """A whole transfer: the list, the files for which `ask` is true, FIN.

    Args:
        sources: what is offered.
        state: of the session.
        name: which source.
        metadata: patterns.
        ask: which files are asked for, once the list is complete.
        listed: called before they are.

    Raises:
        GrpcError: the call ended with this status.
    """
    failure: GrpcError | None = None
    async with receiving(sources, state, name=name, metadata=metadata) as receiver:
        try:
            await receiver.list()
            if listed:
                await listed()
            for stat in receiver.stats:
                if ask(stat):
                    await receiver.ask(os.fsdecode(stat.path))
            await receiver.take()
            await receiver.finish()
        except GrpcError as error:
            failure = error
    if failure:
        raise failure
    return receiver
