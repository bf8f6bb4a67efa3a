"""One DiffCopy: the list of a tree goes out, requests for files come in while it does, contents go out among it.

fsutil's packets (send.go, receive.go, v0.0.0-20251211185533): STAT per entry, numbered from 0 as they are sent, an
empty one ends the list; REQ asks for the content of a number, once; DATA with that number, an empty one ends the file;
FIN is answered with FIN; ERR carries a text and ends the transfer on both sides. Unlike fsutil, which sends an
unreadable file as an empty one, we never let the daemon believe that it has a file which it has not.

Disk work happens in worker threads, in pieces: a piece of the walk is at most 512 entries, a piece of contents about
half a megabyte, and the next one is not read before the last is written. What is kept per file until it is asked for is
its path and its size. A receiver takes messages of any size up to gRPC's default of 4 MiB.
"""

import contextlib
import itertools
import math
import os
from array import array
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream
from google.protobuf.message import DecodeError

from orchestrator.buildkit.grpc import Call, ConnectionLostError, GrpcError, Status
from orchestrator.buildkit.grpc.framing import Message
from orchestrator.buildkit.grpc.tunnel import varint
from orchestrator.buildkit.protos.fsutil_pb2 import Packet, Stat
from orchestrator.buildkit.session.patterns import Filter
from orchestrator.buildkit.session.tree import MODE_TYPE, Entry, File, Tree, changed, unreadable, walk
from orchestrator.errors import ContextError

_ENTRIES_AT_ONCE = 512
_BYTES_AT_ONCE = 512 * 1024
_CHUNK = 256 * 1024
_READERS = 2
"""One reads while the other writes."""
_MESSAGE_PREFIX = 5
_DATA_TAG = bytes((Packet.DATA_FIELD_NUMBER << 3 | 2,))

_Wanted = tuple[int, bytes]
_Lost = GrpcError | ConnectionLostError


class FileSyncState:
    """What a session's transfers have done so far, for whoever started the build.

    Attributes:
        error: why a transfer failed on our side; the daemon's own error only repeats its text.
        sent_bytes: of messages with gRPC's 5-byte prefix, without the framing of HTTP/2 below.
        entries: listed to the daemon.
        files_requested: by the daemon, because its copy differed.
    """

    def __init__(self) -> None:
        self.error: ContextError | None = None
        self.sent_bytes = 0
        self.entries = 0
        self.files_requested = 0


def encode(kind: Packet.PacketType, *, number: int = 0, data: bytes = b"", stat: Stat | None = None) -> bytes:
    """One packet as a message."""
    return Packet(type=kind, id=number, data=data, stat=stat).SerializeToString()


def data(number: int, chunk: bytes) -> tuple[bytes, ...]:
    """One packet with a piece of a file's content, which is not copied."""
    # A field of bytes may stand alone behind the others.
    return encode(Packet.PACKET_DATA, number=number), _DATA_TAG + varint(len(chunk)), chunk


async def send_packets(call: Call, state: FileSyncState, packets: Sequence[Message]) -> None:
    """Writes encoded packets as messages, in one batch, and counts them.

    Raises:
        GrpcError: the daemon ended the call.
        ConnectionLostError: the connection is gone.
    """
    await call.send_many(packets)
    sizes = (len(each) if isinstance(each, bytes) else sum(map(len, each)) for each in packets)
    state.sent_bytes += sum(sizes) + _MESSAGE_PREFIX * len(packets)


