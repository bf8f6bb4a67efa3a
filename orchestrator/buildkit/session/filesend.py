"""The FileSend service: the daemon sends what exporters made, and each goes to its own destination.

Metadata of a call (session/filesync/filesync.go, BuildKit v0.30.0): `buildkit-attachable-exporter-id` is the exporter's
place in the request, and missing on daemons before v0.13, which know one exporter; `exporter-md-*` repeats what the
answer to the build says, and nobody needs it. One method carries both forms: a stream of bytes, which the daemon ends
when all is said, or fsutil's packets, where we are the receiver.
"""

from collections import Counter, deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Self

import anyio
import anyio.to_thread
from google.protobuf.message import DecodeError

from orchestrator.buildkit.grpc import Call, GrpcError, Handler, Status
from orchestrator.buildkit.protos.filesync_pb2 import BytesMessage
from orchestrator.buildkit.session.destinations import (
    Destination,
    DirectoryDestination,
    FileDestination,
    StreamDestination,
)
from orchestrator.buildkit.session.outputs import DirectoryOutput, FileOutput
from orchestrator.errors import ProtocolError

DIFF_COPY = "/moby.filesync.v1.FileSend/DiffCopy"

_EXPORTER_ID = "buildkit-attachable-exporter-id"
_BYTES_AT_ONCE = 1024 * 1024
_LEFT_OUT_SHOWN = 3


class FileSend:
    """Receives what the exporters of one build send.

    Args:
        destinations: by the exporter's place in the request.
    """

    def __init__(self, destinations: Mapping[int, Destination]) -> None:
        self._destinations = destinations
        self._outputs: dict[int, FileOutput | DirectoryOutput] = {}
        self._received: set[int] = set()
        self._receiving: Counter[int] = Counter()
        self._left_out: list[str] = []

    def handlers(self) -> Mapping[str, Handler]:
        """The service's method by full path; none when nothing is expected."""
        return {DIFF_COPY: self._diff_copy} if self._destinations else {}

    @property
    def warnings(self) -> Sequence[str]:
        """What was received and not written, in words."""
        if not self._left_out:
            return ()
        first = ", ".join(self._left_out[:_LEFT_OUT_SHOWN])
        more = ", ..." if len(self._left_out) > _LEFT_OUT_SHOWN else ""
        return (f"{len(self._left_out)} device files were left out of the output: {first}{more}",)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Make sure before the build that destinations can be written; clean up what `commit` did not put in place.

        Raises:
            OutputError: a destination cannot be written.
        """
        try:
            for number, destination in self._destinations.items():
                match destination:
                    case FileDestination(path=path):
                        self._outputs[number] = await anyio.to_thread.run_sync(FileOutput, path)
                    case DirectoryDestination(path=path, base=base, limit=limit):
                        make = partial(DirectoryOutput, path, base=base, limit=limit)
                        self._outputs[number] = await anyio.to_thread.run_sync(make)
                    case StreamDestination():
                        pass
            yield
        finally:
            with anyio.CancelScope(shield=True):
                for output in self._outputs.values():
                    await anyio.to_thread.run_sync(output.discard)

    async def commit(self) -> None:
        """Put everything in its place: the daemon says that the build is done.

        Raises:
            ProtocolError: the daemon did not send everything.
            OutputError: something cannot be written.
        """
        if self._destinations.keys() - self._received or self._receiving.total():
            raise ProtocolError(
                "the builder says that it is done, and did not send what was built",
                hint="buildkitd before 0.13 has one output for a build: ask for one, without --push.",
            )
        # Shielded: what is built is either in its place, or was cancelled before.
        with anyio.CancelScope(shield=True):
            for output in self._outputs.values():
                await anyio.to_thread.run_sync(output.commit)

    async def _diff_copy(self, call: Call) -> None:
        number = _exporter(call)
        destination = self._destinations.get(number)
        if destination is None:
            raise GrpcError(Status.NOT_FOUND, f"nothing is expected of exporter {number}")
        output = self._outputs.get(number)
        if isinstance(output, DirectoryOutput):
            await self._receive_tree(call, output, number)
            return
        if number in self._received:
            raise GrpcError(Status.ALREADY_EXISTS, f"exporter {number} has sent its output before")
        if isinstance(output, FileOutput):
            while pieces := await _receive_pieces(call):
                await anyio.to_thread.run_sync(output.write, pieces)
        elif isinstance(destination, StreamDestination):
            stream = _Stream(call)
            await destination.consume(stream)
            # Who reads an archive may stop at its last entry; the daemon still has to pad it.
            async for _ in stream:
                pass
        self._received.add(number)

    async def _receive_tree(self, call: Call, output: DirectoryOutput, number: int) -> None:
        writer = output.writer()
        self._receiving[number] += 1
        try:
            while not writer.finished:
                try:
                    messages = await call.receive_many(_BYTES_AT_ONCE)
                except anyio.EndOfStream as error:
                    raise GrpcError(Status.CANCELLED, "the sender left before the end of its list") from error
                replies = await anyio.to_thread.run_sync(writer.feed, messages)
                if writer.finished:
                    # Before the daemon hears of it: its answer to the build may come sooner than its farewell here.
                    self._receiving[number] -= 1
                    self._received.add(number)
                await call.send_many(replies)
        finally:
            writer.close()
            self._left_out += writer.left_out
        # The sender says FIN, too, and ends the call.
        async for message in call:
            writer.feed([message])


class _Stream:
    def __init__(self, call: Call) -> None:
        self._call = call
        self._here: deque[bytes] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._here:
            self._here.extend(await _receive_pieces(self._call))
        if not self._here:
            raise StopAsyncIteration
        return self._here.popleft()


async def _receive_pieces(call: Call) -> list[bytes]:
    """What has arrived of a stream of bytes; nothing at its end."""
    try:
        return [BytesMessage.FromString(message).data for message in await call.receive_many(_BYTES_AT_ONCE)]
    except anyio.EndOfStream:
        return []
    except DecodeError as error:
        raise GrpcError(Status.INVALID_ARGUMENT, "this is no piece of a file") from error


def _exporter(call: Call) -> int:
    said = next((value for name, value in call.metadata if name == _EXPORTER_ID), "0")
    return int(said) if isinstance(said, str) and said.isdecimal() else 0
