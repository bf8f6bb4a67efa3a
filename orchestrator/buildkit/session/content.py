"""The content service: a daemon reads and writes the blobs of caches that we keep, and reads those of images.

A call says in its metadata which store it speaks of (session/content/attachable.go, BuildKit v0.30.0); for a cache of
`type=local` that is `local:` and what the request calls `src` or `dest` (cache/remotecache/local/local.go), for a named
context that is an image `oci:` and the name in it (source/containerimage/ocilayout.go). Blobs are
named by digest only, and a store that a daemon may not write to has no way to be written to. What a daemon writes is
hashed by the store; the answer to a blob that is there already is ALREADY_EXISTS, which it takes for success.
"""

from collections.abc import Mapping
from typing import BinaryIO, Protocol, runtime_checkable

import anyio
import anyio.to_thread
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError

from orchestrator.buildkit.grpc import Call, GrpcError, Handler, Status
from orchestrator.buildkit.protos import content_pb2
from orchestrator.buildkit.protos.content_pb2 import WriteContentRequest, WriteContentResponse
from orchestrator.buildkit.session.unary import unary

LOCAL = "local:"
"""What stands before the name of a `type=local` cache."""
LAYOUT = "oci:"
"""What stands before the name in a context `oci-layout://NAME@DIGEST`."""

_SERVICE = "/containerd.services.content.v1.Content"
_STORE = "buildkit-attachable-store-id"
_PIECE = 1024 * 1024
_PIECES_AT_ONCE = 4
_MOST_PARTS = 1024
"""Blobs that a daemon may have begun and not ended; its exporter writes a few at a time."""


class ReadableStore(Protocol):
    """Blobs that a daemon may read. Called in worker threads; errors are those of `orchestrator.errors`."""

    def size(self, digest: str) -> int | None:
        """The bytes of a blob; None: it is not here."""
        ...

    def open(self, digest: str) -> BinaryIO | None:
        """A blob to read; None: it is not here."""
        ...


class Part(Protocol):
    """A blob that is written."""

    offset: int
    """Bytes so far."""

    def write(self, data: bytes) -> None:
        """Add to it."""
        ...

    def restart(self) -> None:
        """Forget what has come."""
        ...

    def commit(self, *, size: int, digest: str) -> str:
        """Make it a blob, if it is what is said here, and return its digest; 0 and empty: nothing is said."""
        ...

    def discard(self) -> None:
        """Forget it."""
        ...


@runtime_checkable
class WritableStore(ReadableStore, Protocol):
    """Blobs that a daemon may write, too."""

    def part(self) -> Part:
        """A new blob."""
        ...