class Transfer:
    """Sends the chosen part of a tree over one call.

    Args:
        call: the daemon's DiffCopy.
        tree: what there is.
        chosen: what of it is sent.
        state: kept up to date while the transfer runs.
    """

    def __init__(self, call: Call, tree: Tree, chosen: Filter, state: FileSyncState) -> None:
        self._call = call
        self._tree = tree
        self._entries = walk(tree, chosen)
        self._state = state
        # By number; None for what has no content, or was asked for.
        self._paths: list[bytes | None] = []
        self._sizes = array("q")
        self._first_names: dict[int, bytes] = {}
        self._receiving = anyio.CancelScope()
        self._over = False
        self._failure: ContextError | None = None

    async def run(self) -> None:
        """Returns when the daemon has what it wants.

        Raises:
            ContextError: a file is not what it should be; the daemon does not know yet, and can be told.
            GrpcError: the daemon gave up, or broke the protocol.
            ConnectionLostError: the connection is gone.
        """
        lost: list[_Lost] = []
        requests, wanted = anyio.create_memory_object_stream[_Wanted](math.inf)
        try:
            with wanted:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._until_failure, self._send_list)
                    readers = 0
                    with requests, self._receiving:
                        while (request := await self._next_request()) is not None:
                            requests.send_nowait(request)
                            # Most trees have not changed, and then nobody is needed.
                            if readers < _READERS:
                                readers += 1
                                tasks.start_soon(self._until_failure, self._send_contents, wanted)
                    self._over = True
        except* (GrpcError, ConnectionLostError) as group:
            lost = list(_leaves(group))
        if self._failure:
            raise self._failure
        if lost:
            raise lost[0]
        await self._send([encode(Packet.PACKET_FIN)])

    async def _until_failure(self, task: Callable[..., Awaitable[None]], *args: object) -> None:
        # Nothing that sends is cancelled: half a message would end the call, and the daemon could not be told why.
        try:
            await task(*args)
        except ContextError as error:
            self._failure = self._failure or error
            self._over = True
            self._receiving.cancel()

    async def _next_request(self) -> _Wanted | None:
        """A file that the daemon wants, each at most once; None at its FIN."""
        try:
            packet = Packet.FromString(await self._call.receive())
        except DecodeError as error:
            raise GrpcError(Status.INVALID_ARGUMENT, "this is no fsutil packet") from error
        except anyio.EndOfStream as error:
            raise GrpcError(Status.CANCELLED, "the receiver left before FIN") from error
        match packet.type:
            case Packet.PACKET_REQ:
                path = self._take(packet.id)
                self._state.files_requested += 1
                return packet.id, path
            case Packet.PACKET_FIN:
                return None
            case Packet.PACKET_ERR:
                raise GrpcError(Status.ABORTED, f"the receiver failed: {packet.data.decode(errors='replace')}")
            case _:
                raise GrpcError(Status.INVALID_ARGUMENT, f"a receiver sends no packet of type {packet.type}")

    def _take(self, number: int) -> bytes:
        path = self._paths[number] if number < len(self._paths) else None
        if path is None:
            raise GrpcError(Status.INVALID_ARGUMENT, f"{number} is no file, or has been asked for before")
        self._paths[number] = None
        return path

    async def _send_list(self) -> None:
        last = False
        while not last and not self._over:
            batch = await anyio.to_thread.run_sync(self._next_entries)
            last = len(batch) < _ENTRIES_AT_ONCE
            packets: list[bytes] = []
            for path, entry, packet in batch:
                self._paths.append(None if entry.mode & MODE_TYPE else path)
                self._sizes.append(entry.size)
                packets.append(packet)
            self._state.entries += len(batch)
            if last:
                packets.append(encode(Packet.PACKET_STAT))
            await self._send(packets)

    def _next_entries(self) -> list[tuple[bytes, Entry, bytes]]:
        return [
            (name, entry, self._stat(name, entry))
            for name, entry in (
                (os.fsencode(path), entry) for path, entry in itertools.islice(self._entries, _ENTRIES_AT_ONCE)
            )
        ]

    def _stat(self, name: bytes, entry: Entry) -> bytes:
        major, minor = entry.device
        link = os.fsencode(entry.link)
        if entry.inode is not None:
            # Of a file's names only those are known which are sent: the first of them stands for all.
            device, inode = entry.inode
            first = self._first_names.setdefault(device << 64 | inode, name)
            link = b"" if first is name else first
        return encode(
            Packet.PACKET_STAT,
            stat=Stat(
                path=name,
                mode=entry.mode,
                size=entry.size,
                mod_time=entry.mtime,
                linkname=link,
                devmajor=major,
                devminor=minor,
                xattrs=entry.xattrs,
            ),
        )

    async def _send_contents(self, wanted: MemoryObjectReceiveStream[_Wanted]) -> None:
        async for first in wanted:
            if self._over:
                return
            batch = [first]
            size = self._sizes[first[0]]
            while size < _BYTES_AT_ONCE and len(batch) < _ENTRIES_AT_ONCE:
                try:
                    batch.append(wanted.receive_nowait())
                except (anyio.WouldBlock, anyio.EndOfStream):
                    break
                size += self._sizes[batch[-1][0]]
            last = False
            with contextlib.closing(self._contents(batch)) as contents:
                while not last:
                    packets, last = await anyio.to_thread.run_sync(next, contents)
                    if self._over:
                        return
                    await self._send(packets)

    def _contents(self, batch: Sequence[_Wanted]) -> Generator[tuple[list[Message], bool]]:
        """Packets, and whether they are the last."""
        packets: list[Message] = []
        size = 0
        for number, path in batch:
            for chunk in self._chunks(os.fsdecode(path), self._sizes[number]):
                packets.append(data(number, chunk))
                size += len(chunk)
                if size >= _BYTES_AT_ONCE:
                    yield packets, False
                    packets, size = [], 0
            packets.append(encode(Packet.PACKET_DATA, number=number))
        yield packets, True

    def _chunks(self, path: str, size: int) -> Iterator[bytes]:
        with contextlib.closing(self._tree.open(path, size)) as file:
            left = size
            while chunk := self._read(path, file):
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
        if left:
            raise changed(self._tree.describe(path), "changed its size")

    def _read(self, path: str, file: File) -> bytes:
        try:
            return file.read(_CHUNK) or b""
        except OSError as error:
            raise unreadable(self._tree.describe(path), error) from error

    async def _send(self, packets: Sequence[Message]) -> None:
        await send_packets(self._call, self._state, packets)


def _leaves(group: BaseExceptionGroup[_Lost]) -> Iterator[_Lost]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
