"""The content service over our own gRPC: what a daemon may read and write, and what it may not."""

import hashlib
import json
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.buildkit.grpc import Call, Connection, GrpcError, Status, open_client, serve
from orchestrator.buildkit.protos import content_pb2
from orchestrator.buildkit.protos.content_pb2 import COMMIT, STAT, WRITE, WriteContentRequest, WriteContentResponse
from orchestrator.buildkit.session.content import Content, ReadableStore
from orchestrator.cache.blobs import Descriptor
from orchestrator.cache.generation import Generation
from orchestrator.cache.local import Store
from orchestrator.errors import ProtocolError
from tests.buildkit.pipes import pipes

_SERVICE = "/containerd.services.content.v1.Content"
_CACHE = (("buildkit-attachable-store-id", "local:cache"),)
_BIG = b"0123456789abcdef" * (5 * 65536 + 1)


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def generation(tmp_path: Path) -> Generator[Generation]:
    """What a daemon may write."""
    made = Generation(Store(tmp_path, "app"), limit=2 * len(_BIG))
    yield made
    made.discard()


@asynccontextmanager
async def served(store: ReadableStore) -> AsyncGenerator[Connection]:
    """A daemon's view of a session with one cache."""
    ours, theirs = pipes()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, ours, Content({"local:cache": store}).handlers())
        async with open_client(theirs, authority="session") as connection:
            yield connection
        tasks.cancel_scope.cancel()


async def say(call: Call, **fields: object) -> WriteContentResponse:
    await call.send(WriteContentRequest(**fields).SerializeToString())  # type: ignore[arg-type]  # one helper for all
    return WriteContentResponse.FromString(await call.receive())


async def write(connection: Connection, data: bytes, *, piece: int = 1 << 20, ref: str = "ref") -> str:
    """As containerd's client does it."""
    async with connection.call(f"{_SERVICE}/Write", metadata=_CACHE) as call:
        said = await say(call, action=STAT, ref=ref, total=len(data), expected=digest_of(data))
        assert said.offset == 0
        for at in range(0, len(data), piece):
            said = await say(call, action=WRITE, offset=at, data=data[at : at + piece])
            assert said.offset == min(at + piece, len(data))
        said = await say(call, action=COMMIT, offset=len(data), total=len(data), expected=digest_of(data))
        assert said.offset == len(data)
        return said.digest


async def read(connection: Connection, digest: str, *, offset: int = 0, size: int = 0) -> bytes:
    request = content_pb2.ReadContentRequest(digest=digest, offset=offset, size=size).SerializeToString()
    async with connection.call(f"{_SERVICE}/Read", metadata=_CACHE) as call:
        await call.send(request)
        await call.end()
        pieces = [content_pb2.ReadContentResponse.FromString(message) async for message in call]
    at = offset
    for each in pieces:
        assert each.offset == at
        at += len(each.data)
    return b"".join(each.data for each in pieces)


async def test_what_a_daemon_writes_is_read_back(generation: Generation) -> None:
    async with served(generation) as connection:
        digest = await write(connection, _BIG)
        whole = await read(connection, digest)
        info = await connection.unary(
            f"{_SERVICE}/Info", content_pb2.InfoRequest(digest=digest).SerializeToString(), metadata=_CACHE
        )

    assert digest == digest_of(_BIG)
    assert whole == _BIG
    assert content_pb2.InfoResponse.FromString(info).info.size == len(_BIG)


@pytest.mark.parametrize(
    ("offset", "size", "expected"),
    [(0, 0, _BIG), (5, 3, _BIG[5:8]), (len(_BIG) - 2, 100, _BIG[-2:]), (len(_BIG), 0, b""), (7, 0, _BIG[7:])],
)
async def test_a_range_is_read_as_far_as_there_is_something(
    generation: Generation, offset: int, size: int, expected: bytes
) -> None:
    async with served(generation) as connection:
        digest = await write(connection, _BIG)

        assert await read(connection, digest, offset=offset, size=size) == expected


async def test_a_blob_that_is_there_exists_already(generation: Generation) -> None:
    async with served(generation) as connection:
        await write(connection, b"blob")

        with pytest.raises(GrpcError) as caught:
            await write(connection, b"blob")

    assert caught.value.status is Status.ALREADY_EXISTS


async def test_a_writer_that_was_cut_off_goes_on_where_it_was_or_begins_again(generation: Generation) -> None:
    async with served(generation) as connection:
        async with connection.call(f"{_SERVICE}/Write", metadata=_CACHE) as call:
            await say(call, action=STAT, ref="ref")
            await say(call, action=WRITE, data=b"wr")
            await call.end()
            async for _ in call:
                pass
        status = await connection.unary(
            f"{_SERVICE}/Status", content_pb2.StatusRequest(ref="ref").SerializeToString(), metadata=_CACHE
        )
        async with connection.call(f"{_SERVICE}/Write", metadata=_CACHE) as call:
            assert (await say(call, action=STAT, ref="ref")).offset == 2
            await say(call, action=WRITE, offset=2, data=b"ong")
            await say(call, action=WRITE, offset=0, data=b"right")
            said = await say(call, action=COMMIT, offset=5, total=5)

    assert content_pb2.StatusResponse.FromString(status).status.offset == 2
    assert said.digest == digest_of(b"right")