class _Writing:
    """A blob by the daemon's name for it: it outlives the call that began it."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.busy = False
        self.total = 0
        self.expected = ""


class Content:
    """Handlers of one session's content service.

    Args:
        stores: by the ids that the daemon uses.
    """

    def __init__(self, stores: Mapping[str, ReadableStore]) -> None:
        self._stores = stores
        self._writing: dict[tuple[str, str], _Writing] = {}

    def handlers(self) -> Mapping[str, Handler]:
        """The service's methods by full path; none when there is no store."""
        if not self._stores:
            return {}
        return {
            f"{_SERVICE}/Info": self._info,
            f"{_SERVICE}/Read": self._read,
            f"{_SERVICE}/Status": self._status,
            f"{_SERVICE}/Write": self._write,
            f"{_SERVICE}/Abort": self._abort,
        }

    async def _info(self, call: Call) -> None:
        store = self._store(call)

        async def info(message: bytes) -> bytes:
            digest = content_pb2.InfoRequest.FromString(message).digest
            size = await anyio.to_thread.run_sync(store.size, digest)
            if size is None:
                raise _missing(digest)
            return content_pb2.InfoResponse(info=content_pb2.Info(digest=digest, size=size)).SerializeToString()

        await unary(info)(call)

    async def _read(self, call: Call) -> None:
        store = self._store(call)
        try:
            request = content_pb2.ReadContentRequest.FromString(await call.receive())
        except DecodeError as error:
            raise GrpcError(Status.INVALID_ARGUMENT, "this is no request to read") from error
        file = await anyio.to_thread.run_sync(store.open, request.digest)
        if file is None:
            raise _missing(request.digest)
        try:
            whole = file.seek(0, 2)
            at = max(0, request.offset)
            if at > whole:
                raise GrpcError(Status.OUT_OF_RANGE, f"{request.digest} has {whole} bytes")
            end = min(whole, at + request.size) if request.size > 0 else whole
            file.seek(at)
            while at < end:
                data = await anyio.to_thread.run_sync(file.read, min(end - at, _PIECE * _PIECES_AT_ONCE))
                if not data:
                    raise GrpcError(Status.DATA_LOSS, f"{request.digest} became shorter")
                await call.send_many(
                    [
                        content_pb2.ReadContentResponse(
                            offset=at + piece, data=data[piece : piece + _PIECE]
                        ).SerializeToString()
                        for piece in range(0, len(data), _PIECE)
                    ]
                )
                at += len(data)
        finally:
            file.close()

    async def _status(self, call: Call) -> None:
        store = _id(call)

        async def status(message: bytes) -> bytes:
            ref = content_pb2.StatusRequest.FromString(message).ref
            writing = self._writing.get((store, ref))
            if writing is None:
                raise GrpcError(Status.NOT_FOUND, f"nothing is written under {ref!r}")
            return content_pb2.StatusResponse(
                status=content_pb2.Status(
                    ref=ref, offset=writing.part.offset, total=writing.total, expected=writing.expected
                )
            ).SerializeToString()

        await unary(status)(call)

    async def _abort(self, call: Call) -> None:
        store = _id(call)

        async def abort(message: bytes) -> bytes:
            ref = content_pb2.AbortRequest.FromString(message).ref
            writing = self._writing.get((store, ref))
            if writing is None:
                raise GrpcError(Status.NOT_FOUND, f"nothing is written under {ref!r}")
            if writing.busy:
                raise GrpcError(Status.UNAVAILABLE, f"{ref!r} is being written")
            del self._writing[store, ref]
            await anyio.to_thread.run_sync(writing.part.discard)
            return Empty().SerializeToString()

        await unary(abort)(call)

    async def _write(self, call: Call) -> None:
        store = self._store(call)
        if not isinstance(store, WritableStore):
            raise GrpcError(Status.PERMISSION_DENIED, "this cache is only read")
        first = _decoded(await call.receive())
        if not first.ref:
            raise GrpcError(Status.INVALID_ARGUMENT, "the first message names no ref")
        key = _id(call), first.ref
        writing = await self._begun(store, key)
        try:
            request = first
            while True:
                if await self._fed(store, key, writing, request, call):
                    return
                try:
                    request = _decoded(await call.receive())
                except anyio.EndOfStream:
                    return
        finally:
            writing.busy = False

    async def _begun(self, store: WritableStore, key: tuple[str, str]) -> _Writing:
        writing = self._writing.get(key)
        if writing is None:
            if len(self._writing) >= _MOST_PARTS:
                raise GrpcError(Status.RESOURCE_EXHAUSTED, f"{_MOST_PARTS} blobs are being written")
            writing = self._writing[key] = _Writing(store.part())
        if writing.busy:
            raise GrpcError(Status.UNAVAILABLE, f"{key[1]!r} is being written")
        writing.busy = True
        return writing

    async def _fed(
        self, store: WritableStore, key: tuple[str, str], writing: _Writing, request: WriteContentRequest, call: Call
    ) -> bool:
        """Do what a message says and answer it; whether that was the last."""
        part = writing.part
        writing.total = request.total or writing.total
        if request.expected:
            writing.expected = request.expected
            # At the end, too: another call may have been faster.
            if await anyio.to_thread.run_sync(store.size, request.expected) is not None:
                del self._writing[key]
                await anyio.to_thread.run_sync(part.discard)
                raise GrpcError(Status.ALREADY_EXISTS, f"{request.expected} is here")
        response = WriteContentResponse(action=request.action, total=writing.total)
        if request.action != content_pb2.STAT:
            if request.offset == 0 and part.offset:
                await anyio.to_thread.run_sync(part.restart)
            elif request.offset != part.offset:
                raise GrpcError(Status.OUT_OF_RANGE, f"{part.offset} bytes are here, and {request.offset} were said")
            if request.data:
                await anyio.to_thread.run_sync(part.write, request.data)
            if request.action == content_pb2.COMMIT:
                # Whether it succeeds or not, nothing can be added to it.
                del self._writing[key]
                response.digest = await anyio.to_thread.run_sync(
                    lambda: part.commit(size=writing.total, digest=writing.expected)
                )
        response.offset = part.offset
        await call.send(response.SerializeToString())
        return request.action == content_pb2.COMMIT

    def _store(self, call: Call) -> ReadableStore:
        store = self._stores.get(_id(call))
        if store is None:
            raise GrpcError(Status.NOT_FOUND, f"no cache {_id(call)!r} belongs to this build")
        return store


def _id(call: Call) -> str:
    # The first one counts: BuildKit joins its own before what it was called with.
    said = next((value for name, value in call.metadata if name == _STORE), "")
    return said if isinstance(said, str) else ""


def _decoded(message: bytes) -> WriteContentRequest:
    try:
        return WriteContentRequest.FromString(message)
    except DecodeError as error:
        raise GrpcError(Status.INVALID_ARGUMENT, "this is no request to write") from error


def _missing(digest: str) -> GrpcError:
    return GrpcError(Status.NOT_FOUND, f"{digest!r} is not here")
