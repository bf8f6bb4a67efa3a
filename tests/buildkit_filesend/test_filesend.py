"""FileSend over our own gRPC: what arrives is in its place when the build is done, and never before."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from orchestrator.buildkit.grpc import Call, Connection, GrpcError, Status
from orchestrator.buildkit.protos.filesync_pb2 import BytesMessage
from orchestrator.buildkit.protos.fsutil_pb2 import Packet, Stat
from orchestrator.buildkit.session.destinations import (
    Destination,
    DirectoryDestination,
    FileDestination,
    StreamDestination,
)
from orchestrator.buildkit.session.filesend import DIFF_COPY, FileSend
from orchestrator.errors import OutputError, ProtocolError
from tests.buildkit_grpc.peers import connected

DIRECTORY = 1 << 31


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


async def send(connection: Connection, *pieces: bytes, exporter: str | None = None) -> None:
    """What an exporter of archives does."""
    metadata = (("buildkit-attachable-exporter-id", exporter),) if exporter is not None else ()
    async with connection.call(DIFF_COPY, metadata=metadata) as call:
        await call.send_many([BytesMessage(data=piece).SerializeToString() for piece in pieces])
        await call.end()
        assert [message async for message in call] == []


async def send_tree(connection: Connection, files: dict[bytes, bytes | None], *, exporter: str = "0") -> None:
    """What the exporter of directories does; None is a directory."""
    async with connection.call(DIFF_COPY, metadata=(("buildkit-attachable-exporter-id", exporter),)) as call:
        for path, content in files.items():
            stat = Stat(path=path, mode=0o644 if content is not None else DIRECTORY | 0o755, size=len(content or b""))
            await call.send(Packet(type=Packet.PACKET_STAT, stat=stat).SerializeToString())
        await call.send(Packet(type=Packet.PACKET_STAT).SerializeToString())
        await answer(call, list(files.values()))


async def leave_early(connection: Connection) -> None:
    async with connection.call(DIFF_COPY) as call:
        await call.send(Packet(type=Packet.PACKET_STAT, stat=Stat(path=b"a", size=1)).SerializeToString())
        await call.end()
        async for _ in call:
            pass


async def answer(call: Call, contents: list[bytes | None]) -> None:
    while (request := Packet.FromString(await call.receive())).type != Packet.PACKET_FIN:
        await call.send(Packet(type=Packet.PACKET_DATA, id=request.id, data=contents[request.id]).SerializeToString())
        await call.send(Packet(type=Packet.PACKET_DATA, id=request.id).SerializeToString())
    await call.send(Packet(type=Packet.PACKET_FIN).SerializeToString())
    await call.end()
    assert [message async for message in call] == []


async def test_a_file_is_in_its_place_when_the_build_is_done_and_not_before(tmp_path: Path) -> None:
    place = tmp_path / "new/out.tar"
    received = FileSend({0: FileDestination(path=place)})

    async with received.opened(), connected(received.handlers()) as connection:
        await send(connection, b"one", b"", b"two" * 1_000_000)
        before = place.exists()
        await received.commit()

    assert not before
    assert place.read_bytes() == b"one" + b"two" * 1_000_000
    assert names_in(place.parent) == {"out.tar"}


async def test_a_build_that_is_not_done_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "out.tar").write_text("old")
    received = FileSend(
        {0: FileDestination(path=tmp_path / "out.tar"), 1: DirectoryDestination(path=tmp_path / "tree")}
    )

    async with received.opened(), connected(received.handlers()) as connection:
        opened = names_in(tmp_path)
        await send(connection, b"new", exporter="0")
        await send_tree(connection, {b"a": b"1"}, exporter="1")
        growing = names_in(tmp_path)

    assert opened == {"out.tar"}
    assert len(growing) == 3
    assert names_in(tmp_path) == {"out.tar"}
    assert (tmp_path / "out.tar").read_text() == "old"


async def test_each_exporter_has_its_destination(tmp_path: Path) -> None:
    taken: list[bytes] = []

    async def take(stream: AsyncIterator[bytes]) -> None:
        taken.append(await anext(stream))

    received = FileSend({1: FileDestination(path=tmp_path / "one"), 2: StreamDestination(consume=take)})

    async with received.opened(), connected(received.handlers()) as connection:
        # Who takes an archive may have enough before its end.
        await send(connection, b"two", b"padding", exporter="2")
        await send(connection, b"one", exporter="1")
        with pytest.raises(GrpcError) as unknown:
            await send(connection, b"none")
        with pytest.raises(GrpcError) as again:
            await send(connection, b"more", exporter="1")
        await received.commit()

    assert taken == [b"two"]
    assert (tmp_path / "one").read_bytes() == b"one"
    assert unknown.value.status is Status.NOT_FOUND
    assert again.value.status is Status.ALREADY_EXISTS


async def test_a_directory_becomes_its_place_at_once(tmp_path: Path) -> None:
    place = tmp_path / "tree"
    received = FileSend({0: DirectoryDestination(path=place)})

    async with received.opened(), connected(received.handlers()) as connection:
        await send_tree(connection, {b"a": b"1", b"d": None, b"d/b": b"2" * 100_000, b"e": b""})
        before = place.exists()
        await received.commit()

    assert not before
    assert {path.name for path in place.rglob("*")} == {"a", "d", "b", "e"}
    assert (place / "d/b").read_bytes() == b"2" * 100_000
    assert names_in(tmp_path) == {"tree"}


async def test_a_second_platform_comes_beside_the_first(tmp_path: Path) -> None:
    received = FileSend({0: DirectoryDestination(path=tmp_path / "tree")})

    async with received.opened(), connected(received.handlers()) as connection:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send_tree, connection, {b"both": None, b"both/a": b"1", b"linux_amd64": None})
            tasks.start_soon(send_tree, connection, {b"both": None, b"both/b": b"2", b"linux_arm64": None})
        await received.commit()

    assert names_in(tmp_path / "tree") == {"both", "linux_amd64", "linux_arm64"}
    assert names_in(tmp_path / "tree/both") == {"a", "b"}


@pytest.mark.parametrize("sent", [False, True])
async def test_a_daemon_that_is_done_without_having_sent_everything_is_told_so(
    tmp_path: Path,
    sent: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    received = FileSend({0: FileDestination(path=tmp_path / "a"), 1: FileDestination(path=tmp_path / "b")})

    async with received.opened(), connected(received.handlers()) as connection:
        if sent:
            await send(connection, b"one", exporter="1")
        with pytest.raises(ProtocolError, match="did not send what was built"):
            await received.commit()

    assert names_in(tmp_path) == set()


def a_file(place: Path) -> None:
    place.write_text("x")


def a_directory(place: Path) -> None:
    place.mkdir()


def a_pipe(place: Path) -> None:
    os.mkfifo(place)


def a_file_above(place: Path) -> None:
    place.parent.write_text("x")


@pytest.mark.parametrize(
    ("make", "kind", "complaint"),
    [
        (a_directory, FileDestination, "is there, and is no regular file"),
        (a_pipe, FileDestination, "is there, and is no regular file"),
        (a_file, DirectoryDestination, "is there, and is no directory"),
        (a_file_above, FileDestination, "cannot be written"),
        (a_file_above, DirectoryDestination, "cannot be written"),
    ],
)
async def test_a_place_that_cannot_be_is_told_before_anything_is_sent(
    tmp_path: Path, make: Callable[[Path], None], kind: Callable[..., Destination], complaint: str
) -> None:
    place = tmp_path / "sub/place"
    if make is not a_file_above:
        place.parent.mkdir()
    make(place)
    received = FileSend({0: FileDestination(path=tmp_path / "fine"), 1: kind(path=place)})

    with pytest.raises(OutputError, match=complaint):
        async with received.opened():
            pytest.fail("it was opened")

    assert names_in(tmp_path) == {"sub"}


async def test_a_link_at_the_place_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.tar").symlink_to("real/file.tar")
    received = FileSend({0: FileDestination(path=tmp_path / "link.tar")})

    async with received.opened(), connected(received.handlers()) as connection:
        await send(connection, b"1")
        await received.commit()

    assert (tmp_path / "link.tar").readlink() == Path("real/file.tar")
    assert (tmp_path / "real/file.tar").read_bytes() == b"1"


async def test_a_directory_in_the_way_of_a_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "tree/a/b").mkdir(parents=True)
    received = FileSend({0: DirectoryDestination(path=tmp_path / "tree")})

    async with received.opened(), connected(received.handlers()) as connection:
        await send_tree(connection, {b"a": b"1"})
        with pytest.raises(OutputError, match="tree/a is a directory there"):
            await received.commit()

    assert (tmp_path / "tree/a/b").is_dir()
    assert names_in(tmp_path / "tree") == {"a"}


async def test_a_sender_that_leaves_early_has_not_sent(tmp_path: Path) -> None:
    received = FileSend({0: DirectoryDestination(path=tmp_path / "tree")})

    async with received.opened(), connected(received.handlers()) as connection:
        with pytest.raises(GrpcError) as caught:
            await leave_early(connection)
        with pytest.raises(ProtocolError):
            await received.commit()

    assert caught.value.status is Status.CANCELLED
    assert names_in(tmp_path) == set()