async def test_what_is_aborted_is_forgotten(generation: Generation) -> None:
    abort = content_pb2.AbortRequest(ref="ref").SerializeToString()
    async with served(generation) as connection:
        async with connection.call(f"{_SERVICE}/Write", metadata=_CACHE) as call:
            await say(call, action=WRITE, ref="ref", data=b"x")
            with pytest.raises(GrpcError) as busy:
                await connection.unary(f"{_SERVICE}/Abort", abort, metadata=_CACHE)
            await call.end()
            async for _ in call:
                pass
        await connection.unary(f"{_SERVICE}/Abort", abort, metadata=_CACHE)
        with pytest.raises(GrpcError) as gone:
            await connection.unary(f"{_SERVICE}/Abort", abort, metadata=_CACHE)

    assert (busy.value.status, gone.value.status) == (Status.UNAVAILABLE, Status.NOT_FOUND)


_STRANGER = (("buildkit-attachable-store-id", "local:/etc"),)
_OUTSIDE = content_pb2.InfoRequest(digest="sha256:../../../../etc/passwd").SerializeToString()


@pytest.mark.parametrize(
    ("method", "message", "metadata", "status"),
    [
        ("Info", content_pb2.InfoRequest(digest=digest_of(b"")).SerializeToString(), _STRANGER, Status.NOT_FOUND),
        ("Info", content_pb2.InfoRequest(digest=digest_of(b"")).SerializeToString(), (), Status.NOT_FOUND),
        ("Info", content_pb2.InfoRequest(digest=digest_of(b"")).SerializeToString(), _CACHE, Status.NOT_FOUND),
        ("Info", _OUTSIDE, _CACHE, Status.NOT_FOUND),
        ("Info", b"\xff", _CACHE, Status.INVALID_ARGUMENT),
        ("Read", _OUTSIDE, _CACHE, Status.NOT_FOUND),
        ("Read", b"\xff", _CACHE, Status.INVALID_ARGUMENT),
        ("Write", b"\xff", _CACHE, Status.INVALID_ARGUMENT),
        ("Write", b"", _CACHE, Status.INVALID_ARGUMENT),
        ("Status", content_pb2.StatusRequest(ref="x").SerializeToString(), _CACHE, Status.NOT_FOUND),
        ("Delete", content_pb2.InfoRequest(digest=digest_of(b"")).SerializeToString(), _CACHE, Status.UNIMPLEMENTED),
    ],
)
async def test_what_a_daemon_may_not_ask_for_is_refused(
    generation: Generation, method: str, message: bytes, metadata: Sequence[tuple[str, str]], status: Status
) -> None:
    async with (
        served(generation) as connection,
        connection.call(f"{_SERVICE}/{method}", metadata=tuple(metadata)) as call,
    ):
        await call.send(message)
        await call.end()
        with pytest.raises(GrpcError) as caught:
            await call.receive()

    assert caught.value.status is status


async def test_a_cache_that_is_read_is_not_written(tmp_path: Path) -> None:
    store = Store(tmp_path, "app")
    layer = {"digest": digest_of(b"layer"), "size": 5}
    manifest = json.dumps({"layers": [layer]}).encode()
    written = Generation(store, limit=1000)
    for each in (b"layer", manifest):
        part = written.part()
        part.write(each)
        part.commit(size=0, digest="")
    written.commit(Descriptor(digest=digest_of(manifest), size=len(manifest)))
    pin = store.pin()
    assert pin is not None

    async with served(pin) as connection:
        with pytest.raises(GrpcError) as caught:
            await write(connection, b"more")
        assert await read(connection, digest_of(b"layer")) == b"layer"

    assert caught.value.status is Status.PERMISSION_DENIED


async def test_a_gap_is_refused(generation: Generation) -> None:
    async with served(generation) as connection:
        with pytest.raises(GrpcError) as caught:
            async with connection.call(f"{_SERVICE}/Write", metadata=_CACHE) as call:
                await say(call, action=WRITE, ref="ref", offset=3, data=b"x")

    assert caught.value.status is Status.OUT_OF_RANGE


async def test_another_blob_than_was_said_is_an_error_of_the_protocol(generation: Generation) -> None:
    ours, theirs = pipes()
    failures: list[BaseException] = []

    async def watch(call: Call) -> None:
        try:
            await Content({"local:cache": generation}).handlers()[call.method](call)
        except ProtocolError as error:
            failures.append(error)
            raise GrpcError(Status.FAILED_PRECONDITION, error.message) from error

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, ours, {f"{_SERVICE}/Write": watch})
        async with open_client(theirs, authority="session") as connection:
            with pytest.raises(GrpcError):
                async with connection.call(f"{_SERVICE}/Write", metadata=_CACHE) as call:
                    await say(call, action=COMMIT, ref="ref", data=b"this", expected=digest_of(b"that"))
        tasks.cancel_scope.cancel()

    assert len(failures) == 1
    assert generation.size(digest_of(b"this")) is None


@settings(deadline=None)  # the disk takes the time it takes
@given(pieces=st.lists(st.binary(max_size=40), max_size=8))
def test_a_blob_is_the_same_in_whatever_pieces_it_comes(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    generation = Generation(Store(tmp_path_factory.mktemp("cache"), "app"), limit=10_000)
    part = generation.part()
    for each in pieces:
        part.write(each)

    digest = part.commit(size=0, digest="")

    assert digest == digest_of(b"".join(pieces))
    assert generation.size(digest) == len(b"".join(pieces))
